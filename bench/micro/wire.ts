/**
 * Cost of the wire codec per message: `npm run bench -- wire [--turns 5] [--small]`.
 * Decodes a stream of 16 KiB piece messages and one of requests, as sockets would deliver them, and encodes both.
 * The sink sums what it sees; the sums are compared with the stream that was made, so a run is also a smoke test.
 */
import { createHash } from 'node:crypto';
import { BLOCK_LENGTH_BYTES } from '../../src/config.js';
import { Decoder } from '../../src/wire/decoder.js';
import { OutBuffer, writePieceHeader, writeRequest } from '../../src/wire/encoder.js';
import { microBench } from '../support/micro.js';
import { QuietSink } from '../support/quiet-sink.js';

const KIB = 1024;
const BLOCKS_PER_PIECE = 64;

/**
 * Does what a receiver must at least do: note the numbers, count the payload. Its sum does not depend on how the bytes
 * were split.
 */
class SumSink extends QuietSink {
  messages = 0;
  sum = 0;
  #payload = 0;
  #mix(value: number): void {
    const product = Math.imul(this.sum ^ value, 0x85ebca6b);
    this.sum = (product ^ (product >>> 15)) >>> 0;
  }
  override onBlockBegin(piece: number, begin: number, length: number): void {
    this.onRequest(piece, begin, length);
    this.#payload = 0;
  }
  override onBlockBytes(source: Buffer, start: number, end: number): void {
    // All payload bytes of a block are equal.
    this.#payload += source[start]! * (end - start);
  }
  override onBlockEnd(): void {
    this.#mix(this.#payload);
  }
  override onRequest(piece: number, begin: number, length: number): void {
    this.messages++;
    this.#mix(piece);
    this.#mix(begin);
    this.#mix(length);
  }
}

function requestStream(count: number): Buffer {
  const out = new OutBuffer();
  for (let i = 0; i < count; i++) {
    writeRequest(
      out,
      Math.floor(i / BLOCKS_PER_PIECE),
      (i % BLOCKS_PER_PIECE) * BLOCK_LENGTH_BYTES,
      BLOCK_LENGTH_BYTES,
    );
  }
  return out.take();
}

function pieceStream(count: number): Buffer {
  const stream = Buffer.alloc(count * (13 + BLOCK_LENGTH_BYTES));
  const out = new OutBuffer();
  let at = 0;
  for (let i = 0; i < count; i++) {
    writePieceHeader(
      out,
      Math.floor(i / BLOCKS_PER_PIECE),
      (i % BLOCKS_PER_PIECE) * BLOCK_LENGTH_BYTES,
      BLOCK_LENGTH_BYTES,
    );
    stream.set(out.take(), at);
    stream.fill(i & 0xff, at + 13, at + 13 + BLOCK_LENGTH_BYTES);
    at += 13 + BLOCK_LENGTH_BYTES;
  }
  return stream;
}

interface Figure {
  readonly name: string;
  readonly nsPerMessage: number;
  readonly sum: string;
}

/** Pushes the stream `rounds` times in reads of `readBytes`. */
function decode(name: string, stream: Buffer, readBytes: number, count: number, rounds: number): Figure {
  const sink = new SumSink();
  const decoder = new Decoder(sink);
  const begin = process.hrtime.bigint();
  for (let round = 0; round < rounds; round++) {
    for (let at = 0; at < stream.length; at += readBytes) {
      if (!decoder.push(stream, at, Math.min(stream.length, at + readBytes))) throw new Error(`${name}: stream is bad`);
    }
  }
  const ns = Number(process.hrtime.bigint() - begin);
  if (sink.messages !== count * rounds) throw new Error(`${name}: ${sink.messages} messages of ${count * rounds}`);
  return { name, nsPerMessage: ns / (count * rounds), sum: sink.sum.toString(16) };
}

/** A tick's worth of messages, then one take, as a link does. */
function encode(name: string, write: (out: OutBuffer, i: number) => void, perTake: number, count: number): Figure {
  let out = new OutBuffer();
  let bytes = 0;
  const begin = process.hrtime.bigint();
  for (let i = 0; i < count; i++) {
    write(out, i);
    if (i % perTake === perTake - 1) bytes += out.take().length;
  }
  const ns = Number(process.hrtime.bigint() - begin);
  if (bytes + out.length === 0) throw new Error(`${name}: nothing written`);
  out = new OutBuffer();
  for (let i = 0; i < 100; i++) write(out, i);
  const sum = createHash('sha1').update(out.take()).digest('hex').slice(0, 8);
  return { name, nsPerMessage: ns / count, sum };
}

/** Feeds a sink with what went into the stream, without wire code between, and compares. */
function checkSums(figures: readonly Figure[], count: number, rounds: number, isPiece: boolean): void {
  const sink = new SumSink();
  const payload = Buffer.alloc(BLOCK_LENGTH_BYTES);
  for (let i = 0; i < count * rounds; i++) {
    const block = i % count;
    const piece = Math.floor(block / BLOCKS_PER_PIECE);
    const begin = (block % BLOCKS_PER_PIECE) * BLOCK_LENGTH_BYTES;
    if (!isPiece) {
      sink.onRequest(piece, begin, BLOCK_LENGTH_BYTES);
      continue;
    }
    payload[0] = block & 0xff;
    sink.onBlockBegin(piece, begin, BLOCK_LENGTH_BYTES);
    sink.onBlockBytes(payload, 0, BLOCK_LENGTH_BYTES);
    sink.onBlockEnd();
  }
  const wanted = sink.sum.toString(16);
  for (const { name, sum } of figures) if (sum !== wanted) throw new Error(`${name}: sum ${sum}, must be ${wanted}`);
}

interface Streams {
  readonly pieces: Buffer;
  readonly requests: Buffer;
}

function measure(streams: Streams, blocks: number, requests: number, rounds: number): Figure[] {
  const { pieces, requests: wanted } = streams;
  const request = (out: OutBuffer, i: number): void => writeRequest(out, i >> 6, (i & 63) << 14, BLOCK_LENGTH_BYTES);
  const header = (out: OutBuffer, i: number): void => writePieceHeader(out, i >> 6, (i & 63) << 14, BLOCK_LENGTH_BYTES);
  const figures = [
    decode('decode piece, 64 KiB reads', pieces, 64 * KIB, blocks, rounds),
    decode('decode piece, 1 MiB reads', pieces, 1024 * KIB, blocks, rounds),
    decode('decode piece, 1,448 B reads', pieces, 1448, blocks, rounds),
    decode('decode request, 34,000 B reads', wanted, 34_000, requests, rounds),
    decode('decode request, 1 MiB reads', wanted, 1024 * KIB, requests, rounds),
    encode('encode request, 32 per take', request, 32, requests * 10),
    encode('encode piece header, 1 per take', header, 1, requests * 10),
  ];
  checkSums(figures.slice(0, 3), blocks, rounds, true);
  checkSums(figures.slice(3, 5), requests, rounds, false);
  return figures;
}

export function main(argv: readonly string[]): Promise<void> {
  const isSmall = argv.includes('--small');
  const [blocks, requests, rounds] = isSmall ? [256, 20_000, 4] : [4096, 100_000, 40];
  const streams = { pieces: pieceStream(blocks), requests: requestStream(requests) };
  return microBench('wire', argv, { parameter: null, small: [rounds], full: [rounds] }, () =>
    measure(streams, blocks, requests, rounds).map(({ name, nsPerMessage, sum }) => ({
      series: name,
      figures: { nsPerMessage },
      checksum: sum,
    })),
  );
}

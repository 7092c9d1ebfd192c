/**
 * A peer that only asks: a real socket and our codec, light enough that dozens of them do not hide what the seed does.
 * It keeps the requests it was told to make, knows when each was asked, and takes the digest of every SAMPLE-th block.
 */
import { hash } from 'node:crypto';
import type net from 'node:net';
import { BLOCK_LENGTH_BYTES } from '../../src/config.js';
import type { Metainfo } from '../../src/metainfo/metainfo.js';
import { connectSocket } from '../../src/peer/socket.js';
import { Decoder } from '../../src/wire/decoder.js';
import { OutBuffer, writeInterested, writeRequest } from '../../src/wire/encoder.js';
import { encodeHandshake, HANDSHAKE_BYTES } from '../../src/wire/handshake.js';
import { QuietSink } from './quiet-sink.js';

const SAMPLE = 16;
const FREE = -1;

/** Blocks by their number in the torrent, and what came for them (SHA-1, hex). */
export interface Samples {
  readonly blocks: number[];
  readonly digests: string[];
}

export interface ReaderOptions {
  readonly port: number;
  readonly metainfo: Metainfo;
  /** 20 characters. */
  readonly peerId: string;
  readonly depth: number;
  readonly samples: Samples;
  readonly onUnchoked: () => void;
  /** A block came whole, this long after it was asked for. It may `ask` for another. */
  readonly onBlock: (reader: Reader, waitedMs: number) => void;
  readonly onTrouble: (message: string) => void;
}

export class Reader extends QuietSink {
  /** Blocks received. */
  blockCount = 0;
  readonly #options: ReaderOptions;
  readonly #socket: net.Socket;
  readonly #out = new OutBuffer();
  /** What is outstanding: block numbers, or FREE, and when they were asked for. */
  readonly #asked: Float64Array;
  readonly #askedMs: Float64Array;
  readonly #sample = Buffer.allocUnsafe(BLOCK_LENGTH_BYTES);
  #place = 0;
  #received = 0;

  constructor(options: ReaderOptions) {
    super();
    this.#options = options;
    this.#asked = new Float64Array(options.depth).fill(FREE);
    this.#askedMs = new Float64Array(options.depth);
    const decoder = new Decoder(this);
    let skip = HANDSHAKE_BYTES;
    this.#socket = connectSocket('127.0.0.1', options.port, (source, length) => {
      const start = Math.min(skip, length);
      skip -= start;
      if (start < length && !decoder.push(source, start, length)) options.onTrouble('the seed sent nonsense');
      this.flush();
      return true;
    });
    this.#socket.on('error', (error) => options.onTrouble(error.message));
    this.#socket.once('close', () => options.onTrouble('the seed closed a reader'));
    const peerId = Buffer.from(options.peerId, 'latin1');
    const extensions = { fast: false, extended: false };
    this.#socket.write(encodeHandshake({ infoHash: options.metainfo.infoHash, peerId, extensions }));
    writeInterested(this.#out);
    this.flush();
  }

  /** Asks for one whole block of the torrent. At most `depth` may be outstanding. */
  ask(block: number): void {
    const place = this.#asked.indexOf(FREE);
    if (place < 0) throw new Error('more requests than the depth');
    this.#asked[place] = block;
    this.#askedMs[place] = performance.now();
    const { blocksPerPiece } = this.#options.metainfo.geometry;
    const piece = Math.floor(block / blocksPerPiece);
    writeRequest(this.#out, piece, (block % blocksPerPiece) * BLOCK_LENGTH_BYTES, BLOCK_LENGTH_BYTES);
  }

  /** Sends what was asked outside `onBlock`. */
  flush(): void {
    if (this.#out.length > 0) this.#socket.write(this.#out.take());
  }

  /** How long each unanswered request has waited by now. */
  waiting(visit: (waitedMs: number) => void): void {
    const nowMs = performance.now();
    this.#asked.forEach((block, place) => {
      if (block !== FREE) visit(nowMs - this.#askedMs[place]!);
    });
  }

  override onBlockBegin(piece: number, begin: number, length: number): void {
    const { blocksPerPiece } = this.#options.metainfo.geometry;
    this.#place = this.#asked.indexOf(piece * blocksPerPiece + begin / BLOCK_LENGTH_BYTES);
    this.#received = 0;
    if (this.#place < 0 || length !== BLOCK_LENGTH_BYTES)
      this.#options.onTrouble(`not asked for: ${piece} ${begin} ${length}`);
  }

  override onBlockBytes(source: Buffer, start: number, end: number): void {
    if (this.blockCount % SAMPLE === 0) source.copy(this.#sample, this.#received, start, end);
    this.#received += end - start;
  }

  override onBlockEnd(): void {
    const block = this.#asked[this.#place]!;
    this.#asked[this.#place] = FREE;
    if (this.blockCount++ % SAMPLE === 0) {
      this.#options.samples.blocks.push(block);
      this.#options.samples.digests.push(hash('sha1', this.#sample, 'hex'));
    }
    this.#options.onBlock(this, performance.now() - this.#askedMs[this.#place]!);
  }

  override onUnchoke(): void {
    this.#options.onUnchoked();
  }
  override onChoke(): void {
    this.#options.onTrouble('choked, and every slot should be ours');
  }
  override onReject(): void {
    this.#options.onTrouble('a request was rejected');
  }
}

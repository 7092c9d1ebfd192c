/**
 * Many quiet peers in one process: each says its handshake and HAVE ALL or HAVE NONE, then nothing.
 *   join PORT INFO-HASH-HEX COUNT all|none   a line: all connect; {"event":"ready","connectMs":N} when the engine has
 *                                            greeted every one
 *   fetch PIECE                              a line: one more peer asks for the first block of a piece;
 *                                            {"event":"block",…}
 * Leaves at the end of standard input. An engine that closes one of them is an error.
 */
import { createHash, randomBytes } from 'node:crypto';
import net from 'node:net';
import { createInterface } from 'node:readline';
import { BLOCK_LENGTH_BYTES } from '../../src/config.js';
import { OutBuffer, writeHaveAll, writeHaveNone, writeInterested, writeRequest } from '../../src/wire/encoder.js';
import { encodeHandshake, HANDSHAKE_BYTES } from '../../src/wire/handshake.js';
import { MESSAGE, PIECE_HEADER_BYTES, PREFIX_BYTES } from '../../src/wire/messages.js';

/** Handshakes under way at once: below the usual backlog of a listening socket. */
const AT_ONCE = 64;

let port = 0;
let infoHash: Buffer = Buffer.alloc(0);
let greetsWith: (out: OutBuffer) => void = writeHaveNone;
let isLeaving = false;

function say(event: string, facts: Record<string, unknown> = {}): void {
  process.stdout.write(`${JSON.stringify({ event, ...facts })}\n`);
}

function fail(message: string): void {
  if (!isLeaving) say('error', { message });
}

function greeting(): Buffer {
  const out = new OutBuffer();
  greetsWith(out);
  const peerId = Buffer.concat([Buffer.from('-QT0001-'), randomBytes(12)]);
  const extensions = { fast: true, extended: false };
  return Buffer.concat([encodeHandshake({ infoHash, peerId, extensions }), out.take()]);
}

function connect(): net.Socket {
  const socket = net.connect({ host: '127.0.0.1', port, noDelay: true });
  socket.on('error', (error) => fail(error.message));
  socket.once('close', () => fail('the engine closed a quiet peer'));
  socket.write(greeting());
  return socket;
}

/** Resolves when the handshake of the engine is in; what comes after it is not looked at. */
function quietPeer(): Promise<void> {
  return new Promise((resolve) => {
    let received = 0;
    connect().on('data', (bytes: Buffer) => {
      received += bytes.length;
      if (received >= HANDSHAKE_BYTES) resolve();
    });
  });
}

async function gather(count: number): Promise<void> {
  const startMs = performance.now();
  let left = count;
  const one = async (): Promise<void> => {
    while (left-- > 0) await quietPeer();
  };
  await Promise.all(Array.from({ length: AT_ONCE }, one));
  say('ready', { connectMs: performance.now() - startMs });
}

/** Asks as soon as it is unchoked; says how long the first block took from the request, and its digest. */
function fetchBlock(piece: number): void {
  const startMs = performance.now();
  const socket = connect();
  const out = new OutBuffer();
  writeInterested(out);
  socket.write(out.take());
  let pending: Buffer = Buffer.alloc(0);
  let skip = HANDSHAKE_BYTES;
  let askedMs = startMs;
  socket.on('data', (bytes: Buffer) => {
    pending = Buffer.concat([pending, bytes]);
    if (skip > 0 && pending.length >= skip) {
      pending = pending.subarray(skip);
      skip = 0;
    }
    while (skip === 0 && pending.length >= PREFIX_BYTES) {
      const end = PREFIX_BYTES + pending.readUInt32BE(0);
      if (pending.length < end) return;
      const id = end > PREFIX_BYTES ? pending[PREFIX_BYTES] : undefined;
      if (id === MESSAGE.unchoke) {
        askedMs = performance.now();
        writeRequest(out, piece, 0, BLOCK_LENGTH_BYTES);
        socket.write(out.take());
      } else if (id === MESSAGE.piece) {
        const sha1 = createHash('sha1').update(pending.subarray(PIECE_HEADER_BYTES, end)).digest('hex');
        const nowMs = performance.now();
        say('block', { sha1, blockMs: nowMs - askedMs, joinMs: askedMs - startMs });
      }
      pending = pending.subarray(end);
    }
  });
}

function obey(line: string): void {
  const [word, ...rest] = line.split(' ');
  if (word === 'fetch') fetchBlock(Number(rest[0]));
  if (word !== 'join') return;
  port = Number(rest[0]);
  infoHash = Buffer.from(rest[1] ?? '', 'hex');
  greetsWith = rest[3] === 'all' ? writeHaveAll : writeHaveNone;
  void gather(Number(rest[2]));
}

const input = createInterface({ input: process.stdin });
input.on('line', obey);
input.once('close', () => {
  isLeaving = true;
  process.exit(0);
});

/**
 * Bodies in small chunks. Node's parser makes a buffer of each and tells us at once, whatever else waits: chunks of
 * seven bytes cost as much time and memory as packets, and 64 KiB come at once, of every connection. So they are put
 * together before they are kept, and who sent many waits until more is read.
 */
import type { IncomingMessage } from 'node:http';
import { DEPOT_HTTP_LIMITS } from './limits.js';

/** Longer ones are left as they are, */
const SMALL_BYTES = 1024;
/** others become one of so many bytes at most. */
const JOINED_BYTES = 4 * 1024;

/** The chunks of one request. */
export class SmallChunks {
  readonly #request: IncomingMessage;
  #push: (chunk: Uint8Array | null) => boolean = () => true;
  #joined: Buffer | null = null;
  #joinedBytes = 0;
  #fresh = 0;

  /** In time: before any of its body is parsed. */
  constructor(request: IncomingMessage) {
    this.#request = request;
    if (request.headers['transfer-encoding'] === undefined) return;
    this.#push = request.push.bind(request);
    request.push = (chunk) => this.#came(chunk);
  }

  /** How many came since this was asked last. */
  takeFresh(): number {
    const fresh = this.#fresh;
    this.#fresh = 0;
    return fresh;
  }

  /** As `push` of a stream; what is joined is told of when the parser has done with what was read. */
  #came(chunk: Uint8Array | null): boolean {
    if (chunk === null || chunk.length >= SMALL_BYTES) {
      this.#flush();
      return this.#push(chunk);
    }
    this.#fresh++;
    if (this.#joinedBytes + chunk.length > JOINED_BYTES) this.#flush();
    if (this.#joined === null) {
      this.#joined = Buffer.allocUnsafe(JOINED_BYTES);
      setImmediate(() => this.#flush());
    }
    this.#joined.set(chunk, this.#joinedBytes);
    this.#joinedBytes += chunk.length;
    return this.#request.readableLength < this.#request.readableHighWaterMark;
  }

  #flush(): void {
    if (this.#joined === null) return;
    const joined = this.#joined.subarray(0, this.#joinedBytes);
    this.#joined = null;
    this.#joinedBytes = 0;
    this.#push(joined);
  }
}

/** When who sent small chunks is read again: all of them together cost a part of the time, the others have the rest. */
export class ChunkTurns {
  readonly #now: () => number;
  #paidMs = Number.NEGATIVE_INFINITY;

  /** @param now monotonic milliseconds */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** Milliseconds to wait for whoever sent so many. */
  waitMs(chunks: number): number {
    const nowMs = this.#now();
    const paidMs = Math.max(nowMs, this.#paidMs) + (chunks * 1000) / DEPOT_HTTP_LIMITS.smallChunksPerSec;
    this.#paidMs = Math.min(paidMs, nowMs + DEPOT_HTTP_LIMITS.smallChunksMs);
    return this.#paidMs - nowMs;
  }
}

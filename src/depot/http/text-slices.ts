/**
 * Many short texts as the body of one answer, in UTF-8: each is written where it leaves from. Joined they would be a
 * long text, and that copied to bytes: most of what a listing took, and garbage whose collection stopped everything.
 * The chunks of an answer that was sent are used for the next one.
 */
import type { Slices } from './route.js';

/** What an answer takes at once of a slow reader: see `answers.ts`. */
const CHUNK_BYTES = 256 * 1024;
/** Chunks that wait for the next answer: two listings of full pages. */
const SPARE_MAX = 4;
/** Bytes of UTF-8 that a character of a text takes at most; half of a pair takes as many. */
const BYTES_PER_CHARACTER = 3;

/** Shorter bodies are written at once, and take no place of an answer that is sent in parts: see `handler.ts`. */
const SHORT_BYTES = 64 * 1024;

const spare: Buffer<ArrayBuffer>[] = [];
const NONE = Buffer.alloc(0);

export class TextSlices implements Slices {
  readonly #full: Buffer<ArrayBuffer>[] = [];
  #chunk: Buffer<ArrayBuffer> = NONE;
  #usedBytes = 0;
  #fullBytes = 0;

  get lengthBytes(): number {
    return this.#fullBytes + this.#usedBytes;
  }

  add(text: string): void {
    const mostBytes = text.length * BYTES_PER_CHARACTER;
    if (this.#chunk.length - this.#usedBytes < mostBytes) {
      this.#end();
      this.#chunk = mostBytes > CHUNK_BYTES ? Buffer.allocUnsafeSlow(mostBytes) : take();
    }
    this.#usedBytes += this.#chunk.write(text, this.#usedBytes, 'utf8');
  }

  /** What an answer takes; once, and nothing is added then. */
  body(): Uint8Array | Slices {
    if (this.lengthBytes > SHORT_BYTES || this.#full.length > 0) return this;
    const short = Buffer.from(this.#chunk.subarray(0, this.#usedBytes));
    give(this.#chunk);
    this.#chunk = NONE;
    return short;
  }

  async *open(): AsyncGenerator<Uint8Array> {
    this.#end();
    for (const slice of this.#full) {
      yield slice;
      // Asked for more: the kernel has these. What was not taken may still be on its way, and is left alone.
      give(Buffer.from(slice.buffer));
    }
  }

  #end(): void {
    if (this.#usedBytes > 0) this.#full.push(this.#chunk.subarray(0, this.#usedBytes));
    this.#fullBytes += this.#usedBytes;
    this.#usedBytes = 0;
    this.#chunk = NONE;
  }
}

function take(): Buffer<ArrayBuffer> {
  return spare.pop() ?? Buffer.allocUnsafeSlow(CHUNK_BYTES);
}

function give(chunk: Buffer<ArrayBuffer>): void {
  if (chunk.length === CHUNK_BYTES && spare.length < SPARE_MAX) spare.push(chunk);
}

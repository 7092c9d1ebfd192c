/**
 * One read of a file of a torrent, from a byte to another: verified bytes in order, as they come. Holds nothing but the
 * piece of memory that is being filled; a consumer that does not ask is not read for.
 * Invariant: calls of `next` are answered in order, each once, also when `return` comes in between.
 */
import type { HaulError } from '../errors.js';
import { pageBuffer } from '../native/page-buffer.js';

/** Of a read: what a consumer gets at once, at most. */
export const CHUNK_BYTES = 256 * 1024;

type Result = IteratorResult<Uint8Array, undefined>;
const DONE: Result = { done: true, value: undefined };

/** What a reader needs of the torrent. */
export interface ReaderHost {
  /**
   * Fills what is verified from this place of the file on into `reader.memory`, at most so many bytes; null: nothing
   * is, and `wake` follows when that may have changed.
   * @throws HaulError it never will be
   */
  take(reader: Reader, atBytes: number, mostBytes: number): Promise<Uint8Array | null>;
  /** Its window begins, moves or ends. */
  moved(reader: Reader): void;
}

export class Reader implements AsyncIterableIterator<Uint8Array> {
  /** As in `Metainfo.files`. */
  readonly file: number;
  readonly endBytes: number;
  /** The next byte that nobody got. */
  atBytes: number;
  /** Bytes from there on that come before all else; 0: it has not begun, or is over. */
  windowBytes = 0;
  /** When its consumer asked last, by the clock of its session; Infinity: there is none. */
  askedMs = Number.POSITIVE_INFINITY;
  /** Somebody waits for the next byte, and it is not here. */
  isWaiting = false;
  readonly #host: ReaderHost;
  #isOver = false;
  #wake: (() => void) | null = null;
  #wasWoken = false;
  #turn: Promise<unknown> = Promise.resolve();
  readonly #reusesMemory: boolean;
  #memory: Buffer | null = null;

  constructor(host: ReaderHost, file: number, startBytes: number, endBytes: number, reusesMemory: boolean) {
    this.#host = host;
    this.#reusesMemory = reusesMemory;
    this.file = file;
    this.atBytes = startBytes;
    this.endBytes = endBytes;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** For the next chunk. New memory for each costs more than the read: it is cleared, and the collector runs for it. */
  memory(lengthBytes: number): Buffer {
    if (!this.#reusesMemory) return Buffer.allocUnsafeSlow(lengthBytes);
    this.#memory ??= pageBuffer(Math.min(CHUNK_BYTES, this.endBytes - this.atBytes));
    return this.#memory.subarray(0, lengthBytes);
  }

  next(): Promise<Result> {
    const turn = this.#turn.then(() => this.#next());
    this.#turn = turn.catch(() => {});
    return turn;
  }

  /** Whoever waits for it is told that it is over. */
  return(): Promise<Result> {
    this.#end();
    return Promise.resolve(DONE);
  }

  throw(error: HaulError): Promise<Result> {
    this.#end();
    return Promise.reject(error);
  }

  /** Something may be here now. */
  wake(): void {
    this.#wasWoken = true;
    this.#wake?.();
  }

  async #next(): Promise<Result> {
    while (!this.#isOver && this.atBytes < this.endBytes) {
      this.#wasWoken = false;
      const chunk = await this.#take();
      if (this.#isOver) break;
      if (chunk === null) await this.#untilWoken();
      else {
        this.isWaiting = false;
        this.atBytes += chunk.length;
        this.#host.moved(this);
        return { done: false, value: chunk };
      }
    }
    this.#end();
    return DONE;
  }

  async #take(): Promise<Uint8Array | null> {
    try {
      return await this.#host.take(this, this.atBytes, Math.min(CHUNK_BYTES, this.endBytes - this.atBytes));
    } catch (error) {
      if (this.#isOver) return null;
      this.#end();
      throw error;
    }
  }

  async #untilWoken(): Promise<void> {
    if (this.#wasWoken) return;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    this.#wake = null;
  }

  #end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.isWaiting = false;
    this.windowBytes = 0;
    this.#host.moved(this);
    this.wake();
  }
}

/**
 * Paced write-back: ranges of finished pieces go to the device in the background, oldest first, so that dirty pages
 * stay bounded. Left to itself the kernel lets a fifth of the memory become dirty and then holds up whoever dirties
 * pages, which would be the workers.
 *
 *   added -> waiting (as long as its pages are mapped) -> written (sync_file_range in libuv's threads) -> clean
 *
 * It does not make anything durable (no metadata, no flush of the device's cache): that is `durable.ts`.
 * Invariant: `dirtyBytes` counts what was added and is not known to be clean; at most AT_ONCE calls are under way.
 */
import { fromSystemError, type HaulError } from '../errors.js';
import type { Descriptors } from './descriptors.js';
import type { Dirty, DirtyBudget } from './dirty-budget.js';

/**
 * Calls that wait for the device, each in one of libuv's four threads; two keep a device busy and leave threads for the
 * rest.
 */
const AT_ONCE = 2;
/** Neighbours become one range up to this length, so that no call holds a thread for long. */
const LONGEST_RANGE_BYTES = 4 * 1024 * 1024;
/** A call costs 7 µs and may have to open its file: what is shorter waits for the next sync. */
const SHORTEST_RANGE_BYTES = 128 * 1024;
/** Ranges that were taken are dropped from the list so many at a time. */
const SHORTEN_AT = 1024;
/** What a file system or a platform says that cannot do this; then the kernel paces. */
const UNSUPPORTED = new Set(['EINVAL', 'ENOSYS', 'ESPIPE', 'EOPNOTSUPP']);

export interface WriteBackOptions {
  readonly descriptors: () => Pick<Descriptors, 'acquire' | 'release'>;
  readonly path: (file: number) => string;
  /** Writes the dirty pages of a range and waits for the device. @throws SystemCallError */
  readonly write: (fd: number, beginBytes: number, lengthBytes: number) => Promise<void>;
  /** So many of the newest bytes wait: cleaning a page that is still mapped interrupts every thread. */
  readonly lagBytes: number;
  /** What all torrents have dirty, and may. */
  readonly dirty: DirtyBudget;
}

interface Range {
  readonly file: number;
  readonly beginBytes: number;
  lengthBytes: number;
}

export class WriteBack implements Dirty {
  /** `isFull` ended. */
  onRoom: (() => void) | null = null;
  readonly #options: WriteBackOptions;
  #waiting: Range[] = [];
  #head = 0;
  #waitingBytes = 0;
  #writingBytes = 0;
  readonly #calls = new Set<Promise<void>>();
  #isOff = false;
  /** Said so, and not yet that it ended. */
  #wasFull = false;
  #failure: HaulError | null = null;

  constructor(options: WriteBackOptions) {
    this.#options = options;
  }

  get dirtyBytes(): number {
    return this.#waitingBytes + this.#writingBytes;
  }

  /** True: nothing more should become dirty now; `onRoom` follows. */
  get isFull(): boolean {
    const isFull = this.#options.dirty.isFull(this);
    if (isFull) this.#wasFull = true;
    return isFull;
  }

  /** What the device said. A later fdatasync would not say it again: what was added before may be lost. */
  get failure(): HaulError | null {
    return this.#failure;
  }

  /** These parts of files are dirty and will not change any more. */
  add(segments: readonly Range[]): void {
    if (this.#isOff) return;
    for (const { file, beginBytes, lengthBytes } of segments) {
      if (lengthBytes < SHORTEST_RANGE_BYTES) continue;
      this.#waitingBytes += lengthBytes;
      this.#options.dirty.changed(this, lengthBytes);
      const last = this.#waiting.at(-1);
      const isNext = last !== undefined && last.file === file && last.beginBytes + last.lengthBytes === beginBytes;
      if (isNext && last.lengthBytes + lengthBytes <= LONGEST_RANGE_BYTES) last.lengthBytes += lengthBytes;
      else this.#waiting.push({ file, beginBytes, lengthBytes });
    }
    this.#pump();
  }

  /** A sync begins, which writes all that waits here; call what this returns when it has ended. */
  leaveToSync(): () => void {
    const bytes = this.#waitingBytes;
    this.#writingBytes += bytes;
    this.#forget();
    return () => this.#written(bytes);
  }

  /** Writes no more; resolves when no call is under way. */
  async close(): Promise<void> {
    this.#isOff = true;
    this.#clear();
    await this.settled();
  }

  /** Resolves when the calls that are under way now have ended: only then `failure` is complete. */
  async settled(): Promise<void> {
    await Promise.all(this.#calls);
  }

  /** What waits is not to be written here. */
  #clear(): void {
    const bytes = this.#waitingBytes;
    this.#forget();
    if (bytes > 0) this.#options.dirty.changed(this, -bytes);
  }

  #forget(): void {
    this.#waiting = [];
    this.#head = 0;
    this.#waitingBytes = 0;
  }

  #pump(): void {
    while (this.#calls.size < AT_ONCE && this.#head < this.#waiting.length) {
      const range = this.#waiting[this.#head]!;
      if (!this.isFull && this.#waitingBytes - range.lengthBytes < this.#options.lagBytes) return;
      this.#head++;
      this.#waitingBytes -= range.lengthBytes;
      this.#shorten();
      this.#writingBytes += range.lengthBytes;
      const call = this.#write(range).then(() => {
        this.#calls.delete(call);
        this.#pump();
        this.#written(range.lengthBytes);
      });
      this.#calls.add(call);
    }
  }

  #shorten(): void {
    if (this.#head < this.#waiting.length && this.#head < SHORTEN_AT) return;
    this.#waiting = this.#waiting.slice(this.#head);
    this.#head = 0;
  }

  async #write({ file, beginBytes, lengthBytes }: Range): Promise<void> {
    const { descriptors, write, path } = this.#options;
    try {
      const [fd = -1] = await descriptors().acquire([file]);
      try {
        await write(fd, beginBytes, lengthBytes);
      } finally {
        descriptors().release([file]);
      }
    } catch (error) {
      this.#stop(fromSystemError(error, 'write', path(file)));
    }
  }

  #stop(error: HaulError): void {
    if (!UNSUPPORTED.has(String(error.facts.errno))) this.#failure ??= error;
    this.#isOff = true;
    this.#clear();
  }

  #written(lengthBytes: number): void {
    this.#writingBytes -= lengthBytes;
    if (lengthBytes > 0) this.#options.dirty.changed(this, -lengthBytes);
  }

  lookForRoom(): void {
    if (!this.#wasFull || this.isFull) return;
    this.#wasFull = false;
    this.onRoom?.();
  }
}

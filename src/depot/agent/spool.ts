/**
 * Bytes on their way into a file, in order: they come into slabs of memory, are written in the background, and are
 * readable meanwhile, the latest from memory, so that who keeps up with them costs no read. The file may be there later
 * than the first bytes. Slabs are used again: a gigabyte leaves no garbage.
 */
import type { FileHandle } from 'node:fs/promises';
import { fromSystemError, HaulError } from '../../errors.js';
import type { Sink } from './get-connection.js';

/** Bytes that wait to be written: whoever brings more waits. */
const WAITING_BYTES = 8 * 1024 * 1024;
/** Written ones that are kept for readers. */
const KEPT_BYTES = 2 * 1024 * 1024;
const READ_BYTES = 512 * 1024;
const SLAB_BYTES = 512 * 1024;
const WRITE_AT_ONCE = 8;

interface Slab {
  /** Of its first byte. */
  readonly at: number;
  readonly bytes: Buffer;
  usedBytes: number;
  /** Readers that have a part of it in hand. */
  readers: number;
}

/** A part of what is here; it is the reader's until it is given back. */
export interface SpoolPart {
  readonly bytes: Uint8Array;
  readonly free: () => void;
}

const nothing = (): void => {};

export class Spool implements Sink {
  readonly #path: string;
  #file: FileHandle | null = null;
  /** In order, without gaps; the oldest first. */
  readonly #slabs: Slab[] = [];
  readonly #spare: Buffer[] = [];
  #hereBytes = 0;
  #writtenBytes = 0;
  #writing: Promise<void> = Promise.resolve();
  #isWriting = false;
  #failure: HaulError | null = null;
  /** There is room again, or there will never be any. */
  onRoom: () => void = nothing;
  /** More of it is in the file. */
  onWritten: (writtenBytes: number) => void = nothing;

  constructor(path: string) {
    this.#path = path;
  }

  /** What came is written from now on. */
  start(file: FileHandle): void {
    this.#file = file;
    this.#write();
  }

  /** Nothing can be written. */
  fail(error: unknown): void {
    this.#failure ??= fromSystemError(error, 'write', this.#path);
    this.onRoom();
  }

  get failure(): HaulError | null {
    return this.#failure;
  }

  room(): Uint8Array {
    const last = this.#slabs.at(-1);
    if (last !== undefined && last.usedBytes < last.bytes.length) return last.bytes.subarray(last.usedBytes);
    const bytes = this.#spare.pop() ?? Buffer.allocUnsafeSlow(SLAB_BYTES);
    this.#slabs.push({ at: this.#hereBytes, bytes, usedBytes: 0, readers: 0 });
    return bytes;
  }

  /** False: too much waits to be written, or cannot be. */
  came(bytes: number): boolean {
    this.#slabs.at(-1)!.usedBytes += bytes;
    this.#hereBytes += bytes;
    this.#write();
    return this.#hasRoom;
  }

  /** All that came is in the file. @throws HaulError */
  async flush(): Promise<void> {
    while (this.#isWriting) await this.#writing;
    if (this.#failure !== null) throw this.#failure;
  }

  /** Some bytes from this place on, at least one: `at` < `until` <= what is here. Null: only the file has them. */
  inMemory(at: number, until: number): SpoolPart | null {
    const first = this.#slabs[0];
    if (first === undefined || at < first.at) return null;
    const slab = this.#slabs[this.#indexOf(at)]!;
    slab.readers++;
    const bytes = slab.bytes.subarray(at - slab.at, Math.min(slab.usedBytes, until - slab.at));
    return { bytes, free: () => this.#given(slab) };
  }

  /** The same of what memory has no more. @throws HaulError */
  async inFile(at: number, until: number): Promise<SpoolPart> {
    const buffer = Buffer.allocUnsafeSlow(Math.min(READ_BYTES, until - at));
    const { bytesRead } = await this.#file!.read(buffer, 0, buffer.length, at).catch((error: unknown) => {
      throw fromSystemError(error, 'read', this.#path);
    });
    if (bytesRead === 0) throw new HaulError('BAD_DATA', `${this.#path} was cut while it was written`);
    return { bytes: buffer.subarray(0, bytesRead), free: nothing };
  }

  get #hasRoom(): boolean {
    return this.#failure === null && this.#hereBytes - this.#writtenBytes < WAITING_BYTES;
  }

  #indexOf(at: number): number {
    let low = 0;
    let high = this.#slabs.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if (this.#slabs[middle]!.at <= at) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  #write(): void {
    if (this.#file === null || this.#isWriting || this.#failure !== null) return;
    this.#isWriting = true;
    this.#writing = this.#writeAll(this.#file);
  }

  async #writeAll(file: FileHandle): Promise<void> {
    try {
      while (this.#writtenBytes < this.#hereBytes) {
        const { bytesWritten } = await file.writev(this.#unwritten(), this.#writtenBytes);
        this.#writtenBytes += bytesWritten;
        this.#forget();
        this.onWritten(this.#writtenBytes);
        if (this.#hasRoom) this.onRoom();
      }
    } catch (error) {
      this.fail(error);
    } finally {
      // At once with the last look: what comes now begins the next.
      this.#isWriting = false;
    }
  }

  #unwritten(): Uint8Array[] {
    const from = this.#indexOf(this.#writtenBytes);
    return this.#slabs
      .slice(from, from + WRITE_AT_ONCE)
      .map(({ at, bytes, usedBytes }) => bytes.subarray(Math.max(0, this.#writtenBytes - at), usedBytes));
  }

  /** What is written leaves memory, but for the latest. */
  #forget(): void {
    const until = this.#writtenBytes - KEPT_BYTES;
    while (this.#slabs.length > 1 && this.#slabs[0]!.at + this.#slabs[0]!.usedBytes <= until) {
      const { bytes, readers } = this.#slabs.shift()!;
      // Who still reads of it keeps it.
      if (readers === 0 && this.#spare.length < WRITE_AT_ONCE) this.#spare.push(bytes);
    }
  }

  #given(slab: Slab): void {
    slab.readers--;
  }
}

/**
 * Bytes on their way into a file, in order: written in the background, several pieces of memory at once, and readable
 * meanwhile: the latest from memory, so that who keeps up with them costs no read.
 */
import type { FileHandle } from 'node:fs/promises';
import { fromSystemError, HaulError } from '../../errors.js';

/** Bytes that wait to be written: whoever brings more waits. */
const WAITING_BYTES = 8 * 1024 * 1024;
/** Written ones that are kept for readers. */
const KEPT_BYTES = 4 * 1024 * 1024;
const READ_BYTES = 512 * 1024;
const WRITE_AT_ONCE = 64;

export class Spool {
  readonly #file: FileHandle;
  readonly #path: string;
  /** In order, without gaps; the oldest first. */
  readonly #chunks: { readonly at: number; readonly bytes: Buffer }[] = [];
  #hereBytes = 0;
  #writtenBytes = 0;
  /** Of `#chunks`: the first that is not written. */
  #unwritten = 0;
  #writing: Promise<void> | null = null;
  #failure: HaulError | null = null;
  #onRoom: (() => void) | null = null;

  constructor(file: FileHandle, path: string) {
    this.#file = file;
    this.#path = path;
  }

  get hereBytes(): number {
    return this.#hereBytes;
  }

  /** In the file. */
  get writtenBytes(): number {
    return this.#writtenBytes;
  }

  /** Resolves when more may come. @throws HaulError NO_SPACE, IO */
  async append(bytes: Buffer): Promise<void> {
    if (this.#failure !== null) throw this.#failure;
    this.#chunks.push({ at: this.#hereBytes, bytes });
    this.#hereBytes += bytes.length;
    this.#writing ??= this.#write();
    while (this.#hereBytes - this.#writtenBytes > WAITING_BYTES && this.#failure === null)
      await new Promise<void>((resolve) => {
        this.#onRoom = resolve;
      });
    if (this.#failure !== null) throw this.#failure;
  }

  /** All that came is in the file. @throws HaulError */
  async flush(): Promise<void> {
    while (this.#writing !== null) await this.#writing;
    if (this.#failure !== null) throw this.#failure;
  }

  /** Some bytes from this place on, at least one: `at` < `until` <= `hereBytes`. @throws HaulError */
  async read(at: number, until: number): Promise<Uint8Array> {
    const first = this.#chunks[0];
    if (first !== undefined && at >= first.at) {
      const { at: begin, bytes } = this.#chunks[this.#indexOf(at)]!;
      return bytes.subarray(at - begin, Math.min(bytes.length, until - begin));
    }
    const buffer = Buffer.allocUnsafeSlow(Math.min(READ_BYTES, until - at));
    const { bytesRead } = await this.#file.read(buffer, 0, buffer.length, at);
    if (bytesRead === 0) throw new HaulError('BAD_DATA', `${this.#path} was cut while it was written`);
    return buffer.subarray(0, bytesRead);
  }

  #indexOf(at: number): number {
    let low = 0;
    let high = this.#chunks.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if (this.#chunks[middle]!.at <= at) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  async #write(): Promise<void> {
    try {
      while (this.#unwritten < this.#chunks.length) {
        const some = this.#chunks.slice(this.#unwritten, this.#unwritten + WRITE_AT_ONCE);
        await this.#writeAll(
          some.map(({ bytes }) => bytes),
          some[0]!.at,
        );
        this.#unwritten += some.length;
        this.#writtenBytes = some.at(-1)!.at + some.at(-1)!.bytes.length;
        this.#forget();
        this.#onRoom?.();
      }
    } catch (error) {
      this.#failure = fromSystemError(error, 'write', this.#path);
      this.#onRoom?.();
    } finally {
      this.#writing = null;
    }
  }

  /** The system may take less than it is given. */
  async #writeAll(chunks: readonly Buffer[], at: number): Promise<void> {
    const total = chunks.reduce((sum, { length }) => sum + length, 0);
    const { bytesWritten } = await this.#file.writev([...chunks], at);
    if (bytesWritten === total) return;
    const rest = Buffer.concat(chunks).subarray(bytesWritten);
    for (let done = 0; done < rest.length; )
      done += (await this.#file.write(rest, done, rest.length - done, at + bytesWritten + done)).bytesWritten;
  }

  #forget(): void {
    let count = 0;
    while (count < this.#unwritten && this.#writtenBytes - this.#chunks[count]!.at > KEPT_BYTES) count++;
    this.#chunks.splice(0, count);
    this.#unwritten -= count;
  }
}

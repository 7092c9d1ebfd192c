/**
 * Bytes of one entry on their way in: parts in any order, several at once, in a file of our own that nobody else sees.
 * Where each part lies is known, and only parts that came whole count.
 */
import { type FileHandle, open, unlink } from 'node:fs/promises';
import { fromSystemError, HaulError } from '../../errors.js';
import type { BlobUpload, ByteRange } from '../store/port.js';

const READ_BYTES = 1024 * 1024;
/** Stretches that do not touch: clients send long parts, nearly in order. */
const STRETCHES_MAX = 10_000;
const DISK_BLOCK_BYTES = 4096;

export interface StagedWriter extends Pick<BlobUpload, 'write'> {
  readonly writtenBytes: number;
  /** It writes no more, whether it has written all or not. Once. */
  end(): void;
}

export class StagedFile {
  readonly #path: string;
  readonly #file: FileHandle;
  #isClosed = false;
  readonly #written = new Stretches();
  /** Of writers that write now. */
  #writingBytes = 0;
  /** Where the next block begins: nobody writes there, or has the place. */
  endBytes = 0;

  private constructor(path: string, file: FileHandle) {
    this.#path = path;
    this.#file = file;
  }

  /** @throws HaulError NO_SPACE, READ_ONLY, IO */
  static async open(path: string): Promise<StagedFile> {
    try {
      return new StagedFile(path, await open(path, 'wx+', 0o600));
    } catch (error) {
      throw fromSystemError(error, 'keep an upload in', path);
    }
  }

  /** Bytes that take room: what lies between them is a hole. */
  get diskBytes(): number {
    return this.#written.diskBytes + this.#writingBytes;
  }

  /**
   * Takes what follows on each other from there on, and no more than `lengthBytes`.
   * @param room told of bytes before they are written; throws where there is no more
   * @throws HaulError LIMIT
   */
  writer(begin: number, lengthBytes: number, room: (bytes: number) => void): StagedWriter {
    this.#written.checkRoom();
    let writtenBytes = 0;
    return {
      get writtenBytes() {
        return writtenBytes;
      },
      write: async (chunk) => {
        if (writtenBytes + chunk.length > lengthBytes) throw new HaulError('MISMATCH', 'more came than was said');
        room(chunk.length);
        const at = begin + writtenBytes;
        writtenBytes += chunk.length;
        this.#writingBytes += chunk.length;
        try {
          for (let done = 0; done < chunk.length; )
            done += (await this.#file.write(chunk, done, chunk.length - done, at + done)).bytesWritten;
        } catch (error) {
          throw fromSystemError(error, 'keep an upload in', this.#path);
        }
      },
      end: () => {
        this.#writingBytes -= writtenBytes;
        if (writtenBytes > 0) this.#written.add({ begin, end: begin + writtenBytes });
      },
    };
  }

  async *read(ranges: readonly ByteRange[]): AsyncGenerator<Uint8Array> {
    for (const { begin, end } of ranges)
      for (let at = begin; at < end; ) {
        // The store owns what it is given: each chunk is a new one.
        const chunk = Buffer.allocUnsafe(Math.min(READ_BYTES, end - at));
        const { bytesRead } = await this.#file.read(chunk, 0, chunk.length, at);
        if (bytesRead === 0) throw new HaulError('IO', 'an upload was cut short while it was read');
        at += bytesRead;
        yield chunk.subarray(0, bytesRead);
      }
  }

  /** Idempotent. */
  async remove(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    await this.#file.close().catch(() => {});
    await unlink(this.#path).catch(() => {});
  }
}

/** Which bytes are here, as stretches that do not touch each other. Pure. */
export class Stretches {
  #stretches: ByteRange[] = [];

  /** Whoever adds has asked before: @throws HaulError LIMIT */
  checkRoom(): void {
    if (this.#stretches.length >= STRETCHES_MAX)
      throw new HaulError('LIMIT', 'too many parts that do not touch each other');
  }

  add({ begin, end }: ByteRange): void {
    const before = this.#stretches.filter((stretch) => stretch.end < begin);
    const behind = this.#stretches.filter((stretch) => stretch.begin > end);
    const touched = this.#stretches.filter((stretch) => stretch.end >= begin && stretch.begin <= end);
    const merged = {
      begin: Math.min(begin, ...touched.slice(0, 1).map((stretch) => stretch.begin)),
      end: Math.max(end, ...touched.slice(-1).map((stretch) => stretch.end)),
    };
    this.#stretches = [...before, merged, ...behind];
  }

  /** What they take on a disk, in whole blocks. */
  get diskBytes(): number {
    let blocks = 0;
    for (const { begin, end } of this.#stretches)
      blocks += Math.ceil(end / DISK_BLOCK_BYTES) - Math.floor(begin / DISK_BLOCK_BYTES);
    return blocks * DISK_BLOCK_BYTES;
  }

  /** Whether it is all of so many bytes and no more. */
  isWhole(lengthBytes: number): boolean {
    if (lengthBytes === 0) return this.#stretches.length === 0;
    const [first, second] = this.#stretches;
    return second === undefined && first !== undefined && first.begin === 0 && first.end === lengthBytes;
  }
}

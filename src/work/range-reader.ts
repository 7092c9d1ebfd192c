/**
 * Reads ranges of files as if they were one, in any order; a range without a file is zeros. Some files stay open, for
 * pieces that are hashed side by side are read in turns and mostly lie in different files; one that was read to its end
 * is closed at once.
 * Invariant: the file that is read is the one that was looked at, where that is asked for.
 */
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { constants as osConstants } from 'node:os';
import { errnoOf, SystemCallError } from '../native/errno.js';
import type { FilePlace } from '../native/multihash.js';
import type { RawPathRange } from './job.js';
import type { FileIdentity } from './port.js';
import { encodeTrouble } from './trouble.js';

/** A FIFO that took the place of a file must not block the open. */
const OPEN_FLAGS = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0);
/** As many as pieces are hashed at the same time. */
const MOST_OPEN = 16;

export class RangeReader {
  readonly #files: readonly RawPathRange[];
  /** Where each range begins, and where the last one ends. */
  readonly #begins: number[] = [0];
  /** By range, least recently used first: a descriptor, or the errno, negative, of a file that could not be opened. */
  readonly #opened = new Map<number, number>();
  /** Where the last read ended: the next one usually goes on there. */
  #near = 0;

  constructor(files: readonly RawPathRange[]) {
    this.#files = files;
    for (const { lengthBytes } of files) this.#begins.push(this.#begins.at(-1)! + lengthBytes);
  }

  /** Fills all of it from this place on. @returns null, or the trouble as the 20 bytes of `encodeTrouble` */
  read(target: Buffer, beginBytes: number): Buffer | null {
    let index = this.#find(beginBytes);
    for (let at = 0; at < target.length; index++) {
      const inside = beginBytes + at - this.#begins[index]!;
      const part = Math.min(target.length - at, this.#files[index]!.lengthBytes - inside);
      const errno = part === 0 ? 0 : this.#readRange(index, target.subarray(at, at + part), inside);
      if (errno !== 0) return encodeTrouble(errno, index);
      this.#near = index;
      at += part;
    }
    return null;
  }

  /** The one file that all of these bytes lie in, open; null: there is no such, or it cannot be opened. */
  placeOf(beginBytes: number, lengthBytes: number): FilePlace | null {
    const index = this.#find(beginBytes);
    const { path, identity, beginBytes: first } = this.#files[index]!;
    if (path === null || beginBytes + lengthBytes > this.#begins[index + 1]!) return null;
    const opened = this.#opened.get(index) ?? this.#open(path, identity);
    this.#opened.delete(index);
    this.#opened.set(index, opened);
    this.#near = index;
    return opened < 0 ? null : { fd: opened, beginBytes: first + beginBytes - this.#begins[index]! };
  }

  close(): void {
    this.#closeDownTo(0);
  }

  #closeDownTo(count: number): void {
    for (const [index, opened] of this.#opened) {
      if (this.#opened.size <= count) return;
      this.#opened.delete(index);
      if (opened >= 0) closeSync(opened);
    }
  }

  /** The range with this byte. */
  #find(offset: number): number {
    let index = this.#begins[this.#near]! <= offset ? this.#near : 0;
    while (this.#begins[index + 1]! <= offset) index++;
    return index;
  }

  /** 0 or an errno. */
  #readRange(index: number, target: Buffer, inside: number): number {
    const { path, identity, beginBytes, lengthBytes } = this.#files[index]!;
    if (path === null) {
      target.fill(0);
      return 0;
    }
    const opened = this.#opened.get(index) ?? this.#open(path, identity);
    this.#opened.delete(index);
    if (opened < 0) {
      this.#opened.set(index, opened);
      return -opened;
    }
    const errno = readFully(opened, target, beginBytes + inside);
    if (errno !== 0 || inside + target.length === lengthBytes) closeSync(opened);
    else this.#opened.set(index, opened);
    return errno;
  }

  #open(path: Buffer, identity: FileIdentity | null): number {
    this.#closeDownTo(MOST_OPEN - 1);
    for (;;) {
      try {
        return openSame(path, identity);
      } catch (error) {
        const errno = errnoOf(error);
        const isFull = errno === osConstants.errno.EMFILE || errno === osConstants.errno.ENFILE;
        if (!isFull || this.#opened.size === 0) return -errno;
        this.close();
      }
    }
  }
}

/** @throws errno ESTALE when it is not the file that was looked at */
function openSame(path: Buffer, identity: FileIdentity | null): number {
  const fd = openSync(path, OPEN_FLAGS);
  if (identity === null) return fd;
  try {
    const { dev, ino } = fstatSync(fd, { bigint: true });
    if (dev === identity.device && ino === identity.inode) return fd;
    throw new SystemCallError('open', osConstants.errno.ESTALE);
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

/** 0 or an errno; ENODATA where the file ends too early. */
function readFully(fd: number, target: Buffer, position: number): number {
  try {
    for (let done = 0; done < target.length; ) {
      const count = readSync(fd, target, done, target.length - done, position + done);
      if (count === 0) return osConstants.errno.ENODATA;
      done += count;
    }
    return 0;
  } catch (error) {
    return errnoOf(error);
  }
}

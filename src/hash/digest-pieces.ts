/**
 * The worker's side of `create` and of the hash check: opens files one after the other, reads them through one buffer, and hashes.
 * Small files are gathered in that buffer, so that a piece of many is hashed in few steps.
 * Invariant: trouble with a file spoils the pieces it has a part in, and no other.
 */
import { createHash, type Hash } from 'node:crypto';
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { constants as osConstants } from 'node:os';
import { errnoOf, SystemCallError } from '../storage/errno.js';
import type { RawPathRange } from './job.js';
import type { FileIdentity } from './port.js';
import { encodeTrouble } from './trouble.js';

/** Stays in the second-level cache between reading and hashing. */
const SCRATCH_BYTES = 512 * 1024;
/** A FIFO that took the place of a file must not block the open. */
const OPEN_FLAGS = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0);

let scratch: Buffer | null = null;

/** 20 bytes for each piece. */
export function digestPieces(files: readonly RawPathRange[], pieceLengthBytes: number): Buffer {
  const digester = new Digester(pieceLengthBytes);
  files.forEach(({ path, ...range }, index) => {
    if (path === null) digester.add(range.lengthBytes, index, zeros);
    else digestFile(digester, index, path, range);
  });
  return digester.end();
}

/** Fills a part of the buffer with the bytes that lie `at` the given place of a range. Returns 0 or an errno. */
type Fill = (target: Buffer, begin: number, length: number, at: number) => number;

const zeros: Fill = (target, begin, length) => {
  target.fill(0, begin, begin + length);
  return 0;
};

type Range = Omit<RawPathRange, 'path'>;

function digestFile(digester: Digester, index: number, path: Buffer, range: Range): void {
  const { beginBytes, lengthBytes, identity } = range;
  let fd: number;
  try {
    fd = openSame(path, identity);
  } catch (error) {
    const errno = errnoOf(error);
    digester.add(lengthBytes, index, () => errno);
    return;
  }
  try {
    digester.add(lengthBytes, index, (target, begin, length, at) =>
      readRange(fd, target, begin, length, beginBytes + at),
    );
  } finally {
    closeSync(fd);
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

function readRange(fd: number, target: Buffer, begin: number, length: number, position: number): number {
  try {
    for (let done = 0; done < length; ) {
      const count = readSync(fd, target, begin + done, length - done, position + done);
      if (count === 0) return osConstants.errno.ENODATA;
      done += count;
    }
    return 0;
  } catch (error) {
    return errnoOf(error);
  }
}

class Digester {
  readonly #pieceLengthBytes: number;
  readonly #scratch: Buffer;
  readonly #digests: Buffer[] = [];
  #hash: Hash;
  /** Bytes until the piece is full; bytes that wait in the buffer. */
  #left: number;
  #waiting = 0;
  #trouble: Buffer | null = null;

  constructor(pieceLengthBytes: number) {
    scratch ??= Buffer.allocUnsafeSlow(SCRATCH_BYTES);
    this.#scratch = scratch;
    this.#pieceLengthBytes = pieceLengthBytes;
    this.#left = pieceLengthBytes;
    this.#hash = createHash('sha1');
  }

  add(lengthBytes: number, file: number, fill: Fill): void {
    for (let at = 0; at < lengthBytes; ) {
      const part = Math.min(lengthBytes - at, this.#left, SCRATCH_BYTES - this.#waiting);
      if (this.#trouble === null) {
        const errno = fill(this.#scratch, this.#waiting, part, at);
        if (errno === 0) this.#waiting += part;
        else this.#trouble = encodeTrouble(errno, file);
      }
      at += part;
      this.#left -= part;
      if (this.#waiting === SCRATCH_BYTES) this.#flush();
      if (this.#left === 0) this.#finish();
    }
  }

  end(): Buffer {
    if (this.#left < this.#pieceLengthBytes) this.#finish();
    return Buffer.concat(this.#digests);
  }

  #flush(): void {
    this.#hash.update(this.#scratch.subarray(0, this.#waiting));
    this.#waiting = 0;
  }

  #finish(): void {
    if (this.#waiting > 0) this.#flush();
    this.#digests.push(this.#trouble ?? this.#hash.digest());
    this.#hash = createHash('sha1');
    this.#left = this.#pieceLengthBytes;
    this.#trouble = null;
  }
}

/**
 * A thread that hashes a file from its begin, as far as it is told to, and further when it is told more; then the next
 * one. A thread of its own: a hash that is begun cannot be handed from one to the next, and the main thread has no time
 * for it.
 */
const { createHash } = require('node:crypto') as typeof import('node:crypto');
const { closeSync, constants, fstatSync, openSync, readSync } = require('node:fs') as typeof import('node:fs');
const { parentPort } = require('node:worker_threads') as typeof import('node:worker_threads');

type FileStatus = import('node:fs').BigIntStats;
type Hash = import('node:crypto').Hash;

/** Begin with this file; hash it up to this byte; null: there is no more, say the digest. */
export type Sha256Task = Sha256File | number | null;

export interface Sha256File {
  readonly path: string;
  /** The digest of so many bytes from the begin is told, too; null: none. */
  readonly markBytes: number | null;
}

export interface Sha256Answer {
  /** Hexadecimal. */
  readonly digest: string;
  /** Of the bytes before the mark; null: there is none, or it was not reached. */
  readonly markDigest: string | null;
  /** Which file it was. */
  readonly device: bigint;
  readonly inode: bigint;
}

/** What failed: of a system error the code. The thread ends. */
export interface Sha256Failure {
  readonly code: string | null;
  readonly message: string;
}

const STEP_BYTES = 1024 * 1024;
/** A FIFO that took the place of the file must not block the open. */
const OPEN_FLAGS = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0);

const buffer = Buffer.allocUnsafeSlow(STEP_BYTES);

class FileHash {
  readonly #hash: Hash = createHash('sha256');
  readonly #fd: number;
  readonly #markBytes: number | null;
  #markDigest: string | null = null;
  #doneBytes = 0;

  constructor({ path, markBytes }: Sha256File) {
    this.#fd = openSync(path, OPEN_FLAGS);
    this.#markBytes = markBytes;
  }

  until(untilBytes: number): void {
    const markBytes = this.#markBytes;
    while (this.#doneBytes < untilBytes) {
      const isBefore = markBytes !== null && this.#doneBytes < markBytes;
      const stopBytes = isBefore ? Math.min(markBytes, untilBytes) : untilBytes;
      const count = readSync(this.#fd, buffer, 0, Math.min(STEP_BYTES, stopBytes - this.#doneBytes), this.#doneBytes);
      if (count === 0) throw new Error('the file is shorter than it was');
      this.#hash.update(buffer.subarray(0, count));
      this.#doneBytes += count;
      if (this.#doneBytes === markBytes) this.#markDigest = this.#hash.copy().digest('hex');
    }
  }

  answer(): Sha256Answer {
    const { dev, ino }: FileStatus = fstatSync(this.#fd, { bigint: true });
    closeSync(this.#fd);
    return { digest: this.#hash.digest('hex'), markDigest: this.#markDigest, device: dev, inode: ino };
  }
}

let current: FileHash | null = null;

parentPort!.on('message', (task: Sha256Task) => {
  try {
    if (typeof task === 'number') current!.until(task);
    else if (task !== null) current = new FileHash(task);
    else {
      parentPort!.postMessage(current!.answer());
      current = null;
    }
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    parentPort!.postMessage({ code: code ?? null, message } satisfies Sha256Failure);
    parentPort!.close();
  }
});

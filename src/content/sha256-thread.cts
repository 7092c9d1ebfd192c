/**
 * A thread that hashes one file from its begin, as far as it is told to, and further when it is told more. A thread of
 * its own: a hash that is begun cannot be handed from one to the next, and the main thread has no time for it.
 */
const { createHash } = require('node:crypto') as typeof import('node:crypto');
const { constants, fstatSync, openSync, readSync } = require('node:fs') as typeof import('node:fs');
const { parentPort, workerData } = require('node:worker_threads') as typeof import('node:worker_threads');

type FileStatus = import('node:fs').BigIntStats;

/** Hash the file up to this byte; null: there is no more, say the digest. */
export type Sha256Task = number | null;

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

/** What failed: of a system error the code. */
export interface Sha256Failure {
  readonly code: string | null;
  readonly message: string;
}

const STEP_BYTES = 1024 * 1024;
/** A FIFO that took the place of the file must not block the open. */
const OPEN_FLAGS = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0);

const { path, markBytes } = workerData as Sha256File;
const hash = createHash('sha256');
let markDigest: string | null = null;
const buffer = Buffer.allocUnsafeSlow(STEP_BYTES);
let fd = -1;
let doneBytes = 0;

function hashUntil(untilBytes: number): void {
  if (fd < 0) fd = openSync(path, OPEN_FLAGS);
  while (doneBytes < untilBytes) {
    const stopBytes = markBytes !== null && doneBytes < markBytes ? Math.min(markBytes, untilBytes) : untilBytes;
    const count = readSync(fd, buffer, 0, Math.min(STEP_BYTES, stopBytes - doneBytes), doneBytes);
    if (count === 0) throw new Error('the file is shorter than it was');
    hash.update(buffer.subarray(0, count));
    doneBytes += count;
    if (doneBytes === markBytes) markDigest = hash.copy().digest('hex');
  }
}

function answer(): Sha256Answer {
  hashUntil(0);
  const { dev, ino }: FileStatus = fstatSync(fd, { bigint: true });
  return { digest: hash.digest('hex'), markDigest, device: dev, inode: ino };
}

parentPort!.on('message', (task: Sha256Task) => {
  try {
    if (task === null) parentPort!.postMessage(answer());
    else hashUntil(task);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    parentPort!.postMessage({ code: code ?? null, message } satisfies Sha256Failure);
    parentPort!.close();
  }
});

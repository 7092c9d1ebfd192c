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

export interface Sha256Answer {
  /** Hexadecimal. */
  readonly digest: string;
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

const hash = createHash('sha256');
const buffer = Buffer.allocUnsafeSlow(STEP_BYTES);
let fd = -1;
let doneBytes = 0;

function hashUntil(untilBytes: number): void {
  if (fd < 0) fd = openSync(workerData as string, OPEN_FLAGS);
  while (doneBytes < untilBytes) {
    const count = readSync(fd, buffer, 0, Math.min(STEP_BYTES, untilBytes - doneBytes), doneBytes);
    if (count === 0) throw new Error('the file is shorter than it was');
    hash.update(buffer.subarray(0, count));
    doneBytes += count;
  }
}

function answer(): Sha256Answer {
  hashUntil(0);
  const { dev, ino }: FileStatus = fstatSync(fd, { bigint: true });
  return { digest: hash.digest('hex'), device: dev, inode: ino };
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

/**
 * Looks at many files through the pool: a `stat` in a worker costs a fifth of one that goes through libuv's threads and
 * a promise.
 */
import { constants } from 'node:fs';
import { fromSystemError } from '../errors.js';
import { errnoName, systemError } from '../native/errno.js';
import type { FileStamp } from './file-stamp.js';
import { LOOK_NUMBERS } from './job.js';
import type { WorkPool } from './port.js';
import { submit } from './submit.js';

export interface Look {
  /** What `stat` would have thrown; then the rest means nothing. */
  readonly error: NodeJS.ErrnoException | null;
  readonly kind: FileKind;
  readonly isExecutable: boolean;
  /** Setuid, setgid or sticky. */
  readonly isSpecial: boolean;
  readonly lengthBytes: number;
  /** Which file, how long, last written when: also of what is no file. */
  readonly stamp: FileStamp;
}

export type FileKind = 'file' | 'folder' | 'link' | 'FIFO' | 'socket' | 'device' | 'other';

const LOOKS_PER_JOB = 128;
/** One being worked on, one waiting. */
const JOBS_PER_THREAD = 2;

const KINDS = new Map<number, FileKind>([
  [constants.S_IFREG, 'file'],
  [constants.S_IFDIR, 'folder'],
  [constants.S_IFLNK, 'link'],
  [constants.S_IFIFO, 'FIFO'],
  [constants.S_IFSOCK, 'socket'],
  [constants.S_IFBLK, 'device'],
  [constants.S_IFCHR, 'device'],
]);

/**
 * What is at each path, in order; with `follows`, where links lead.
 * @throws HaulError ABORTED; IO when the pool fails. What is wrong with one path is in its result.
 */
export async function look(
  pool: WorkPool,
  paths: readonly string[],
  follows: boolean,
  signal?: AbortSignal,
): Promise<Look[]> {
  const found: Look[][] = [];
  let next = 0;
  const lane = async (): Promise<void> => {
    for (;;) {
      const group = next++;
      const part = paths.slice(group * LOOKS_PER_JOB, (group + 1) * LOOKS_PER_JOB);
      if (part.length === 0) return;
      const result = await submit(pool, { kind: 'look', paths: part, follows }, signal);
      if (!result.ok) {
        throw result.error ?? fromSystemError(systemError(result.errno, 'stat'), result.operation, part[0]!);
      }
      found[group] = decodeLooks(result.bytes);
    }
  };
  await Promise.all(Array.from({ length: JOBS_PER_THREAD * pool.threadCount }, lane));
  return found.flat();
}

function decodeLooks(bytes: Uint8Array): Look[] {
  const numbers = new Float64Array(bytes.buffer, bytes.byteOffset, bytes.length / 8);
  const integers = new BigUint64Array(numbers.buffer, numbers.byteOffset, numbers.length);
  return Array.from({ length: numbers.length / LOOK_NUMBERS }, (_, index): Look => {
    const at = index * LOOK_NUMBERS;
    const [errno = 0, mode = 0, lengthBytes = 0] = numbers.subarray(at, at + 3);
    const [modifiedNs = 0n, device = 0n, inode = 0n] = integers.subarray(at + 3, at + LOOK_NUMBERS);
    return {
      error: errno === 0 ? null : systemError(errnoName(errno), 'stat'),
      kind: KINDS.get(mode & constants.S_IFMT) ?? 'other',
      isExecutable: (mode & 0o111) !== 0,
      isSpecial: (mode & 0o7000) !== 0,
      lengthBytes,
      // A time before 1970 is negative.
      stamp: { device, inode, birthNs: 0n, sizeBytes: lengthBytes, mtimeNs: BigInt.asIntN(64, modifiedNs) },
    };
  });
}

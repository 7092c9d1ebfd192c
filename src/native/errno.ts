/** Numbers of errno and their names, both ways: system calls made through koffi report numbers, people read names. */
import { constants } from 'node:os';
import { getSystemErrorMap } from 'node:util';

const NAMES = new Map<number, string>();
for (const [name, value] of Object.entries(constants.errno)) if (!NAMES.has(value)) NAMES.set(value, name);

/** 'ENOSPC' for 28, and so on; 'E<number>' when the platform has no name for it. */
export function errnoName(errno: number): string {
  return NAMES.get(errno) ?? `E${errno}`;
}

/**
 * A failed system call in the shape of Node's own: `code` is the name, `errno` the positive number, `syscall` the call.
 */
export class SystemCallError extends Error {
  readonly code: string;
  readonly errno: number;
  readonly syscall: string;

  constructor(syscall: string, errno: number) {
    const code = errnoName(errno);
    super(`${code}: ${syscall} failed`);
    this.code = code;
    this.errno = errno;
    this.syscall = syscall;
  }
}

/** What Node would have thrown, of an errno that came from another thread. */
export function systemError(code: string, syscall: string): NodeJS.ErrnoException {
  const errno = (constants.errno as Readonly<Record<string, number>>)[code] ?? 0;
  const detail = getSystemErrorMap().get(-errno)?.[1] ?? 'it failed';
  return Object.assign(new Error(`${code}: ${detail}, ${syscall}`), { code, errno: -errno, syscall });
}

/** The positive errno inside an error of Node or of `mmap-io`, or that of EIO when there is none. */
export function errnoOf(error: unknown): number {
  const errno = (error as { errno?: unknown } | null)?.errno;
  return typeof errno === 'number' && errno !== 0 ? Math.abs(errno) : constants.errno.EIO;
}

/** Codes by which a file system says that it has no such call: see `cannotForce`. */
export const CANNOT_FORCE: ReadonlySet<unknown> = new Set(['EINVAL', 'ENOSYS', 'EOPNOTSUPP', 'ENOTSUP']);

/**
 * True: the file system has no fsync for this file (some of FUSE and SMB, special files). That is no complaint of a
 * device: nothing was lost, and nothing more can be done. EIO and ENOSPC are complaints.
 */
export function cannotForce(error: unknown): boolean {
  return CANNOT_FORCE.has((error as { code?: unknown } | null)?.code);
}

/** Errors of the system by their names, and of the store by what they are about. */
import { type ErrorCode, HaulError } from '../../errors.js';

/** A file system has no hard links, not between these two places, or not so many of one file. */
export const CANNOT_LINK: readonly string[] = ['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'EMLINK', 'EXDEV'];

export function isOneOf(error: unknown, codes: readonly string[]): boolean {
  return codes.includes(String((error as { code?: unknown } | null)?.code));
}

export function passOver(code: string): (error: unknown) => null {
  return (error) => {
    if (isOneOf(error, [code])) return null;
    throw error;
  };
}

const UNREADABLE: ReadonlySet<ErrorCode> = new Set(['BAD_DATA', 'IO', 'NO_PERMISSION', 'NOT_A_DIRECTORY']);

/** It is about one file, that is damaged or that the disk does not give: others may be as they were. */
export function isUnreadable(error: unknown): error is HaulError {
  return HaulError.is(error) && UNREADABLE.has(error.code);
}

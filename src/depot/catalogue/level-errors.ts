/** What LevelDB says, as a `HaulError` of one line that tells what to do. */
import { type ErrorCode, HaulError } from '../../errors.js';

const SYSTEM: readonly (readonly [RegExp, ErrorCode, string])[] = [
  [/no space left|quota exceeded/i, 'NO_SPACE', 'no space left on the device; free some'],
  [/permission denied|operation not permitted/i, 'NO_PERMISSION', 'permission denied'],
  [/read-only file system/i, 'READ_ONLY', 'the file system is read-only; mount it writable'],
  [/too many open files/i, 'SYSTEM_LIMIT', 'this process has too many open files; raise the limit (ulimit -n)'],
  [/not a directory|file exists/i, 'NOT_A_DIRECTORY', 'a file is in the way of a folder'],
];

interface LevelError {
  readonly code?: unknown;
  readonly message?: unknown;
  readonly cause?: unknown;
}

/** The innermost error: the others say only that something failed. */
function rootOf(error: unknown): LevelError {
  let found = (error ?? {}) as LevelError;
  for (let depth = 0; depth < 4 && typeof found.cause === 'object' && found.cause !== null; depth++) {
    found = found.cause as LevelError;
  }
  return found;
}

export function damagedCatalogue(folder: string, why: string, cause?: unknown): HaulError {
  const message = `the catalogue ${folder} is damaged: ${why}; make it anew with: haul depot rebuild`;
  return new HaulError('BAD_DATA', message, { where: folder }, cause);
}

/** @param operation "open", "read", "write" */
export function fromLevelError(error: unknown, operation: string, folder: string): HaulError {
  if (HaulError.is(error)) return error;
  const root = rootOf(error);
  const text = String(root.message ?? error).replace(/\s+/g, ' ');
  const facts = { operation, where: folder };
  if (root.code === 'LEVEL_LOCKED') {
    const message = `the catalogue ${folder} is in use: a depot runs on this folder; stop it first`;
    return new HaulError('IN_USE', message, facts, error);
  }
  if (root.code === 'LEVEL_DATABASE_NOT_OPEN' || root.code === 'LEVEL_ITERATOR_NOT_OPEN') {
    return new HaulError('CLOSED', 'the catalogue is closed', facts, error);
  }
  for (const [pattern, code, hint] of SYSTEM) {
    if (pattern.test(text)) return new HaulError(code, `${operation} catalogue ${folder}: ${hint}`, facts, error);
  }
  // Of the files that LevelDB says it needs, one is gone.
  const isDamage = root.code === 'LEVEL_CORRUPTION' || /corruption|missing files|no such file|invalid arg/i.test(text);
  if (isDamage) return damagedCatalogue(folder, text, error);
  return new HaulError('IO', `${operation} catalogue ${folder}: ${text}`, facts, error);
}

/** flock(2), which Node.js does not have. Never waits. */
import { createRequire } from 'node:module';

export const LOCK_SH = 1;
export const LOCK_EX = 2;
export const LOCK_UN = 8;
const LOCK_NB = 4;
const EWOULDBLOCK = 11;

export type FlockOutcome = 'locked' | 'busy' | 'unknown';
export type Flock = (fd: number, operation: number) => FlockOutcome;

let loaded: Flock | null | undefined;

/** Null where there is none: nobody is locked out then. */
export function loadFlock(): Flock | null {
  if (loaded !== undefined) return loaded;
  try {
    const koffi = createRequire(import.meta.url)('koffi') as typeof import('koffi');
    const flock = koffi.load(null).func('int flock(int fd, int operation)') as (
      fd: number,
      operation: number,
    ) => number;
    loaded = (fd, operation) => {
      if (flock(fd, operation | LOCK_NB) === 0) return 'locked';
      return koffi.errno() === EWOULDBLOCK ? 'busy' : 'unknown';
    };
  } catch {
    loaded = null;
  }
  return loaded;
}

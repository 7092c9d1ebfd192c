/** Whether something is there: what may not be looked at is neither there nor missing. */
import { statSync } from 'node:fs';
import { fromSystemError } from '../errors.js';
import { isOneOf } from './store/codes.js';

/** @throws HaulError NO_PERMISSION, IO */
export function isThere(path: string): boolean {
  try {
    statSync(path);
    return true;
  } catch (error) {
    if (isOneOf(error, ['ENOENT', 'ENOTDIR'])) return false;
    throw fromSystemError(error, 'look at', path);
  }
}

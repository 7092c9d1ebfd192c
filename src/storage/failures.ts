/** Failed work jobs as errors that name the file. */
import { statSync } from 'node:fs';
import { fromSystemError, HaulError } from '../errors.js';
import type { WorkFailure } from '../hash/port.js';
import { systemError } from './errno.js';

/**
 * @param path the file, or the first of the files, that the job was about; @param endBytes how far into it the job reached.
 * Populating answers EFAULT where a touch would be SIGBUS: the file was cut off, or there is no space behind a hole.
 */
export function jobFailure({ errno, operation, error }: WorkFailure, path: string, endBytes: number): HaulError {
  if (error !== undefined) return error;
  if (errno === 'ECANCELED') return new HaulError('CLOSED', `${operation} ${path}: the engine is closing`, { path });
  const isCutOff = (errno === 'EFAULT' || errno === 'ENODATA') && lengthOf(path) < endBytes;
  if (isCutOff) return new HaulError('BAD_DATA', `${path} was cut off while it was in use`, { path, errno });
  const code = errno === 'EFAULT' ? 'ENOSPC' : errno;
  return fromSystemError(systemError(code, operation), operation, path);
}

function lengthOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}

/** Failed work jobs as errors that name the file. */
import { statfsSync, statSync } from 'node:fs';
import { fromSystemError, HaulError } from '../errors.js';
import { systemError } from '../native/errno.js';
import type { WorkFailure } from '../work/port.js';

/** With less free the device counts as full: a populate asks for up to 1 MiB, and others take of it too. */
const FULL_BYTES = 16 * 1024 * 1024;

/**
 * @param path the file, or the first of the files, that the job was about; @param endBytes how far into it the job
 * reached. Populating answers EFAULT where a touch would be SIGBUS: the file was cut off, there is no space behind a
 * hole, or the device failed.
 */
export function jobFailure({ errno, operation, error }: WorkFailure, path: string, endBytes: number): HaulError {
  if (error !== undefined) return error;
  if (errno === 'ECANCELED') return new HaulError('CLOSED', `${operation} ${path}: the engine is closing`, { path });
  const isCutOff = (errno === 'EFAULT' || errno === 'ENODATA') && isShorter(path, endBytes);
  if (isCutOff) return new HaulError('BAD_DATA', `${path} was cut off while it was in use`, { path, errno });
  const code = errno !== 'EFAULT' ? errno : isFull(path) ? 'ENOSPC' : 'EIO';
  return fromSystemError(systemError(code, operation), operation, path);
}

/**
 * The guard put zeros where mapped memory of this file was gone.
 * @param expectedBytes length of the file; @param offset where it was, in the file.
 */
export function lostMemory(path: string, expectedBytes: number, offset: number): HaulError {
  const lengthBytes = lengthOf(path);
  if (isShorter(path, expectedBytes)) {
    const lengths = `${lengthBytes} bytes, not ${expectedBytes}`;
    const text = `${path} was cut off while it was in use (${lengths}); run the same command again`;
    return new HaulError('BAD_DATA', text, { path, lengthBytes, expectedBytes });
  }
  const text =
    `${path} lost data while it was in use: at byte ${offset} it was cut off for a moment, ` +
    'or has a hole without space behind it, or its device failed; run the same command again';
  return new HaulError('BAD_DATA', text, { path, offset });
}

/** True when the file is there no more, or ends before that many bytes. False also where nobody may look. */
export function isShorter(path: string, lengthBytes: number): boolean {
  return lengthOf(path) < lengthBytes;
}

function isFull(path: string): boolean {
  try {
    const { bavail, bsize } = statfsSync(path);
    return bavail * bsize < FULL_BYTES;
  } catch {
    return false;
  }
}

function lengthOf(path: string): number {
  try {
    return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  } catch {
    return Number.NaN;
  }
}

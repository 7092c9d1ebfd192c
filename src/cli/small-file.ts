/** Text files that options name. */
import { closeSync, openSync, readSync } from 'node:fs';
import { fromSystemError, HaulError } from '../errors.js';

/** All authorities that browsers know are a fifth of it. */
const FILE_BYTES_MAX = 1024 * 1024;

/**
 * As Latin-1. It may be a pipe, or without an end. @param what "read certificates". @param option that names it
 * @param mostBytes whole MiB
 * @throws HaulError NOT_FOUND, NO_PERMISSION, IO; BAD_ARGUMENT: larger than that
 */
export function readSmallFile(path: string, what: string, option: string, mostBytes = FILE_BYTES_MAX): string {
  let text: string;
  try {
    text = readStart(path, mostBytes);
  } catch (error) {
    throw fromSystemError(error, what, path);
  }
  if (text.length > mostBytes)
    throw new HaulError('BAD_ARGUMENT', `${option} ${path}: larger than ${mostBytes / 1024 / 1024} MiB`, { path });
  return text;
}

/** A byte more than the limit at most: it may be a pipe, or without an end. */
function readStart(path: string, mostBytes: number): string {
  const file = openSync(path, 'r');
  try {
    const bytes = Buffer.alloc(mostBytes + 1);
    let length = 0;
    for (let read = -1; read !== 0 && length < bytes.length; length += read)
      read = readSync(file, bytes, length, bytes.length - length, null);
    return bytes.toString('latin1', 0, length);
  } finally {
    closeSync(file);
  }
}

/** Certificates of authorities that are trusted besides those of Node, from a file. */
import { X509Certificate } from 'node:crypto';
import { closeSync, openSync, readSync } from 'node:fs';
import { fromSystemError, HaulError } from '../errors.js';

/** All authorities that browsers know are a fifth of it. */
const FILE_BYTES_MAX = 1024 * 1024;

/** @throws HaulError NOT_FOUND, NO_PERMISSION, IO; BAD_ARGUMENT: it holds no certificate in PEM, or is too large */
export function readCertificates(path: string): string {
  let text: string;
  try {
    text = readStart(path);
  } catch (error) {
    throw fromSystemError(error, 'read certificates', path);
  }
  const wrong = (what: string, cause?: unknown): HaulError =>
    new HaulError('BAD_ARGUMENT', `--ca ${path}: ${what}`, { path }, cause);
  if (text.length > FILE_BYTES_MAX) throw wrong('larger than 1 MiB');
  try {
    new X509Certificate(text);
  } catch (error) {
    throw wrong('it holds no certificate (PEM)', error);
  }
  return text;
}

/** A byte more than the limit at most: it may be a pipe, or without an end. */
function readStart(path: string): string {
  const file = openSync(path, 'r');
  try {
    const bytes = Buffer.alloc(FILE_BYTES_MAX + 1);
    let length = 0;
    for (let read = -1; read !== 0 && length < bytes.length; length += read)
      read = readSync(file, bytes, length, bytes.length - length, null);
    return bytes.toString('latin1', 0, length);
  } finally {
    closeSync(file);
  }
}

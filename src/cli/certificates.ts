/** Certificates of authorities that are trusted besides those of Node, from a file. */
import { X509Certificate } from 'node:crypto';
import { HaulError } from '../errors.js';
import { readSmallFile } from './small-file.js';

/** @throws HaulError NOT_FOUND, NO_PERMISSION, IO; BAD_ARGUMENT: it holds no certificate in PEM, or is too large */
export function readCertificates(path: string): string {
  const text = readSmallFile(path, 'read certificates', '--ca');
  try {
    new X509Certificate(text);
  } catch (error) {
    throw new HaulError('BAD_ARGUMENT', `--ca ${path}: it holds no certificate (PEM)`, { path }, error);
  }
  return text;
}

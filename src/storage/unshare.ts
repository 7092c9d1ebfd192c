/**
 * A file that has other names on disk gets bytes of its own, and those names keep what they have. Space for a copy is
 * needed. What fails leaves all as it was.
 */
import { randomBytes } from 'node:crypto';
import { lstat, rename, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fromSystemError } from '../errors.js';
import { copyFile } from './copy-file.js';
import { stampOf } from './stamp-files.js';

export interface UnshareOptions {
  /** Of a file that is there, and no link. */
  readonly path: string;
  /** False: the file system gives files new numbers at will. */
  readonly hasInodes: boolean;
  readonly signal: AbortSignal;
}

/** @throws HaulError as `copyFile` */
export async function unshare({ path, hasInodes, signal }: UnshareOptions): Promise<void> {
  const own = join(dirname(path), `.haul-copy-${randomBytes(6).toString('hex')}`);
  try {
    const seen = stampOf(await lstat(path, { bigint: true }));
    await copyFile({ from: path, to: own, seen, hasInodes, signal, onBytes: () => {} });
    await rename(own, path);
  } catch (error) {
    await unlink(own).catch(() => {});
    throw fromSystemError(error, 'copy', path);
  }
}

/** A full disk, told apart: no bytes left, or no room for another file. */
import { statfsSync } from 'node:fs';
import { dirname } from 'node:path';
import { HaulError } from '../errors.js';

/**
 * The same error, or one that says that inodes are what is missing.
 * @param folder where something was to be made; it need not exist
 */
export function explainNoSpace(error: HaulError, folder: string): HaulError {
  if (error.code !== 'NO_SPACE' || !hasNoInodes(folder)) return error;
  const why = 'the file system has no free inodes; remove some files or choose another folder';
  const text = `no room for another file in ${folder}: ${why}`;
  return new HaulError('NO_SPACE', text, { path: folder, inodes: true }, error);
}

function hasNoInodes(folder: string): boolean {
  for (let at = folder; ; at = dirname(at)) {
    try {
      const { files, ffree } = statfsSync(at);
      // Zero in all: a file system that does not count them.
      return files > 0 && ffree === 0;
    } catch {
      if (dirname(at) === at) return false;
    }
  }
}

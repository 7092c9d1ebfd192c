/** Folders made step by step. */
import { mkdir, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { fromSystemError } from '../errors.js';

/**
 * Makes a folder and those above it, one by one: where a file system refuses with "no such file" (autofs, /proc), the recursive
 * mkdir of Node.js never returns.
 * @throws HaulError NOT_FOUND, NO_PERMISSION, NOT_A_DIRECTORY, NO_SPACE, IO
 */
export async function makeFolder(folder: string): Promise<void> {
  const missing: string[] = [];
  for (let at = folder; !(await isFolder(at)) && dirname(at) !== at; at = dirname(at)) missing.push(at);
  for (const path of missing.reverse()) {
    await mkdir(path).catch(async (error: unknown) => {
      // Made by somebody else a moment ago: as good.
      if (!(await isFolder(path))) throw fromSystemError(error, 'create folder', path);
    });
  }
}

function isFolder(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
}

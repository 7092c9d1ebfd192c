/** Folders made step by step. */
import { lstat, mkdir, readlink, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { fromSystemError, HaulError } from '../errors.js';

/**
 * Makes a folder and those above it, one by one: where a file system refuses with "no such file" (autofs, /proc), the
 * recursive mkdir of Node.js never returns.
 * @throws HaulError NOT_FOUND, NO_PERMISSION, NOT_A_DIRECTORY, NO_SPACE, IO
 */
export async function makeFolder(folder: string): Promise<void> {
  const missing: string[] = [];
  for (let at = folder; !(await isFolder(at)) && dirname(at) !== at; at = dirname(at)) missing.push(at);
  for (const path of missing.reverse()) {
    await mkdir(path).catch(async (error: unknown) => {
      // Made by somebody else a moment ago: as good.
      if (!(await isFolder(path))) throw await inTheWay(error, path);
    });
  }
}

function isFolder(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
}

async function inTheWay(error: unknown, path: string): Promise<HaulError> {
  const there = await lstat(path).catch(() => null);
  if (there?.isSymbolicLink() !== true) return fromSystemError(error, 'create folder', path);
  const target = await readlink(path).catch(() => 'something');
  const message = `${path} is a link to ${target}, which is no folder; remove the link, or make what it leads to`;
  return new HaulError('NOT_A_DIRECTORY', message, { path, target }, error);
}

/** Whether a torrent's data may go to another folder, as far as a look can tell. */
import { lstat, realpath } from 'node:fs/promises';
import { basename, dirname, join, sep } from 'node:path';
import { HaulError } from '../errors.js';
import type { Metainfo } from '../metainfo/metainfo.js';

/**
 * @returns false: both are the same place
 * @throws HaulError BAD_ARGUMENT: the new place is inside the data; FILE_EXISTS: the name is taken there
 */
export async function mayMove({ name, files }: Metainfo, from: string, to: string): Promise<boolean> {
  const [oldFolder, newFolder] = [await realFolder(from), await realFolder(to)];
  if (oldFolder === newFolder) return false;
  const root = files[0]!.path[0]!;
  const oldRoot = await realFolder(join(oldFolder, root));
  const newRoot = join(newFolder, root);
  if (newRoot.startsWith(oldRoot + sep)) {
    const message = `${to} is inside the data of ${name}; choose a folder outside of ${oldRoot}`;
    throw new HaulError('BAD_ARGUMENT', message, { option: 'dir', path: to });
  }
  if ((await lstat(newRoot).catch(() => null)) !== null) throw taken(newRoot);
  return true;
}

export function taken(path: string): HaulError {
  return new HaulError('FILE_EXISTS', `${path} is there already; choose another folder, or move it away`, { path });
}

/** Where a path leads, also one of which the last part is not there yet. */
async function realFolder(folder: string): Promise<string> {
  const real = await realpath(folder).catch(() => null);
  if (real !== null || dirname(folder) === folder) return real ?? folder;
  return join(await realFolder(dirname(folder)), basename(folder));
}

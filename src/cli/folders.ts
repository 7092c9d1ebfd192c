/** Checks of the folders a user names, made early so that the message can say what to do. */
import { mkdir, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { fromSystemError, HaulError } from '../errors.js';
import type { Metainfo } from '../metainfo/metainfo.js';

/** The folder that holds the torrent's data, absolute. Someone who names the data itself is told what to name. */
export async function checkDataFolder(path: string, metainfo: Metainfo): Promise<string> {
  const folder = resolve(path);
  const found = await stat(folder).catch((error: unknown) => {
    throw fromSystemError(error, 'open data folder', folder);
  });
  if (!found.isDirectory()) {
    throw new HaulError('NOT_A_DIRECTORY', `--data ${folder} is a file; name the folder it is in`, { path: folder });
  }
  const data = join(folder, metainfo.name);
  const isThere = await stat(data).then(
    () => true,
    () => false,
  );
  if (isThere) return folder;
  throw new HaulError('NOT_FOUND', `${metainfo.name} is not in ${folder}; --data is the folder that holds it`, {
    path: data,
  });
}

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

/** The folder to download to, absolute; need not exist yet. */
export async function checkOutputFolder(path: string): Promise<string> {
  const folder = resolve(path);
  const found = await stat(folder).catch(() => null);
  if (found !== null && !found.isDirectory()) {
    throw new HaulError('NOT_A_DIRECTORY', `--output ${folder} is a file; name a folder`, { path: folder });
  }
  return folder;
}

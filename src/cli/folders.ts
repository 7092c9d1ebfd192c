/** Checks of the folders a user names, made early so that the message can say what to do. */
import { stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
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

/** The folder to download to, absolute; need not exist yet. */
export async function checkOutputFolder(path: string): Promise<string> {
  // As many other commands have it.
  if (path === '-')
    throw new HaulError('BAD_ARGUMENT', '--output - is no folder: --stdout FILE writes to standard output', {
      option: '--output',
    });
  const folder = resolve(path);
  const found = await stat(folder).catch(() => null);
  if (found !== null && !found.isDirectory()) {
    throw new HaulError('NOT_A_DIRECTORY', `--output ${folder} is a file; name a folder`, { path: folder });
  }
  return folder;
}

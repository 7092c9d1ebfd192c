/**
 * A torrent's file has the torrent's name: where a file is published under another one, the engine is given a folder
 * with a link to it.
 */
import { symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type HeldFolder, holdFolder } from '../depot/held-folder.js';
import { fromSystemError } from '../errors.js';

/** @throws HaulError of the file system */
export async function linkFolder(path: string, name: string, root = tmpdir()): Promise<HeldFolder> {
  const folder = await holdFolder('haul-publish-', root);
  try {
    await symlink(path, join(folder.path, name));
    return folder;
  } catch (error) {
    await folder.remove();
    throw fromSystemError(error, 'link to', path);
  }
}

/** Data that others wrote, or an earlier run, is forced to the device before a record says that it is there. */
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import { fromSystemError } from '../errors.js';
import type { Metainfo } from '../metainfo/metainfo.js';
import type { Selection } from '../metainfo/selection.js';
import { isSupported } from '../native/mmap-io.js';
import { FILES_ONE_BY_ONE, forceData, forceFileSystem } from './force.js';
import { whenRoom } from './patience.js';
import { partFilePath } from './resume.js';

/**
 * Forces all that is stored of a torrent to the device, without a storage that is open: after a hash check.
 *
 * @throws HaulError
 */
export async function syncData(metainfo: Metainfo, output: string, selection: Selection | null): Promise<void> {
  const stored = metainfo.files
    .filter(({ lengthBytes, isPad }, index) => lengthBytes > 0 && !isPad && selection?.isSkipped(index) !== true)
    .map((file) => join(output, ...file.path));
  if (selection?.isWhole === false) stored.push(partFilePath(metainfo, output));
  try {
    const isMany = stored.length > FILES_ONE_BY_ONE && isSupported();
    if (!isMany || !(await syncWhole(output))) for (const path of stored) await withOpen(path, forceData);
  } catch (error) {
    throw fromSystemError(error, 'sync', output);
  }
}

/** Opens for reading; what is not there has nothing to be synced. */
async function withOpen(path: string, use: (handle: FileHandle) => Promise<void>): Promise<void> {
  let handle: FileHandle;
  try {
    handle = await whenRoom(() => open(path, constants.O_RDONLY | constants.O_NONBLOCK));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw error;
  }
  try {
    await use(handle);
  } finally {
    await handle.close();
  }
}

async function syncWhole(output: string): Promise<boolean> {
  let isDone = true;
  await withOpen(output, async (folder) => {
    isDone = await forceFileSystem(folder.fd);
  });
  return isDone;
}

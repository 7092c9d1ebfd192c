/** Forcing data to the device, where its file system has a way to: see `cannotForce`. */
import { type FileHandle, open } from 'node:fs/promises';
import { cannotForce } from '../native/errno.js';
import { syncFileSystem } from '../native/mmap-io.js';

/** Above this many files one flush of the file system is cheaper than one journal commit for each. */
export const FILES_ONE_BY_ONE = 16;

/** fsync(2), where there is one. */
export async function forceFile(handle: FileHandle): Promise<void> {
  await handle.sync().catch(passOver);
}

/** fdatasync(2), where there is one. */
export async function forceData(handle: FileHandle): Promise<void> {
  await handle.datasync().catch(passOver);
}

/** What names are in a folder. */
export async function forceFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await forceFile(handle);
  } finally {
    await handle.close();
  }
}

/** syncfs(2). False: there is none here. */
export async function forceFileSystem(fd: number): Promise<boolean> {
  try {
    await syncFileSystem(fd);
    return true;
  } catch (error) {
    passOver(error);
    return false;
  }
}

function passOver(error: unknown): void {
  if (!cannotForce(error)) throw error;
}

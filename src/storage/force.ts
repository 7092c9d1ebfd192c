/** Forcing a file to the device, where its file system has a way to: see `cannotForce`. */
import type { FileHandle } from 'node:fs/promises';
import { cannotForce } from '../native/errno.js';

/** fsync(2), where there is one. */
export async function forceFile(handle: FileHandle): Promise<void> {
  await handle.sync().catch(passOver);
}

/** fdatasync(2), where there is one. */
export async function forceData(handle: FileHandle): Promise<void> {
  await handle.datasync().catch(passOver);
}

function passOver(error: unknown): void {
  if (!cannotForce(error)) throw error;
}

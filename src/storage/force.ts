/**
 * Forcing to the device what a file system may have no answer to: fsync on some FUSE, SMB and special file systems is EINVAL or ENOSYS.
 * That is no complaint of a device: nothing was lost, and nothing more can be done. EIO and ENOSPC are complaints.
 */
import type { FileHandle } from 'node:fs/promises';

const CANNOT: ReadonlySet<unknown> = new Set(['EINVAL', 'ENOSYS', 'EOPNOTSUPP', 'ENOTSUP']);

/** The system has no such call for this file. */
export function cannotForce(error: unknown): boolean {
  return CANNOT.has((error as { code?: unknown } | null)?.code);
}

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

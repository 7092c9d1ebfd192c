/** A file is copied, its mode and times too, and is the same at the end as it was at the beginning. */
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { fromSystemError, HaulError } from '../errors.js';
import { type FileStamp, isUnchanged } from '../work/file-stamp.js';
import { forceData, forceFile } from './force.js';
import { whenRoom } from './patience.js';
import { stampOf } from './stamp-files.js';

const READ_BYTES = 1024 * 1024;
/** So much may wait for the device: else a large file fills the memory first, and the last fsync takes minutes. */
const UNSYNCED_BYTES = 128 * 1024 * 1024;

export interface CopyFileOptions {
  readonly from: string;
  /** Must not be there. */
  readonly to: string;
  /** The file as it was looked at; another one is not copied. */
  readonly seen: FileStamp;
  /** False: the file system gives files new numbers at will. */
  readonly hasInodes: boolean;
  readonly signal: AbortSignal;
  readonly onBytes: (bytes: number) => void;
}

/**
 * The copy is on the device. What fails leaves a part of it, for its folder to be removed.
 * @throws HaulError ABORTED; BAD_DATA: somebody wrote into it meanwhile; NO_SPACE, IO and what else the disk says
 */
export async function copyFile(options: CopyFileOptions): Promise<void> {
  const { from, to } = options;
  const flags = constants.O_RDONLY | constants.O_NONBLOCK;
  const source = await whenRoom(() => open(from, flags)).catch((error: unknown) => {
    throw fromSystemError(error, 'open', from);
  });
  try {
    await refuseOther(source, options);
    const target = await whenRoom(() => open(to, 'wx', 0o600));
    try {
      await copyBytes(source, target, options);
      const { mode, atime, mtime } = await source.stat();
      await target.chmod(mode & 0o777);
      await target.utimes(atime, mtime);
      await forceFile(target);
    } finally {
      await target.close();
    }
    await refuseOther(source, options);
  } catch (error) {
    throw fromSystemError(error, 'copy', from);
  } finally {
    await source.close();
  }
}

async function copyBytes(source: FileHandle, target: FileHandle, options: CopyFileOptions): Promise<void> {
  const { from, signal, onBytes } = options;
  const buffer = Buffer.allocUnsafe(READ_BYTES);
  let unsynced = 0;
  for (;;) {
    if (signal.aborted) throw new HaulError('ABORTED', `the copy of ${from} was stopped`);
    const { bytesRead } = await source.read(buffer, 0, READ_BYTES, null);
    if (bytesRead === 0) return;
    // Unlike `write` it goes on where the system took less.
    await target.writeFile(buffer.subarray(0, bytesRead));
    onBytes(bytesRead);
    unsynced += bytesRead;
    if (unsynced < UNSYNCED_BYTES) continue;
    unsynced = 0;
    await forceData(target);
  }
}

async function refuseOther(source: FileHandle, { from, seen, hasInodes }: CopyFileOptions): Promise<void> {
  const now = stampOf(await source.stat({ bigint: true }));
  const isSame = hasInodes ? isUnchanged(now, seen) : now.sizeBytes === seen.sizeBytes && now.mtimeNs === seen.mtimeNs;
  if (isSame) return;
  throw new HaulError('BAD_DATA', `${from} was changed while it was copied; try again when nobody writes to it`, {
    path: from,
  });
}

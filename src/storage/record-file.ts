/**
 * A small file that is replaced atomically, also on a device that has become full meanwhile: beside it lies a spare
 * that has its room already. It is overwritten, forced to the device and takes the name; the file of before becomes the
 * next spare.
 *
 *   file (old)   .tmp (spare)
 *     -- write, fsync -->                         file (old)   .tmp (new)
 *     -- exchange names, fsync of the folder -->  file (new)   .tmp (spare)
 *
 * Where names cannot be exchanged the file of before is given up and another spare made. Invariant: under the name
 * there is always the old content or the new one, whole.
 */
import { constants } from 'node:fs';
import { type FileHandle, lstat, open, rename, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { HaulError } from '../errors.js';
import * as mmap from '../native/mmap-io.js';
import { forceFile, forceFolder } from './force.js';
import { isOutOfRoom } from './patience.js';

const FULL: ReadonlySet<unknown> = new Set(['ENOSPC', 'EDQUOT']);

/**
 * @param reserveBytes the file is padded with zeros up to that, and a spare of that length is kept beside it; 0: no
 * spare stays
 * @throws what the system says, or HaulError where something is in the way
 */
export async function replaceRecord(path: string, bytes: Buffer, reserveBytes: number): Promise<void> {
  const spare = `${path}.tmp`;
  try {
    await writeSpare(spare, padded(bytes, reserveBytes));
  } catch (error) {
    // There may be room for the content alone.
    if (reserveBytes > 0 && isFull(error)) return replaceRecord(path, bytes, 0);
    throw await explained(error, spare);
  }
  const isKept = reserveBytes > 0 && (await exchange(spare, path));
  if (!isKept) {
    await rename(spare, path).catch(async (error: unknown) => {
      await unlink(spare).catch(() => {});
      throw await explained(error, path);
    });
  }
  await forceFolder(dirname(path));
  // Not told: the next time there is room, or it says so.
  if (reserveBytes > 0) await reserve(spare, reserveBytes).catch(() => {});
}

function padded(bytes: Buffer, lengthBytes: number): Buffer {
  return bytes.length < lengthBytes ? Buffer.concat([bytes], lengthBytes) : bytes;
}

async function writeSpare(path: string, bytes: Buffer): Promise<void> {
  const { handle, isNew } = await openSpare(path);
  try {
    await handle.writeFile(bytes);
    await handle.truncate(bytes.length);
    await forceFile(handle);
  } catch (error) {
    // What had its room keeps it.
    if (isNew || !isFull(error)) await unlink(path).catch(() => {});
    throw error;
  } finally {
    await handle.close();
  }
}

/**
 * The spare, or a new file in the place of whatever else is there: a link, or a file that has another name, is not
 * written through.
 */
async function openSpare(path: string): Promise<{ readonly handle: FileHandle; readonly isNew: boolean }> {
  const flags = constants.O_RDWR | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  const found = await open(path, flags).catch((error: unknown) => {
    if (isOutOfRoom(error)) throw error;
    return null;
  });
  if (found !== null) {
    const status = await found.stat();
    if (status.isFile() && status.nlink === 1) return { handle: found, isNew: false };
    await found.close();
  }
  await unlink(path).catch(() => {});
  return { handle: await open(path, 'wx+', 0o644), isNew: true };
}

/** Written, not only given a length: what is written has its blocks. */
async function reserve(path: string, lengthBytes: number): Promise<void> {
  const { handle } = await openSpare(path);
  try {
    const { size } = await handle.stat();
    if (size < lengthBytes) await handle.write(Buffer.alloc(lengthBytes - size), 0, lengthBytes - size, size);
  } finally {
    await handle.close();
  }
}

/** False: there is nothing to exchange names with, or it cannot be done here. */
async function exchange(a: string, b: string): Promise<boolean> {
  const there = await lstat(b).catch(() => null);
  // A folder would change places as readily.
  if (there?.isFile() !== true || there.nlink > 1) return false;
  return mmap.exchangeNames(a, b).then(
    () => true,
    () => false,
  );
}

function isFull(error: unknown): boolean {
  return FULL.has((error as NodeJS.ErrnoException).code);
}

async function explained(error: unknown, path: string): Promise<unknown> {
  const there = await lstat(path).catch(() => null);
  if (there?.isDirectory() !== true) return error;
  const message = `${path} is a folder where the record of this download goes; move it away`;
  return new HaulError('NOT_A_DIRECTORY', message, { path }, error);
}

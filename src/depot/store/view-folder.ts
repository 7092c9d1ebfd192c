/** Blobs where an engine finds them as files: hard links, each in a folder of its own, or many in one. */
import { link, lstat, mkdir, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fromSystemError } from '../../errors.js';
import { forEachConcurrently } from '../../storage/concurrently.js';
import { stampOf } from '../../storage/stamp-files.js';
import { type FileStamp, isUnchanged } from '../../work/file-stamp.js';
import { CANNOT_LINK, isOneOf } from './codes.js';
import type { KnownBlobs } from './known-blobs.js';
import type { Layout } from './layout.js';
import type { Placed, PlacedFile } from './port.js';
import { changed } from './reading.js';

const LINKS_AT_ONCE = 16;

/** @returns null: this file system has no hard links. @throws HaulError NOT_FOUND, BAD_DATA: nothing is left then */
export async function placeFile(
  layout: Layout,
  known: Pick<KnownBlobs, 'trusted'>,
  sha256: string,
  fileName: string,
): Promise<Placed | null> {
  const record = await known.trusted(sha256);
  const folder = layout.view(sha256, fileName);
  const place = join(folder, fileName);
  try {
    await rm(folder, { recursive: true, force: true });
    await mkdir(folder, { mode: 0o755 });
    await link(layout.blob(sha256), place);
    const stamp = stampOf(await lstat(place, { bigint: true }));
    if (!isUnchanged(stamp, record.stamp)) throw changed(sha256);
    return { output: folder, hashed: [stamp] };
  } catch (error) {
    await leaveFile(layout, sha256, fileName);
    if (isOneOf(error, CANNOT_LINK)) return null;
    throw fromSystemError(error, 'link', place);
  }
}

export async function leaveFile(layout: Layout, sha256: string, fileName: string): Promise<void> {
  await rm(layout.view(sha256, fileName), { recursive: true, force: true }).catch(() => {});
}

/** @returns null: this file system has no hard links. @throws HaulError NOT_FOUND, BAD_DATA: nothing is left then */
export async function placeFiles(
  layout: Layout,
  known: Pick<KnownBlobs, 'trusted'>,
  id: string,
  files: readonly PlacedFile[],
): Promise<Placed | null> {
  const output = layout.view('folder', id);
  const hashed: FileStamp[] = new Array(files.length);
  try {
    await rm(output, { recursive: true, force: true });
    await mkdir(output, { mode: 0o755 });
    for (const folder of new Set(files.map(({ path }) => dirname(join(output, path)))))
      await mkdir(folder, { recursive: true, mode: 0o755 });
    await forEachConcurrently([...files.keys()], LINKS_AT_ONCE, async (index) => {
      const { sha256, path } = files[index]!;
      const record = await known.trusted(sha256);
      const place = join(output, path);
      await link(layout.blob(sha256), place);
      const stamp = stampOf(await lstat(place, { bigint: true }));
      if (!isUnchanged(stamp, record.stamp)) throw changed(sha256);
      hashed[index] = stamp;
    });
    return { output, hashed };
  } catch (error) {
    await leaveFiles(layout, id);
    if (isOneOf(error, ['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'EMLINK'])) return null;
    throw fromSystemError(error, 'link', output);
  }
}

export async function leaveFiles(layout: Layout, id: string): Promise<void> {
  await rm(layout.view('folder', id), { recursive: true, force: true }).catch(() => {});
}

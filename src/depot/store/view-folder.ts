/** Many blobs as files of one folder, hard links as those of a single one are. */
import { link, lstat, mkdir, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fromSystemError } from '../../errors.js';
import { forEachConcurrently } from '../../storage/concurrently.js';
import { stampOf } from '../../storage/stamp-files.js';
import { type FileStamp, isUnchanged } from '../../work/file-stamp.js';
import { isOneOf } from './codes.js';
import type { KnownBlobs } from './known-blobs.js';
import type { Layout } from './layout.js';
import type { Placed, PlacedFile } from './port.js';
import { changed } from './reading.js';

const LINKS_AT_ONCE = 16;

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
    await mkdir(output);
    for (const folder of new Set(files.map(({ path }) => dirname(join(output, path)))))
      await mkdir(folder, { recursive: true });
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

/**
 * Deletes what a torrent has on disk, and nothing else: files that are the very ones it used, links that lead where it
 * made them lead, folders of its that are empty then, its record. A file is given a hidden name first and looked at
 * again, so that one which somebody puts into its place at this moment is put back.
 */
import { link, lstat, readlink, rename, rmdir, unlink } from 'node:fs/promises';
import { dirname, isAbsolute, join } from 'node:path';
import type { RemoveResult } from '../api.js';
import { fromSystemError } from '../errors.js';
import type { FileEntry, Metainfo } from '../metainfo/metainfo.js';
import { stateName } from '../metainfo/state-names.js';
import { type FileStamp, isSameInode } from '../work/file-stamp.js';
import { claimPlace } from './places.js';
import { loadResume, partFilePath, resumePath } from './resume.js';
import { stampOf } from './stamp-files.js';

export interface RemoveDataOptions {
  readonly metainfo: Metainfo;
  readonly output: string;
  /** The files that a seed used; null: not known. A download has its record. */
  readonly stamps: readonly FileStamp[] | null;
  readonly isSeed: boolean;
}

/** @throws HaulError IN_USE, NO_PERMISSION, READ_ONLY, IO */
export async function removeData(options: RemoveDataOptions): Promise<RemoveResult> {
  const { metainfo, output } = options;
  if ((await lstat(output).catch(() => null)) === null) return { deleted: [], kept: [] };
  const place = await claimPlace(metainfo, output, true);
  try {
    const own = await ownFiles(options);
    const result = { deleted: [] as string[], kept: [] as string[] };
    for (const [index, file] of metainfo.files.entries()) {
      if (file.isPad) continue;
      const path = join(output, ...file.path);
      const outcome =
        file.symlinkPath === null ? await removeFile(path, own[index], metainfo) : await removeLink(path, file);
      if (outcome !== 'absent') result[outcome].push(path);
    }
    if (!options.isSeed) for (const path of stateFiles(metainfo, output)) await unlinkIfThere(path);
    await removeFolders(metainfo, output);
    return result;
  } finally {
    await place.release();
  }
}

/** By file: its stamp where it is known for the torrent's own. */
async function ownFiles({
  metainfo,
  output,
  stamps,
  isSeed,
}: RemoveDataOptions): Promise<readonly (FileStamp | undefined)[]> {
  if (isSeed) return stamps ?? [];
  const { ours, stamps: now } = await loadResume(metainfo, output);
  return metainfo.files.map((_, index) => (ours.has(index) ? now[index] : undefined));
}

export function stateFiles(metainfo: Metainfo, output: string): readonly string[] {
  const record = resumePath(metainfo, output);
  const kept = join(output, stateName(metainfo.infoHashHex, 'torrent'));
  return [record, `${record}.tmp`, partFilePath(metainfo, output), kept, `${kept}.tmp`];
}

type Outcome = 'deleted' | 'kept' | 'absent';

export async function removeFile(path: string, own: FileStamp | undefined, metainfo: Metainfo): Promise<Outcome> {
  const found = await stampAt(path);
  if (found === null) return 'absent';
  if (own === undefined || own.inode === 0n || !isSameInode(found, own)) return 'kept';
  const hidden = join(dirname(path), stateName(metainfo.infoHashHex, 'gone'));
  try {
    await rename(path, hidden);
  } catch (error) {
    throw fromSystemError(error, 'delete', path);
  }
  const moved = await stampAt(hidden);
  if (moved !== null && isSameInode(moved, own)) {
    await unlinkIfThere(hidden);
    return 'deleted';
  }
  // Somebody put another file there a moment ago: it goes back, unless there is yet another one.
  await link(hidden, path).then(
    () => unlink(hidden),
    (error: unknown) => {
      throw fromSystemError(error, `put back as ${path}`, hidden);
    },
  );
  return 'kept';
}

/** Null: there is no plain file. */
async function stampAt(path: string): Promise<FileStamp | null> {
  const status = await lstat(path, { bigint: true }).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return null;
    throw fromSystemError(error, 'look at', path);
  });
  return status === null ? null : stampOf(status);
}

/** What a link of the torrent (BEP 47) holds leads, as text, where it should. */
export function isOwnTarget(target: string, { path, symlinkPath }: FileEntry): boolean {
  return symlinkPath !== null && !isAbsolute(target) && join(...path.slice(1, -1), target) === join(...symlinkPath);
}

/** A link of the torrent (BEP 47) that leads, as text, where it should. */
export async function removeLink(path: string, file: FileEntry): Promise<Outcome> {
  const target = await readlink(path).catch(() => null);
  if (target === null) return (await lstat(path).catch(() => null)) === null ? 'absent' : 'kept';
  const isOwn = isOwnTarget(target, file);
  if (isOwn) await unlinkIfThere(path);
  return isOwn ? 'deleted' : 'kept';
}

async function unlinkIfThere(path: string): Promise<void> {
  await unlink(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw fromSystemError(error, 'delete', path);
  });
}

/** From the inmost on; those in which something is left stay. */
export async function removeFolders({ files }: Metainfo, output: string): Promise<void> {
  const folders = new Set<string>();
  for (const { path, isPad } of files) {
    for (let depth = path.length - 1; depth > 0 && !isPad; depth--) folders.add(join(output, ...path.slice(0, depth)));
  }
  const inmostFirst = [...folders].sort((a, b) => b.length - a.length);
  for (const folder of inmostFirst) await rmdir(folder).catch(() => {});
}

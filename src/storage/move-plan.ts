/**
 * What of a torrent's data is moved, and how. Looks only.
 *
 * A file is moved when it is known for the torrent's own: by its record, or as the one that it seeds. What else is in
 * the torrent's places stays where it is.
 */
import { access, constants, lstat, readdir, readlink, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { fromSystemError, HaulError } from '../errors.js';
import type { Bitfield } from '../metainfo/bitfield.js';
import type { Metainfo } from '../metainfo/metainfo.js';
import type { Selection } from '../metainfo/selection.js';
import { ABSENT, type FileStamp, isSameInode, isUnchanged } from '../work/file-stamp.js';
import { isOwnTarget } from './remove-data.js';
import { loadResume, type ResumeVerdict } from './resume.js';
import { stampFiles } from './stamp-files.js';

export interface MoveQuestion {
  readonly metainfo: Metainfo;
  /** The folder that holds the data. */
  readonly from: string;
  readonly selection: Selection | null;
  readonly isSeed: boolean;
  /** The files that a seed uses, as they were noted last; null: not known. */
  readonly stamps: readonly FileStamp[] | null;
  /** Pieces that were good when the torrent ran last; null: it did not. */
  readonly have: Bitfield | null;
}

export interface MovePlan {
  /** By file, the part file last: as it is now; ABSENT: it is not moved. */
  readonly stamps: readonly FileStamp[];
  /** Symbolic links of the torrent (BEP 47). */
  readonly links: readonly number[];
  /** What a record at the new place says; null: there is to be none. */
  readonly verdict: ResumeVerdict | null;
  /** By file: all of its pieces are good, nobody is to write into it. */
  readonly isWhole: (file: number) => boolean;
  /** The files are as the torrent left them: a seed need not hash them again. */
  readonly isUnchanged: boolean;
  /** Of files that lie in the torrent's places and are not known for its own. */
  readonly kept: readonly string[];
}

/** @throws HaulError BAD_DATA, NOT_FOUND: a seed's file is not the one any more, or gone; READ_ONLY, NO_PERMISSION */
export async function planMove(question: MoveQuestion): Promise<MovePlan> {
  const { metainfo, from, isSeed } = question;
  const plan = isSeed ? await planSeed(question) : await planDownload(question);
  const links: number[] = [];
  const kept: string[] = [];
  for (const [index, file] of metainfo.files.entries()) {
    if (file.isPad || plan.stamps[index]!.sizeBytes >= 0) continue;
    const path = join(from, ...file.path);
    const target = file.symlinkPath === null ? null : await readlink(path).catch(() => null);
    if (target !== null && isOwnTarget(target, file)) links.push(index);
    else if ((await lstat(path).catch(() => null)) !== null) kept.push(path);
  }
  // What cannot be taken away here is not moved.
  await access(from, constants.W_OK).catch((error: unknown) => {
    throw fromSystemError(error, 'move the data away from', from);
  });
  return { ...plan, links, kept };
}

type Planned = Omit<MovePlan, 'links' | 'kept'>;

async function planSeed({ metainfo, from, stamps: known }: MoveQuestion): Promise<Planned> {
  const stamps = await stampFiles(metainfo, from, null);
  stamps[metainfo.files.length] = ABSENT;
  let isAsLeft = known !== null;
  for (const [index, { isPad, symlinkPath, path }] of metainfo.files.entries()) {
    if (isPad || symlinkPath !== null) continue;
    const where = join(from, ...path);
    if (stamps[index]!.sizeBytes < 0) {
      throw new HaulError('NOT_FOUND', `${where} is gone: the torrent cannot be moved`, { path: where });
    }
    if (known !== null && !isSameInode(stamps[index]!, known[index]!)) {
      throw new HaulError('BAD_DATA', `${where} is not the file that was seeded`, { path: where });
    }
    isAsLeft &&= isUnchanged(stamps[index]!, known![index]);
  }
  return { stamps, verdict: null, isWhole: () => true, isUnchanged: isAsLeft };
}

async function planDownload({ metainfo, from, selection, have }: MoveQuestion): Promise<Planned> {
  const verdict = await loadResume(metainfo, from, selection);
  // Complete data does without a record where none could be written.
  const isRecorded = verdict.ours.count > 0 || have === null || have.count === 0;
  const stamps = verdict.stamps.map((stamp, file) => {
    if (file === metainfo.files.length) return selection?.isWhole === false ? stamp : ABSENT;
    return !isRecorded || verdict.ours.has(file) ? stamp : ABSENT;
  });
  const { geometry, files } = metainfo;
  const isWhole = (file: number): boolean => {
    const { beginBytes, lengthBytes } = files[file]!;
    const { first, end } = geometry.piecesIn(beginBytes, lengthBytes);
    for (let piece: number = first; piece < end; piece++) if (!verdict.trusted.has(piece)) return false;
    return lengthBytes > 0;
  };
  return { stamps, verdict, isWhole, isUnchanged: true };
}

/** The folders in which moved files and links lie, the root of the torrent first; none for a single file. */
export function foldersOf({ files }: Metainfo, moved: Iterable<number>): string[][] {
  const folders = new Map<string, string[]>();
  for (const file of moved) {
    const { path } = files[file]!;
    for (let depth = 1; depth < path.length; depth++) folders.set(path.slice(0, depth).join('/'), path.slice(0, depth));
  }
  return [...folders.values()].sort((a, b) => a.length - b.length);
}

/**
 * The root of the torrent holds what is moved and nothing else, and no link leads out of it: it can be given another
 * name as it is.
 */
export async function isAllOurs(metainfo: Metainfo, from: string, moved: ReadonlySet<number>): Promise<boolean> {
  const { files } = metainfo;
  const root = join(from, files[0]!.path[0]!);
  const top = await lstat(root).catch(() => null);
  if (top === null || (!top.isDirectory() && !top.isFile())) return false;
  if (top.isFile()) return true;
  const known = new Map<string, 'folder' | 'file' | 'link'>();
  for (const folder of foldersOf(metainfo, moved)) known.set(join(from, ...folder), 'folder');
  for (const file of moved) {
    const { path, symlinkPath } = files[file]!;
    known.set(join(from, ...path), symlinkPath === null ? 'file' : 'link');
  }
  const queue = [root];
  for (let folder = queue.pop(); folder !== undefined; folder = queue.pop()) {
    for (const entry of await readdir(folder, { withFileTypes: true })) {
      const path = join(folder, entry.name);
      const kind = entry.isDirectory() ? 'folder' : entry.isFile() ? 'file' : entry.isSymbolicLink() ? 'link' : 'other';
      if (known.get(path) !== kind) return false;
      if (kind === 'folder') queue.push(path);
    }
  }
  const { dev } = await stat(from);
  return top.dev === dev;
}

/**
 * Places inside one another, between processes. The lock of a place is met only by who wants that very place: who comes
 * later looks for the locks of the folders above its own, and for those inside it under names that its torrent has too.
 *
 * Which files another process has is not known, so that one place lies in the other is enough. Only what is beside all
 * of a seed's files for certain, for a seed has them all, is let in.
 * Each takes its own lock before it looks. Of two that begin at once the inner one gives up first.
 */
import { lstat, readdir, realpath } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { Metainfo } from '../metainfo/metainfo.js';
import { forEachConcurrently } from './concurrently.js';
import { findOwner, isLockName, lockPath, type Owner } from './owner-lock.js';

const AT_ONCE = 8;
/** Folders looked at above a place: more than anybody has, and some milliseconds. */
const FOLDERS_ABOVE = 256;
/** Folders listed inside a place: a second or so. */
const FOLDERS_INSIDE = 10_000;
/**
 * Of these with locks in them: each costs a walk over the torrent's files, and a torrent may bring files of such names.
 */
const LOCKED_FOLDERS = 64;
/** Looks, some milliseconds apart, before a lock counts as held. */
const LOOKS_ABOVE = 10;
const LOOKS_INSIDE = 40;

export interface NestedQuestion {
  readonly metainfo: Metainfo;
  /** The real path of the torrent's file or folder. */
  readonly root: string;
  readonly isWriting: boolean;
  /** Not beside the files of a seed either. */
  readonly isApart: boolean;
  /** This thread holds that lock itself, and has been asked. */
  readonly isKnown: (lock: string) => boolean;
}

export interface NestedPlace {
  readonly root: string;
  /** Null: somebody, who has not said who. */
  readonly owner: Owner | null;
}

/** Another's place around this one or in it, that does not go together with it. Never throws for what it finds. */
export async function findNested(question: NestedQuestion): Promise<NestedPlace | null> {
  const exists = await lstat(question.root).then(
    () => true,
    () => false,
  );
  const around = await findAround(question, exists);
  return around ?? (exists ? findInside(question) : null);
}

async function findAround(question: NestedQuestion, exists: boolean): Promise<NestedPlace | null> {
  const { root, isWriting, isApart, isKnown } = question;
  let above = dirname(root);
  for (let count = 0; count < FOLDERS_ABOVE && dirname(above) !== above; count++, above = dirname(above)) {
    const lock = lockPath(above);
    if (isKnown(lock)) continue;
    const found = await findOwner(lock, isWriting && (exists || isApart), LOOKS_ABOVE);
    if (found !== null) return { root: above, owner: found.owner };
  }
  return null;
}

async function findInside(question: NestedQuestion): Promise<NestedPlace | null> {
  const { metainfo, root } = question;
  const folders = foldersOf(metainfo);
  let lockedCount = 0;
  let found: NestedPlace | null = null;
  await forEachConcurrently(folders, AT_ONCE, async (folder) => {
    if (found !== null || lockedCount === LOCKED_FOLDERS) return;
    const path = join(root, ...folder.slice(1));
    const names = await readdir(path).catch((): string[] => []);
    const locks = new Set(names.filter(isLockName));
    if (locks.size === 0 || lockedCount === LOCKED_FOLDERS) return;
    lockedCount++;
    found ??= await findAmong(question, folder, await realpath(path).catch(() => path), locks);
  });
  return found;
}

async function findAmong(
  { metainfo, isWriting, isKnown }: NestedQuestion,
  folder: readonly string[],
  path: string,
  locks: ReadonlySet<string>,
): Promise<NestedPlace | null> {
  for (const child of childrenOf(metainfo, folder)) {
    const root = join(path, child);
    const lock = lockPath(root);
    if (!locks.has(basename(lock)) || isKnown(lock)) continue;
    const found = await findOwner(lock, isWriting, LOOKS_INSIDE);
    if (found !== null) return { root, owner: found.owner };
  }
  return null;
}

/** The torrent's folders, its root first, each as the names that lead to it. Empty for a single file. */
function foldersOf({ files }: Metainfo): string[][] {
  const seen = new Set<string>();
  const folders: string[][] = [];
  let before: readonly string[] = [];
  for (const { path, isPad } of files) {
    if (isPad) continue;
    const most = Math.min(path.length, before.length) - 1;
    let depth = 0;
    while (depth < most && path[depth] === before[depth]) depth++;
    before = path;
    while (++depth < path.length) {
      const folder = path.slice(0, depth);
      const key = folder.join('/');
      if (seen.has(key)) continue;
      if (folders.length === FOLDERS_INSIDE) return folders;
      seen.add(key);
      folders.push(folder);
    }
  }
  return folders;
}

function childrenOf({ files }: Metainfo, folder: readonly string[]): Set<string> {
  const children = new Set<string>();
  for (const { path, isPad } of files) {
    if (!isPad && path.length > folder.length && folder.every((name, at) => path[at] === name))
      children.add(path[folder.length]!);
  }
  return children;
}

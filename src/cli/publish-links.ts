/**
 * A torrent's file has the torrent's name: where a file is published under another one, the engine is given a folder
 * with a link to it. The folder is held by a lock, so that one that a killed process has left is told from one in use.
 *
 *   TMP/haul-publish-XXXXXX/lock           held while it is in use
 *   TMP/haul-publish-XXXXXX/data/<name>    the link
 */
import { type FileHandle, lstat, mkdir, mkdtemp, open, readdir, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fromSystemError } from '../errors.js';
import { LOCK_EX, loadFlock } from '../native/flock.js';

const PREFIX = 'haul-publish-';
/** Younger ones may be just being made. */
const AGE_MS = 60 * 60_000;
/** Where nothing tells whether one is in use: longer than any publish goes on. */
const UNLOCKED_AGE_MS = 30 * 24 * 60 * 60_000;
/** Looked at in one start. */
const SWEPT_MAX = 1_000;

export interface LinkFolder {
  readonly path: string;
  remove(): Promise<void>;
}

/** @throws HaulError of the file system */
export async function linkFolder(path: string, name: string, root = tmpdir()): Promise<LinkFolder> {
  await sweepLinks(root, Date.now());
  const folder = await mkdtemp(join(root, PREFIX)).catch((error: unknown) => {
    throw fromSystemError(error, 'create folder in', root);
  });
  let lock: FileHandle | null = null;
  const remove = async (): Promise<void> => {
    await rm(folder, { recursive: true, force: true });
    await lock?.close();
  };
  try {
    lock = await open(join(folder, 'lock'), 'wx', 0o600);
    loadFlock()?.(lock.fd, LOCK_EX);
    const data = join(folder, 'data');
    await mkdir(data, { mode: 0o700 });
    await symlink(path, join(data, name));
    return { path: data, remove };
  } catch (error) {
    await remove();
    throw fromSystemError(error, 'link to', path);
  }
}

/** Removes what killed processes of this user have left there. Never rejects. */
export async function sweepLinks(root: string, nowMs: number): Promise<void> {
  const names = (await readdir(root).catch(() => [])).filter((name) => name.startsWith(PREFIX));
  for (const name of names.slice(0, SWEPT_MAX)) {
    const folder = join(root, name);
    if (await isLeft(folder, nowMs).catch(() => false))
      await rm(folder, { recursive: true, force: true }).catch(() => {});
  }
}

async function isLeft(folder: string, nowMs: number): Promise<boolean> {
  const status = await lstat(folder);
  // In a folder that all may write to, others may call theirs so.
  const isOwn = status.isDirectory() && status.uid === process.getuid?.();
  const ageMs = nowMs - status.mtimeMs;
  if (!isOwn || ageMs < AGE_MS) return false;
  const lock = await open(join(folder, 'lock'), 'r').catch(() => null);
  try {
    const outcome = lock === null ? 'unknown' : (loadFlock()?.(lock.fd, LOCK_EX) ?? 'unknown');
    return outcome === 'locked' || (outcome === 'unknown' && ageMs >= UNLOCKED_AGE_MS);
  } finally {
    await lock?.close();
  }
}

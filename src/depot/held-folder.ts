/**
 * A folder for a while, among others of the machine. It is held by a lock, so that one that a killed process has left
 * is told from one in use, and the next process of this user that makes one of its kind takes it away.
 *
 *   TMP/<kind>XXXXXX/lock      held while it is in use
 *   TMP/<kind>XXXXXX/data/     what it is for
 */
import { type FileHandle, lstat, mkdir, mkdtemp, open, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fromSystemError } from '../errors.js';
import { LOCK_EX, loadFlock } from '../native/flock.js';

/** Younger ones may be just being made: the lock is taken right after. */
const AGE_MS = 60_000;
/** Where nothing tells whether one is in use: longer than anything goes on. */
const UNLOCKED_AGE_MS = 30 * 24 * 60 * 60_000;
/** Looked at in one start. */
const SWEPT_MAX = 1_000;

export type HeldKind = 'haul-publish-' | 'haul-catalogue-' | 'haul-cache-';

export interface HeldFolder {
  /** Of what it is for. */
  readonly path: string;
  remove(): Promise<void>;
}

/** Empty, and for this user alone. @throws HaulError of the file system */
export async function holdFolder(kind: HeldKind, root = tmpdir()): Promise<HeldFolder> {
  await sweepHeld(kind, root, Date.now());
  const folder = await mkdtemp(join(root, kind)).catch((error: unknown) => {
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
    const path = join(folder, 'data');
    await mkdir(path, { mode: 0o700 });
    return { path, remove };
  } catch (error) {
    await remove();
    throw fromSystemError(error, 'create folder in', root);
  }
}

/** Removes what killed processes of this user have left there. Never rejects. */
export async function sweepHeld(kind: HeldKind, root: string, nowMs: number): Promise<void> {
  const names = (await readdir(root).catch(() => [])).filter((name) => name.startsWith(kind));
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

/** A data folder has one owner, and is a depot's: nothing in any other folder is touched. */
import { constants, existsSync } from 'node:fs';
import { type FileHandle, mkdir, open, realpath } from 'node:fs/promises';
import { join } from 'node:path';
import { fromSystemError, HaulError } from '../../errors.js';
import { LOCK_EX, loadFlock } from '../../native/flock.js';
import { HeldLock } from '../held-lock.js';
import { replaceFile } from '../replace-file.js';
import { passOver } from './codes.js';
import { Layout } from './layout.js';
import { checkMounted } from './mounts.js';

const FORMAT = 1;
const LOCK_FLAGS = constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW | constants.O_NONBLOCK;

export interface FolderClaim {
  /** Without links. */
  readonly root: string;
  /** Before anything is written or removed. @throws HaulError IO: `root` leads elsewhere now, see `held-lock.ts` */
  check(): Promise<void>;
  release(): Promise<void>;
}

/**
 * Of a folder that is only read: nothing is made or written in it.
 * @param isBeside its owner may run meanwhile
 * @throws HaulError as `claimFolder`, NOT_FOUND
 */
export async function lookIntoFolder(folder: string, isBeside: boolean): Promise<FolderClaim> {
  try {
    const layout = new Layout(await realpath(folder));
    await checkMark(layout);
    const unchanged = { root: layout.root, check: async () => {} };
    if (isBeside) return { ...unchanged, release: async () => {} };
    const lock = await open(layout.lock, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK).catch(
      passOver('ENOENT'),
    );
    if (lock !== null && loadFlock()?.(lock.fd, LOCK_EX) === 'busy') throw await inUse(lock, layout.lock);
    return { ...unchanged, release: async () => lock?.close() };
  } catch (error) {
    throw fromSystemError(error, 'read', folder);
  }
}

/** @throws HaulError IN_USE, BAD_ARGUMENT, and what the file system says */
export async function claimFolder(folder: string): Promise<FolderClaim> {
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const layout = new Layout(await realpath(folder));
    const isMarked = existsSync(layout.mark);
    if (!isMarked) {
      checkFree(layout);
      await checkMounted(layout.root, 'data');
    }
    const lock = await takeLock(layout.lock);
    try {
      if (isMarked) await checkMark(layout);
      else await mark(layout);
      const held = await HeldLock.of(layout.root, layout.lock);
      return { root: layout.root, check: () => held.check(), release: () => lock.close() };
    } catch (error) {
      await lock.close();
      throw error;
    }
  } catch (error) {
    // What it is about may be in it.
    const { path = folder } = error as NodeJS.ErrnoException;
    throw fromSystemError(error, 'use', path);
  }
}

/** Folders of such names that we did not make are somebody else's. */
function checkFree({ root }: Layout): void {
  const others = ['blobs', 'tmp', 'views'].filter((name) => existsSync(join(root, name)));
  if (others.length === 0) return;
  const text = `${root} is not a depot's folder, and has a ${others[0]} of its own; choose an empty one`;
  throw new HaulError('BAD_ARGUMENT', text, { option: 'data', path: root });
}

async function mark({ mark: file }: Layout): Promise<void> {
  await replaceFile(file, `${JSON.stringify({ format: FORMAT })}\n`);
}

async function checkMark({ mark: file }: Layout): Promise<void> {
  const handle = await open(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  let format: unknown;
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(4096), 0, 4096, 0);
    format = JSON.parse(buffer.toString('utf8', 0, bytesRead)).format;
  } catch {
    format = null;
  } finally {
    await handle.close();
  }
  // Its text was lost with a crash while it was made: there is nothing else yet, or it is all the same format.
  if (format === null || format === FORMAT) return;
  throw new HaulError(
    'BAD_ARGUMENT',
    `${file} is of a newer version (format ${String(format)}): use the newer program`,
    { path: file },
  );
}

/** The kernel gives it back when the process ends, however it ends. */
async function takeLock(file: string): Promise<FileHandle> {
  const handle = await open(file, LOCK_FLAGS, 0o644);
  const outcome = loadFlock()?.(handle.fd, LOCK_EX) ?? 'unknown';
  if (outcome !== 'busy') {
    // What it says is for messages only.
    await handle
      .truncate(0)
      .then(() => handle.write(`${process.pid}\n`, 0))
      .catch(() => {});
    return handle;
  }
  throw await inUse(handle, file);
}

/** Closes it. */
async function inUse(handle: FileHandle, file: string): Promise<HaulError> {
  const text = await handle.readFile('utf8').catch(() => '');
  await handle.close();
  const pid = /^\d{1,10}\n$/.test(text) ? Number(text) : null;
  const who = pid === null ? 'another process' : `process ${pid}`;
  return new HaulError('IN_USE', `${file}: ${who} uses this depot`, pid === null ? {} : { pid });
}

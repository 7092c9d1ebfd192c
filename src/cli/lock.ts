/**
 * One download at a time into one place. Two processes that write the same file would each believe pieces that the other
 * may overwrite, so the second is told to wait.
 *
 * The lock is flock(2) on a small file in the output folder, named after the data (not the torrent: two torrents may want the
 * same name). The kernel gives it back when the process ends, however it ends, so no lock is ever stale.
 */
import { createHash } from 'node:crypto';
import { type FileHandle, open, stat, unlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { HaulError } from '../errors.js';
import { printable } from './format.js';

const LOCK_EX = 2;
const LOCK_NB = 4;
const EWOULDBLOCK = 11;
/** The file may vanish between opening and locking it, when its owner has just ended. */
const TRIES = 20;

export interface FolderLock {
  /** Idempotent. */
  release(): Promise<void>;
}

/**
 * @returns null where nothing can be locked (a folder that cannot be written, a file system without locks): the download itself
 * will say what is wrong, if anything is.
 * @throws HaulError IN_USE
 */
export async function lockOutput(folder: string, name: string): Promise<FolderLock | null> {
  const flock = loadFlock();
  if (flock === null) return null;
  const path = lockPath(folder, name);
  for (let tries = 0; tries < TRIES; tries++) {
    const handle = await open(path, 'a+', 0o644).catch(() => null);
    if (handle === null) return null;
    const outcome = flock(handle.fd);
    if (outcome === 'locked' && (await isSameFile(handle, path))) {
      await handle.truncate(0);
      await handle.write(`${process.pid}\n`);
      return makeLock(handle, path);
    }
    const owner = outcome === 'busy' ? await readOwner(handle) : '';
    await handle.close();
    if (outcome === 'unknown') return null;
    if (outcome === 'busy') throw inUse(folder, name, owner);
  }
  throw inUse(folder, name, '');
}

/** In the folder itself: every process that can write the data sees it, in whatever container it runs. */
export function lockPath(folder: string, name: string): string {
  return join(folder, `.${createHash('sha1').update(name).digest('hex').slice(0, 16)}.haul-lock`);
}

function makeLock(handle: FileHandle, path: string): FolderLock {
  let isReleased = false;
  return {
    release: async () => {
      if (isReleased) return;
      isReleased = true;
      // While still locked: nobody else can have made it theirs.
      await unlink(path).catch(() => {});
      await handle.close();
    },
  };
}

/** False: what was locked has been removed by the owner before us, and another may lock a new file of that name. */
async function isSameFile(handle: FileHandle, path: string): Promise<boolean> {
  const ours = await handle.stat({ bigint: true });
  const there = await stat(path, { bigint: true }).catch(() => null);
  return there !== null && there.ino === ours.ino && there.dev === ours.dev;
}

async function readOwner(handle: FileHandle): Promise<string> {
  const { buffer, bytesRead } = await handle.read(Buffer.alloc(32), 0, 32, 0);
  return /^\d+/.exec(buffer.toString('latin1', 0, bytesRead))?.[0] ?? '';
}

function inUse(folder: string, name: string, pid: string): HaulError {
  const who = pid === '' ? 'another haul' : `another haul (process ${pid})`;
  const message = `${who} is downloading ${printable(name)} to ${folder}; wait for it, or choose another --output`;
  return new HaulError('IN_USE', message, { path: join(folder, name), ...(pid === '' ? {} : { pid: Number(pid) }) });
}

type Flock = (fd: number) => 'locked' | 'busy' | 'unknown';

function loadFlock(): Flock | null {
  try {
    const koffi = createRequire(import.meta.url)('koffi') as typeof import('koffi');
    const flock = koffi.load(null).func('int flock(int fd, int operation)') as (
      fd: number,
      operation: number,
    ) => number;
    return (fd) => {
      if (flock(fd, LOCK_EX | LOCK_NB) === 0) return 'locked';
      return koffi.errno() === EWOULDBLOCK ? 'busy' : 'unknown';
    };
  } catch {
    return null;
  }
}

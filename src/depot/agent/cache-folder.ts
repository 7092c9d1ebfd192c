/**
 * Where a cache lies on disk, and whose it is. A folder that holds anything else is not taken; one agent at a time.
 *
 *   DIR/swarmhaul-cache          marks it, locked while an agent runs
 *   DIR/names                    what names pointed to (`names-file.ts`)
 *   DIR/small/ab/<sha256>        short blobs, hashed whenever they are read
 *   DIR/blobs/ab/<sha256>/       others: record, torrent, data/<file name>
 *   DIR/tmp/                     what is on its way; swept at the start
 *   DIR/probe                    made and removed, to see whether that can be done
 */
import { constants } from 'node:fs';
import {
  type FileHandle,
  lstat,
  mkdir,
  open,
  readdir,
  realpath,
  rename,
  rm,
  stat,
  statfs,
  unlink,
  writeFile,
} from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fromSystemError, HaulError } from '../../errors.js';
import { isStateName } from '../../metainfo/state-names.js';
import { LOCK_EX, loadFlock } from '../../native/flock.js';
import { forceFile } from '../../storage/force.js';
import { explainNoSpace } from '../../storage/no-space.js';
import { HeldLock } from '../held-lock.js';
import { isOneOf } from '../store/codes.js';
import { checkMounted } from '../store/mounts.js';

const MARK = 'swarmhaul-cache';
const MARK_TEXT = 'Swarmhaul agent cache, format 1. Whatever is in this folder may be removed by the agent.\n';
const HEX64 = /^[0-9a-f]{64}$/;

export class CacheFolder {
  readonly root: string;
  readonly tmp: string;
  readonly names: string;
  readonly probe: string;
  readonly #lock: FileHandle;
  readonly #held: HeldLock;
  #next = 0;

  private constructor(root: string, lock: FileHandle, held: HeldLock) {
    this.root = root;
    this.#held = held;
    this.tmp = join(root, 'tmp');
    this.names = join(root, 'names');
    this.probe = join(root, 'probe');
    this.#lock = lock;
  }

  /** @throws HaulError IN_USE, BAD_ARGUMENT: it holds something else; NO_PERMISSION, READ_ONLY, NO_SPACE, IO */
  static async open(root: string): Promise<CacheFolder> {
    await mkdir(root, { recursive: true, mode: 0o700 }).catch((error: unknown) => {
      throw fromSystemError(error, 'create folder', root);
    });
    const mark = join(root, MARK);
    const there = await readdir(root).catch((error: unknown) => {
      throw fromSystemError(error, 'read', root);
    });
    if (there.length > 0 && !there.includes(MARK)) {
      const text = `the cache ${root}: the folder holds something else; choose an empty one or a new one`;
      throw new HaulError('BAD_ARGUMENT', text, { option: 'cache', path: root });
    }
    if (there.length === 0) await checkMounted(await realpath(root), 'cache');
    const flags = constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW | constants.O_NONBLOCK;
    const lock = await open(mark, flags, 0o600).catch((error: unknown) => {
      throw fromSystemError(error, 'open', mark);
    });
    try {
      if (loadFlock()?.(lock.fd, LOCK_EX) === 'busy')
        throw new HaulError('IN_USE', `the cache ${root} is in use by another agent`, { path: root });
      await lock.truncate(0);
      await lock.write(MARK_TEXT, 0);
      const folder = new CacheFolder(root, lock, await HeldLock.of(root, mark));
      await folder.#prepare();
      return folder;
    } catch (error) {
      await lock.close();
      // What it is about may be in it.
      const { path = root } = error as NodeJS.ErrnoException;
      throw fromSystemError(error, 'open the cache', path);
    }
  }

  async #prepare(): Promise<void> {
    for (const place of [this.tmp, this.probe]) await rm(place, { recursive: true, force: true });
    // A file that is renamed takes the place of anything but a folder.
    const names = await lstat(this.names).catch(() => null);
    if (names?.isDirectory() === true) await rm(this.names, { recursive: true });
    for (const name of ['tmp', 'small', 'blobs']) await mkdir(join(this.root, name), { recursive: true, mode: 0o700 });
  }

  /** Before something is put there. @throws HaulError IO: its disk was unmounted, or another is mounted over it */
  check(): Promise<void> {
    return this.#held.check();
  }

  small(sha256: string): string {
    return join(this.root, 'small', sha256.slice(0, 2), sha256);
  }

  blob(sha256: string): string {
    return join(this.root, 'blobs', sha256.slice(0, 2), sha256);
  }

  record(sha256: string): string {
    return join(this.blob(sha256), 'record');
  }

  torrent(sha256: string): string {
    return join(this.blob(sha256), 'torrent');
  }

  data(sha256: string): string {
    return join(this.blob(sha256), 'data');
  }

  /** Of its disk; 0: nobody knows. */
  async freeBytes(): Promise<number> {
    const { bavail, bsize } = await statfs(this.root).catch(() => ({ bavail: 0, bsize: 0 }));
    return bavail * bsize;
  }

  /** A new place for what is not whole. */
  temporary(): string {
    return join(this.tmp, String(++this.#next));
  }

  /** Makes the folder of a blob. @throws HaulError */
  async make(sha256: string): Promise<void> {
    await this.check();
    const [blob, data] = [this.blob(sha256), this.data(sha256)];
    for (const folder of [dirname(blob), blob, data]) await makeOne(folder);
  }

  /** Replaces a file at once; on the device when it resolves. @throws HaulError */
  async replace(path: string, bytes: string | Uint8Array, isSynced = true): Promise<void> {
    const temporary = this.temporary();
    try {
      const handle = await open(temporary, 'wx', 0o600);
      try {
        await handle.writeFile(bytes);
        if (isSynced) await forceFile(handle);
      } finally {
        await handle.close();
      }
      await rename(temporary, path);
    } catch (error) {
      await unlink(temporary).catch(() => {});
      throw fromSystemError(error, 'write', path);
    }
  }

  /** A short blob. @throws HaulError */
  async writeSmall(sha256: string, bytes: Uint8Array): Promise<void> {
    const place = this.small(sha256);
    const temporary = this.temporary();
    await this.check();
    try {
      await makeOne(dirname(place));
      await writeFile(temporary, bytes, { flag: 'wx', mode: 0o400 });
      await rename(temporary, place);
    } catch (error) {
      await unlink(temporary).catch(() => {});
      throw fromSystemError(error, 'write', place);
    }
  }

  /**
   * All blobs of a kind that are there, whatever their state. What is not named like one is removed.
   * @throws HaulError
   */
  async *list(kind: 'small' | 'blobs'): AsyncGenerator<string> {
    const top = join(this.root, kind);
    const prefixes = await readdir(top).catch((error: unknown) => {
      throw fromSystemError(error, 'read', top);
    });
    // What cannot be removed, as it is another user's, stays: it is in nobody's way, or whoever writes there is told.
    const clear = (place: string): Promise<void> => rm(place, { recursive: true, force: true }).catch(() => {});
    for (const prefix of prefixes) {
      const folder = join(top, prefix);
      const names = await readdir(folder).catch(() => null);
      if (names === null || !/^[0-9a-f]{2}$/.test(prefix)) {
        await clear(folder);
        continue;
      }
      for (const name of names) {
        if (HEX64.test(name) && name.startsWith(prefix)) yield name;
        else await clear(join(folder, name));
      }
    }
  }

  /** Nothing but files: others may have put something else there. */
  async hasOwnData(sha256: string): Promise<boolean> {
    const entries = await readdir(this.data(sha256), { withFileTypes: true }).catch(() => []);
    return entries.every((entry) => entry.isFile());
  }

  /**
   * Of an engine that was killed while it wrote down how far it was; and parts that were fetched by other names.
   * @param fileName of all of it; null: it is not whole
   */
  async sweepData(sha256: string, fileName: string | null): Promise<void> {
    const folder = this.data(sha256);
    for (const name of await readdir(folder).catch(() => [])) {
      const isOther = isStateName(name) ? name.endsWith('.tmp') : fileName !== null && name !== fileName;
      if (isOther) await rm(join(folder, name), { recursive: true, force: true }).catch(() => {});
    }
  }

  /** Takes a blob out of sight at once, then removes it. */
  async remove(sha256: string): Promise<void> {
    for (const place of [this.small(sha256), this.blob(sha256)]) {
      const grave = this.temporary();
      const isGone = await rename(place, grave).then(
        () => true,
        () => false,
      );
      if (isGone) await rm(grave, { recursive: true, force: true }).catch(() => {});
    }
  }

  async close(): Promise<void> {
    await this.#lock.close();
  }
}

/** Without `recursive`, which says of a full disk that there is no such folder. @throws HaulError */
async function makeOne(folder: string): Promise<void> {
  try {
    await mkdir(folder, { mode: 0o700 });
  } catch (error) {
    if (!isOneOf(error, ['EEXIST'])) throw explainNoSpace(fromSystemError(error, 'create folder', folder), folder);
  }
}

/** What the files of a folder really take: a part is full of holes. */
export async function heldBytes(folder: string): Promise<number> {
  const names = await readdir(folder).catch(() => []);
  const sizes = await Promise.all(names.map((name) => stat(join(folder, name)).catch(() => null)));
  return sizes.reduce((sum, status) => sum + (status === null ? 0 : status.blocks * 512), 0);
}

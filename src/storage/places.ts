/**
 * One place on disk has one writer, or any number of readers: two torrents that write one file would each believe
 * pieces that the other overwrites, and a seed would serve what is being written.
 *
 * A place is the real file or folder that a torrent's files lie in, whatever links lead there. Inside this thread a
 * list is kept, which always holds; other threads and processes are met by `owner-lock` and `nested-places`, where
 * locks are to be had.
 */
import { realpath, stat } from 'node:fs/promises';
import { basename, dirname, join, relative, sep } from 'node:path';
import { HaulError } from '../errors.js';
import type { Metainfo } from '../metainfo/metainfo.js';
import { showName } from '../metainfo/paths.js';
import { makeFolder } from './folders.js';
import { findNested } from './nested-places.js';
import { lockPath, lockRoot, type Owner, type OwnerLock } from './owner-lock.js';

export interface Place {
  /** The download is complete: others may read it too. @throws HaulError IN_USE: somebody else took it meanwhile */
  share(): Promise<void>;
  /** Idempotent. */
  release(): Promise<void>;
}

interface Holder {
  readonly metainfo: Metainfo;
  readonly root: string;
  /**
   * Device and inode, of the root and of its folder; null where there is none. Known again where a bind mount or a hard
   * link leads to the same.
   */
  readonly number: string | null;
  readonly folder: string | null;
  isWriting: boolean;
}

const holders = new Set<Holder>();
/** The locks of all holders, with how many each has: thousands of seeds in one folder look at each other's. */
const heldLocks = new Map<string, number>();

function enter(holder: Holder): void {
  const path = lockPath(holder.root);
  holders.add(holder);
  heldLocks.set(path, (heldLocks.get(path) ?? 0) + 1);
}

function leave(holder: Holder): void {
  if (!holders.delete(holder)) return;
  const path = lockPath(holder.root);
  const left = heldLocks.get(path)! - 1;
  if (left > 0) heldLocks.set(path, left);
  else heldLocks.delete(path);
}

/** Of the last one: thousands of seeds may lie in one folder. */
let lastFolder = '';

const NOBODYS: Place = { share: async () => {}, release: async () => {} };

/**
 * For writing the output folder is made, so that the lock can be beside the data.
 * @param isApart it may not lie in the place of another torrent at all, whatever names that one has
 * @throws HaulError IN_USE naming the owner; NO_PERMISSION, NOT_A_DIRECTORY, NO_SPACE, IO
 */
export async function claimPlace(
  metainfo: Metainfo,
  output: string,
  isWriting: boolean,
  isApart = false,
): Promise<Place> {
  if (isWriting) await makeFolder(output);
  const root = await realRoot(metainfo, output);
  // A reader of nothing: the next step says so.
  if (root === null) return NOBODYS;
  const holder: Holder = { metainfo, root, ...(await numbersOf(root)), isWriting };
  for (const other of holders) {
    const isInOther = isApart && (root.startsWith(other.root + sep) || other.root.startsWith(root + sep));
    if (isInOther || ((isWriting || other.isWriting) && isOnePlace(holder, other))) {
      const { infoHashHex, name } = other.metainfo;
      throw inUse(holder, { pid: process.pid, infoHashHex, name, isWriting: other.isWriting }, holder.root, true);
    }
  }
  enter(holder);
  try {
    return new HeldPlace(holder, await lock(holder, isApart));
  } catch (error) {
    leave(holder);
    throw error;
  }
}

class HeldPlace implements Place {
  readonly #holder: Holder;
  readonly #lock: OwnerLock | null;

  constructor(holder: Holder, lock: OwnerLock | null) {
    this.#holder = holder;
    this.#lock = lock;
  }

  async share(): Promise<void> {
    this.#holder.isWriting = false;
    if ((await this.#lock?.share()) === false) throw inUse(this.#holder, null, this.#holder.root);
  }

  async release(): Promise<void> {
    await this.#lock?.release();
    leave(this.#holder);
  }
}

async function lock(holder: Holder, isApart: boolean): Promise<OwnerLock | null> {
  const { metainfo, root, isWriting } = holder;
  const { infoHashHex, name } = metainfo;
  const outcome = await lockRoot(root, { pid: process.pid, infoHashHex, name, isWriting });
  if (outcome?.isTaken === false) throw inUse(holder, outcome.owner, root);
  const isKnown = (path: string): boolean => heldLocks.has(path);
  try {
    const nested = await findNested({ metainfo, root, isWriting, isApart, isKnown });
    if (nested !== null) throw inUse(holder, nested.owner, nested.root);
  } catch (error) {
    await outcome?.lock.release();
    throw error;
  }
  return outcome?.lock ?? null;
}

/** Null: the output folder is not there, or not to be entered. */
async function realRoot({ files }: Metainfo, output: string): Promise<string | null> {
  const folder = await realpath(output).catch(() => null);
  if (folder === null) return null;
  const root = join(folder, files[0]!.path[0]!);
  return realpath(root).catch(() => root);
}

async function numbersOf(root: string): Promise<Pick<Holder, 'number' | 'folder'>> {
  const [own, parent] = await Promise.all(
    [root, dirname(root)].map((path) => stat(path, { bigint: true }).catch(() => null)),
  );
  const folder = parent ? `${parent.dev}:${parent.ino}` : null;
  if (folder !== null && folder !== lastFolder) lastFolder = folder;
  return { number: own ? `${own.dev}:${own.ino}` : null, folder: folder === null ? null : lastFolder };
}

function isOnePlace(a: Holder, b: Holder): boolean {
  if (a.root === b.root || (a.number !== null && a.number === b.number)) return true;
  if (a.folder !== null && a.folder === b.folder && basename(a.root) === basename(b.root)) return true;
  return isInside(a, b) || isInside(b, a);
}

/** One lies in the folder of the other, at a path that the other has too. */
function isInside(inner: Holder, { root, metainfo }: Holder): boolean {
  if (!inner.root.startsWith(root + sep)) return false;
  const below = relative(root, inner.root).split(sep);
  return metainfo.files.some(({ path, isPad }) => {
    const depth = Math.min(below.length, path.length - 1);
    return !isPad && below.slice(0, depth).every((name, at) => name === path[at + 1]);
  });
}

/** @param root the place that is in use: the wanted one, or one around it or in it */
function inUse({ isWriting }: Holder, owner: Owner | null, root: string, isSelf = false): HaulError {
  const process = owner === null ? 'another haul' : `another haul (process ${owner.pid})`;
  const who = isSelf ? 'this program' : process;
  const what = owner === null ? '' : ` ${shown(owner.name)} (info-hash ${owner.infoHashHex})`;
  const folder = dirname(root);
  const use =
    owner === null ? `is using ${root}` : `is ${owner.isWriting ? 'downloading' : 'seeding'}${what} in ${folder}`;
  const wait = owner?.isWriting === false ? 'stop it first' : 'wait for it';
  const message = `${who} ${use}; ${wait}${isWriting ? ', or choose another --output' : ''}`;
  if (owner === null) return new HaulError('IN_USE', message, { path: root });
  return new HaulError('IN_USE', message, {
    path: root,
    pid: owner.pid,
    infoHash: owner.infoHashHex,
    name: owner.name,
  });
}

/** Quoted only where it must be: it may come from a file that anybody could write. */
function shown(name: string): string {
  const quoted = showName(name);
  return quoted === `"${name}"` && !name.includes(' ') ? name : quoted;
}

/**
 * Who uses a place on disk, between processes (and the threads of one): flock(2) on a small file beside the data.
 * Writers hold it alone, readers share it. The kernel gives a lock back when its process ends, however it ends, so none
 * is ever stale. A reader's takes a mapping instead of a descriptor where it can: seeds are many.
 *
 * The file is named after the data, not the torrent: two torrents may want the same name. Each owner has a line in it:
 *   pid info-hash download|seed "name"\n
 * What it says is for messages only: in a folder that others may write anybody could have written it.
 */
import { createHash } from 'node:crypto';
import { constants, fstatSync, statSync, unlinkSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fromSystemError } from '../errors.js';
import { type Flock, type FlockOutcome, LOCK_EX, LOCK_SH, LOCK_UN, loadFlock } from '../native/flock.js';
import { LockMapping } from './lock-mapping.js';
import { isOutOfRoom, whenRoom } from './patience.js';

/** The file may vanish between opening and locking it, when its owner has just ended. */
const TRIES = 40;
/**
 * A reader that leaves holds the lock alone for an instant, to see whether it is the last: only who is refused again is
 * refused.
 */
const REFUSALS = 10;
const PAUSE_MS = 5;
/** The last lines are read: some readers each of which has a name of at most 255 bytes. */
const READ_BYTES = 4096;
const NAME = /^\.[0-9a-f]{16}\.haul-lock$/;
const LINE = /^(\d{1,10}) ([0-9a-f]{40}) (download|seed) (".{0,1600}")$/;
const FLAGS = constants.O_NOFOLLOW | constants.O_NONBLOCK;

export interface Owner {
  readonly pid: number;
  readonly infoHashHex: string;
  readonly name: string;
  readonly isWriting: boolean;
}

export interface OwnerLock {
  /** From a writer to a reader. False: it is lost, and somebody else has it for writing. */
  share(): Promise<boolean>;
  /** Removes the file with the last owner. Idempotent. */
  release(): Promise<void>;
}

/** Null as owner: somebody, who has not said who. */
export type LockOutcome =
  | { readonly isTaken: true; readonly lock: OwnerLock }
  | { readonly isTaken: false; readonly owner: Owner | null };

/**
 * @param root the file or folder to own, a real path; need not exist
 * @returns null where nothing can be locked (a folder that cannot be written, a file system without locks)
 */
export async function lockRoot(root: string, owner: Owner): Promise<LockOutcome | null> {
  const flock = loadFlock();
  if (flock === null) return null;
  const path = lockPath(root);
  let refusals = 0;
  for (let tries = 0; tries < TRIES; tries++) {
    const handle = await openLock(path, constants.O_CREAT);
    if (handle === null) return null;
    const outcome = flock(handle.fd, owner.isWriting ? LOCK_EX : LOCK_SH);
    if (outcome === 'locked' && isSameFile(handle.fd, path)) {
      await sign(handle, owner);
      const lock = new HeldLock(handle, root, owner, flock);
      if (!owner.isWriting) await lock.letGo();
      return { isTaken: true, lock };
    }
    const found = outcome === 'busy' ? await readOwner(handle) : null;
    await handle.close();
    if (outcome === 'unknown') return null;
    if (outcome !== 'busy') continue;
    if (++refusals === REFUSALS) return { isTaken: false, owner: found };
    await delay(PAUSE_MS);
  }
  return { isTaken: false, owner: null };
}

/** In the folder itself: every process that can write the data sees it, in whatever container it runs. */
export function lockPath(root: string): string {
  const name = createHash('sha1').update(basename(root)).digest('hex').slice(0, 16);
  return join(dirname(root), `.${name}.haul-lock`);
}

export function isLockName(name: string): boolean {
  return NAME.test(name);
}

/**
 * Looks whether somebody holds a lock, and takes it for no longer than that.
 * @param isAlone readers count too
 * @param looks so often it must be found held: others look too, and each holds it for an instant
 * @returns null: nobody does, or it cannot be told
 */
export async function findOwner(
  path: string,
  isAlone: boolean,
  looks: number,
): Promise<{ readonly owner: Owner | null } | null> {
  const flock = loadFlock();
  if (flock === null) return null;
  for (let count = 1; ; count++) {
    const handle = await openLock(path, 0);
    if (handle === null) return null;
    const outcome = flock(handle.fd, isAlone ? LOCK_EX : LOCK_SH);
    if (outcome === 'locked') flock(handle.fd, LOCK_UN);
    const owner = outcome === 'busy' ? await readOwner(handle) : null;
    await handle.close();
    if (outcome !== 'busy') return null;
    if (count >= looks) return { owner };
    await delay(PAUSE_MS);
  }
}

/**
 * Null: there is no file of that kind to be had. Somebody else's can at least be looked at and locked.
 * @param creation O_CREAT, or 0
 * @throws HaulError where no file can be opened at all
 */
async function openLock(path: string, creation: number): Promise<FileHandle | null> {
  const flags = FLAGS | constants.O_APPEND | creation | constants.O_RDWR;
  const reading = FLAGS | constants.O_RDONLY;
  const handle = await whenRoom(() => open(path, flags, 0o644)).catch(async (error: unknown) => {
    // That nobody can be asked is no answer.
    if (isOutOfRoom(error)) throw fromSystemError(error, 'lock', path);
    return open(path, reading).catch(() => null);
  });
  if (handle === null) return null;
  // A hard link that somebody made to a file of ours is not to be written.
  const status = await handle.stat().catch(() => null);
  if (status?.isFile() && status.nlink <= 1) return handle;
  await handle.close();
  return null;
}

/** A lock that is held: by its descriptor, or by a mapping of its file alone (`lock-mapping.ts`). */
class HeldLock implements OwnerLock {
  /** Null: the mapping holds it. */
  #handle: FileHandle | null;
  #mapping: LockMapping | null = null;
  /** The descriptor holds the lock as well until it is closed. */
  #closing: Promise<void> | null = null;
  #isReleased = false;
  readonly #root: string;
  /** Null: it is a reader and stays one. */
  #owner: Owner | null;
  readonly #flock: Flock;

  constructor(handle: FileHandle, root: string, owner: Owner, flock: Flock) {
    this.#handle = handle;
    this.#root = root;
    this.#owner = owner;
    this.#flock = flock;
  }

  /** A reader does nothing with its lock but hold it: that takes no descriptor. */
  async letGo(): Promise<void> {
    const handle = this.#handle;
    if (handle === null || this.#isReleased) return;
    const mapping = await LockMapping.of(lockPath(this.#root), handle.fd, () => !this.#isReleased);
    if (mapping === null) return;
    if (this.#isReleased) {
      mapping.close();
      return;
    }
    this.#mapping = mapping;
    this.#handle = null;
    this.#owner = null;
    this.#closing = handle.close().catch(() => {});
    await this.#closing;
    this.#closing = null;
  }

  async share(): Promise<boolean> {
    const handle = this.#handle;
    if (this.#isReleased || handle === null) return true;
    if (this.#owner !== null) await sign(handle, { ...this.#owner, isWriting: false });
    // The number of a closed descriptor may be another file's by now.
    const isShared = await shareLock((operation) => (this.#isReleased ? 'locked' : this.#flock(handle.fd, operation)));
    if (isShared) await this.letGo();
    return isShared;
  }

  async release(): Promise<void> {
    if (this.#isReleased) return;
    this.#isReleased = true;
    if (this.#closing !== null) await this.#closing;
    this.#mapping?.close();
    // Without a descriptor the file stays: it is locked by nobody, and whoever comes next takes it.
    const path = lockPath(this.#root);
    const handle = this.#handle ?? (await openLock(path, 0).catch(() => null));
    if (handle === null) return;
    // Of several readers that leave at once the last to ask gets it: each has given up its share before it asks for
    // all.
    const isLast = this.#flock(handle.fd, LOCK_EX) === 'locked';
    // While still locked: nobody else can have made it theirs. At once: who comes meanwhile finds it busy.
    if (isLast) removeQuietly(handle.fd, path);
    await handle.close().catch(() => {});
  }
}

/**
 * The kernel gives the whole lock up before it takes the lesser one, and somebody may be quicker: who only looks has it
 * for an instant. False: somebody keeps it. Where it cannot be told nothing is lost.
 */
export async function shareLock(flock: (operation: number) => FlockOutcome): Promise<boolean> {
  for (let refusals = 0; refusals < REFUSALS; refusals++) {
    if (flock(LOCK_SH) !== 'busy') return true;
    await delay(PAUSE_MS);
  }
  return false;
}

function removeQuietly(fd: number, path: string): void {
  try {
    if (isSameFile(fd, path)) unlinkSync(path);
  } catch {}
}

/** False: what was locked has been removed by the owner before us, and another may lock a new file of that name. */
function isSameFile(fd: number, path: string): boolean {
  const ours = fstatSync(fd, { bigint: true });
  const there = statSync(path, { bigint: true, throwIfNoEntry: false });
  return there !== undefined && there.ino === ours.ino && there.dev === ours.dev;
}

/**
 * A writer is alone and leaves no line but its own. That it cannot be written (another user's file) harms nothing but
 * messages.
 */
async function sign(handle: FileHandle, { pid, infoHashHex, name, isWriting }: Owner): Promise<void> {
  const line = `${pid} ${infoHashHex} ${isWriting ? 'download' : 'seed'} ${JSON.stringify(name)}\n`;
  try {
    if (isWriting) await handle.truncate(0);
    await handle.appendFile(line);
  } catch {}
}

/** The last of them that lives, or else the last. */
async function readOwner(handle: FileHandle): Promise<Owner | null> {
  try {
    const { size } = await handle.stat();
    const { buffer, bytesRead } = await handle.read(
      Buffer.alloc(READ_BYTES),
      0,
      READ_BYTES,
      Math.max(0, size - READ_BYTES),
    );
    const owners = buffer.toString('utf8', 0, bytesRead).split('\n').flatMap(parseLine);
    return owners.findLast(({ pid }) => isAlive(pid)) ?? owners.at(-1) ?? null;
  } catch {
    return null;
  }
}

function parseLine(line: string): Owner[] {
  const [, pid, infoHashHex, mode, name] = LINE.exec(line) ?? [];
  if (name === undefined) return [];
  try {
    return [{ pid: Number(pid), infoHashHex: infoHashHex!, isWriting: mode === 'download', name: JSON.parse(name) }];
  } catch {
    return [];
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

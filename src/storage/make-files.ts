/**
 * Makes the files of a torrent, after all that is there was looked at: folders, files with their space, links; longer
 * ones of ours are cut.
 * Invariants: what fails leaves what was there as it was. What was not looked at is not changed: a missing file is made
 * by whoever makes it first (O_EXCL), one that was there must be the same still, and what was opened lies below the
 * output folder, whatever became of the folders on the way to it. A file that is not opened here, for it is whole, is
 * compared when it is noted (`Identities.note`): which file each one is, is the result.
 */
import { type BigIntStats, constants, fstatSync, type StatsFs } from 'node:fs';
import { chmod, type FileHandle, mkdir, open, rmdir, stat, symlink, unlink } from 'node:fs/promises';
import { fromSystemError, HaulError } from '../errors.js';
import type { FileEntry } from '../metainfo/metainfo.js';
import * as mmap from '../native/mmap-io.js';
import { forEachConcurrently } from './concurrently.js';
import { isBelow, nameOf } from './kernel-names.js';
import { whenRoom } from './patience.js';
import type { FileState, Survey } from './survey.js';

/** One reservation call: short enough to see a full disk early. */
const RESERVE_STEP_BYTES = 1024 ** 3;
/** Files made at the same time; libuv has four threads. */
const AT_ONCE = 8;

const { O_RDONLY, O_RDWR, O_CREAT, O_EXCL, O_NOFOLLOW, O_NONBLOCK } = constants;
/** A pipe or a link that took the place of a file is neither waited for nor followed. */
const OLD = O_RDWR | O_NOFOLLOW | O_NONBLOCK;
/** Whole already: it may be protected against writing. */
const WHOLE = O_RDONLY | O_NOFOLLOW | O_NONBLOCK;
const NEW = O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW;
/** What a system call says when somebody was there between our look and it. */
const CHANGED: ReadonlySet<unknown> = new Set(['EEXIST', 'ENOENT', 'ENOTDIR', 'ELOOP', 'EISDIR', 'ENXIO']);

export interface MakeTask {
  readonly found: Survey;
  readonly volume: StatsFs;
  /** Of what is free there, so much is promised to others. Default: 0. */
  readonly promisedBytes?: number;
  readonly output: string;
  readonly entry: (file: number) => FileEntry;
  /** Where the file really is. */
  readonly path: (file: number) => string;
  /** It may be longer than needed. */
  readonly partFile: number;
  readonly reserve: boolean;
  /** Default: all is reserved here. */
  readonly upFront?: UpFront;
  /** False: the file system gives files new numbers at will. */
  readonly hasInodes: boolean;
  /** The time of change of a file is that of the last write. Default false. */
  readonly isExact?: boolean;
  /** Files that are nobody's, for they hold nothing: as long as they do. Default: none. */
  readonly empty?: ReadonlySet<number>;
}

/** Where reserving is dear: so much of it is done at once, the rest is left to `Reserver`. */
export interface UpFront {
  leftBytes: number;
  readonly rest: Unreserved[];
}

/** A new file: only its first `reservedBytes` have space behind them. */
export interface Unreserved {
  readonly file: number;
  readonly reservedBytes: number;
  /** Of the whole file. */
  readonly lengthBytes: number;
}

/** Which file it is. */
interface Id {
  readonly device: number;
  readonly inode: number;
}

export interface MadeFile extends Id {
  /** Its time of change, where a later one means that somebody has written into it. */
  readonly mtimeNs: bigint | null;
}

/** By file; empty where the file system does not tell. */
export type Made = ReadonlyMap<number, MadeFile>;

interface Work extends MakeTask {
  /** What takes back what was done, in order. */
  readonly undo: (() => Promise<void>)[];
  readonly made: Map<number, MadeFile>;
  /** Files that have several names in this torrent: see `keyOf`. */
  readonly twins: ReadonlySet<string>;
}

/** What is not as it was looked at. */
export class Changed extends Error {
  readonly path: string;

  constructor(path: string, cause?: unknown) {
    super(`${path} is not what it was a moment ago`, { cause });
    this.path = path;
  }
}

/** @returns the files, or what is not as it was looked at: then nothing was changed. @throws HaulError */
export async function makeFiles(task: MakeTask): Promise<Made | Changed> {
  const { found, output, reserve, hasInodes } = task;
  if (reserve) checkFreeSpace(task);
  const work: Work = { ...task, undo: [], made: new Map(), twins: twinsOf(found.files) };
  const { undo, made } = work;
  try {
    for (const folder of found.missingFolders) {
      await mkdir(folder).catch(changed(folder));
      undo.push(() => rmdir(folder));
    }
    await forEachConcurrently(found.files, AT_ONCE, (state) => makeFile(work, state));
    for (const { path, target } of found.missingLinks) {
      await symlink(target, path).catch(changed(path));
      undo.push(() => unlink(path));
    }
    // Last, for this cannot be undone.
    await forEachConcurrently(found.files, AT_ONCE, (state) => cut(work, state));
    return hasInodes ? made : new Map();
  } catch (error) {
    for (const step of undo.reverse()) await step().catch(() => {});
    if (error instanceof Changed) return error;
    throw fromSystemError(error, 'create', output);
  }
}

function keyOf({ device, inode }: Id): string {
  return `${device}:${inode}`;
}

function twinsOf(states: readonly FileState[]): Set<string> {
  const [seen, twins] = [new Set<string>(), new Set<string>()];
  for (const state of states) {
    if (!state.exists) continue;
    const key = keyOf(state);
    if (seen.has(key)) twins.add(key);
    seen.add(key);
  }
  return twins;
}

/** A longer file of ours, an earlier version: to the length that the torrent says. */
async function cut(task: Work, state: FileState): Promise<void> {
  const wanted = task.entry(state.file).lengthBytes;
  if (state.lengthBytes <= wanted || state.file === task.partFile) return;
  const path = task.path(state.file);
  try {
    const handle = await openSeen(task, state, path);
    await handle.truncate(wanted).finally(() => handle.close());
  } catch (error) {
    if (error instanceof Changed) throw error;
    throw fromSystemError(error, 'cut', path);
  }
}

async function makeFile(work: Work, state: FileState): Promise<void> {
  const { reserve, undo, made } = work;
  const entry = work.entry(state.file);
  const path = work.path(state.file);
  if (state.exists) made.set(state.file, { ...state, mtimeNs: isWatched(work, state) ? state.mtimeNs : null });
  const isReserved = !reserve || state.allocatedBytes >= entry.lengthBytes;
  if (state.exists && state.lengthBytes >= entry.lengthBytes && isReserved) return lookAgain(work, state, path);
  try {
    const handle = await openSeen(work, state, path, OLD, entry.isExecutable ? 0o777 : 0o666);
    let status = fstatSync(handle.fd, { bigint: true });
    undo.push(() => undoFile(work, state, path, status));
    try {
      if (reserve) await reserveSpace(handle.fd, nowOf(work, state, entry.lengthBytes));
      if ((await handle.stat()).size < entry.lengthBytes) await handle.truncate(entry.lengthBytes);
    } finally {
      status = fstatSync(handle.fd, { bigint: true });
      await handle.close();
    }
    const mtimeNs = isWatched(work, state) ? status.mtimeNs : null;
    made.set(state.file, { device: Number(status.dev), inode: Number(status.ino), mtimeNs });
    if (entry.isExecutable && state.exists) await makeExecutable(path);
  } catch (error) {
    if (error instanceof Changed) throw error;
    if ((error as { code?: unknown }).code === 'ENOSPC') throw noSpace(path, entry.lengthBytes, error);
    throw fromSystemError(error, 'reserve space for', path);
  }
}

/**
 * How much of a file is reserved here: all of one that was there, for later nobody could tell what of it was written
 * and lost.
 */
function nowOf({ upFront, partFile }: Work, { file, exists }: FileState, lengthBytes: number): number {
  if (upFront === undefined || exists || file === partFile) return lengthBytes;
  const nowBytes = Math.min(lengthBytes, upFront.leftBytes);
  upFront.leftBytes -= nowBytes;
  if (nowBytes < lengthBytes) upFront.rest.push({ file, reservedBytes: nowBytes, lengthBytes });
  return nowBytes;
}

/**
 * A whole file is not changed here, but it will be written to. Where files have numbers, the one that is noted is
 * compared instead.
 */
async function lookAgain(work: Work, state: FileState, path: string): Promise<void> {
  if (work.hasInodes) return;
  try {
    await (await openSeen(work, state, path, WHOLE)).close();
  } catch (error) {
    if (error instanceof Changed) throw error;
    throw fromSystemError(error, 'open', path);
  }
}

/** Of the file that we made or lengthened, and of no other that has its name now; not what others wrote there since. */
async function undoFile(task: MakeTask, state: FileState, path: string, made: BigIntStats): Promise<void> {
  const handle = await open(path, OLD);
  try {
    const { dev, ino, mtimeNs } = fstatSync(handle.fd, { bigint: true });
    if (task.hasInodes && (dev !== made.dev || ino !== made.ino)) return;
    if (task.isExact === true && mtimeNs !== made.mtimeNs) return;
    await (state.exists ? handle.truncate(state.lengthBytes) : unlink(path));
  } finally {
    await handle.close();
  }
}

/**
 * The very file that was looked at, or a new one where there was none.
 * @param old how one that is there is opened
 * @throws Changed
 */
async function openSeen(task: Work, state: FileState, path: string, old = OLD, mode = 0o666): Promise<FileHandle> {
  const handle = await whenRoom(() => open(path, state.exists ? old : NEW, mode)).catch(changed(path));
  const real = nameOf(handle.fd);
  const isInside = real === null || isBelow(task.found.root, real);
  if (isInside && (!state.exists || isSame(task, state, handle.fd))) return handle;
  await handle.close();
  // Made a moment ago, behind a link that took the place of a folder.
  if (!state.exists && real !== null) await unlink(real).catch(() => {});
  throw new Changed(path);
}

function isSame(work: Work, state: FileState, fd: number): boolean {
  const { hasInodes, entry, twins } = work;
  const { file, device, inode, lengthBytes } = state;
  const status = fstatSync(fd, { bigint: true });
  if (!status.isFile()) return false;
  if (hasInodes && (Number(status.dev) !== device || Number(status.ino) !== inode)) return false;
  if (isWatched(work, state) && status.mtimeNs !== state.mtimeNs) return false;
  // What somebody added must be neither cut nor written over; we lengthen a file under another name that it has in this
  // torrent.
  const mayHaveGrown = lengthBytes <= entry(file).lengthBytes && twins.has(keyOf(state));
  const sizeBytes = Number(status.size);
  return sizeBytes === lengthBytes || (mayHaveGrown && sizeBytes > lengthBytes);
}

/** It held nothing when it was looked at, and nobody is to write into it but through this one name. */
function isWatched({ isExact, empty, twins }: Work, state: FileState): boolean {
  return isExact === true && empty?.has(state.file) === true && !twins.has(keyOf(state));
}

function changed(path: string): (error: NodeJS.ErrnoException) => never {
  return (error) => {
    throw CHANGED.has(error.code) ? new Changed(path, error) : error;
  };
}

/** Execution for whoever may read, as `chmod +x` under a usual umask does. */
async function makeExecutable(path: string): Promise<void> {
  const { mode } = await stat(path);
  await chmod(path, (mode & 0o777) | ((mode & 0o444) >> 2));
}

export function noSpace(where: string, bytes: number, cause?: unknown): HaulError {
  const message = `no space for ${where}: ${bytes} bytes are needed; free some or choose another folder`;
  return new HaulError('NO_SPACE', message, { path: where, neededBytes: bytes }, cause);
}

/** Says no before the disk is full. Blocks of 0 mean a file system that does not count (an unlimited tmpfs). */
function checkFreeSpace({ output, found, volume, promisedBytes = 0 }: MakeTask): void {
  const { bavail, blocks, bsize } = volume;
  const freeBytes = Math.max(0, bavail * bsize - promisedBytes);
  if (blocks === 0 || found.neededBytes <= freeBytes) return;
  const message = `no space in ${output}: ${found.neededBytes} bytes are needed, ${freeBytes} are free`;
  const largest = found.largestPath;
  throw new HaulError('NO_SPACE', `${message} (largest file: ${largest})`, {
    path: output,
    largest,
    neededBytes: found.neededBytes,
    freeBytes,
  });
}

/**
 * Reserves [0, length) without writing. File systems that cannot are left to `truncate`; `choose` sends those to
 * positional storage.
 */
async function reserveSpace(fd: number, lengthBytes: number): Promise<void> {
  if (!mmap.isSupported()) return;
  for (let at = 0; at < lengthBytes; ) {
    const part = Math.min(RESERVE_STEP_BYTES, lengthBytes - at);
    try {
      await mmap.fallocate(fd, at, part);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'EINTR') continue;
      if (code === 'EOPNOTSUPP' || code === 'ENOTSUP' || code === 'ENOSYS') return;
      throw error;
    }
    at += part;
  }
}

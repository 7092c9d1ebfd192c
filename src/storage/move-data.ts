/**
 * Moves what a torrent has on disk to another folder. Whatever ends it, the data is whole in one of the two places:
 *
 *   old: data, record     new: .haul-moving                  with a copy in it, where the root cannot be renamed
 *   old: data, record     new: .haul-moving, record          which is good for what is about to come
 *   ---- one rename: of the copy, or of the data itself ----
 *   old: (data), record   new: .haul-moving, data, record
 *   old: -                new: data, record
 *
 * Before the rename all is undone when it fails or is stopped; after it what is left here is taken away. The hidden
 * folder of a move that was killed tells the next one that record and part file beside it are nobody's.
 * Invariants: nothing at the new place is replaced. A file is removed from the old place only if it is the one that was
 * looked at and was not written since. Both places are held alone all the while.
 */
import { link, lstat, mkdir, open, readlink, rename, rm, rmdir, stat, statfs, symlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fromSystemError, HaulError } from '../errors.js';
import { partFileName } from '../metainfo/layout.js';
import type { Metainfo } from '../metainfo/metainfo.js';
import { stateName } from '../metainfo/state-names.js';
import { fileSystemOf } from '../native/file-systems.js';
import { renameToNew } from '../native/mmap-io.js';
import { ABSENT, type FileStamp, isUnchanged } from '../work/file-stamp.js';
import { copyFile } from './copy-file.js';
import { FILES_ONE_BY_ONE, forceFileSystem, forceFolder } from './force.js';
import { keptTorrentPath, saveKeptTorrent } from './kept-torrent.js';
import { foldersOf, isAllOurs, type MovePlan, type MoveQuestion, planMove } from './move-plan.js';
import { mayMove, taken } from './move-target.js';
import { claimPlace, type Place } from './places.js';
import { removeFile, removeFolders, removeLink, stateFiles } from './remove-data.js';
import { partFilePath, resumePath, saveResume } from './resume.js';
import type { SpaceLedger } from './space-ledger.js';
import { stampOf } from './stamp-files.js';

/** What has just been done; `copied` and `removed` once for each file. */
export type MoveStep = 'begun' | 'copied' | 'built' | 'part' | 'recorded' | 'renamed' | 'removed' | 'tidied';

export interface MoveOptions extends MoveQuestion {
  /** The folder that receives the data; made when missing. */
  readonly to: string;
  /** Heeded until the rename. */
  readonly signal: AbortSignal;
  /** Bytes that are at the new place, of those that are moved. What it throws ends the move. */
  readonly onProgress?: ((doneBytes: number, totalBytes: number) => void) | undefined;
  readonly space?: SpaceLedger | undefined;
  /** For tests. */
  readonly onStep?: ((step: MoveStep) => void) | undefined;
}

export interface MovedData {
  /** Paths in the old place that stayed: not known for the torrent's own, written meanwhile, or not to be removed. */
  readonly kept: readonly string[];
  /** By file, as they are now; null: a seed must hash them again. */
  readonly stamps: readonly FileStamp[] | null;
}

/**
 * @returns null: both are one place, nothing is moved
 * @throws HaulError BAD_ARGUMENT (the new place is inside the old one), FILE_EXISTS, IN_USE, NO_SPACE, BAD_DATA,
 * ABORTED, and what else the disks say: then all is where it was
 */
export async function moveData(options: MoveOptions): Promise<MovedData | null> {
  const { metainfo, from, to, isSeed } = options;
  if (!(await mayMove(metainfo, from, to))) return null;
  if (!isSeed && (await lookAt(from)) === null) return { kept: [], stamps: null };
  const made = await missingFolders(to);
  const places: Place[] = [];
  let isMoved = false;
  try {
    places.push(await claimPlace(metainfo, from, true));
    places.push(await claimPlace(metainfo, to, true, true));
    const moved = await new Move(options, await planMove(options)).run();
    isMoved = true;
    return moved;
  } finally {
    for (const place of places.reverse()) await place.release();
    if (!isMoved) for (const folder of made) await rmdir(folder).catch(() => {});
  }
}

class Move {
  readonly #options: MoveOptions;
  readonly #plan: MovePlan;
  readonly #moved: ReadonlySet<number>;
  /** Hidden, at the new place. */
  readonly #stage: string;
  readonly #partFile: number;
  readonly #totalBytes: number;
  #doneBytes = 0;
  /** At the new place. */
  #stamps: FileStamp[] = [];
  #isOneDevice = false;
  #isCommitted = false;
  readonly #undo: (() => Promise<unknown>)[] = [];

  constructor(options: MoveOptions, plan: MovePlan) {
    this.#options = options;
    this.#plan = plan;
    const { metainfo, to } = options;
    this.#partFile = metainfo.files.length;
    this.#stage = join(to, stateName(metainfo.infoHashHex, 'moving'));
    const files = plan.stamps.flatMap(({ sizeBytes }, file) => (sizeBytes >= 0 ? [file] : []));
    this.#totalBytes = files.reduce((sum, file) => sum + plan.stamps[file]!.sizeBytes, 0);
    this.#moved = new Set([...files.filter((file) => file !== this.#partFile), ...plan.links]);
  }

  async run(): Promise<MovedData> {
    const { metainfo, from, to } = this.#options;
    const { kept, stamps, verdict } = this.#plan;
    if (this.#moved.size === 0) return { kept, stamps: null };
    const [{ dev: oldDevice }, { dev: newDevice }] = await Promise.all([stat(from), stat(to)]);
    this.#isOneDevice = oldDevice === newDevice && stamps.every(isOn(BigInt(oldDevice)));
    let isRename = this.#isOneDevice && (await isAllOurs(metainfo, from, this.#moved));
    try {
      if (isRename) isRename = await this.#attempt(true);
      if (!isRename) await this.#attempt(false);
    } catch (error) {
      await this.#takeBack();
      throw fromSystemError(error, 'move the data to', to);
    }
    const left = await this.#takeAway(isRename);
    const isKnown = verdict !== null || this.#plan.isUnchanged;
    return { kept: [...kept, ...left].sort(), stamps: isKnown ? this.#stamps : null };
  }

  /** False: the root cannot be renamed after all (overlayfs, a bind mount), and nothing was done. */
  async #attempt(isRename: boolean): Promise<boolean> {
    await this.#begin();
    await this.#checkSpace(isRename);
    this.#stamps = [...this.#plan.stamps];
    if (!isRename) await this.#build();
    await this.#placePartFile();
    await this.#record();
    this.#checkAborted();
    if (isRename) this.#advance(this.#totalBytes - this.#doneBytes);
    try {
      await this.#commit(isRename);
    } catch (error) {
      if (!isRename || (error as NodeJS.ErrnoException).code !== 'EXDEV') throw error;
      await this.#takeBack();
      this.#doneBytes = 0;
      return false;
    }
    return isRename;
  }

  async #begin(): Promise<void> {
    const { metainfo, to, isSeed } = this.#options;
    const own = isSeed ? [] : recordFiles(metainfo, to);
    if ((await lookAt(this.#stage)) !== null) {
      // Of a move that was killed before its rename.
      for (const path of own) await rm(path, { force: true });
      await rm(this.#stage, { recursive: true });
    }
    const part = join(to, partFileName(metainfo));
    if ((await lookAt(part)) !== null) {
      const message = `${part} holds data of this torrent; move it away, or choose another folder`;
      throw new HaulError('FILE_EXISTS', message, { path: part });
    }
    await mkdir(this.#stage, { mode: 0o700 });
    this.#undo.push(() => rm(this.#stage, { recursive: true, force: true }));
    await forceFolder(to);
    this.#step('begun');
  }

  /** Where a file is not copied but gets another name for a while. */
  #isLinked(file: number): boolean {
    return this.#isOneDevice && file !== this.#partFile && this.#plan.isWhole(file);
  }

  async #checkSpace(isRename: boolean): Promise<void> {
    const { to, space } = this.#options;
    let neededBytes = 0;
    this.#plan.stamps.forEach(({ sizeBytes }, file) => {
      const isCopied = file === this.#partFile || (!isRename && !this.#isLinked(file));
      if (isCopied && sizeBytes > 0) neededBytes += sizeBytes;
    });
    const { bavail, bsize, blocks } = await statfs(to);
    const promised = space?.promisedBytes((await stat(to)).dev) ?? 0;
    const freeBytes = Math.max(0, bavail * bsize - promised);
    // Blocks of 0: the file system does not count.
    if (blocks === 0 || neededBytes <= freeBytes) return;
    const message = `no space in ${to}: ${neededBytes} bytes are needed, ${freeBytes} are free`;
    throw new HaulError('NO_SPACE', message, { path: to, neededBytes, freeBytes });
  }

  async #build(): Promise<void> {
    const { metainfo, from } = this.#options;
    const folders = foldersOf(metainfo, this.#moved);
    for (const folder of folders) {
      const { mode } = await stat(join(from, ...folder));
      await mkdir(join(this.#stage, ...folder), { mode: (mode & 0o777) | 0o700 });
    }
    for (const file of this.#moved) {
      this.#checkAborted();
      const { path, symlinkPath } = metainfo.files[file]!;
      const [source, target] = [join(from, ...path), join(this.#stage, ...path)];
      if (symlinkPath !== null) await symlink(await readlink(source), target);
      else await this.#bring(file, source, target);
      this.#step('copied');
    }
    if (folders.length > FILES_ONE_BY_ONE) await this.#forceAll(folders);
    else for (const folder of [[], ...folders]) await forceFolder(join(this.#stage, ...folder));
    this.#step('built');
  }

  async #forceAll(folders: readonly string[][]): Promise<void> {
    const handle = await open(this.#stage, 'r');
    const isDone = await forceFileSystem(handle.fd).finally(() => handle.close());
    if (!isDone) for (const folder of folders) await forceFolder(join(this.#stage, ...folder));
  }

  async #bring(file: number, source: string, target: string): Promise<void> {
    const seen = this.#plan.stamps[file]!;
    const isLinked =
      this.#isLinked(file) && (await lookAt(source))?.isFile() === true && (await tryLink(source, target));
    if (isLinked) this.#advance(seen.sizeBytes);
    else {
      await copyFile({
        from: source,
        to: target,
        seen,
        hasInodes: await hasInodes(this.#options.from),
        signal: this.#options.signal,
        onBytes: (bytes) => this.#advance(bytes),
      });
    }
    const now = stampOf(await lstat(target, { bigint: true }));
    if (isLinked && !isUnchanged(now, seen)) {
      throw new HaulError('BAD_DATA', `${source} was changed while it was moved`, { path: source });
    }
    this.#stamps[file] = now;
  }

  /** It has a name of its own beside the root: copied, so that one rename decides about all. */
  async #placePartFile(): Promise<void> {
    const { metainfo, from, to } = this.#options;
    if (this.#plan.stamps[this.#partFile]!.sizeBytes < 0) return;
    const name = partFileName(metainfo);
    const staged = join(this.#stage, name);
    await this.#bring(this.#partFile, join(from, name), staged);
    this.#undo.push(() => rm(join(to, name), { force: true }));
    await rename(staged, join(to, name));
    this.#step('part');
  }

  async #record(): Promise<void> {
    const { metainfo, to, selection } = this.#options;
    const { verdict } = this.#plan;
    if (verdict === null) return;
    const canTell = await hasInodes(to);
    const stamps = canTell ? this.#stamps : this.#stamps.map((stamp) => ({ ...stamp, device: 0n, inode: 0n }));
    const { trusted: synced, recheck, unfinished } = verdict;
    this.#undo.push(() => Promise.all(recordFiles(metainfo, to).map((path) => rm(path, { force: true }))));
    await saveResume(metainfo, to, { synced, isClean: recheck.count === 0, unfinished, stamps }, selection);
    await this.#keepTorrent();
    this.#step('recorded');
  }

  /** What a magnet's peers said goes along. */
  async #keepTorrent(): Promise<void> {
    const { metainfo, from, to } = this.#options;
    if ((await lookAt(keptTorrentPath(metainfo.infoHashHex, from))) === null) return;
    const kept = keptTorrentPath(metainfo.infoHashHex, to);
    if ((await lookAt(kept)) === null) this.#undo.push(() => rm(kept, { force: true }));
    await saveKeptTorrent(metainfo, to);
  }

  async #commit(isRename: boolean): Promise<void> {
    const { metainfo, from, to } = this.#options;
    const root = metainfo.files[0]!.path[0]!;
    const source = isRename ? from : this.#stage;
    await renameNew(join(source, root), join(to, root));
    this.#isCommitted = true;
    this.#step('renamed');
  }

  /** @returns what stays */
  async #takeAway(isRename: boolean): Promise<string[]> {
    const { metainfo, from, to, isSeed } = this.#options;
    const kept: string[] = [];
    const isForced = await Promise.all([to, isRename ? from : to].map(forceFolder)).then(
      () => true,
      () => false,
    );
    for (const file of isRename ? [] : this.#moved) {
      const entry = metainfo.files[file]!;
      const path = join(from, ...entry.path);
      const outcome = isForced ? await this.#removeOld(file, path).catch(() => 'kept') : 'kept';
      if (outcome === 'kept') kept.push(path);
      this.#step('removed');
    }
    for (const path of isSeed || !isForced ? [] : stateFiles(metainfo, from))
      await rm(path, { force: true }).catch(() => {});
    if (!isRename) await removeFolders(metainfo, from);
    await rm(this.#stage, { recursive: true, force: true }).catch(() => {});
    this.#step('tidied');
    return kept;
  }

  async #removeOld(file: number, path: string): Promise<string> {
    const { metainfo } = this.#options;
    const entry = metainfo.files[file]!;
    if (entry.symlinkPath !== null) return removeLink(path, entry);
    const seen = this.#plan.stamps[file]!;
    const now = await lstat(path, { bigint: true }).then(stampOf, () => ABSENT);
    return isUnchanged(now, seen) ? removeFile(path, seen, metainfo) : 'kept';
  }

  async #takeBack(): Promise<void> {
    if (this.#isCommitted) return;
    for (const step of this.#undo.splice(0).reverse()) await step().catch(() => {});
  }

  #advance(bytes: number): void {
    this.#doneBytes += bytes;
    this.#options.onProgress?.(this.#doneBytes, this.#totalBytes);
  }

  #checkAborted(): void {
    const { signal, metainfo } = this.#options;
    if (signal.aborted) throw new HaulError('ABORTED', `move ${metainfo.name}: it was stopped, all is where it was`);
  }

  #step(step: MoveStep): void {
    this.#options.onStep?.(step);
  }
}

/** What a move that is undone leaves nothing of. */
function recordFiles(metainfo: Metainfo, folder: string): readonly string[] {
  const record = resumePath(metainfo, folder);
  return [record, `${record}.tmp`, partFilePath(metainfo, folder)];
}

function isOn(device: bigint): (stamp: FileStamp) => boolean {
  return ({ device: own, sizeBytes }) => sizeBytes < 0 || own === device;
}

function lookAt(path: string) {
  return lstat(path).catch(() => null);
}

/** False where there are no hard links, or no more of this file. */
function tryLink(from: string, to: string): Promise<boolean> {
  return link(from, to).then(
    () => true,
    () => false,
  );
}

/** rename(2) replaces what has the name; where the kernel cannot do without, a look comes first. */
async function renameNew(from: string, to: string): Promise<void> {
  try {
    await renameToNew(from, to);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') throw taken(to);
    if (code !== 'ENOSYS' && code !== 'EINVAL') throw error;
    if ((await lookAt(to)) !== null) throw taken(to);
    await rename(from, to);
  }
}

async function hasInodes(folder: string): Promise<boolean> {
  return fileSystemOf((await statfs(folder)).type).makesUpInodes !== true;
}

/** The innermost first. */
async function missingFolders(folder: string): Promise<string[]> {
  const missing: string[] = [];
  for (let at = folder; (await lookAt(at)) === null && dirname(at) !== at; at = dirname(at)) missing.push(at);
  return missing;
}

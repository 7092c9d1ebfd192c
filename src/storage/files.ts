/**
 * The files of one torrent in the output folder: where they are, making them, reserving their space.
 * Invariant: nothing outside the output folder is touched, and a failed `prepare` leaves what was there as it was.
 */
import { constants, type StatsFs } from 'node:fs';
import { chmod, mkdir, open, realpath, rmdir, stat, statfs, symlink, truncate, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fromSystemError, HaulError } from '../errors.js';
import type { FileEntry, Metainfo } from '../metainfo/metainfo.js';
import type { Selection } from '../metainfo/selection.js';
import { forEachConcurrently } from './concurrently.js';
import { Descriptors } from './descriptors.js';
import { fileSystemOf } from './file-systems.js';
import { makeFolder } from './folders.js';
import { refuseForeign } from './foreign.js';
import { Identities } from './identities.js';
import { FileLayout, partFileName } from './layout.js';
import * as mmap from './mmap-io.js';
import { refuseOneFile } from './one-file.js';
import type { PrepareRequest } from './port.js';
import { stampedFiles } from './stamp-files.js';
import { type FileState, type Survey, survey } from './survey.js';

/** One reservation call: short enough to see a full disk early. */
const RESERVE_STEP_BYTES = 1024 ** 3;
/** Files looked at or made at the same time; libuv has four threads. */
const AT_ONCE = 8;

export interface PrepareOptions extends PrepareRequest {
  /** False: files get their length without space behind it. For file systems that cannot reserve, and for tests. */
  readonly reserve?: boolean;
}

export class DataFiles {
  readonly metainfo: Metainfo;
  readonly output: string;
  readonly layout: FileLayout;
  readonly #selection: Selection | null;
  readonly #isSerial: boolean;
  readonly #realPaths = new Map<number, string>();
  #descriptors: Descriptors | null = null;
  #identities: Identities | null = null;
  #hasNoDevice = false;

  /**
   * @param selection files left out are neither made nor looked at; null: all are stored
   * @param isSerial writes never overlap, for there is one worker
   */
  constructor(metainfo: Metainfo, output: string, selection: Selection | null = null, isSerial = false) {
    this.metainfo = metainfo;
    this.output = output;
    this.layout = new FileLayout(metainfo, selection);
    this.#selection = selection;
    this.#isSerial = isSerial;
  }

  /** The part file is one of them. */
  path(file: number): string {
    return this.#realPaths.get(file) ?? join(this.output, ...this.#entry(file).path);
  }

  get descriptors(): Descriptors {
    if (this.#descriptors === null) throw new Error('files are used before prepare');
    return this.#descriptors;
  }

  get identities(): Identities {
    if (this.#identities === null) throw new Error('files are used before prepare');
    return this.#identities;
  }

  /** @throws HaulError when what was opened is not the file that `prepare` saw */
  checkOpen(file: number, fd: number): void {
    this.identities.checkOpen(file, fd);
  }

  /** True: what is written stays in memory whatever one does, as on tmpfs. */
  get hasNoDevice(): boolean {
    return this.#hasNoDevice;
  }

  /**
   * See `Storage.prepare`. Nothing is changed before it is clear that all that is there may be.
   * @throws HaulError FILE_EXISTS, NO_SPACE, NO_PERMISSION, NOT_A_DIRECTORY, NOT_FOUND, BAD_DATA, IO
   */
  async prepare(options: PrepareOptions): Promise<void> {
    const { forWriting } = options;
    await prepareOutput(this.output, forWriting);
    const { partFile, partFileBytes } = this.layout;
    const found = await survey({
      files: partFileBytes > 0 ? [...this.metainfo.files, this.#entry(partFile)] : this.metainfo.files,
      isSkipped: (file) => this.#selection?.isSkipped(file) === true,
      ownFile: partFile,
      output: this.output,
      forWriting,
    });
    for (const [file, path] of found.realPaths) this.#realPaths.set(file, path);
    if (forWriting) {
      await this.#refuseForeign(found, options);
      await this.#refuseOneFile(found, options);
      await this.#make(found, options.reserve ?? true);
    }
    this.#identities = await this.#identify();
    const check = (file: number, fd: number): void => this.checkOpen(file, fd);
    this.#descriptors = new Descriptors((file) => this.path(file), { forWriting, check });
  }

  async #identify(): Promise<Identities> {
    const { partFile, partFileBytes } = this.layout;
    const { isExact, makesUpInodes } = fileSystemOf((await statfs(this.output)).type);
    const stored = stampedFiles(this.metainfo, this.#selection);
    const identities = new Identities({
      files: partFileBytes > 0 ? [...stored, partFile] : stored,
      pathOf: (file) => join(this.output, ...this.#entry(file).path),
      lengthOf: (file) => (file === partFile ? partFileBytes : this.metainfo.files[file]!.lengthBytes),
      partFile,
      hasInodes: makesUpInodes !== true,
      isExact: isExact === true,
      isSerial: this.#isSerial,
    });
    await identities.note();
    return identities;
  }

  async close(): Promise<void> {
    this.#identities?.writers.close();
    await this.#descriptors?.close();
  }

  #entry(file: number): FileEntry {
    const { partFile, partFileBytes } = this.layout;
    return file === partFile ? partFileEntry(this.metainfo, partFileBytes) : this.metainfo.files[file]!;
  }

  async #refuseForeign({ files }: Survey, { isOurs, signal }: PrepareOptions): Promise<void> {
    if (isOurs === undefined) return;
    const { partFile } = this.layout;
    await refuseForeign({
      states: files.filter(({ file }) => file !== partFile),
      entry: (file) => this.#entry(file),
      path: (file) => this.path(file),
      output: this.output,
      isOurs,
      signal,
    });
  }

  async #refuseOneFile({ files }: Survey, { isFinished, isOverwriting }: PrepareOptions): Promise<void> {
    const { makesUpInodes } = fileSystemOf((await statfs(this.output)).type);
    const { partFile } = this.layout;
    const there = files.filter(
      ({ exists, file, lengthBytes }) => exists && this.#entry(file).lengthBytes + lengthBytes > 0,
    );
    const longer = new Set(
      there.filter(({ file, lengthBytes }) => lengthBytes > this.#entry(file).lengthBytes).map(({ file }) => file),
    );
    await refuseOneFile({
      files: there.map(({ file }) => file),
      path: (file) => this.path(file),
      name: (file) => join(...this.#entry(file).path),
      output: this.output,
      isLeftAlone: (file) => file !== partFile && !longer.has(file) && isFinished?.(file) === true,
      hasInodes: makesUpInodes !== true,
      isOverwriting: isOverwriting === true,
    });
  }

  async #make(found: Survey, reserve: boolean): Promise<void> {
    const volume = await statfs(this.output);
    this.#hasNoDevice = fileSystemOf(volume.type).hasNoDevice === true;
    if (reserve) checkFreeSpace(this.output, found, volume);
    const undo: Undo[] = [];
    try {
      for (const folder of found.missingFolders) {
        await mkdir(folder);
        undo.push(() => rmdir(folder));
      }
      await forEachConcurrently(found.files, AT_ONCE, (state) => this.#makeFile(state, reserve, undo));
      for (const { path, target } of found.missingLinks) {
        await symlink(target, path);
        undo.push(() => unlink(path));
      }
      // Last, for this cannot be undone.
      await forEachConcurrently(found.files, AT_ONCE, (state) => this.#cut(state));
    } catch (error) {
      for (const step of undo.reverse()) await step().catch(() => {});
      throw fromSystemError(error, 'create', this.output);
    }
  }

  /** A longer file of ours, an earlier version: to the length that the torrent says. The part file may be longer than needed. */
  async #cut({ file, lengthBytes }: FileState): Promise<void> {
    const wanted = this.#entry(file).lengthBytes;
    if (lengthBytes <= wanted || file === this.layout.partFile) return;
    const path = this.path(file);
    try {
      const handle = await open(path, constants.O_RDWR | constants.O_NOFOLLOW);
      await handle.truncate(wanted).finally(() => handle.close());
    } catch (error) {
      throw fromSystemError(error, 'cut', path);
    }
  }

  async #makeFile(state: FileState, reserve: boolean, undo: Undo[]): Promise<void> {
    const entry = this.#entry(state.file);
    const path = this.path(state.file);
    const isReserved = !reserve || state.allocatedBytes >= entry.lengthBytes;
    if (state.exists && state.lengthBytes >= entry.lengthBytes && isReserved) return;
    try {
      const flags = state.exists ? 'r+' : 'wx+';
      const handle = await open(path, flags, entry.isExecutable ? 0o777 : 0o666);
      undo.push(() => (state.exists ? truncate(path, state.lengthBytes) : unlink(path)));
      try {
        if (reserve) await reserveSpace(handle.fd, entry.lengthBytes);
        if ((await handle.stat()).size < entry.lengthBytes) await handle.truncate(entry.lengthBytes);
      } finally {
        await handle.close();
      }
      if (entry.isExecutable && state.exists) await makeExecutable(path);
    } catch (error) {
      if ((error as { code?: unknown }).code === 'ENOSPC') throw noSpace(path, entry.lengthBytes, error);
      throw fromSystemError(error, 'reserve space for', path);
    }
  }
}

type Undo = () => Promise<void>;

function partFileEntry(metainfo: Metainfo, lengthBytes: number): FileEntry {
  return {
    path: [partFileName(metainfo)],
    lengthBytes,
    beginBytes: 0,
    isPad: false,
    isExecutable: false,
    isHidden: true,
    symlinkPath: null,
  };
}

/** Execution for whoever may read, as `chmod +x` under a usual umask does. */
async function makeExecutable(path: string): Promise<void> {
  const { mode } = await stat(path);
  await chmod(path, (mode & 0o777) | ((mode & 0o444) >> 2));
}

async function prepareOutput(output: string, forWriting: boolean): Promise<void> {
  try {
    if (forWriting) await makeFolder(output);
    if (!(await stat(output)).isDirectory()) {
      throw new HaulError('NOT_A_DIRECTORY', `${output} is a file, not a folder`, { path: output });
    }
  } catch (error) {
    throw fromSystemError(error, forWriting ? 'create folder' : 'open folder', output);
  }
}

function noSpace(where: string, bytes: number, cause?: unknown): HaulError {
  const message = `no space for ${where}: ${bytes} bytes are needed; free some or choose another folder`;
  return new HaulError('NO_SPACE', message, { path: where, neededBytes: bytes }, cause);
}

/** Says no before the disk is full. Blocks of 0 mean a file system that does not count (an unlimited tmpfs). */
function checkFreeSpace(output: string, found: Survey, { bavail, blocks, bsize }: StatsFs): void {
  const freeBytes = bavail * bsize;
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

/** Reserves [0, length) without writing. File systems that cannot are left to `truncate`; `choose` sends those to positional storage. */
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

/** The nearest folder that exists at or above `path`: where a file system can be asked about. */
export async function existingFolder(path: string): Promise<string> {
  try {
    return await realpath(path);
  } catch {
    const parent = dirname(path);
    return parent === path ? path : existingFolder(parent);
  }
}

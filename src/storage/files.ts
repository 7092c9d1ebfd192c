/**
 * The files of one torrent in the output folder: where they are, making them, reserving their space.
 * Invariant: nothing outside the output folder is touched, and a failed `prepare` leaves what was there as it was.
 */
import { realpath, stat, statfs } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fromSystemError, HaulError } from '../errors.js';
import { FileLayout, partFileName } from '../metainfo/layout.js';
import type { FileEntry, Metainfo } from '../metainfo/metainfo.js';
import type { Selection } from '../metainfo/selection.js';
import { fileSystemOf } from '../native/file-systems.js';
import { Coverage } from './coverage.js';
import { Descriptors } from './descriptors.js';
import type { FileBudget } from './file-budget.js';
import { FileReads } from './file-reads.js';
import { makeFolder } from './folders.js';
import { refuseForeign } from './foreign.js';
import { Identities } from './identities.js';
import { Changed, type Made, makeFiles, type UpFront } from './make-files.js';
import { refuseOneFile } from './one-file.js';
import type { PrepareRequest } from './port.js';
import type { SpaceLedger } from './space-ledger.js';
import { stampedFiles } from './stamp-files.js';
import { type Survey, survey } from './survey.js';
import { unshare } from './unshare.js';

/** Somebody who replaces files faster than they can be looked at is told so. */
const TRIES = 3;
/** Space that is reserved before all else where the rest may come later: small downloads have theirs at once. */
const UP_FRONT_BYTES = 32 * 1024 * 1024;

export interface PrepareOptions extends PrepareRequest {
  /** False: files get their length without space behind it. For file systems that cannot reserve, and for tests. */
  readonly reserve?: boolean;
  /** Where reserving takes as long as writing, as on tmpfs, most of it is left to the caller: see `coverage`. */
  readonly mayReserveLater?: boolean;
}

export class DataFiles {
  readonly metainfo: Metainfo;
  readonly output: string;
  readonly layout: FileLayout;
  readonly #selection: Selection | null;
  readonly #budget: FileBudget | undefined;
  readonly #realPaths = new Map<number, string>();
  /** Files that got bytes of their own: a file system may say all the same that they have other names. */
  readonly #unshared = new Set<number>();
  #descriptors: Descriptors | null = null;
  #identities: Identities | null = null;
  #hasNoDevice = false;
  readonly #space: SpaceLedger | undefined;
  #coverage: Coverage;
  readonly #reads = new FileReads(this);
  #isClosed = false;
  #endPromise: () => void = () => {};

  /**
   * @param selection files left out are neither made nor looked at; null: all are stored
   * @param budget open files of the engine; default: one of its own
   */
  constructor(
    metainfo: Metainfo,
    output: string,
    selection: Selection | null = null,
    budget?: FileBudget,
    space?: SpaceLedger,
  ) {
    this.metainfo = metainfo;
    this.output = output;
    this.layout = new FileLayout(metainfo, selection);
    this.#selection = selection;
    this.#budget = budget;
    this.#space = space;
    this.#coverage = this.#cover([]);
  }

  /** The part file is one of them. */
  path(file: number): string {
    return this.#realPaths.get(file) ?? join(this.output, ...this.#entry(file).path);
  }

  /** As the torrent says. */
  lengthBytes(file: number): number {
    return this.#entry(file).lengthBytes;
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

  /** What `prepare` left to be reserved. */
  get coverage(): Coverage {
    return this.#coverage;
  }

  /**
   * See `Storage.prepare`. Nothing is changed before it is clear that all that is there may be.
   * @throws HaulError FILE_EXISTS, NO_SPACE, NO_PERMISSION, NOT_A_DIRECTORY, NOT_FOUND, BAD_DATA, IO
   */
  async prepare(options: PrepareOptions): Promise<void> {
    const { forWriting } = options;
    await prepareOutput(this.output, forWriting);
    for (let tries = 1; ; tries++) {
      const made = await this.#makeReady(options);
      const changed = made instanceof Changed ? made : await this.#identify(made);
      if (changed === null) break;
      if (tries === TRIES) throw keepsChanging(changed, this.metainfo.name);
    }
    const check = (file: number, fd: number): void => this.checkOpen(file, fd);
    this.#descriptors = new Descriptors((file) => this.path(file), {
      forWriting,
      check,
      budget: this.#budget,
    });
  }

  /**
   * Resolves with what is not as it was looked at any more, or with which files they are; a reader takes what there is.
   */
  async #makeReady(options: PrepareOptions): Promise<Made | Changed> {
    const { forWriting } = options;
    const { partFile, partFileBytes } = this.layout;
    const found = await survey({
      files: partFileBytes > 0 ? [...this.metainfo.files, this.#entry(partFile)] : this.metainfo.files,
      isSkipped: (file) => this.#selection?.isSkipped(file) === true,
      ownFile: partFile,
      output: this.output,
      forWriting,
    });
    this.#realPaths.clear();
    for (const [file, path] of found.realPaths) this.#realPaths.set(file, path);
    if (!forWriting) return new Map();
    const empty = await this.#refuseForeign(found, options);
    const linked = (await this.#refuseOneFile(found, options)).filter((file) => !this.#unshared.has(file));
    for (const file of linked) await this.#unshare(file, options);
    // They are others now.
    if (linked.length > 0) return new Changed(this.path(linked[0]!));
    this.#hasNoDevice = fileSystemOf((await statfs(this.output)).type).hasNoDevice === true;
    const make = (device: number): Promise<Made | Changed> => this.#make(found, empty, options, device);
    const { dev } = await stat(this.output);
    // Elsewhere all is reserved at once, and nothing is promised.
    return this.#hasNoDevice && this.#space !== undefined ? this.#space.turn(dev, () => make(dev)) : make(dev);
  }

  async #make(
    found: Survey,
    empty: ReadonlySet<number>,
    options: PrepareOptions,
    device: number,
  ): Promise<Made | Changed> {
    // Of an earlier try.
    this.#endPromise();
    const volume = await statfs(this.output);
    const { makesUpInodes, isExact } = fileSystemOf(volume.type);
    const isLater = this.#hasNoDevice && options.mayReserveLater === true;
    const upFront: UpFront = { leftBytes: isLater ? UP_FRONT_BYTES : Number.POSITIVE_INFINITY, rest: [] };
    const made = await makeFiles({
      found,
      volume,
      promisedBytes: this.#space?.promisedBytes(device),
      output: this.output,
      entry: (file) => this.#entry(file),
      path: (file) => this.path(file),
      partFile: this.layout.partFile,
      reserve: options.reserve ?? true,
      upFront,
      hasInodes: makesUpInodes !== true,
      isExact: isExact === true,
      empty,
    });
    this.#coverage = this.#cover(upFront.rest);
    if (!this.#isClosed) this.#endPromise = this.#space?.promise(device, this.#coverage) ?? this.#endPromise;
    return made;
  }

  #cover(unreserved: UpFront['rest']): Coverage {
    const { geometry, files } = this.metainfo;
    return new Coverage(this.layout, geometry, (file) => files[file]!.beginBytes, unreserved);
  }

  /** Resolves with what is not as it was made any more, or null. */
  async #identify(made: Made): Promise<Changed | null> {
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
      leastBytes: (file) => this.#coverage.leastBytes(file),
    });
    const other = await identities.note(made);
    if (other !== null) return new Changed(this.path(other));
    this.#identities = identities;
    return null;
  }

  read(file: number, beginBytes: number, target: Uint8Array): Promise<void> {
    return this.#reads.read(file, beginBytes, target);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#endPromise();
    this.#identities?.writers.close();
    await this.#reads.close();
    await this.#descriptors?.close();
  }

  #entry(file: number): FileEntry {
    const { partFile, partFileBytes } = this.layout;
    return file === partFile ? partFileEntry(this.metainfo, partFileBytes) : this.metainfo.files[file]!;
  }

  async #refuseForeign({ files }: Survey, { isOurs, signal }: PrepareOptions): Promise<ReadonlySet<number>> {
    if (isOurs === undefined) return new Set();
    const { partFile } = this.layout;
    return refuseForeign({
      states: files.filter(({ file }) => file !== partFile),
      entry: (file) => this.#entry(file),
      path: (file) => this.path(file),
      output: this.output,
      isOurs,
      signal,
    });
  }

  async #unshare(file: number, { signal = new AbortController().signal }: PrepareOptions): Promise<void> {
    const { makesUpInodes } = fileSystemOf((await statfs(this.output)).type);
    await unshare({ path: this.path(file), hasInodes: makesUpInodes !== true, signal });
    this.#unshared.add(file);
  }

  async #refuseOneFile({ files }: Survey, { isFinished, isOverwriting }: PrepareOptions): Promise<readonly number[]> {
    const { makesUpInodes } = fileSystemOf((await statfs(this.output)).type);
    const { partFile } = this.layout;
    const there = files.filter(
      ({ exists, file, lengthBytes }) => exists && this.#entry(file).lengthBytes + lengthBytes > 0,
    );
    const longer = new Set(
      there.filter(({ file, lengthBytes }) => lengthBytes > this.#entry(file).lengthBytes).map(({ file }) => file),
    );
    return refuseOneFile({
      files: there.map(({ file }) => file),
      path: (file) => this.path(file),
      name: (file) => join(...this.#entry(file).path),
      output: this.output,
      isLeftAlone: (file) => file !== partFile && !longer.has(file) && isFinished?.(file) === true,
      hasInodes: makesUpInodes !== true,
      isOverwriting: isOverwriting === true,
    });
  }
}

function keepsChanging({ path, cause }: Changed, name: string): HaulError {
  const { code } = (cause ?? {}) as { code?: unknown };
  const why = typeof code === 'string' ? ` (${code})` : '';
  const message =
    `${path} is not what it was a moment ago${why}, three times now: files of ${name} are being replaced, ` +
    'or the file system takes two names for one';
  return new HaulError('BAD_DATA', message, { path }, cause);
}

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

/** The nearest folder that exists at or above `path`: where a file system can be asked about. */
export async function existingFolder(path: string): Promise<string> {
  try {
    return await realpath(path);
  } catch {
    const parent = dirname(path);
    return parent === path ? path : existingFolder(parent);
  }
}

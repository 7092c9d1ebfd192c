/**
 * What a torrent can be made of: the files of a folder in a fixed order, each checked to be something that can be
 * shared. Folders are entered once and links are never followed below the root, so the walk always ends.
 */
import { readdir, readlink, realpath, statfs } from 'node:fs/promises';
import path from 'node:path';
import { LIMITS } from '../config.js';
import { fromSystemError, HaulError } from '../errors.js';
import { decodeUtf8, showName, whyUnsafe } from '../metainfo/paths.js';
import { isStateName } from '../metainfo/state-names.js';
import { fileSystemOf } from '../native/file-systems.js';
import { ABSENT, type FileStamp, isUnchanged } from '../work/file-stamp.js';
import { type Look, look } from '../work/look.js';
import type { WorkPool } from '../work/port.js';

export interface SourceFile {
  readonly absolutePath: string;
  /** Below the root; [] when the root is the file. */
  readonly path: readonly string[];
  readonly lengthBytes: number;
  /** The file as it was seen; inode 0 where the file system gives a file new numbers at will. */
  readonly stamp: FileStamp;
  readonly isExecutable: boolean;
  /** Target below the root (BEP 47), for a link that stays inside. */
  readonly symlinkPath: readonly string[] | null;
}

export interface Source {
  /** Last component of the path as given, also when that is a link. */
  readonly name: string;
  readonly isFolder: boolean;
  /** By path, component by component, in the order of the raw bytes. */
  readonly files: readonly SourceFile[];
  /** Folders below the root, with '/', in which there is no file: a torrent has no place for them. */
  readonly emptyFolders: readonly string[];
  /** Files below the root that are setuid, setgid or sticky: a torrent knows executable ones only. */
  readonly specialFiles: readonly string[];
  /** Links below the root that lead to what was left out: whoever gets the torrent finds nothing there. */
  readonly cutLinks: readonly string[];
}

/** What there is to say of a walk, and what is left out of it. */
export interface WalkOptions {
  readonly signal?: AbortSignal | undefined;
  /** @param path below the root, with '/': a file, or a folder that is not entered then. Default: nothing is. */
  readonly isExcluded?: ((path: string) => boolean) | undefined;
}

/** Trouble that is told together; beyond that it is counted. */
const REFUSED_TOLD = 100;

const LOOKS_AT_ONCE = 4096;
/** Enough that the pool has the next folder while this one is gone through. */
const LISTED_AHEAD = 2;

/**
 * Lists a file, or a folder with everything below it.
 *
 * The root may be a symbolic link. Below it, links are recorded when they stay inside the folder; a link that leads
 * outside is refused, for following it could publish what was never meant to be in the folder.
 * @throws HaulError NOT_FOUND, NO_PERMISSION, IO; BAD_ARGUMENT naming all that cannot be shared (device, name, link),
 * in `facts.details`; LIMIT; ABORTED
 */
export async function walk(given: string, pool: WorkPool, options: WalkOptions = {}): Promise<Source> {
  const root = path.resolve(given);
  const name = path.basename(root);
  const found = seen((await look(pool, [root], true, options.signal))[0]!, root);
  checkName(name, root);
  if (isStateName(name)) throw notShareable(root, 'it is a file that this program keeps beside its data');
  if (found.kind === 'folder') {
    const realRoot = await attempt('read', root, () => realpath(root));
    const { files, ...rest } = await new Walker(root, realRoot, pool, options).run();
    return { name, isFolder: true, files: await withLastingNumbers(files), ...rest };
  }
  if (found.kind !== 'file') throw notShareable(root, kindOf(found));
  const files = await withLastingNumbers([toFile(root, [], found, null)]);
  return { name, isFolder: false, files, emptyFolders: [], cutLinks: [], specialFiles: found.isSpecial ? [name] : [] };
}

/**
 * Takes the inode numbers away that say nothing. File systems are few, also where others are mounted below the root.
 */
async function withLastingNumbers(files: readonly SourceFile[]): Promise<SourceFile[]> {
  const lasts = new Map<bigint, boolean>();
  for (const { absolutePath, stamp } of files) {
    if (stamp === ABSENT || lasts.has(stamp.device)) continue;
    const volume = await attempt('look at', absolutePath, () => statfs(absolutePath));
    lasts.set(stamp.device, fileSystemOf(volume.type).makesUpInodes !== true);
  }
  return files.map((file) =>
    lasts.get(file.stamp.device) === false ? { ...file, stamp: { ...file.stamp, inode: 0n } } : file,
  );
}

/**
 * Looks at every file again.
 * @throws HaulError BAD_DATA naming a file that is another one now, or whose length or time of change is not what it
 * was.
 */
export async function checkUnchanged(source: Source, pool: WorkPool, signal?: AbortSignal): Promise<void> {
  const files = source.files.filter(({ symlinkPath }) => symlinkPath === null);
  for (let at = 0; at < files.length; at += LOOKS_AT_ONCE) {
    const group = files.slice(at, at + LOOKS_AT_ONCE);
    const paths = group.map(({ absolutePath }) => absolutePath);
    const looks = await look(pool, paths, true, signal);
    group.forEach((file, index) => {
      const now = seen(looks[index]!, file.absolutePath);
      if (!isUnchanged(now.stamp, file.stamp)) throw changed(file);
    });
  }
}

function changed(file: SourceFile): HaulError {
  return new HaulError(
    'BAD_DATA',
    `${file.absolutePath}: the file changed while it was hashed; try again when it is at rest`,
  );
}

interface Listing {
  readonly listed: readonly Listed[];
  /** Nothing was left out or refused. */
  readonly isComplete: boolean;
}

interface Listed {
  readonly name: string;
  readonly found: Look;
}

class Walker {
  readonly #root: string;
  readonly #realRoot: string;
  readonly #pool: WorkPool;
  readonly #signal: AbortSignal | undefined;
  readonly #isExcluded: (path: string) => boolean;
  readonly #files: SourceFile[] = [];
  readonly #emptyFolders: string[] = [];
  readonly #specialFiles: string[] = [];
  readonly #cutLinks: string[] = [];
  readonly #refused: HaulError[] = [];
  #refusedCount = 0;

  constructor(root: string, realRoot: string, pool: WorkPool, { signal, isExcluded }: WalkOptions) {
    this.#root = root;
    this.#realRoot = realRoot;
    this.#pool = pool;
    this.#signal = signal;
    this.#isExcluded = isExcluded ?? (() => false);
  }

  async run(): Promise<Omit<Source, 'name' | 'isFolder'>> {
    await this.#folder([]);
    if (this.#refusedCount > 0) throw allRefused(this.#root, this.#refused, this.#refusedCount);
    return {
      files: this.#files,
      emptyFolders: this.#emptyFolders,
      specialFiles: this.#specialFiles,
      cutLinks: this.#cutLinks,
    };
  }

  /** All that cannot be shared is told together: nobody wants to hear of the second when the first is mended. */
  #refuse(error: HaulError): void {
    this.#refusedCount++;
    if (this.#refused.length < REFUSED_TOLD) this.#refused.push(error);
  }

  /**
   * Recursion is bounded by LIMITS.pathDepth. The next folders are listed while this one is entered.
   * @returns true: nothing was found in it, nor left out
   */
  async #folder(below: readonly string[], listing: Promise<Listing> = this.#list(below)): Promise<boolean> {
    const { listed, isComplete } = await listing;
    let isEmpty = isComplete;
    const folders = listed.filter(({ found }) => found.kind === 'folder').values();
    const ahead: Promise<Listing>[] = [];
    const lookAhead = (): void => {
      const next = folders.next().value;
      if (next === undefined) return;
      const promise = this.#list([...below, next.name]);
      promise.catch(() => {}); // Told when its turn comes, if it does.
      ahead.push(promise);
    };
    for (let i = 0; i < LISTED_AHEAD; i++) lookAhead();
    try {
      for (const { name, found } of listed) {
        const entry = [...below, name];
        if (found.kind === 'folder') {
          const next = ahead.shift();
          lookAhead();
          if (!(await this.#folder(entry, next))) isEmpty = false;
        } else {
          isEmpty = false;
          await this.#file(entry, found);
        }
      }
    } finally {
      await Promise.allSettled(ahead);
    }
    if (isEmpty && below.length > 0) this.#emptyFolders.push(below.join('/'));
    return isEmpty;
  }

  async #list(below: readonly string[]): Promise<Listing> {
    if (this.#signal?.aborted) throw new HaulError('ABORTED', 'the walk through the folder was stopped');
    const folder = path.join(this.#root, ...below);
    const names = await attempt('read folder', folder, () => readdir(folder, { encoding: 'buffer' }));
    if (names.length > 0 && below.length >= LIMITS.pathDepth) {
      throw new HaulError('LIMIT', `${folder}: deeper than ${LIMITS.pathDepth} folders`);
    }
    if (names.length > LIMITS.fileCount) throw this.#tooManyFiles();
    names.sort(Buffer.compare);
    const checked = names.flatMap((raw) => this.#nameOf(below, folder, raw) ?? []);
    const files = checked.map((name) => path.join(folder, name));
    const looks = await look(this.#pool, files, false, this.#signal);
    const listed = checked.map((name, index) => ({ name, found: seen(looks[index]!, files[index]!) }));
    return { listed, isComplete: checked.length === names.length };
  }

  /** Null: it is left out, or refused. What is left out may have any name. */
  #nameOf(below: readonly string[], folder: string, raw: Buffer): string | null {
    if (this.#isExcluded([...below, raw.toString()].join('/'))) return null;
    try {
      return checkedName(folder, raw);
    } catch (error) {
      if (!(error instanceof HaulError)) throw error;
      this.#refuse(error);
      return null;
    }
  }

  async #file(entry: readonly string[], found: Look): Promise<void> {
    if (this.#files.length >= LIMITS.fileCount) throw this.#tooManyFiles();
    const file = path.join(this.#root, ...entry);
    try {
      if (found.kind === 'link') this.#files.push(toFile(file, entry, found, await this.#linkTarget(file)));
      else if (found.kind === 'file') this.#files.push(toFile(file, entry, found, null));
      else throw notShareable(file, kindOf(found));
    } catch (error) {
      if (!(error instanceof HaulError) || error.code !== 'BAD_ARGUMENT') throw error;
      this.#refuse(error);
    }
    if (found.kind === 'file' && found.isSpecial) this.#specialFiles.push(entry.join('/'));
  }

  #tooManyFiles(): HaulError {
    return new HaulError('LIMIT', `${this.#root}: more than ${LIMITS.fileCount} files`);
  }

  /** Itself, or a folder that it is in. */
  #isLeftOut(below: readonly string[]): boolean {
    return below.some((_, depth) => this.#isExcluded(below.slice(0, depth + 1).join('/')));
  }

  /** The target below the root, as text; where it exists, it must also really be there. */
  async #linkTarget(link: string): Promise<string[]> {
    const target = await attempt('read link', link, () => readlink(link));
    const outside = () =>
      notShareable(
        link,
        `a symbolic link that leads outside the folder (${target}); replace it by a copy or remove it`,
      );
    const leadsTo = path.resolve(path.dirname(link), target);
    const components = inside(this.#root, leadsTo);
    // BEP 47 has no way to name the folder itself.
    if (leadsTo === this.#root) throw notShareable(link, 'a symbolic link to the shared folder itself; remove it');
    if (components === null) throw outside();
    const real = await realpath(link).catch(() => null);
    if (real !== null && inside(this.#realRoot, real) === null) throw outside();
    for (const component of components) checkName(component, link);
    const ends = real === null ? [] : [components, inside(this.#realRoot, real)!];
    if (ends.some((end) => this.#isLeftOut(end))) this.#cutLinks.push(path.relative(this.#root, link));
    return components;
  }
}

/** Components of `file` below `root`, or null when it is not below. */
function inside(root: string, file: string): string[] | null {
  const relative = path.relative(root, file);
  const isBelow = relative !== '' && !path.isAbsolute(relative) && relative.split(path.sep)[0] !== '..';
  return isBelow ? relative.split(path.sep) : null;
}

function toFile(file: string, entry: readonly string[], found: Look, target: string[] | null): SourceFile {
  return {
    absolutePath: file,
    path: entry,
    lengthBytes: target === null ? found.lengthBytes : 0,
    stamp: target === null ? found.stamp : ABSENT,
    isExecutable: target === null && found.isExecutable,
    symlinkPath: target,
  };
}

function checkedName(folder: string, raw: Buffer): string {
  const name = decodeUtf8(raw);
  if (name === null) throw notShareable(path.join(folder, raw.toString()), 'its name is not UTF-8; rename it');
  checkName(name, path.join(folder, name));
  return name;
}

/** Names that our own reader, and other clients, would refuse. */
function checkName(name: string, where: string): void {
  const reason = whyUnsafe(name);
  if (reason === null) return;
  const what = name === '' ? 'a folder without a name' : `the name ${showName(name)} ${reason}; rename it`;
  throw notShareable(name === '' ? where : path.dirname(where), what);
}

function kindOf({ kind }: Look): string {
  return kind === 'other' ? 'neither a file nor a folder' : `a ${kind}`;
}

function seen(found: Look, where: string): Look {
  if (found.error !== null) throw fromSystemError(found.error, 'read', where);
  return found;
}

function notShareable(where: string, why: string): HaulError {
  return new HaulError('BAD_ARGUMENT', `cannot be shared: ${where}: ${why}`, { path: where });
}

/** One error for all of them; of one it is that one. */
function allRefused(root: string, refused: readonly HaulError[], total: number): HaulError {
  if (total === 1) return refused[0]!;
  const details = refused.map(({ message }) => message.replace('cannot be shared: ', '').replaceAll('\n', '\\n'));
  if (total > details.length) details.push(`and ${total - details.length} more`);
  const facts = { ...refused[0]!.facts, count: total, details: details.join('\n') };
  return new HaulError('BAD_ARGUMENT', `cannot be shared: ${total} things in ${root}, the first ${details[0]}`, facts);
}

async function attempt<T>(operation: string, where: string, action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (error) {
    throw fromSystemError(error, operation, where);
  }
}

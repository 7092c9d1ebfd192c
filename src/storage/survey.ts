/**
 * Looks at the output folder before anything in it is changed: what is there, what is missing, what stands in the way.
 * For writing, links are followed only while they stay inside the output folder. For reading they may lead anywhere: no
 * link that a torrent brings leaves its folder, so such a one is the user's own, and digests prove what is behind it.
 */
import type { BigIntStats } from 'node:fs';
import { lstat, readlink, realpath, stat } from 'node:fs/promises';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { fromSystemError, HaulError } from '../errors.js';
import type { FileEntry } from '../metainfo/metainfo.js';
import { forEachConcurrently } from './concurrently.js';
import { nameOfFolder } from './kernel-names.js';

const AT_ONCE = 16;
/** stat(2) counts blocks of 512 bytes, whatever the file system's own. */
const STAT_BLOCK_BYTES = 512;
/** What a file is that is not there. */
const NOTHING = { allocatedBytes: 0, device: 0, inode: 0, mtimeNs: 0n };

export interface FileState {
  readonly file: number;
  readonly exists: boolean;
  readonly lengthBytes: number;
  readonly allocatedBytes: number;
  /** Which file it is, where the file system tells; 0 for one that is not there. */
  readonly device: number;
  readonly inode: number;
  /** Its time of change when it was looked at, before anybody read it. */
  readonly mtimeNs: bigint;
}

export interface Survey {
  /** Stored files, in the torrent's order: no pads, no links. */
  readonly files: readonly FileState[];
  /** Parents before children. */
  readonly missingFolders: readonly string[];
  readonly missingLinks: readonly { readonly path: string; readonly target: string }[];
  /** Where a file is reached through a link inside the output folder. */
  readonly realPaths: ReadonlyMap<number, string>;
  /** Space still to be reserved. */
  readonly neededBytes: number;
  readonly largestPath: string;
  /** The output folder as the kernel names it: everything that is made lies below it. */
  readonly root: string;
}

export interface SurveyOptions {
  readonly files: readonly FileEntry[];
  /** True for files that are not ours to look at. Padding is never looked at. */
  readonly isSkipped: (file: number) => boolean;
  /** The file that we alone write: it may be longer than needed, and no link may be in its place. */
  readonly ownFile: number;
  readonly output: string;
  readonly forWriting: boolean;
}

/** @throws HaulError NOT_A_DIRECTORY, NOT_FOUND, BAD_DATA, NO_PERMISSION, IO */
export async function survey(options: SurveyOptions): Promise<Survey> {
  const { files, isSkipped, output, forWriting } = options;
  const real = await realpath(output);
  const root = forWriting ? await nameOfFolder(output, real) : real;
  const surveyor = new Surveyor(options, real);
  const indices = [...files.keys()].filter((index) => !files[index]!.isPad && !isSkipped(index));
  await forEachConcurrently(indices, AT_ONCE, (index) => surveyor.look(index));
  return surveyor.result(root);
}

async function lstatOrNull(path: string): Promise<BigIntStats | null> {
  try {
    return await lstat(path, { bigint: true });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw fromSystemError(error, 'look at', path);
  }
}

class Surveyor {
  readonly #files: readonly FileEntry[];
  readonly #output: string;
  /** The output folder with all links followed. */
  readonly #root: string;
  readonly #forWriting: boolean;
  readonly #ownFile: number;
  /** By folder: true when it exists. One look each, however many files ask. */
  readonly #folders = new Map<string, Promise<boolean>>();
  /** By folder: where it is with all links followed. */
  readonly #realFolders = new Map<string, Promise<string>>();
  readonly #missing: string[] = [];
  readonly #links: { path: string; target: string }[] = [];
  readonly #states: FileState[] = [];
  readonly #realPaths = new Map<number, string>();

  constructor({ files, ownFile, output, forWriting }: SurveyOptions, root: string) {
    this.#files = files;
    this.#ownFile = ownFile;
    this.#output = output;
    this.#root = root;
    this.#forWriting = forWriting;
  }

  async look(index: number): Promise<void> {
    const entry = this.#files[index]!;
    const path = join(this.#output, ...entry.path);
    const hasFolder = await this.#folder(entry.path.length - 1, entry.path);
    if (entry.symlinkPath !== null) await this.#lookAtLink(entry, path, hasFolder);
    else if (hasFolder) await this.#lookAtFile(index, entry, path);
    else this.#missingFile(index, path);
  }

  result(root: string): Survey {
    // Looked at several at a time, they come in any order.
    const files = this.#states.sort((a, b) => a.file - b.file);
    let neededBytes = 0;
    let largest: FileEntry | undefined;
    for (const state of files) {
      const entry = this.#files[state.file]!;
      neededBytes += Math.max(0, entry.lengthBytes - state.allocatedBytes);
      if (largest === undefined || entry.lengthBytes > largest.lengthBytes) largest = entry;
    }
    return {
      files,
      missingFolders: this.#missing.sort((a, b) => a.length - b.length),
      missingLinks: this.#links,
      realPaths: this.#realPaths,
      neededBytes,
      largestPath: join(this.#output, ...(largest?.path ?? [])),
      root,
    };
  }

  /** Looks at the folder of the first `depth` components. */
  #folder(depth: number, components: readonly string[]): Promise<boolean> {
    if (depth === 0) return Promise.resolve(true);
    const path = join(this.#output, ...components.slice(0, depth));
    let known = this.#folders.get(path);
    if (known === undefined) {
      known = this.#folder(depth - 1, components).then((hasParent) => this.#lookAtFolder(path, hasParent));
      this.#folders.set(path, known);
    }
    return known;
  }

  async #lookAtFolder(path: string, hasParent: boolean): Promise<boolean> {
    const status = hasParent ? await lstatOrNull(path) : null;
    if (status === null) {
      this.#missing.push(path);
      return false;
    }
    const isFolder = status.isSymbolicLink() ? (await this.#follow(path)).isDirectory() : status.isDirectory();
    if (!isFolder) throw new HaulError('NOT_A_DIRECTORY', `${path} is a file where the torrent has a folder`, { path });
    return true;
  }

  #missingFile(index: number, path: string): void {
    if (!this.#forWriting) throw new HaulError('NOT_FOUND', `${path} is missing`, { path });
    this.#states.push({ file: index, exists: false, lengthBytes: 0, ...NOTHING });
  }

  async #lookAtFile(index: number, entry: FileEntry, path: string): Promise<void> {
    const own = await lstatOrNull(path);
    if (own === null) {
      this.#missingFile(index, path);
      return;
    }
    const isOurOwn = index === this.#ownFile;
    if (isOurOwn && own.isSymbolicLink()) throw new HaulError('BAD_DATA', `${path} is a link; move it away`, { path });
    const status = own.isSymbolicLink() ? await this.#follow(path) : own;
    if (own.isSymbolicLink()) this.#realPaths.set(index, await realpath(path));
    if (status.isDirectory()) {
      throw new HaulError('NOT_A_DIRECTORY', `${path} is a folder where the torrent has a file`, { path });
    }
    if (!status.isFile()) {
      const message = `${path} is ${kindOf(status)} where the torrent has a file; move it away`;
      throw new HaulError('BAD_DATA', message, { path });
    }
    const lengthBytes = Number(status.size);
    const facts = { path, lengthBytes, expectedBytes: entry.lengthBytes };
    // A writer decides by what is in it: see `foreign`.
    if (lengthBytes > entry.lengthBytes && !isOurOwn && !this.#forWriting) {
      const message = `${path} is longer than the torrent says (${lengthBytes} bytes, not ${entry.lengthBytes})`;
      throw new HaulError('BAD_DATA', message, facts);
    }
    if (lengthBytes < entry.lengthBytes && !this.#forWriting) {
      const message = `${path} is shorter than the torrent says (${lengthBytes} bytes, not ${entry.lengthBytes})`;
      throw new HaulError('BAD_DATA', message, facts);
    }
    const allocatedBytes = Number(status.blocks) * STAT_BLOCK_BYTES;
    const [device, inode] = [Number(status.dev), Number(status.ino)];
    const { mtimeNs } = status;
    this.#states.push({ file: index, exists: true, lengthBytes, allocatedBytes, device, inode, mtimeNs });
  }

  /** BEP 47: the target is relative to the torrent's root folder; on disk it is relative to the link's folder. */
  async #lookAtLink(entry: FileEntry, path: string, hasFolder: boolean): Promise<void> {
    const torrentRoot = join(this.#output, entry.path[0]!);
    const target = join(torrentRoot, ...entry.symlinkPath!);
    if (target !== torrentRoot && !target.startsWith(torrentRoot + sep)) {
      throw new HaulError('BAD_TORRENT', `${path} would link to a place outside the torrent`, { path });
    }
    const text = relative(dirname(path), target) || '.';
    if (this.#forWriting && entry.path.length > 1) await this.#checkWhereItLeads(entry, text, path);
    const status = hasFolder ? await lstatOrNull(path) : null;
    if (status === null) {
      this.#links.push({ path, target: text });
      return;
    }
    const isSame = status.isSymbolicLink() && (await readlink(path)) === text;
    // A reader does not need the link, and a copied tree may hold a file in its place.
    if (!isSame && this.#forWriting) {
      throw new HaulError('BAD_DATA', `${path} is in the way of a link to ${text}`, { path });
    }
  }

  /**
   * A link that a torrent brought before may be on the way to this one, and from behind it the same text leads
   * elsewhere, also out of the output folder: it must lead to its target from the folder that it will really be in.
   */
  async #checkWhereItLeads({ path: components, symlinkPath }: FileEntry, text: string, path: string): Promise<void> {
    const folder = await this.#realFolder(components.slice(0, -1));
    const wanted = join(await this.#realFolder(components.slice(0, 1)), ...symlinkPath!);
    if (resolve(folder, text) === wanted) return;
    const why = 'a link is in the place of a folder on the way to it; move it away';
    const message = `${path} would lead to ${resolve(folder, text)}: ${why}`;
    throw new HaulError('BAD_DATA', message, { path });
  }

  /**
   * Where a folder really is, or will be: what is missing will be made in the last folder that is there. One look each.
   */
  #realFolder(components: readonly string[]): Promise<string> {
    if (components.length === 0) return Promise.resolve(this.#root);
    const path = join(this.#output, ...components);
    let known = this.#realFolders.get(path);
    if (known === undefined) {
      known = this.#folder(components.length, components).then(async (isThere) =>
        isThere ? realpath(path) : join(await this.#realFolder(components.slice(0, -1)), components.at(-1)!),
      );
      this.#realFolders.set(path, known);
    }
    return known;
  }

  /** What a link leads to. @throws HaulError when that is outside the output folder or nothing */
  async #follow(path: string): Promise<BigIntStats> {
    let target: string;
    try {
      target = await realpath(path);
    } catch (error) {
      throw await leadsNowhere(error, path);
    }
    if (this.#forWriting && !target.startsWith(this.#root + sep)) {
      const message = `${path} is a link that leads outside the output folder, to ${target}`;
      throw new HaulError('NOT_A_DIRECTORY', message, { path, target });
    }
    return stat(target, { bigint: true });
  }
}

function kindOf(status: BigIntStats): string {
  if (status.isFIFO()) return 'a named pipe (FIFO)';
  if (status.isSocket()) return 'a socket';
  return status.isBlockDevice() || status.isCharacterDevice() ? 'a device' : 'no regular file';
}

async function leadsNowhere(error: unknown, path: string): Promise<HaulError> {
  const { code } = error as NodeJS.ErrnoException;
  if (code === 'ELOOP')
    return new HaulError('BAD_DATA', `${path} is a link that leads back to itself; remove it`, { path }, error);
  if (code !== 'ENOENT') return fromSystemError(error, 'follow the link', path);
  const target = await readlink(path).catch(() => 'something');
  const message = `${path} is a link to ${target}, which is not there; remove the link, or make what it leads to`;
  return new HaulError('NOT_FOUND', message, { path, target }, error);
}

/**
 * Which files a storage uses, so that another file of the same name is never taken for one of them.
 *
 *   prepare: noted (device, inode, birth), as looked at and made before
 *   -> every open: the same, or it fails
 *   -> now and then, before a record and before "done": the path still leads there, and the file is as long as the
 *      torrent says
 *
 * Bytes go to open files and mappings, whatever happens to their names: without this a download could end in a file
 * that nobody finds.
 */
import { type BigIntStats, fstatSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { fromSystemError, HaulError } from '../errors.js';
import { ABSENT, type FileStamp, isSameBirth, spoiled } from '../work/file-stamp.js';
import { forEachConcurrently } from './concurrently.js';
import type { Made, MadeFile } from './make-files.js';
import { OtherWriters } from './other-writers.js';
import { birthOf, forEachStatus, stampOf } from './stamp-files.js';

/** stat(2) counts blocks of 512 bytes, whatever the file system's own. */
const STAT_BLOCK_BYTES = 512n;
const AT_ONCE = 8;

export interface IdentityOptions {
  /** Files in use: stored ones, and the part file where there is one. */
  readonly files: readonly number[];
  /** Under its own name, where users look for it. */
  readonly pathOf: (file: number) => string;
  readonly lengthOf: (file: number) => number;
  /** May be longer than it needs to be. */
  readonly partFile: number;
  /** False: the file system gives files new numbers at will (FAT, FUSE, SMB). */
  readonly hasInodes: boolean;
  /**
   * True: blocks of a file never become fewer unless somebody makes a hole, and its time of change is that of the last
   * write.
   */
  readonly isExact: boolean;
  /** Of the file, so much has had blocks at least. Default: 0. */
  readonly leastBytes?: (file: number) => number;
}

export interface FilesNow {
  /**
   * By file, the part file last; ABSENT for what is not the file in use any more, and not usable for what is not whole
   * or under suspicion.
   */
  readonly stamps: FileStamp[];
  /** What is wrong with the first file that is not as it should be. */
  readonly trouble: HaulError | null;
}

interface Identity {
  readonly device: bigint;
  readonly inode: bigint;
  readonly birthNs: bigint;
  readonly mtimeNs: bigint;
  /** All its bytes had blocks when it was noted, or when it was looked at later. */
  isWhole: boolean;
}

export class Identities {
  readonly writers = new OtherWriters();
  readonly #options: IdentityOptions;
  readonly #known = new Map<number, Identity>();
  /** The next file that `glance` looks at. */
  #next = 0;

  constructor(options: IdentityOptions) {
    this.#options = options;
  }

  /**
   * Looks at each file and remembers it.
   * @param made which files they should be, as far as that is known
   * @returns the first that is another one, or null @throws HaulError where one is missing
   */
  async note(made: Made = new Map()): Promise<number | null> {
    const { files, pathOf, lengthOf } = this.#options;
    let missing: HaulError | null = null;
    let other: number | null = null;
    await forEachStatus(files, pathOf, (file, status) => {
      if (status === null) missing ??= gone(pathOf(file));
      else {
        if (!isAsMade(made.get(file), status)) other ??= file;
        const isWhole = status.blocks * STAT_BLOCK_BYTES >= BigInt(lengthOf(file));
        const { dev: device, ino: inode, mtimeNs } = status;
        this.#known.set(file, { device, inode, birthNs: birthOf(status), mtimeNs, isWhole });
      }
    });
    if (missing !== null) throw missing;
    return other;
  }

  /** From now on what others write is noticed, by time: our writes report it. */
  trackWrites(): void {
    if (!this.#options.isExact) return;
    for (const [file, { mtimeNs }] of this.#known) this.writers.track(file, mtimeNs);
  }

  /** The same by event: we write through mappings alone. */
  watchWrites(): void {
    this.writers.watch(this.#options.files, this.#options.pathOf);
  }

  /** @param fd a descriptor of this file, just opened. @throws HaulError when it is another one */
  checkOpen(file: number, fd: number): void {
    const status = fstatSync(fd, { bigint: true });
    if (!this.#isKnown(file, status)) throw replaced(this.#options.pathOf(file));
  }

  /** Looks at all files. */
  async inspect(): Promise<FilesNow> {
    const { files, pathOf, partFile, hasInodes } = this.#options;
    const stamps: FileStamp[] = Array.from({ length: partFile + 1 }, () => ABSENT);
    const trouble = new FirstTrouble();
    const tokens = new Map(files.map((file) => [file, this.writers.token(file)]));
    const least = new Map(files.map((file) => [file, this.#leastBytes(file)]));
    await forEachStatus(files, pathOf, (file, status) => {
      const wrong = this.#judge(file, status, least.get(file)!);
      trouble.note(file, wrong);
      if (status !== null) this.writers.seen(file, status.mtimeNs, tokens.get(file)!);
      if (status === null || !this.#isKnown(file, status)) return;
      const stamp = hasInodes ? stampOf(status) : { ...stampOf(status), device: 0n, inode: 0n };
      stamps[file] = wrong === null ? stamp : spoiled(stamp);
    });
    await this.writers.heard();
    for (const { file } of this.writers.suspects) stamps[file] = spoiled(stamps[file]!);
    return { stamps, trouble: trouble.error };
  }

  /**
   * Looks at the next `count` files; after the last comes the first again. Resolves with what is wrong with one of
   * them.
   */
  async glance(count: number): Promise<HaulError | null> {
    const { files, pathOf } = this.#options;
    const turn = Array.from(
      { length: Math.min(count, files.length) },
      (_, i) => files[(this.#next + i) % files.length]!,
    );
    this.#next = (this.#next + turn.length) % Math.max(1, files.length);
    const trouble = new FirstTrouble();
    await forEachConcurrently(turn, AT_ONCE, async (file) => {
      const token = this.writers.token(file);
      const leastBytes = this.#leastBytes(file);
      const status = await stat(pathOf(file), { bigint: true }).catch((error: NodeJS.ErrnoException) => error);
      if (!(status instanceof Error)) this.writers.seen(file, status.mtimeNs, token);
      trouble.note(
        file,
        status instanceof Error ? unreachable(status, pathOf(file)) : this.#judge(file, status, leastBytes),
      );
    });
    return trouble.error;
  }

  #isKnown(file: number, status: BigIntStats): boolean {
    const known = this.#known.get(file);
    if (known === undefined || !this.#options.hasInodes) return known !== undefined;
    return known.inode === status.ino && known.device === status.dev && isSameBirth(known.birthNs, birthOf(status));
  }

  #leastBytes(file: number): number {
    return this.#options.leastBytes?.(file) ?? 0;
  }

  /** @param leastBytes as it was before the look */
  #judge(file: number, status: BigIntStats | null, leastBytes: number): HaulError | null {
    const { pathOf, lengthOf, partFile, isExact } = this.#options;
    const path = pathOf(file);
    if (status === null) return gone(path);
    if (!status.isFile() || !this.#isKnown(file, status)) return replaced(path);
    const [lengthBytes, wantedBytes] = [Number(status.size), lengthOf(file)];
    const facts = { path, lengthBytes, expectedBytes: wantedBytes };
    const lengths = `${lengthBytes} bytes, not ${wantedBytes}`;
    if (lengthBytes < wantedBytes)
      return new HaulError('BAD_DATA', `${path} was cut off while it was in use (${lengths}); ${AGAIN}`, facts);
    if (lengthBytes > wantedBytes && file !== partFile)
      return new HaulError('BAD_DATA', `${path} has grown while it was in use (${lengths}); ${AGAIN}`, facts);
    const blockBytes = Number(status.blocks * STAT_BLOCK_BYTES);
    const hasHole = isExact && blockBytes < wantedBytes;
    const known = this.#known.get(file)!;
    if (!hasHole) known.isWhole = true;
    else if (known.isWhole || blockBytes < leastBytes)
      return new HaulError('BAD_DATA', `${path} lost data while it was in use: it has holes now; ${AGAIN}`, { path });
    return null;
  }
}

function isAsMade(made: MadeFile | undefined, { dev, ino, mtimeNs }: BigIntStats): boolean {
  if (made === undefined) return true;
  if (made.device !== Number(dev) || made.inode !== Number(ino)) return false;
  return made.mtimeNs === null || made.mtimeNs === mtimeNs;
}

/** What is wrong with the first of the files, in the torrent's order, whichever was looked at first. */
class FirstTrouble {
  error: HaulError | null = null;
  #file = Infinity;

  note(file: number, error: HaulError | null): void {
    if (error === null || file >= this.#file) return;
    this.#file = file;
    this.error = error;
  }
}

const AGAIN = 'run the same command again';

function gone(path: string): HaulError {
  return new HaulError('NOT_FOUND', `${path} is gone: it was removed or moved while it was in use; ${AGAIN}`, { path });
}

function replaced(path: string): HaulError {
  const message = `${path} is another file now: it was replaced while it was in use; ${AGAIN}`;
  return new HaulError('BAD_DATA', message, { path });
}

/** Trouble of the machine (no descriptors, say) is not trouble of the file: the next look will tell. */
function unreachable(error: NodeJS.ErrnoException, path: string): HaulError | null {
  if (error.code === 'ENOENT' || error.code === 'ENOTDIR' || error.code === 'ELOOP') return gone(path);
  return error.code === 'EACCES' || error.code === 'EIO' ? fromSystemError(error, 'look at', path) : null;
}

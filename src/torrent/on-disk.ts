/**
 * What of a torrent is on disk and good, and the storage over just those files.
 *
 *   looked at -> recorded pieces trusted, others hashed -> a sample of the trusted hashed
 *   -> not written meanwhile? -> storage opened -> the same files still?
 *
 * Invariant: a piece is in `have` only when the file that the storage uses is the one that was looked at before the
 * piece was trusted or hashed. A file that comes, goes, is replaced or written meanwhile starts all of it again.
 */
import { join } from 'node:path';
import { HaulError } from '../errors.js';
import { Bitfield } from '../metainfo/bitfield.js';
import type { Metainfo } from '../metainfo/metainfo.js';
import { hasAny } from '../metainfo/piece-spans.js';
import type { Selection } from '../metainfo/selection.js';
import type { UnfinishedPiece } from '../metainfo/unfinished.js';
import type { Storage } from '../storage/port.js';
import { type FileStamp, isSameInode, isUnchanged } from '../work/file-stamp.js';
import type { Content } from './content.js';
import type { Environment } from './environment.js';
import { isFileFinished, isFileOurs } from './ours.js';
import { drawSample } from './sample.js';

/** Somebody who replaces files faster than they can be hashed is told so. */
const TRIES = 3;

export interface OnDiskOptions {
  readonly metainfo: Metainfo;
  readonly output: string;
  /** Null: everything is wanted. */
  readonly selection: Selection | null;
  readonly wantedPieces: number;
  /** Filled with what is good. */
  readonly have: Bitfield;
  readonly content: Content;
  readonly environment: Pick<Environment, 'log' | 'random'>;
  readonly isSeed: boolean;
  /** A seed's data is taken as good. */
  readonly trustsData: boolean;
  /** The files that the torrent was made of: with `trustsData` only these are. Null: whatever is there. */
  readonly hashed: readonly FileStamp[] | null;
  /** Of a download: the record is not believed, all that is wanted is hashed. */
  readonly hashesAll?: boolean | undefined;
  /** Files that are not the torrent's may be overwritten. */
  readonly overwrites: boolean;
  readonly signal: AbortSignal;
  onChecking(): void;
  onChecked(pieceCount: number): void;
}

export class OnDisk {
  /** Blocks of pieces that are not in `have`, as the last run left them: not proved by anything. */
  unfinished: readonly UnfinishedPiece[] = [];
  readonly #options: OnDiskOptions;
  /** By file: the very one that the resume record knows. */
  #recorded: Bitfield;
  #checked = 0;

  constructor(options: OnDiskOptions) {
    this.#options = options;
    this.#recorded = new Bitfield(options.metainfo.files.length);
  }

  /**
   * Fills `have` and opens the storage; may be called again when it failed. Null when the signal fired meanwhile.
   * @throws HaulError
   */
  async open(): Promise<Storage | null> {
    const { have, signal, metainfo, output } = this.#options;
    for (let tries = 1; ; tries++) {
      for (let piece = 0; piece < have.bitCount; piece++) have.clear(piece);
      const seen = await this.#findVerified();
      const storage = signal.aborted ? null : await this.#openOverSame(seen);
      if (storage !== null) return storage;
      if (signal.aborted) return null;
      if (tries === TRIES) {
        const what = `files of ${metainfo.name} are being replaced or written while they are checked`;
        const message = `${output}: ${what}; try again when that is over`;
        throw new HaulError('BAD_DATA', message, { path: output });
      }
      this.#options.environment.log(
        'warn',
        `${metainfo.name}: files were replaced or written while they were checked; once more`,
      );
    }
  }

  /** Null: what was trusted or hashed is not what is there now, or the signal fired. */
  async #openOverSame(seen: readonly FileStamp[] | null): Promise<Storage | null> {
    const { have, signal, content, wantedPieces } = this.#options;
    // Before we change the files ourselves: bytes may have been written behind the check, into the very same file.
    const checked = seen === null ? null : await content.stamp();
    if (seen !== null && !this.#isSame(seen, checked!, isUnchanged)) return null;
    const storage = await this.#openStorage(have.count < wantedPieces);
    try {
      const { stamps } = await storage.inspect();
      if (!signal.aborted && (seen === null || this.#isSame(seen, stamps, isSameInode))) return storage;
    } catch (error) {
      await storage.close();
      throw error;
    }
    await storage.close();
    return null;
  }

  /** @returns the files as they were before anything of them was trusted; null: nobody looked */
  async #findVerified(): Promise<readonly FileStamp[] | null> {
    const { isSeed, trustsData, have, content, environment } = this.#options;
    this.#checked = 0;
    if (isSeed) {
      const stamps = await content.stamp();
      if (trustsData) {
        have.setAll();
        return this.#options.hashed === null ? null : this.#checkHashed(stamps);
      }
      const all = new Bitfield(have.bitCount);
      all.setAll();
      addTo(have, await this.#check(all, stamps));
      if (!this.#options.signal.aborted && !have.isFull) throw this.#badSeed();
      return stamps;
    }
    const verdict = await content.loadResume();
    const { trusted, recheck, ours, stamps, problem } = verdict;
    const { hashesAll = false, selection } = this.#options;
    this.unfinished = hashesAll ? [] : verdict.unfinished;
    for (let piece = 0; hashesAll && piece < have.bitCount; piece++) {
      trusted.clear(piece);
      if (selection?.isWanted(piece) !== false) recheck.set(piece);
    }
    if (problem !== null) environment.log('info', `resume record not used, what is here is hashed again: ${problem}`);
    this.#recorded = ours;
    const good = await this.#checkSampled(trusted, recheck, stamps);
    // Found good means readable, not on the device: after a crash it may be in the page cache only, and is about to be
    // recorded.
    if (good.count > 0) await content.sync();
    addTo(have, good);
    return stamps;
  }

  /**
   * Hashes what must be, and some of what is trusted: stamps do not show what another program wrote into a file while
   * we ran. One bad piece, and all of them are hashed. Puts into `have` what stays trusted.
   * @returns what was found good by its hash
   */
  async #checkSampled(trusted: Bitfield, recheck: Bitfield, stamps: readonly FileStamp[]): Promise<Bitfield> {
    const { have, environment, metainfo, signal } = this.#options;
    const sample = drawSample(trusted, metainfo.geometry, environment.random);
    const only = new Bitfield(recheck.bitCount, recheck.bytes);
    addTo(only, sample);
    const good = await this.#check(only, stamps);
    if (signal.aborted) return good;
    const badCount = countMissing(sample, good);
    if (badCount === 0) addTo(have, trusted);
    else {
      environment.log(
        'warn',
        `${metainfo.name}: ${badCount} of ${sample.count} recorded pieces are bad; all are hashed again`,
      );
      const rest = new Bitfield(trusted.bitCount, trusted.bytes);
      for (let piece = 0; piece < rest.bitCount; piece++) if (sample.has(piece)) rest.clear(piece);
      addTo(good, await this.#check(rest, stamps));
    }
    return good;
  }

  /** Hashes the files that were seen: others in their places count as bad. */
  async #check(only: Bitfield, stamps: readonly FileStamp[]): Promise<Bitfield> {
    const { content, signal } = this.#options;
    if (only.count === 0 || signal.aborted) return new Bitfield(only.bitCount);
    this.#options.onChecking();
    const before = this.#checked;
    return content.recheck({
      only,
      stamps,
      onProgress: (count) => {
        this.#checked = before + count;
        this.#options.onChecked(this.#checked);
      },
      signal,
    });
  }

  async #openStorage(forWriting: boolean): Promise<Storage> {
    const { content, metainfo, have, isSeed, overwrites, signal } = this.#options;
    const storage = await content.open(forWriting);
    try {
      const isOurs = (file: number): boolean => overwrites || isFileOurs(metainfo, this.#recorded, have, file);
      const isFinished = (file: number): boolean => isFileFinished(metainfo, have, file);
      await storage.prepare({ forWriting, isOurs, isFinished, isOverwriting: overwrites, signal });
      return storage;
    } catch (error) {
      await storage.close();
      // Every piece is here, but not every file: one that is empty, or a link, lies in no piece; or one is too long.
      // Should one with pieces have gone this very moment, it is made anew, is not the one that was seen, and all is
      // looked at again.
      const code = error instanceof HaulError ? error.code : '';
      const isIncomplete = !forWriting && !isSeed && (code === 'NOT_FOUND' || code === 'BAD_DATA');
      if (!isIncomplete) throw error;
      return this.#openStorage(true);
    }
  }

  /**
   * @returns the files that were hashed when the torrent was made.
   * @throws HaulError when one is not there any more as it was
   */
  #checkHashed(now: readonly FileStamp[]): readonly FileStamp[] {
    const { metainfo, output, hashed } = this.#options;
    metainfo.files.forEach(({ isPad, symlinkPath, path }, file) => {
      if (isPad || symlinkPath !== null || isUnchanged(now[file]!, hashed![file])) return;
      const where = join(output, ...path);
      const message = `${where} is not any more as it was when the torrent was made of it; make it again`;
      throw new HaulError('BAD_DATA', message, { path: where });
    });
    return hashed!;
  }

  /** Every file that holds a piece of ours is the one that was seen. */
  #isSame(
    seen: readonly FileStamp[],
    now: readonly FileStamp[],
    isOne: (now: FileStamp, seen: FileStamp) => boolean,
  ): boolean {
    const { metainfo, have, selection } = this.#options;
    const { files, geometry } = metainfo;
    const holdsPiece = (file: number): boolean => {
      const { beginBytes, lengthBytes } = files[file]!;
      return hasAny(have, geometry.piecesIn(beginBytes, lengthBytes));
    };
    const isStored = (file: number): boolean => {
      const { isPad, lengthBytes, symlinkPath } = files[file]!;
      return !isPad && lengthBytes > 0 && symlinkPath === null && selection?.isSkipped(file) !== true;
    };
    const borders = selection?.isWhole === false ? selection.borders() : null;
    const partFile = files.length;
    if (borders !== null && overlaps(borders, have) && !isOne(now[partFile]!, seen[partFile]!)) return false;
    return files.every((_, file) => !isStored(file) || isOne(now[file]!, seen[file]!) || !holdsPiece(file));
  }

  #badSeed(): HaulError {
    const { metainfo, output, have } = this.#options;
    const badPieces = have.bitCount - have.count;
    const message =
      `seed ${metainfo.name}: ${badPieces} of ${have.bitCount} pieces in ${output} are missing or bad; ` +
      '`haul verify` names them, `haul get` into the same folder repairs them';
    return new HaulError('BAD_DATA', message, { badPieces });
  }
}

function addTo(target: Bitfield, pieces: Bitfield): void {
  for (let piece = 0; piece < pieces.bitCount; piece++) if (pieces.has(piece)) target.set(piece);
}

function countMissing(wanted: Bitfield, found: Bitfield): number {
  let count = 0;
  for (let piece = 0; piece < wanted.bitCount; piece++) if (wanted.has(piece) && !found.has(piece)) count++;
  return count;
}

function overlaps(a: Bitfield, b: Bitfield): boolean {
  return a.bytes.some((byte, at) => (byte & b.bytes[at]!) !== 0);
}

/**
 * Keeps what is verified: forces finished pieces to the device in the background and records them only after that.
 * Invariant: the record never claims a piece whose bytes were not synced, or whose file is not under its own name any
 * more.
 */
import { DEFAULTS } from '../config.js';
import { HaulError } from '../errors.js';
import { Bitfield } from '../metainfo/bitfield.js';
import type { PieceIndex } from '../metainfo/geometry.js';
import type { UnfinishedPiece } from '../metainfo/unfinished.js';
import type { Storage } from '../storage/port.js';
import type { Claim } from '../storage/resume.js';
import { isShortOfFiles } from '../swarm/disk-trouble.js';
import type { Unfinished } from '../swarm/unfinished.js';
import { toHaulError } from './endings.js';

export interface KeeperOptions {
  readonly storage: Storage;
  /** Verified pieces, kept current by the exchange. */
  readonly have: Bitfield;
  /** With that many verified the download is complete. */
  readonly wantedPieces: number;
  /** Blocks of pieces that are not verified, recorded at the end only. */
  readonly unfinished: Unfinished;
  readonly save: (claim: Claim) => Promise<void>;
  readonly onTrouble: (error: HaulError) => void;
  /** The record could not be written, and nothing is lost by that. */
  readonly onWarning: (error: HaulError) => void;
  /** False: a seed of somebody's data keeps no record beside it. */
  readonly isKept: boolean;
}

export class Keeper {
  readonly #options: KeeperOptions;
  readonly #synced: Bitfield;
  #unsynced = 0;
  #lastMs = Number.NEGATIVE_INFINITY;
  /** Syncs and saves run one after the other. */
  #chain: Promise<void> = Promise.resolve();
  #isBusy = false;
  /** The last record did not fit on the device; it is tried again with the next sync. */
  #lacksRoom = false;
  /** No file could be opened, and that was said. */
  #lacksFiles = false;
  /** Ends the wait of `finish` for the next try. */
  #wake: (() => void) | null = null;
  #isClosed = false;
  /** Trouble with files that was thrown already: the way out after it must not tell it once more. */
  readonly #told = new Set<string>();

  constructor(options: KeeperOptions) {
    this.#options = options;
    this.#synced = new Bitfield(options.have.bitCount, options.have.bytes);
  }

  /** The first record, before any block is written: files that exist are ours from now on. */
  open(): Promise<void> {
    return this.#enqueue(() => this.#save(this.#isComplete(this.#options.have)));
  }

  /** Nothing is left to be forced to the device or recorded. */
  get isIdle(): boolean {
    return !this.#isBusy && this.#unsynced === 0;
  }

  /** A sync or a record is under way. */
  get isBusy(): boolean {
    return this.#isBusy;
  }

  pieceVerified(): void {
    this.#unsynced++;
  }

  /** A piece that was verified is bad now: the record must not claim it. */
  pieceLost(piece: number): void {
    this.#synced.clear(piece);
    this.#unsynced++;
  }

  tick(nowMs: number): void {
    if (this.#unsynced === 0 || this.#isBusy || nowMs - this.#lastMs < DEFAULTS.syncIntervalMs) return;
    this.#lastMs = nowMs;
    if (this.#wake !== null) this.#wake();
    else this.#enqueue(() => this.#syncAndSave(false)).catch((error: unknown) => this.#trouble(error));
  }

  /** Everything is verified. Resolves when it is on the device and recorded, or the keeper is closed. */
  async finish(): Promise<void> {
    for (;;) {
      try {
        await this.#enqueue(() => this.#syncAndSave(true));
        return;
      } catch (error) {
        this.#trouble(error);
        if (!this.#lacksFiles || this.#isClosed) return;
      }
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      this.#wake = null;
      if (this.#isClosed) return;
    }
  }

  /** The last sync and record. @throws HaulError when the disk refuses. */
  close(isClean: boolean): Promise<void> {
    this.#isClosed = true;
    this.#wake?.();
    return this.#enqueue(async () => {
      if (this.#unsynced === 0 && this.#isComplete(this.#options.have)) return;
      await this.#syncAndSave(isClean, isClean && this.#options.isKept ? await this.#keepUnfinished() : []);
    });
  }

  /** Nothing is lost where they cannot be written: they are fetched again. */
  async #keepUnfinished(): Promise<readonly UnfinishedPiece[]> {
    const { storage, unfinished } = this.#options;
    const open = unfinished.gatherOpen();
    try {
      if (open.length > 0) await storage.keepUnfinished(open);
      return [...open, ...unfinished.waiting];
    } catch {
      return unfinished.waiting;
    }
  }

  async #syncAndSave(isClean: boolean, unfinished: readonly UnfinishedPiece[] = []): Promise<void> {
    // First: a seed without a record is idle again, too.
    this.#unsynced = 0;
    if (!this.#options.isKept) return;
    const { failure, pieces } = await this.#sync();
    for (const piece of pieces) this.#synced.set(piece);
    await this.#save(isClean && failure === null, failure === null ? unfinished : []);
    if (failure !== null) throw failure;
    this.#lacksFiles = false;
  }

  /** A failure is kept back until the files were looked at: one that is gone or replaced explains it better. */
  #sync(): Promise<{ readonly pieces: readonly PieceIndex[]; readonly failure: HaulError | null }> {
    return this.#options.storage.sync().then(
      (pieces) => ({ pieces, failure: null }),
      (error: unknown) => ({ pieces: [], failure: toHaulError(error, 'record verified pieces') }),
    );
  }

  /**
   * Data that is complete does without a record (a read-only folder): the next run checks it again. So does a download
   * whose device is full, for its own space is reserved: the record is tried again, and until it fits an interruption
   * costs a check of what is here.
   * @throws HaulError also when a file in use is gone, replaced or cut, after a record without its pieces
   */
  async #save(isClean: boolean, unfinished: readonly UnfinishedPiece[] = []): Promise<void> {
    if (!this.#options.isKept) return;
    const { stamps, trouble } = await this.#options.storage.inspect();
    try {
      const claim = { synced: this.#synced, isClean: isClean && trouble === null, stamps };
      await this.#saveWith(claim, unfinished);
      this.#lacksRoom = false;
    } catch (error) {
      const failure = toHaulError(error, 'record verified pieces');
      const isComplete = this.#isComplete(this.#synced);
      const lacksRoom = failure.code === 'NO_SPACE';
      if (trouble === null && !isComplete && !lacksRoom) throw failure;
      if (!lacksRoom || !this.#lacksRoom) this.#options.onWarning(isComplete ? failure : goesOnWithout(failure));
      this.#lacksRoom = lacksRoom;
      if (lacksRoom && !isComplete) this.#unsynced++;
    }
    if (trouble !== null && !this.#told.has(trouble.message)) {
      this.#told.add(trouble.message);
      throw trouble;
    }
  }

  /** A full device may have room for the shorter record. */
  async #saveWith(claim: Claim, unfinished: readonly UnfinishedPiece[]): Promise<void> {
    if (unfinished.length === 0) return this.#options.save(claim);
    await this.#options.save({ ...claim, unfinished }).catch(() => this.#options.save(claim));
  }

  #isComplete(pieces: Bitfield): boolean {
    return pieces.count === this.#options.wantedPieces;
  }

  #enqueue(step: () => Promise<void>): Promise<void> {
    const run = this.#chain.then(async () => {
      this.#isBusy = true;
      try {
        await step();
      } finally {
        this.#isBusy = false;
      }
    });
    this.#chain = run.catch(() => {});
    return run;
  }

  /** That no file can be opened now is no trouble of the disk: the next sync tries again. */
  #trouble(error: unknown): void {
    const failure = toHaulError(error, 'record verified pieces');
    if (!isShortOfFiles(failure)) {
      this.#lacksFiles = false;
      this.#options.onTrouble(failure);
      return;
    }
    this.#unsynced++;
    if (!this.#lacksFiles) this.#options.onWarning(failure);
    this.#lacksFiles = true;
  }
}

function goesOnWithout(error: HaulError): HaulError {
  if (error.code !== 'NO_SPACE') return error;
  const text = `${error.message}; the download goes on, but after an interruption all that is here is checked again`;
  return new HaulError(error.code, text, error.facts, error);
}

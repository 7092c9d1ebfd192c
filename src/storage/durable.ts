/**
 * From verified to synced: collects the pieces that closed as good, has them written back at the pace of the device,
 * and forces their files to it. Invariant: a piece is reported only after a flush that began after it closed; at most
 * one flush at a time.
 */
import { open } from 'node:fs/promises';
import { fromSystemError, type HaulError } from '../errors.js';
import type { PieceIndex } from '../metainfo/geometry.js';
import type { FileLayout } from '../metainfo/layout.js';
import * as mmap from '../native/mmap-io.js';
import type { Budgets } from './budgets.js';
import type { DirtyBudget } from './dirty-budget.js';
import { jobFailure } from './failures.js';
import type { DataFiles } from './files.js';
import { FILES_ONE_BY_ONE, forceFileSystem } from './force.js';
import type { Jobs } from './jobs.js';
import { whenRoom } from './patience.js';
import { WriteBack } from './write-back.js';

/** Short files are opened, written and closed again: their write-back is left to the sync. */
const PACED_FILE_BYTES = 4 * 1024 * 1024;

export class Durable {
  readonly #files: DataFiles;
  readonly #layout: FileLayout;
  readonly #jobs: Jobs;
  readonly #writeBack: WriteBack;
  #pieces: PieceIndex[] = [];
  /** Their files are forced to the device as well, and nothing is said of them. */
  #unfinished: readonly PieceIndex[] = [];
  /** What the device said when it refused bytes: it says so once, and a later sync would succeed without them. */
  #refusal: HaulError | null = null;
  #running: Promise<unknown> = Promise.resolve();

  /** @param write writes back a range of a file; tests look at it */
  constructor(
    files: DataFiles,
    layout: FileLayout,
    jobs: Jobs,
    { budgets, dirty }: { readonly budgets: Pick<Budgets, 'readCacheBytes'>; readonly dirty: DirtyBudget },
    write = mmap.writeRange,
  ) {
    this.#files = files;
    this.#layout = layout;
    this.#jobs = jobs;
    this.#writeBack = new WriteBack({
      descriptors: () => files.descriptors,
      path: (file) => files.path(file),
      write,
      // Pages of the read cache are mapped, and a quarter more may wait to be given back.
      lagBytes: budgets.readCacheBytes * 1.25,
      dirty,
    });
  }

  /** True: the device is behind, nothing more should be written now; `onRoom` follows. */
  get isBehind(): boolean {
    return this.#writeBack.isFull;
  }

  set onRoom(listener: () => void) {
    this.#writeBack.onRoom = listener;
  }

  add(piece: PieceIndex): void {
    this.#pieces.push(piece);
    // Each call would still wake another thread: an eighth of the main thread's time with pieces of 256 KiB.
    if (this.#files.hasNoDevice) return;
    const { geometry } = this.#files.metainfo;
    const segments = this.#layout.segments(geometry.pieceBegin(piece), geometry.pieceLength(piece));
    this.#writeBack.add(
      segments.filter(({ file, isStored }) => isStored && this.#layout.fileLength(file) >= PACED_FILE_BYTES),
    );
  }

  /** Blocks of these pieces were written, and prove nothing. */
  addUnfinished(pieces: readonly PieceIndex[]): void {
    this.#unfinished = pieces;
  }

  /**
   * Resolves with the pieces that are on the device now.
   * @throws HaulError; when the device refused bytes, then from now on
   */
  sync(): Promise<readonly PieceIndex[]> {
    const run = this.#running.then(() => this.#flush());
    this.#running = run.catch(() => {});
    return run;
  }

  /** Resolves when no flush and no write-back is under way. */
  async close(): Promise<void> {
    await this.#writeBack.close();
    await this.#running;
  }

  async #flush(): Promise<readonly PieceIndex[]> {
    const pieces = this.#pieces;
    const unfinished = this.#unfinished;
    if (pieces.length === 0 && unfinished.length === 0) return pieces;
    this.#pieces = [];
    this.#unfinished = [];
    const ended = this.#writeBack.leaveToSync();
    try {
      this.#checkRefusal();
      const touched = this.#touched([...pieces, ...unfinished]);
      const isMany = touched.length > FILES_ONE_BY_ONE && mmap.isSupported();
      if (!isMany || !(await this.#flushFileSystem()))
        for (let at = 0; at < touched.length; at += FILES_ONE_BY_ONE)
          await this.#flushFiles(touched.slice(at, at + FILES_ONE_BY_ONE));
      // A range that was being written meanwhile took the device's complaint with it, and may be about to tell.
      await this.#writeBack.settled();
      this.#checkRefusal();
      return pieces;
    } catch (error) {
      this.#pieces = [...pieces, ...this.#pieces];
      throw fromSystemError(error, 'sync', this.#files.output);
    } finally {
      ended();
    }
  }

  #checkRefusal(): void {
    const refusal = this.#refusal ?? this.#writeBack.failure;
    if (refusal !== null) throw refusal;
  }

  #touched(pieces: readonly PieceIndex[]): number[] {
    const { geometry } = this.#files.metainfo;
    const touched = new Set<number>();
    for (const piece of pieces) {
      for (const { file, isStored } of this.#layout.segments(geometry.pieceBegin(piece), geometry.pieceLength(piece))) {
        if (isStored) touched.add(file);
      }
    }
    return [...touched];
  }

  async #flushFiles(files: readonly number[]): Promise<void> {
    const fds = await this.#files.descriptors.acquire(files);
    try {
      await new Promise<void>((resolve, reject) => {
        this.#jobs.submit({ kind: 'sync', fds }, (result) => {
          if (result.ok) return resolve();
          this.#refusal = jobFailure(result, this.#files.path(files[0]!), 0);
          reject(this.#refusal);
        });
      });
    } finally {
      this.#files.descriptors.release(files);
    }
  }

  /** False: there is no syncfs here. */
  async #flushFileSystem(): Promise<boolean> {
    const folder = await whenRoom(() => open(this.#files.output, 'r'));
    try {
      return await forceFileSystem(folder.fd);
    } catch (error) {
      this.#refusal = fromSystemError(error, 'sync', this.#files.output);
      throw this.#refusal;
    } finally {
      await folder.close();
    }
  }
}

/**
 * From verified to synced: collects the pieces that closed as good and forces their files to the device.
 * Invariant: a piece is reported only after a flush that began after it closed; at most one flush at a time.
 */
import { open } from 'node:fs/promises';
import { fromSystemError } from '../errors.js';
import type { PieceIndex } from '../metainfo/geometry.js';
import { jobFailure } from './failures.js';
import type { DataFiles } from './files.js';
import type { Jobs } from './jobs.js';
import type { FileLayout } from './layout.js';
import * as mmap from './mmap-io.js';

/** Above this many files one flush of the file system is cheaper than one journal commit for each. */
const FILES_ONE_BY_ONE = 16;

export class Durable {
  readonly #files: DataFiles;
  readonly #layout: FileLayout;
  readonly #jobs: Jobs;
  #pieces: PieceIndex[] = [];
  #running: Promise<unknown> = Promise.resolve();

  constructor(files: DataFiles, layout: FileLayout, jobs: Jobs) {
    this.#files = files;
    this.#layout = layout;
    this.#jobs = jobs;
  }

  add(piece: PieceIndex): void {
    this.#pieces.push(piece);
  }

  /** Resolves with the pieces that are on the device now. @throws HaulError, and they stay for the next time */
  sync(): Promise<readonly PieceIndex[]> {
    const run = this.#running.then(() => this.#flush());
    this.#running = run.catch(() => {});
    return run;
  }

  /** Resolves when no flush is under way. */
  async idle(): Promise<void> {
    await this.#running;
  }

  async #flush(): Promise<readonly PieceIndex[]> {
    const pieces = this.#pieces;
    if (pieces.length === 0) return pieces;
    this.#pieces = [];
    try {
      const touched = this.#touched(pieces);
      if (touched.length > FILES_ONE_BY_ONE && mmap.isSupported()) await this.#flushFileSystem();
      else
        for (let at = 0; at < touched.length; at += FILES_ONE_BY_ONE)
          await this.#flushFiles(touched.slice(at, at + FILES_ONE_BY_ONE));
      return pieces;
    } catch (error) {
      this.#pieces = [...pieces, ...this.#pieces];
      throw fromSystemError(error, 'sync', this.#files.output);
    }
  }

  #touched(pieces: readonly PieceIndex[]): number[] {
    const { geometry, files } = this.#files.metainfo;
    const touched = new Set<number>();
    for (const piece of pieces) {
      for (const { file } of this.#layout.segments(geometry.pieceBegin(piece), geometry.pieceLength(piece))) {
        if (!files[file]!.isPad) touched.add(file);
      }
    }
    return [...touched];
  }

  async #flushFiles(files: readonly number[]): Promise<void> {
    const fds = await this.#files.descriptors.acquire(files);
    try {
      await new Promise<void>((resolve, reject) => {
        this.#jobs.submit({ kind: 'sync', fds }, (result) => {
          if (result.ok) resolve();
          else reject(jobFailure(result.errno, result.operation, this.#files.path(files[0]!), 0));
        });
      });
    } finally {
      this.#files.descriptors.release(files);
    }
  }

  async #flushFileSystem(): Promise<void> {
    const folder = await open(this.#files.output, 'r');
    try {
      await mmap.syncFileSystem(folder.fd);
    } finally {
      await folder.close();
    }
  }
}

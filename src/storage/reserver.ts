/**
 * Reserves space beside a download, where that takes as long as writing does (tmpfs): a chunk at a time, by a worker
 * that has nothing else to do. What does not fit is known when it is reached, and by then most of it is not downloaded.
 *
 * A reservation changes a file's time of change, as a write does, and so it is told from other programs' writes in the
 * same way. That also shows who made a hole in a piece that was written while a chunk around it waited for its worker,
 * which then fills the hole with zeros. A record holds that time: once a piece has been written, nothing is reserved
 * between a record and the next piece, which makes the record old in any case.
 *
 *   going -chunk by chunk-> done
 *     |  ^
 *     rest  written       (`rest` is called for a record, `writeEnded` for each piece)
 *     v  |
 *   resting
 */
import { HaulError } from '../errors.js';
import type { PieceIndex } from '../metainfo/geometry.js';
import type { Chunk } from './coverage.js';
import type { DataFiles } from './files.js';
import type { Jobs } from './jobs.js';
import { noSpace } from './make-files.js';
import type { Transfer } from './transfer.js';

export class Reserver {
  readonly #files: Pick<DataFiles, 'coverage' | 'path' | 'lengthBytes'>;
  readonly #transfer: Pick<Transfer, 'reserve'>;
  readonly #jobs: Pick<Jobs, 'isIdle'>;
  readonly #onNoSpace: (error: HaulError) => void;
  /** Pieces that are being written, or whose end was not told yet. */
  #writes = 0;
  #isResting = false;
  #isClosed = false;
  /** Nothing of a record lies in the files: they are new. */
  #isFresh = true;
  #running: Promise<void> | null = null;

  /**
   * @param files prepared @param jobs of this storage alone
   * @param onNoSpace other trouble ends the reservation: if it is trouble, a write will meet it too
   */
  constructor(
    files: Pick<DataFiles, 'coverage' | 'path' | 'lengthBytes'>,
    transfer: Pick<Transfer, 'reserve'>,
    jobs: Pick<Jobs, 'isIdle'>,
    onNoSpace: (error: HaulError) => void,
  ) {
    this.#files = files;
    this.#transfer = transfer;
    this.#jobs = jobs;
    this.#onNoSpace = onNoSpace;
  }

  /** Goes on when nothing else is to be done: to be called when a job has ended. */
  step(): void {
    const waits = this.#isResting || this.#isClosed || this.#running !== null || this.#writes > 0;
    if (waits || !this.#jobs.isIdle) return;
    const chunk = this.#files.coverage.next();
    if (chunk === null) return;
    this.#running = this.#transfer.reserve(chunk.gaps).then(
      () => this.#reserved(chunk),
      (error: unknown) => this.#failed(chunk, error),
    );
  }

  /** A piece may be written from now on; `writeEnded` follows. */
  writeBegins(): void {
    this.#writes++;
  }

  /** @param piece that was written; null: it was not */
  writeEnded(piece: PieceIndex | null): void {
    this.#writes--;
    if (piece !== null) {
      this.#files.coverage.written(piece);
      this.#isFresh = false;
      this.#isResting = false;
    }
    this.step();
  }

  /** Resolves when nothing is being reserved; that begins again with the next piece. */
  async rest(): Promise<void> {
    if (this.#isFresh) return;
    this.#isResting = true;
    await this.#running;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#running;
  }

  #reserved(chunk: Chunk): void {
    this.#running = null;
    this.#files.coverage.reserved(chunk);
    this.step();
  }

  #failed({ file }: Chunk, error: unknown): void {
    this.#running = null;
    const isAtEnd = this.#isClosed;
    this.#isClosed = true;
    if (isAtEnd || !(error instanceof HaulError) || error.code !== 'NO_SPACE') return;
    this.#onNoSpace(noSpace(this.#files.path(file), this.#files.lengthBytes(file), error));
  }
}

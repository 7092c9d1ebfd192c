/**
 * Reserves space beside a download, where that takes as long as writing does (tmpfs): a chunk at a time, by a worker
 * that has nothing else to do. What does not fit is known when it is reached, and by then most of it is not downloaded.
 *
 * A reservation changes a file's time of change, as a write does, and so it is told from other programs' writes in the
 * same way. A record holds that time: once a piece lies in a file that was there before, or has been written, nothing
 * is reserved between a record and the next piece, which makes the record old in any case.
 *
 *   going -chunk by chunk-> done
 *     |  ^
 *     rest  written       (`rest` is called for a record, `written` for each piece)
 *     v  |
 *   resting
 */
import { HaulError } from '../errors.js';
import type { DataFiles } from './files.js';
import type { Jobs } from './jobs.js';
import { noSpace, type Unreserved } from './make-files.js';
import type { Transfer } from './transfer.js';

/** Some 2 ms of a worker on a machine of 2020. */
const CHUNK_BYTES = 4 * 1024 * 1024;

export class Reserver {
  readonly #files: Pick<DataFiles, 'unreserved' | 'path'>;
  readonly #transfer: Pick<Transfer, 'reserve'>;
  readonly #jobs: Pick<Jobs, 'isIdle'>;
  readonly #onNoSpace: (error: HaulError) => void;
  #file = 0;
  /** Reserved of the file that it is at. */
  #doneBytes = 0;
  #isResting = false;
  #isClosed = false;
  /** Nothing of a record lies in the files. */
  #isFresh: boolean;
  #running: Promise<void> | null = null;

  /**
   * @param files prepared @param jobs of this storage alone
   * @param onNoSpace other trouble ends the reservation: if it is trouble, a write will meet it too
   */
  constructor(
    files: Pick<DataFiles, 'unreserved' | 'path'>,
    transfer: Pick<Transfer, 'reserve'>,
    jobs: Pick<Jobs, 'isIdle'>,
    onNoSpace: (error: HaulError) => void,
  ) {
    this.#files = files;
    this.#transfer = transfer;
    this.#jobs = jobs;
    this.#onNoSpace = onNoSpace;
    this.#isFresh = files.unreserved.every(({ isNew }) => isNew);
    this.#isResting = !this.#isFresh;
  }

  /** Goes on when nothing else is to be done: to be called when a job has ended. */
  step(): void {
    const next = this.#files.unreserved[this.#file];
    const waits = this.#isResting || this.#isClosed || this.#running !== null || next === undefined;
    if (waits || !this.#jobs.isIdle) return;
    const lengthBytes = Math.min(CHUNK_BYTES, next.lengthBytes - this.#doneBytes);
    this.#running = this.#transfer.reserve(next.file, next.beginBytes + this.#doneBytes, lengthBytes).then(
      () => this.#reserved(next, lengthBytes),
      (error: unknown) => this.#failed(next, error),
    );
  }

  /** A piece was written. */
  written(): void {
    this.#isFresh = false;
    this.#isResting = false;
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

  #reserved({ lengthBytes }: Unreserved, chunkBytes: number): void {
    this.#running = null;
    this.#doneBytes += chunkBytes;
    if (this.#doneBytes === lengthBytes) {
      this.#file++;
      this.#doneBytes = 0;
    }
    this.step();
  }

  #failed({ file, beginBytes, lengthBytes }: Unreserved, error: unknown): void {
    this.#running = null;
    const isAtEnd = this.#isClosed;
    this.#isClosed = true;
    if (isAtEnd || !(error instanceof HaulError) || error.code !== 'NO_SPACE') return;
    this.#onNoSpace(noSpace(this.#files.path(file), beginBytes + lengthBytes, error));
  }
}

/**
 * SHA-256 of a file that is still being written: a thread of its own hashes it from its begin as far as it is known to
 * be good. What it failed at is told at the end, when it is asked for.
 */
import { fromSystemError, HaulError } from '../errors.js';
import { HashThread } from './hash-thread.js';
import type { Sha256Answer, Sha256Failure } from './sha256-thread.cjs';

export type { Sha256Answer } from './sha256-thread.cjs';

/** Less than that is not worth a message. */
const STEP_BYTES = 4 * 1024 * 1024;

export class FileSha256 {
  readonly #path: string;
  readonly #markBytes: number | null;
  #thread: HashThread | null = null;
  #toldBytes = 0;
  #outcome: Sha256Answer | HaulError | null = null;
  #onOutcome: (() => void) | null = null;

  /** @param markBytes the digest of so many bytes from the begin is wanted, too */
  constructor(path: string, markBytes: number | null = null) {
    this.#path = path;
    this.#markBytes = markBytes;
  }

  /** So many bytes from the begin of the file on are good. The thread starts with the first of them. */
  advance(untilBytes: number): void {
    if (untilBytes - this.#toldBytes >= STEP_BYTES) this.#tell(untilBytes);
  }

  /** All of it is. @throws HaulError trouble in reading */
  async digest(lengthBytes: number): Promise<Sha256Answer> {
    this.#tell(lengthBytes);
    this.#tell(null);
    this.#thread?.ref();
    while (this.#outcome === null) {
      await new Promise<void>((resolve) => {
        this.#onOutcome = resolve;
      });
    }
    this.close();
    if (this.#outcome instanceof HaulError) throw this.#outcome;
    return this.#outcome;
  }

  /** Gives the thread up; whoever waits hears that it is closed. */
  close(): void {
    this.#settle(new HaulError('CLOSED', `hash ${this.#path}: closed`));
    this.#thread?.end();
    this.#thread = null;
  }

  #tell(task: number | null): void {
    if (this.#outcome !== null) return;
    this.#thread ??= this.#start();
    if (task !== null) this.#toldBytes = task;
    this.#thread?.tell(task);
  }

  #start(): HashThread | null {
    try {
      const thread = HashThread.take({
        said: (answer) => this.#heard(answer),
        ended: (error) => this.#settle(this.#failure(error)),
      });
      thread.tell({ path: this.#path, markBytes: this.#markBytes });
      return thread;
    } catch (error) {
      this.#settle(this.#failure(error));
      return null;
    }
  }

  #heard(said: Sha256Answer | Sha256Failure): void {
    this.#settle('digest' in said ? said : this.#failure(said));
    if (!('digest' in said)) return;
    this.#thread?.rest();
    this.#thread = null;
  }

  #failure(error: unknown): HaulError {
    return fromSystemError(error, 'hash', this.#path);
  }

  #settle(outcome: Sha256Answer | HaulError): void {
    this.#outcome ??= outcome;
    this.#onOutcome?.();
  }
}

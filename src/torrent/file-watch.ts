/**
 * Looks now and then whether the files in use are still there, the same ones and as long as they should be, and has
 * those proved that another program may have written into.
 */
import { DEFAULTS } from '../config.js';
import { HaulError } from '../errors.js';
import type { Storage } from '../storage/port.js';

export interface FileWatchOptions {
  readonly storage: Pick<Storage, 'glance' | 'suspects' | 'freeHeldWrites'>;
  /** Hashes what is under suspicion. @throws HaulError */
  readonly prove: () => Promise<void>;
  readonly onTrouble: (error: unknown) => void;
}

export class FileWatch {
  readonly #options: FileWatchOptions;
  #isLooking = false;
  #provedMs = Number.NEGATIVE_INFINITY;

  constructor(options: FileWatchOptions) {
    this.#options = options;
  }

  /** Once a second; a look that takes longer is waited for. */
  tick(nowMs: number): void {
    // Also while a look hangs, or files are hashed: what waits would otherwise wait with it.
    this.#options.storage.freeHeldWrites();
    if (this.#isLooking) return;
    this.#isLooking = true;
    this.#look(nowMs).then(
      () => {
        this.#isLooking = false;
      },
      (error: unknown) => {
        this.#isLooking = false;
        if (!(error instanceof HaulError && error.code === 'ABORTED')) this.#options.onTrouble(error);
      },
    );
  }

  async #look(nowMs: number): Promise<void> {
    const { storage, prove } = this.#options;
    const trouble = await storage.glance(DEFAULTS.filesWatchedPerSecond);
    if (trouble !== null) throw trouble;
    if (storage.suspects.length === 0 || nowMs - this.#provedMs < DEFAULTS.syncIntervalMs) return;
    this.#provedMs = nowMs;
    await prove();
  }
}

/** Looks now and then whether the files in use are still there, the same ones and as long as they should be. */
import { DEFAULTS } from '../config.js';
import type { HaulError } from '../errors.js';
import type { Storage } from '../storage/port.js';

export class FileWatch {
  readonly #storage: Pick<Storage, 'glance'>;
  readonly #onTrouble: (error: HaulError) => void;
  #isLooking = false;

  constructor(storage: Pick<Storage, 'glance'>, onTrouble: (error: HaulError) => void) {
    this.#storage = storage;
    this.#onTrouble = onTrouble;
  }

  /** Once a second; a look that takes longer is waited for. */
  tick(): void {
    if (this.#isLooking) return;
    this.#isLooking = true;
    void this.#look();
  }

  async #look(): Promise<void> {
    const trouble = await this.#storage.glance(DEFAULTS.filesWatchedPerSecond);
    this.#isLooking = false;
    if (trouble !== null) this.#onTrouble(trouble);
  }
}

/** The disk below the cache: whether what is fetched can be kept. An agent that cannot keep it passes it on. */
import { DiskProbe } from '../disk-probe.js';
import { diskText } from '../readiness.js';
import { spaceOf } from '../store/room.js';
import type { CacheFolder } from './cache-folder.js';

export interface DiskState {
  /** Null: nobody knows. */
  readonly freeBytes: number | null;
  readonly totalBytes: number | null;
  /** For people; '': what is fetched is kept. */
  readonly trouble: string;
}

export class CacheDisk {
  readonly #folder: CacheFolder;
  readonly #probe: DiskProbe;
  /** What was found when somebody looked last. */
  last: DiskState = { freeBytes: null, totalBytes: null, trouble: '' };

  constructor(folder: CacheFolder) {
    this.#folder = folder;
    this.#probe = new DiskProbe(folder.probe);
  }

  /** Never rejects. */
  async look(): Promise<DiskState> {
    try {
      await this.#folder.check();
      const space = await spaceOf(this.#folder.root);
      const text = await diskText(this.#probe, space);
      this.last = { ...space, trouble: text === '' ? '' : `${text}: ${PASSED_ON}` };
    } catch {
      this.last = {
        freeBytes: null,
        totalBytes: null,
        trouble: `its folder is not there, or its disk fails: ${PASSED_ON}`,
      };
    }
    return this.last;
  }
}

const PASSED_ON = 'what is fetched is passed on, and not kept';

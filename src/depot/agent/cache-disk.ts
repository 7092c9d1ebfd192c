/** The disk below the cache: whether what is fetched can be kept. An agent that cannot keep it passes it on. */
import { diskText } from '../readiness.js';
import { spaceOf } from '../store/room.js';

export interface DiskState {
  /** Null: nobody knows. */
  readonly freeBytes: number | null;
  readonly totalBytes: number | null;
  /** For people; '': what is fetched is kept. */
  readonly trouble: string;
}

export class CacheDisk {
  readonly #root: string;
  /** What was found when somebody looked last. */
  last: DiskState = { freeBytes: null, totalBytes: null, trouble: '' };

  constructor(root: string) {
    this.#root = root;
  }

  /** Never rejects. */
  async look(): Promise<DiskState> {
    try {
      const space = await spaceOf(this.#root);
      const text = await diskText(this.#root, space);
      this.last = { ...space, trouble: text === '' ? '' : `${text}: ${PASSED_ON}` };
    } catch {
      this.last = { freeBytes: null, totalBytes: null, trouble: `its folder cannot be looked at: ${PASSED_ON}` };
    }
    return this.last;
  }
}

const PASSED_ON = 'what is fetched is passed on, and not kept';

/**
 * Places and space for uploads by peers: both are bounded, and what rests gives way. It does so without its own lock,
 * as whoever needs the place holds another; `leaving` tells those who come for it.
 */
import { HaulError } from '../../errors.js';
import type { BlobStore } from '../store/port.js';
import type { Arrival } from './arrival.js';
import { P2P_LIMITS } from './limits.js';
import { checkSpace } from './own-space.js';

export interface PlacesOptions {
  /** Those that are not over, in the order of their begin. */
  readonly live: ReadonlyMap<string, Arrival>;
  readonly store: Pick<BlobStore, 'space'>;
  readonly fileOf: (arrival: Arrival) => string;
  /** It is over, for this reason. */
  readonly fail: (arrival: Arrival, error: HaulError) => Promise<void>;
}

export class Places {
  readonly #options: PlacesOptions;
  /** Taken by those that have no row yet. */
  #opening = 0;

  constructor(options: PlacesOptions) {
    this.#options = options;
  }

  /** Runs `open` with a place and space of its own. @throws HaulError SYSTEM_LIMIT, NO_SPACE */
  async open<T>(owner: string, lengthBytes: number, open: () => Promise<T>): Promise<T> {
    this.#opening++;
    try {
      await this.#takePlace(owner);
      await this.takeSpace(lengthBytes);
      return await open();
    } finally {
      this.#opening--;
    }
  }

  async #takePlace(owner: string): Promise<void> {
    const all = [...this.#options.live.values()];
    const own = all.filter(({ request }) => request.owner === owner);
    const isOwnFull = own.length >= P2P_LIMITS.publishesPerOwner;
    if (!isOwnFull && all.length + this.#opening <= P2P_LIMITS.publishes) return;
    const resting = (isOwnFull ? own : all).find(isResting);
    if (resting === undefined) throw new HaulError('SYSTEM_LIMIT', 'too many uploads by peers are under way');
    await this.#options.fail(resting, silent());
  }

  /** @throws HaulError NO_SPACE */
  async takeSpace(lengthBytes: number): Promise<void> {
    const { live, store, fileOf } = this.#options;
    const underway = [...live.values()].filter(({ torrent }) => torrent !== null);
    const files = underway.map((arrival) => ({ path: fileOf(arrival), lengthBytes: arrival.lengthBytes }));
    try {
      await checkSpace(store, files, lengthBytes);
    } catch (error) {
      if (!HaulError.is(error) || error.code !== 'NO_SPACE' || (await this.dropResting()) === 0) throw error;
      await checkSpace(store, files, lengthBytes);
    }
  }

  /** How many gave way. */
  async dropResting(): Promise<number> {
    const resting = [...this.#options.live.values()].filter(isResting);
    for (const one of resting) if (isResting(one)) await this.#options.fail(one, silent());
    return resting.length;
  }
}

function isResting({ state, leaving }: Arrival): boolean {
  return state === 'resting' && leaving === null;
}

export function silent(): HaulError {
  return new HaulError('TIMEOUT', 'nobody gave the bytes for too long, and what came of them made room for others');
}

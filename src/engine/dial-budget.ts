/**
 * Whose dial is next: the engine makes so many a second, and its torrents share them evenly. Pure.
 * One with thousands of dead addresses must not keep another from the one live peer that it knows. What the user named
 * has a budget of its own.
 */
import { LIMITS } from '../config.js';

export class DialBudget<K extends object> {
  readonly #perSecond: number;
  #dials: number;
  #named: number = LIMITS.namedDialsPerSecond;
  /** Since the last refill: who dialled how often, and who was refused. */
  #taken = new Map<K, number>();
  #refused = new Set<K>();
  #share = Number.POSITIVE_INFINITY;

  constructor(perSecond: number) {
    this.#perSecond = perSecond;
    this.#dials = perSecond;
  }

  /** @param ms since the last time. */
  refill(ms: number): void {
    this.#dials = Math.min(this.#perSecond, this.#dials + (this.#perSecond * ms) / 1000);
    this.#named = Math.min(LIMITS.namedDialsPerSecond, this.#named + (LIMITS.namedDialsPerSecond * ms) / 1000);
    // Who was refused asks again now, and so may one that did not ask yet.
    const waiting = this.#refused.size;
    this.#share = waiting === 0 ? Number.POSITIVE_INFINITY : Math.max(1, Math.floor(this.#dials / (waiting + 1)));
    this.#taken = new Map();
    this.#refused = new Set();
  }

  /**
   * Takes one dial. False: not now. @param isNamed the user named the peer.
   * @param makePlace asked last, since it may cost somebody a connection. False: there is none, and the dial is kept.
   */
  take(torrent: K, isNamed: boolean, makePlace: () => boolean = () => true): boolean {
    const isOfNamed = isNamed && this.#named >= 1;
    const taken = this.#taken.get(torrent) ?? 0;
    if (!isOfNamed && (this.#dials < 1 || taken >= this.#share)) {
      this.#refused.add(torrent);
      return false;
    }
    if (!makePlace()) return false;
    if (isOfNamed) this.#named--;
    else {
      this.#dials--;
      this.#taken.set(torrent, taken + 1);
    }
    return true;
  }

  /** The most dials that one torrent may have under way, given how many torrents there are. */
  static halfOpen(torrents: number): number {
    return Math.max(LIMITS.halfOpenMin, Math.floor(LIMITS.halfOpenDials / Math.max(1, torrents)));
  }
}

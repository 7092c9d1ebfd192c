/**
 * The sources of addresses of one torrent, as one: what each finds goes to the roster with the name of where it came
 * from. A private torrent (BEP 27) has peers of its trackers only: no other source is begun, and what one says anyhow
 * is not heard.
 */
import type { AnnounceFigures } from '../discovery/announce.js';
import type { FoundBy, PeerSource, PeerSourceOwner } from '../discovery/source.js';
import type { Address } from '../net/address.js';

/** Who dials what is found. */
export interface Finds {
  add(addresses: readonly Address[], foundBy: FoundBy): void;
}

export class PeerSources {
  readonly #isPrivate: boolean;
  readonly #finds: Finds;
  readonly #sources: PeerSource[] = [];

  constructor(isPrivate: boolean, finds: Finds) {
    this.#isPrivate = isPrivate;
    this.#finds = finds;
  }

  /** Whether peers that were found so may be of this torrent. */
  permits(foundBy: FoundBy): boolean {
    return foundBy === 'tracker' || !this.#isPrivate;
  }

  /** @returns false: this torrent has none of that kind */
  add(source: PeerSource): boolean {
    if (!this.permits(source.foundBy)) return false;
    this.#sources.push(source);
    return true;
  }

  /** Who hears what a source of that kind finds. */
  ownerOf(foundBy: FoundBy): PeerSourceOwner {
    return {
      onPeers: (addresses) => {
        if (this.permits(foundBy)) this.#finds.add(addresses, foundBy);
      },
    };
  }

  start(nowMs: number, figures: () => AnnounceFigures): void {
    for (const source of this.#sources) source.start(nowMs, figures);
  }

  tick(nowMs: number): void {
    for (const source of this.#sources) source.tick(nowMs);
  }

  get dueAtMs(): number {
    let atMs = Number.POSITIVE_INFINITY;
    for (const { dueAtMs } of this.#sources) atMs = Math.min(atMs, dueAtMs);
    return atMs;
  }

  async stop(nowMs: number): Promise<void> {
    await Promise.all(this.#sources.map((source) => source.stop(nowMs)));
  }
}

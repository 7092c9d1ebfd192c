/**
 * Mappings of all torrents of an engine: Linux allows a process so many (`vm.max_map_count`), and what no torrent uses
 * now makes room for another.
 */
import { readFileSync } from 'node:fs';

/** What Linux allows where nothing else is said. */
const MAX_MAP_COUNT = 65_530;
/** The rest is for Node, its threads, libraries and whatever else the process does. */
const SHARE = 0.5;

export interface MapHolder {
  readonly mapCount: number;
  /** Unmaps what nobody uses, least recently used first, until so many mappings are gone or there is no more. */
  unmapIdle(count: number): void;
}

/** Mappings that one engine may have. */
export function mapLimit(path = '/proc/sys/vm/max_map_count'): number {
  try {
    const count = Number.parseInt(readFileSync(path, 'latin1'), 10);
    if (count > 0) return Math.floor(count * SHARE);
  } catch {
    // Some containers hide it.
  }
  return Math.floor(MAX_MAP_COUNT * SHARE);
}

export class MapBudget {
  readonly limit: number;
  /** Those that have mappings which nobody uses. */
  readonly #idle = new Set<MapHolder>();
  #count = 0;

  constructor(limit: number) {
    this.limit = limit;
  }

  get count(): number {
    return this.#count;
  }

  /** Whether this one may map so many more; who has none may in any case. Asks only those that have something idle. */
  hasRoomFor(count: number, one: MapHolder): boolean {
    if (this.#excess(count) > 0) one.unmapIdle(this.#excess(count));
    for (const holder of this.#idle) {
      if (this.#excess(count) <= 0) break;
      holder.unmapIdle(this.#excess(count));
    }
    return this.#excess(count) <= 0 || one.mapCount === 0;
  }

  #excess(count: number): number {
    return this.#count + count - this.limit;
  }

  /** There are so many mappings more or, below zero, fewer. */
  changed(count: number): void {
    this.#count += count;
  }

  /** This one has mappings that nobody uses, or none any more. */
  idleChanged(one: MapHolder, hasIdle: boolean): void {
    if (hasIdle) this.#idle.add(one);
    else this.#idle.delete(one);
  }
}

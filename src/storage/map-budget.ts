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
  readonly #holders = new Set<MapHolder>();
  #count = 0;

  constructor(limit: number) {
    this.limit = limit;
  }

  get count(): number {
    return this.#count;
  }

  /** Whether this one may map so many more; who has none may in any case. */
  hasRoomFor(count: number, one: MapHolder): boolean {
    for (const holder of [one, ...this.#holders]) {
      const excess = this.#count + count - this.limit;
      if (excess <= 0) return true;
      holder.unmapIdle(excess);
    }
    return this.#count + count <= this.limit || one.mapCount === 0;
  }

  /** The mappings of one have become more or, below zero, fewer. */
  changed(one: MapHolder, count: number): void {
    this.#count += count;
    if (one.mapCount > 0) this.#holders.add(one);
    else this.#holders.delete(one);
  }
}

/**
 * Whose place in a full table goes to whoever knocks. Pure: peers are seen as places, time has passed already.
 *
 * While there is room everybody is let in. In a full table
 *   1. an address with more places than its share yields to one that has fewer: a fleet behind one address may fill
 *      what is free, not the rest;
 *   2. who is of no use yields: neither side wants anything of the other, or it had its chance and gave or took
 *      nothing;
 *   3. who waits for its chance for long yields to whom the canonical order (BEP 40) prefers.
 * Who is at its share of the table displaces its own neighbours only. A peer that the user named yields to nobody.
 */
import { LIMITS } from '../config.js';

export interface Place {
  /** All places of one address (IPv6: of one /64). */
  readonly group: string;
  /** Named by the user. */
  readonly isNamed: boolean;
  /** Time since it joined, and since it last gave or took a block (or joined). */
  readonly ageMs: number;
  readonly idleMs: number;
  /** One side wants something of the other. */
  readonly isWanted: boolean;
  /** It might have given or taken something, and did not. */
  readonly hadChance: boolean;
  /** BEP 40. Asked for only where it decides. */
  readonly priority: () => number;
}

export interface Newcomer {
  readonly group: string;
  readonly priority: () => number;
}

/** Ranks of those who yield; within one rank whoever is idle for longest goes first. */
const NOT = 0;
const WAITS = 1;
const HAD_CHANCE = 2;
const UNWANTED = 3;

function rank(place: Place): number {
  if (place.isNamed || place.ageMs < LIMITS.settleMs) return NOT;
  if (!place.isWanted) return UNWANTED;
  if (place.hadChance) return HAD_CHANCE;
  return place.idleMs >= LIMITS.idlePlaceMs ? WAITS : NOT;
}

/** The place that is given up, or null. @param share places that one group may keep when others knock, at least 1. */
export function whoYields<P extends Place>(places: readonly P[], newcomer: Newcomer, share: number): P | null {
  const counts = new Map<string, number>();
  for (const { group } of places) counts.set(group, (counts.get(group) ?? 0) + 1);
  const own = counts.get(newcomer.group) ?? 0;
  let crowd = '';
  let most = 0;
  for (const [group, count] of counts) if (count > most) [crowd, most] = [group, count];
  if (own < share && most > share && most > own + 1) {
    const crowded = leastUseful(places.filter((place) => place.group === crowd && !place.isNamed));
    if (crowded !== null) return crowded;
  }
  const isAtShare = own >= share && counts.size > 1;
  return useless(isAtShare ? places.filter(({ group }) => group === newcomer.group) : places, newcomer);
}

/** The first of those that are of no use, whoever comes; null when all are. */
export function whoIsUseless<P extends Place>(places: readonly P[]): P | null {
  return leastUseful(places.filter((place) => rank(place) >= HAD_CHANCE));
}

function useless<P extends Place>(places: readonly P[], newcomer: Newcomer): P | null {
  const found = whoIsUseless(places);
  if (found !== null) return found;
  let lowest: P | null = null;
  for (const place of places) {
    if (rank(place) === WAITS && (lowest === null || place.priority() < lowest.priority())) lowest = place;
  }
  return lowest !== null && newcomer.priority() > lowest.priority() ? lowest : null;
}

function leastUseful<P extends Place>(places: readonly P[]): P | null {
  let least: P | null = null;
  for (const place of places) {
    const isLess =
      least === null || rank(place) > rank(least) || (rank(place) === rank(least) && place.idleMs > least.idleMs);
    if (isLess) least = place;
  }
  return least;
}

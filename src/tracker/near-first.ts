/**
 * Whom to name to a peer that says where it is: most of its own zone, some from elsewhere. Pure: dice are an argument.
 * The zones around the asker are rings. Of what is wanted the innermost ring gives all but a share, the next ring all
 * but a share of that share, and so on; the last ring gives what is left:
 *
 *     asker eu/r7      ring 1: eu/r7   ring 2: the rest of eu   ring 3: everybody else
 *     50 wanted             45              3                        2
 *
 * A zone too small for its part is not made up for from outside, or a zone of twenty would fetch most of its bytes from
 * far away. O(reply × log zones).
 */
import type { ZoneIndex } from './zone-index.js';
import type { RankRange, ZoneOrder } from './zone-order.js';

/**
 * The part of a reply that is from outside the zone. Between two peers of a zone one of the two replies is enough to
 * connect them, while nearly every name from outside makes a connection of its own: a tenth here is about a sixth of
 * the connections.
 */
const ELSEWHERE_SHARE = 0.1;
/** At least so many are from outside, so that a zone is never on its own. */
const ELSEWHERE_FEWEST = 2;
/** At least so many in all, from wherever they are: a zone of two hosts needs more neighbours than itself. */
export const REPLY_FEWEST = 8;

export interface NearFirst {
  /** The asker's zone and a '/'. */
  readonly key: string;
  /** The asker's slot in this table, or −1; in the group of `key`, a leech if `leechesOnly` is false. */
  readonly except: number;
  readonly leechesOnly: boolean;
  readonly wanted: number;
  /** At least so many when there are that many, at most `wanted`. */
  readonly fewest: number;
  /** The zone has no seed: name one from outside. */
  readonly needsSeed: boolean;
}

/** Writes up to `wanted` different slots to `out`, and returns how many. @param random a generator of [0, 1). */
export function sampleNearFirst(index: ZoneIndex, ask: NearFirst, random: () => number, out: number[]): number {
  const { seeds, leeches } = index;
  // A seed is told of leeches only, so it need not be left out.
  const self = ask.except < 0 || ask.leechesOnly ? -1 : index.rankOf(ask.except);
  const leechRings = ringsOf(leeches, ask.key, self);
  const seedRings = ask.leechesOnly ? null : ringsOf(seeds, ask.key, -1);
  let { wanted, needsSeed } = ask;
  let count = 0;
  for (let ring = 1; ring < leechRings.length; ring++) {
    const leechesHere = ringSize(leechRings, ring);
    const seedsHere = seedRings === null ? 0 : ringSize(seedRings, ring);
    const beyond = sizeBeyond(leechRings, ring) + (seedRings === null ? 0 : sizeBeyond(seedRings, ring));
    const taken = Math.min(wanted - Math.min(elsewhere(wanted), beyond), leechesHere + seedsHere);
    let seedsTaken = 0;
    if (seedsHere > 0 && taken > 0) {
      const fair = Math.floor((taken * seedsHere) / (seedsHere + leechesHere) + random());
      seedsTaken = Math.min(seedsHere, taken, Math.max(taken - leechesHere, needsSeed ? 1 : 0, fair));
      if (seedsTaken > 0) needsSeed = false;
      count = draw(seeds, seedRings!, ring, seedsTaken, random, out, count);
    }
    count = draw(leeches, leechRings, ring, taken - seedsTaken, random, out, count);
    wanted -= taken;
    if (ring === 1) wanted = Math.min(wanted, Math.max(outsideFor(count), ask.fewest - count));
  }
  return count;
}

/** How many from outside go with so many of the zone. */
function outsideFor(near: number): number {
  return Math.max(ELSEWHERE_FEWEST, Math.ceil((near * ELSEWHERE_SHARE) / (1 - ELSEWHERE_SHARE)));
}

/** How many of `wanted` are kept for the rings outside. */
function elsewhere(wanted: number): number {
  return Math.min(Math.max(ELSEWHERE_FEWEST, Math.ceil(wanted * ELSEWHERE_SHARE)), wanted >> 1);
}

/**
 * Nested ranges: the asker itself, its zone, each zone around that, all. Ring i is what range i has and range i − 1 has
 * not.
 */
function ringsOf(order: ZoneOrder, key: string, self: number): RankRange[] {
  const rings: RankRange[] = [];
  for (let length = key.length; length > 0; length = key.lastIndexOf('/', length - 2) + 1) {
    rings.push(order.range(key.slice(0, length)));
  }
  rings.push({ begin: 0, end: order.count });
  const { begin } = rings[0]!;
  rings.unshift(self < 0 ? { begin, end: begin } : { begin: self, end: self + 1 });
  return rings;
}

function ringSize(rings: readonly RankRange[], ring: number): number {
  const outer = rings[ring]!;
  const inner = rings[ring - 1]!;
  return outer.end - outer.begin - (inner.end - inner.begin);
}

/** How many are in the rings outside this one. */
function sizeBeyond(rings: readonly RankRange[], ring: number): number {
  const { begin, end } = rings[ring]!;
  return rings.at(-1)!.end - (end - begin);
}

/**
 * Draws `wanted` slots of a ring, one from each of as many stretches, as `PeerTable.sample` does. Returns the new count
 * of `out`.
 */
function draw(
  order: ZoneOrder,
  rings: readonly RankRange[],
  ring: number,
  wanted: number,
  random: () => number,
  out: number[],
  at: number,
): number {
  const outer = rings[ring]!;
  const inner = rings[ring - 1]!;
  const size = ringSize(rings, ring);
  for (let i = 0; i < wanted; i++) {
    const low = Math.floor((i * size) / wanted);
    const high = Math.floor(((i + 1) * size) / wanted);
    const rank = outer.begin + low + Math.floor(random() * (high - low));
    // The inner ranks are left out by counting past them.
    out[at + i] = order.slotAt(rank < inner.begin ? rank : rank + inner.end - inner.begin);
  }
  return at + wanted;
}

/**
 * Whom a reply names: a random sample of a swarm, near peers first where the asker said where it is. Pure: dice are an
 * argument.
 */
import { REPLY_FEWEST, sampleNearFirst } from './near-first.js';
import { isLoopback, type PeerTable } from './peer-table.js';
import type { AnnounceQuery } from './query.js';
import type { Swarm } from './swarm.js';
import type { SwarmView } from './swarm-view.js';

/** Who asks. */
export interface Asker {
  /** The table of its family, and its slot in it, or −1. */
  readonly own: PeerTable;
  readonly ownSlot: number;
  readonly compact: Uint8Array;
  readonly query: Pick<AnnounceQuery, 'isSeed' | 'zone' | 'isOneFamily'>;
}

/**
 * Fills the picks of a view that has the counts: no seeds for seeds; a quarter of the other family when there is enough
 * of ours. A peer that says where it is gets mostly its neighbours.
 */
export function fillPicks(view: SwarmView, swarm: Swarm, asker: Asker, wanted: number, random: () => number): void {
  const { own, ownSlot, compact } = asker;
  const { isSeed, zone, isOneFamily } = asker.query;
  if (wanted === 0) {
    view.seedPort = null;
    return;
  }
  if (isSeed && !view.isOurLeech) view.seedPort = null;
  const isOwn4 = own === swarm.table4;
  const other = isOwn4 ? swarm.table6 : swarm.table4;
  const reserved = isOneFamily ? 0 : Math.min(other.sampleSize(isSeed, -1), wanted >> 2);
  const ownPicks = isOwn4 ? view.picks4 : view.picks6;
  const otherPicks = isOwn4 ? view.picks6 : view.picks4;
  const key = zone === undefined || zone === '' ? '' : own.zoneKey(zone, ownSlot);
  let ownCount: number;
  let otherCount: number;
  if (key === '') {
    ownCount = own.sample(isSeed, ownSlot, wanted - reserved, random, ownPicks);
    otherCount = other.sample(isSeed, -1, wanted - ownCount, random, otherPicks);
  } else {
    const needsSeed = !isSeed && view.seedPort === null && !own.hasSeedIn(key) && !other.hasSeedIn(key);
    const ask = {
      key,
      leechesOnly: isSeed,
      needsSeed,
      except: ownSlot,
      wanted: wanted - reserved,
      fewest: REPLY_FEWEST,
    };
    ownCount = sampleNearFirst(own.zones(), ask, random, ownPicks);
    otherCount = 0;
    if (other.count > 0) {
      ask.needsSeed = needsSeed && own.seedCount === 0;
      ask.except = -1;
      ask.wanted = wanted - ownCount;
      ask.fewest = REPLY_FEWEST - ownCount;
      otherCount = sampleNearFirst(other.zones(), ask, random, otherPicks);
    }
  }
  const ownSpeakers = isOwn4 ? swarm.speakers4 : swarm.speakers6;
  const otherSpeakers = isOwn4 ? swarm.speakers6 : swarm.speakers4;
  if (ownSpeakers !== null)
    ownCount = ownSpeakers.mixInto(ownPicks, ownCount, wanted - reserved, isSeed, ownSlot, random());
  if (otherSpeakers !== null)
    otherCount = otherSpeakers.mixInto(otherPicks, otherCount, wanted - ownCount, isSeed, -1, random());
  if (!isLoopback(compact, 0, compact.length)) {
    ownCount = dropLoopback(own, ownPicks, ownCount);
    otherCount = dropLoopback(other, otherPicks, otherCount);
  }
  view.count4 = isOwn4 ? ownCount : otherCount;
  view.count6 = isOwn4 ? otherCount : ownCount;
}

/** 127.0.0.1 means something else to everyone who is not on this machine. */
function dropLoopback(table: PeerTable, picks: number[], count: number): number {
  let kept = 0;
  for (let i = 0; i < count; i++) {
    const slot = picks[i]!;
    if (!table.isLoopback(slot)) picks[kept++] = slot;
  }
  return kept;
}

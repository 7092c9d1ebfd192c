/**
 * Sources that fell silent. As long as one of them sends, the others are the scheduler's to judge; when all are silent
 * it is probably the network, and nobody is dropped for it: a peer that is slow to come back is better than none.
 */
import { LIMITS } from '../config.js';
import type { Exchange } from './exchange.js';
import type { Peer } from './peer.js';

/** All peers that owe us blocks, when none of them has been heard of for a while; otherwise none. */
export function silentSources(exchange: Exchange, nowMs: number): readonly Peer[] {
  const { scheduler, peers } = exchange;
  const silent: Peer[] = [];
  if (exchange.isComplete) return silent;
  for (const peer of peers) {
    if (peer === null || peer.link.isClosing) continue;
    const { slot, link } = peer;
    if (!scheduler.isInterestedIn(slot) || scheduler.isPeerChoking(slot)) continue;
    // Our own limit keeps us from asking some.
    if (scheduler.isMetered && scheduler.requestsInFlight(slot) === 0 && !peer.arrival.isStoring) continue;
    if (link.isResting || link.silentMs(nowMs) <= LIMITS.silentSourceMs) return [];
    silent.push(peer);
  }
  return silent;
}

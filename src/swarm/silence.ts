/**
 * Sources that fell silent. As long as one of them sends, the others are the scheduler's to judge; when all are silent
 * it is probably the network, and nobody is dropped for it: a peer that is slow to come back is better than none.
 */
import { LIMITS } from '../config.js';
import type { Scheduler } from '../scheduler/scheduler.js';
import type { Peer } from './peer.js';
import type { Remote } from './remote.js';

export interface Sources<R extends Remote> {
  readonly peers: readonly (Peer<R> | null)[];
  readonly scheduler: Scheduler;
  /** Nothing is wanted of them. */
  readonly isComplete: boolean;
}

/** All peers that owe us blocks, when none of them has been heard of for a while; otherwise none. */
export function silentSources<R extends Remote>(
  { peers, scheduler, isComplete }: Sources<R>,
  nowMs: number,
): readonly Peer<R>[] {
  const silent: Peer<R>[] = [];
  if (isComplete) return silent;
  for (const peer of peers) {
    if (peer === null || peer.remote.isClosing) continue;
    const { slot, remote } = peer;
    if (!scheduler.view.isInterestedIn(slot) || scheduler.view.isPeerChoking(slot)) continue;
    // Our own limit keeps us from asking some.
    if (scheduler.view.isMetered && scheduler.view.requestsInFlight(slot) === 0 && !peer.inflow.arrival.isStoring)
      continue;
    if (remote.isResting || remote.silentMs(nowMs) <= LIMITS.silentSourceMs) return [];
    silent.push(peer);
  }
  return silent;
}

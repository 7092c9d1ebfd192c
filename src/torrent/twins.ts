/**
 * Two connections of one peer, told by its id: which one stays. Both sides decide by themselves and must come to the
 * same.
 *
 * When both dialled at once, it is the one dialled by the smaller id. Any other second one means that the first is dead
 * on the other side, or that somebody borrows the name: the first goes only when it has been silent, from another host
 * only when it also takes nothing of what waits for it, and in any case not before the new one has spoken, which it
 * does when the other side has let us in.
 */
import { LIMITS } from '../config.js';
import type { PeerLink } from '../peer/link.js';
import type { WirePeer } from './wire-remote.js';

export type TwinVerdict = 'refused' | 'replaces' | 'replaces-when-it-speaks';

/** @param link the new connection. @param ours our own peer id. */
export function judgeTwin(link: PeerLink, other: WirePeer, ours: Buffer, nowMs: number): TwinVerdict {
  // Both dialled at once: that shows within the time of a handshake. From another host and later it is no more than a
  // name.
  const isAtOnce = link.host === other.remote.host || nowMs - other.joinedMs < LIMITS.handshakeTimeoutMs;
  if (isAtOnce && isPreferred(link, other, ours)) return 'replaces';
  const silentMs = other.remote.silentMs(nowMs);
  if (link.host === other.remote.host) return silentMs > LIMITS.silentTwinMs ? 'replaces-when-it-speaks' : 'refused';
  const isDead = silentMs > LIMITS.deadTwinMs && other.outflow.pinned.uptake.idleSeconds * 1000 > LIMITS.deadTwinMs;
  return isDead ? 'replaces-when-it-speaks' : 'refused';
}

function isPreferred(link: PeerLink, other: WirePeer, ours: Buffer): boolean {
  if (link.isIncoming === other.remote.link.isIncoming) return false;
  const weAreSmaller = Buffer.compare(ours, other.remote.peerId) < 0;
  return link.isIncoming !== weAreSmaller;
}

/**
 * Who gives up a place in a full table of peers, of this torrent or of the engine: sees the connected peers as
 * `seats.ts` wants them, and closes the connection that yields.
 */
import { LIMITS } from '../config.js';
import type { OwnEndpoint } from '../net/own-endpoint.js';
import { groupOf } from '../net/remote-group.js';
import type { PeerLink } from '../peer/link.js';
import { type TorrentExchange, wirePeers } from './remotes.js';
import { type Place, whoIsUseless, whoYields } from './seats.js';
import type { WirePeer, WireRemote } from './wire-remote.js';

interface SeatedPeer extends Place {
  readonly peer: WirePeer;
}

export interface TurnoverOptions {
  readonly exchange: TorrentExchange;
  /** Places that one address keeps when the table is full and others knock. */
  readonly share: number;
  readonly isNamed: (remote: WireRemote) => boolean;
  /** By which addresses of ours the order of BEP 40 goes. */
  readonly own: Pick<OwnEndpoint, 'priorityOf'>;
}

/** Frees a place for the peer that knocks, whose handshake is done. False: everybody stays. */
export function makeRoom(link: PeerLink, options: TurnoverOptions, nowMs: number): boolean {
  const { exchange, share } = options;
  const newcomer = { group: groupOf(link.host), priority: () => priorityOf(options, link, link.port) };
  return close(whoYields(seated(exchange, options, nowMs), newcomer, share));
}

export function hasUseless(options: TurnoverOptions, nowMs: number): boolean {
  return whoIsUseless(seated(options.exchange, options, nowMs)) !== null;
}

/** Frees a place that is of no use to this torrent, for a peer that we want to dial or for another torrent. */
export function dropUseless(options: TurnoverOptions, nowMs: number): boolean {
  return close(whoIsUseless(seated(options.exchange, options, nowMs)));
}

function close(yielding: SeatedPeer | null): boolean {
  yielding?.peer.remote.close('gives its place in a full table to another peer');
  return yielding !== null;
}

function seated(exchange: TorrentExchange, options: TurnoverOptions, nowMs: number): SeatedPeer[] {
  const places: SeatedPeer[] = [];
  for (const peer of wirePeers(exchange)) {
    if (peer.remote.isClosing) continue;
    const { remote, slot } = peer;
    const { link } = remote;
    const { view } = exchange.scheduler;
    const idleMs = nowMs - peer.activeMs;
    const mayGive = view.isInterestedIn(slot);
    const mayTake = view.isPeerInterested(slot);
    places.push({
      peer,
      group: groupOf(link.host),
      isNamed: options.isNamed(remote),
      ageMs: nowMs - peer.joinedMs,
      idleMs,
      isWanted: mayGive || mayTake,
      hadChance: (!mayTake || peer.hadChance(nowMs)) && (!mayGive || idleMs >= LIMITS.idlePlaceMs),
      priority: () => priorityOf(options, link, remote.listenPort ?? link.port),
    });
  }
  return places;
}

function priorityOf({ own }: TurnoverOptions, link: PeerLink, port: number): number {
  return own.priorityOf({ host: link.host, port }, link.localHost);
}

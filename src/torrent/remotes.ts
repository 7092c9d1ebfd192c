/** The other sides that the exchange of a torrent knows: peers of the wire, and web seeds. */
import type { Exchange } from '../swarm/exchange.js';
import type { Peer } from '../swarm/peer.js';
import type { WebRemote } from '../webseed/web-remote.js';
import type { WirePeer, WireRemote } from './wire-remote.js';

export type TorrentRemote = WireRemote | WebRemote;
export type TorrentPeer = Peer<TorrentRemote>;
export type TorrentExchange = Exchange<TorrentRemote>;

/** Those of the wire. */
export function wirePeers(exchange: TorrentExchange | null): WirePeer[] {
  const peers = exchange?.peers ?? [];
  return peers.filter((peer) => peer !== null && !peer.remote.isWebSeed) as unknown[] as WirePeer[];
}

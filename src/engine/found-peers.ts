/** Peers of a torrent that a tracker in this process knows: as if an announce had been answered with them. */
import type { Address } from '../net/address.js';
import { TorrentHandle } from '../torrent/handle.js';
import type { Torrent } from '../torrent-api.js';

/** Unlike those of `addPeer` they can be banned, and are kept to the rules of trackers. */
export function peersFound(torrent: Torrent, addresses: readonly Address[]): void {
  const live = torrent instanceof TorrentHandle ? torrent.live : null;
  if (addresses.length > 0) live?.roster.add(addresses, 'tracker');
}

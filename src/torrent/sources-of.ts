/** What finds peers of a torrent, peer exchange included, which has to know who its peers are. */
import type { PeerSource } from '../discovery/source.js';
import type { SourceOwners } from './environment.js';
import { PeerExchange } from './pex.js';
import { wirePeers } from './remotes.js';
import type { Session } from './session.js';
import type { WireRemote } from './wire-remote.js';

/** @param roster hears of peer exchange what its peers say */
export function sourcesOf(
  torrent: Session & { readonly announces: PeerSource },
  roster: { pex: PeerExchange | null },
  owners: SourceOwners,
): readonly PeerSource[] {
  roster.pex = exchangePeers(torrent, owners);
  const found = torrent.environment.makeSources(torrent.metainfo, owners);
  return [torrent.announces, ...(roster.pex === null ? [] : [roster.pex]), ...found];
}

/** Null: it is switched off, or a private torrent, whose peers are told by its trackers alone (BEP 27). */
function exchangePeers(torrent: Session, owners: SourceOwners): PeerExchange | null {
  if (torrent.metainfo.isPrivate || !torrent.environment.usesPex) return null;
  const { now, random } = torrent.environment;
  return new PeerExchange({
    now,
    random,
    // A gateway may map another one at any time.
    get listenPort() {
      return torrent.environment.listenPort;
    },
    peers: function* (): Iterable<{ readonly remote: WireRemote; readonly isSeed: boolean }> {
      const { exchange } = torrent;
      if (exchange === null) return;
      for (const { remote, slot, isUploadOnly } of wirePeers(exchange)) {
        if (!remote.isClosing) yield { remote, isSeed: isUploadOnly || exchange.scheduler.view.peerIsSeed(slot) };
      }
    },
    isComplete: () => torrent.isComplete,
    knownAddresses: () => torrent.roster.knownAddresses,
    owner: owners.ownerOf('pex'),
  });
}

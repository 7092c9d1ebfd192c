/** What a torrent says of itself, worked out when asked. */
import type { PeerStats, TorrentStats } from '../api.js';
import type { AnnounceFigures } from '../discovery/announce.js';
import type { PieceIndex } from '../metainfo/geometry.js';
import type { TorrentExchange, TorrentPeer } from './remotes.js';
import type { Session, Totals } from './session.js';

/** Addresses asked of a tracker at once. */
const NUMWANT = 50;
/** With fewer peers than this a download asks its trackers for more. */
const FEW_PEERS = 4;

export const NO_TOTALS: Totals = { downloadedBytes: 0, uploadedBytes: 0, wastedBytes: 0, corruptBytes: 0 };

export function addTotals(past: Totals, exchange: TorrentExchange | null): Totals {
  if (exchange === null) return past;
  const { downloadedBytes, uploadedBytes, wastedBytes } = exchange.scheduler.view.totals;
  // Of thousands of seeds most have given nothing to anybody.
  if (downloadedBytes + uploadedBytes + wastedBytes + exchange.receiver.corruptBytes === 0) return past;
  return {
    downloadedBytes: past.downloadedBytes + downloadedBytes,
    uploadedBytes: past.uploadedBytes + uploadedBytes,
    wastedBytes: past.wastedBytes + wastedBytes,
    corruptBytes: past.corruptBytes + exchange.receiver.corruptBytes,
  };
}

export function torrentStats(torrent: Session): TorrentStats {
  const { metainfo, have, exchange } = torrent;
  const { geometry } = metainfo;
  const lengthBytes = geometry.lengthBytes;
  const last = (geometry.pieceCount - 1) as PieceIndex;
  const verifiedBytes = geometry.bytesOf(have.count, have.has(last));
  const nowMs = torrent.environment.now();
  const downloadBytesPerSec = exchange?.scheduler.view.downloadRate(null, nowMs) ?? 0;
  const totals = addTotals(torrent.past, exchange);
  const wantedBytes = torrent.selection?.wantedBytes ?? lengthBytes;
  const leftBytes = wantedBytes - verifiedBytes;
  return {
    state: torrent.state,
    lengthBytes,
    wantedBytes,
    verifiedBytes,
    pieceCount: geometry.pieceCount,
    wantedPieces: torrent.wantedPieces,
    verifiedPieces: have.count,
    checkedPieces: torrent.checkedPieces,
    downloadedBytes: totals.downloadedBytes,
    uploadedBytes: totals.uploadedBytes,
    webSeedBytes: torrent.webSources.downloadedBytes,
    downloadBytesPerSec,
    uploadBytesPerSec: exchange?.scheduler.view.uploadRate(null, nowMs) ?? 0,
    wastedBytes: totals.wastedBytes,
    corruptBytes: totals.corruptBytes,
    badPieces: torrent.badPieces,
    peers: exchange?.peerCount ?? 0,
    seeds: exchange?.peers.filter((peer) => isWireSeed(peer, exchange)).length ?? 0,
    knownAddresses: torrent.roster.knownAddresses,
    superSeeding: exchange?.scheduler.isSuperSeeding ?? false,
    secondsLeft:
      leftBytes === 0 ? 0 : downloadBytesPerSec > 0 ? leftBytes / downloadBytesPerSec : Number.POSITIVE_INFINITY,
    health: torrent.condition.health(),
  };
}

function isWireSeed(peer: TorrentPeer | null, { scheduler }: TorrentExchange): boolean {
  return peer !== null && !peer.remote.isWebSeed && scheduler.view.peerIsSeed(peer.slot);
}

/** Of the wire: what web seeds do is told by `sources`. */
export function peerStats(exchange: TorrentExchange): PeerStats[] {
  const nowMs = exchange.now();
  const { view } = exchange.scheduler;
  const stats: PeerStats[] = [];
  for (const peer of exchange.peers) {
    if (peer === null || peer.remote.isWebSeed) continue;
    const { slot, remote } = peer;
    stats.push({
      address: remote.link.address,
      client: remote.client,
      isIncoming: remote.link.isIncoming,
      isSeed: view.peerIsSeed(slot),
      amChoking: view.isChoking(slot),
      amInterested: view.isInterestedIn(slot),
      peerChoking: view.isPeerChoking(slot),
      peerInterested: view.isPeerInterested(slot),
      downloadedBytes: view.gaveBytes(slot),
      uploadedBytes: view.tookBytes(slot),
      downloadBytesPerSec: view.downloadRate(slot, nowMs),
      uploadBytesPerSec: view.uploadRate(slot, nowMs),
      requestsInFlight: view.requestsInFlight(slot),
    });
  }
  return stats;
}

/** What the trackers are told. */
export function announceFigures(torrent: Session): AnnounceFigures {
  const { uploadedBytes, downloadedBytes, lengthBytes, verifiedBytes, peers } = torrentStats(torrent);
  // Of the whole torrent: a tracker takes whoever has nothing left for a seed (BEP 3), and a part is none (BEP 21).
  const leftBytes = lengthBytes - verifiedBytes;
  return {
    uploadedBytes,
    downloadedBytes,
    leftBytes,
    port: torrent.environment.listenPort ?? 0,
    numwant: torrent.exchange?.hasRoom || torrent.rest.isResting ? NUMWANT : 0,
    isHungry: !torrent.isComplete && peers < FEW_PEERS,
    isAlone: peers === 0,
  };
}

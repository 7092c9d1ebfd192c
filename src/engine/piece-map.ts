/** Who has what of a torrent, for a picture of it: shares of columns instead of thousands of pieces. */
import type { PieceIndex } from '../metainfo/geometry.js';
import { TorrentHandle } from '../torrent/handle.js';
import { wirePeers } from '../torrent/remotes.js';
import type { Torrent } from '../torrent-api.js';

/** Pieces that are looked at in one column: a torrent of 100,000 pieces costs no more than one of 2,000. */
const LOOKS = 16;
const COLUMNS = 128;
const PEERS_MAX = 64;

export interface PieceMapPeer {
  readonly address: string;
  /** As it calls itself: any text. */
  readonly client: string;
  readonly isSeed: boolean;
  readonly downloadBytesPerSec: number;
  readonly uploadBytesPerSec: number;
  /** How much of each column it has, per cent. */
  readonly shares: readonly number[];
}

export interface PieceMap {
  readonly pieceCount: number;
  /** How much of each column is here, per cent: 128 columns, or as many as there are pieces. */
  readonly own: readonly number[];
  /** The first 64. */
  readonly peers: readonly PieceMapPeer[];
  readonly peerCount: number;
}

export function pieceMapOf(torrent: Torrent): PieceMap {
  const { pieceCount } = torrent.metainfo.geometry;
  const count = Math.min(COLUMNS, pieceCount);
  const sharesOf = (has: (piece: number) => boolean): number[] =>
    Array.from({ length: count }, (_, column) => shareOf(pieceCount, count, column, has));
  const live = torrent instanceof TorrentHandle ? torrent.live : null;
  const exchange = live?.exchange ?? null;
  const have = live?.have;
  const own = sharesOf((piece) => have?.has(piece) === true);
  if (live === null || exchange === null) return { pieceCount, own, peers: [], peerCount: 0 };
  const { view } = exchange.scheduler;
  const nowMs = exchange.now();
  const wire = wirePeers(exchange);
  const peers = wire.slice(0, PEERS_MAX).map(({ slot, remote }) => {
    const isSeed = view.peerIsSeed(slot);
    return {
      address: remote.link.address,
      client: remote.client,
      isSeed,
      downloadBytesPerSec: view.downloadRate(slot, nowMs),
      uploadBytesPerSec: view.uploadRate(slot, nowMs),
      shares: isSeed ? own.map(() => 100) : sharesOf((piece) => view.peerHas(slot, piece as PieceIndex)),
    };
  });
  return { pieceCount, own, peers, peerCount: wire.length };
}

/** Of pieces that stand evenly in the column. */
function shareOf(pieceCount: number, columns: number, column: number, has: (piece: number) => boolean): number {
  const begin = Math.floor((column * pieceCount) / columns);
  const end = Math.floor(((column + 1) * pieceCount) / columns);
  const looks = Math.min(LOOKS, end - begin);
  let found = 0;
  for (let look = 0; look < looks; look++) if (has(begin + Math.floor((look * (end - begin)) / looks))) found++;
  return Math.round((found / looks) * 100);
}

/** What an agent says for the page: the same shape as a depot's. Names are of torrents, since blobs have none. */
import type { Torrent } from '../../api.js';
import { VERSION } from '../../version.js';
import type { PieceMapAnswer } from '../http/status-source.js';
import { shortName } from '../names.js';
import type { Status, StatusTorrent } from '../status.js';
import type { PieceMapOf } from '../status-of.js';
import type { AgentParts } from './parts.js';

const ROWS_MAX = 50;

export function pageStatusOf({ cache, disk, engine, fetches, client }: AgentParts, requests: number): Status {
  const { connections, downloadBytesPerSec, uploadBytesPerSec, uploadedBytes, torrents: torrentCount } = engine.stats();
  const { count, usedBytes, cacheBytes } = cache;
  const uploads = [...fetches.all].slice(0, ROWS_MAX).map(({ row, bytes }) => ({
    name: shortName(row.name),
    lengthBytes: row.lengthBytes,
    receivedBytes: bytes.peers + bytes.webSeed,
    seconds: null,
  }));
  const time = new Date().toISOString();
  const { freeBytes, totalBytes, trouble } = disk.last;
  const away = client.states.filter(({ isAway }) => isAway === true);
  return {
    kind: 'agent',
    version: VERSION,
    time,
    stored: { names: count, blobs: count, blobBytes: usedBytes },
    disk: {
      usedBytes,
      freeBytes,
      totalBytes,
      highBytes: cacheBytes,
      lowBytes: cacheBytes,
      highShare: null,
    },
    requests,
    connections,
    peers: connections,
    downloadBytesPerSec,
    uploadBytesPerSec,
    uploadedBytes,
    uploads,
    torrents: engine.torrents.slice(0, ROWS_MAX).map(torrentOf),
    torrentCount,
    next: [],
    problems: [
      ...away.map(({ url }) => `the depot ${url} cannot be reached`),
      ...(trouble === '' ? [] : [`the cache: ${trouble}`]),
    ].map((text) => ({ time, count: 1, status: 0, text })),
  };
}

function torrentOf(torrent: Torrent): StatusTorrent {
  const { lengthBytes, verifiedBytes, peers, downloadBytesPerSec, uploadBytesPerSec, uploadedBytes } = torrent.stats();
  const { name, infoHashHex: infoHash } = torrent.metainfo;
  const rates = { downloadBytesPerSec, uploadBytesPerSec, uploadedBytes };
  return { name, infoHash, lengthBytes, verifiedBytes, peers, ...rates };
}

/** Null: it is not awake. */
export function piecesOf({ engine }: AgentParts, infoHash: string, pieceMapOf: PieceMapOf): PieceMapAnswer | null {
  const torrent = /^[0-9a-f]{40}$/.test(infoHash) ? engine.get(infoHash) : null;
  if (torrent === null) return null;
  return { name: torrent.metainfo.name, infoHash, ...pieceMapOf(torrent) };
}

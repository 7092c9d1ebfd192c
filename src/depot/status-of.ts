/** Asks the parts of a depot for what `/status` says. What a token may not see is left out. */
import type { Engine, Torrent } from '../api.js';
import type { PieceMap } from '../engine/piece-map.js';
import { VERSION } from '../version.js';
import type { Activity } from './activity.js';
import type { Catalogue } from './catalogue/port.js';
import type { House } from './house.js';
import { timeOrNever } from './http/listing-text.js';
import type { PieceMapAnswer, StatusSource } from './http/status-source.js';
import { shortName } from './names.js';
import type { Status, StatusDisk, StatusNext, StatusTorrent } from './status.js';
import type { BlobStore } from './store/port.js';

const UPLOADS_MAX = 50;
const TORRENTS_MAX = 50;
const NEXT_MAX = 20;

export type PieceMapOf = (torrent: Torrent) => PieceMap;

export interface StatusParts {
  readonly store: Pick<BlobStore, 'usedBytes' | 'space'>;
  readonly catalogue: Pick<Catalogue, 'counts' | 'byInfoHash'>;
  readonly engine: Pick<Engine, 'torrents' | 'stats' | 'get'>;
  readonly activity: Activity;
  readonly requests: () => number;
  readonly tracker: { readonly counts: { readonly peers: number } };
  readonly house: Pick<House, 'rules' | 'next'>;
  readonly pieceMapOf: PieceMapOf;
  /** Full prefixes of the folders that a torrent is of. */
  readonly folders?: { prefixesOf(infoHash: string): string[] };
}

export function statusSource(parts: StatusParts): StatusSource {
  return {
    status: (prefix) => statusOf(parts, prefix),
    pieces: (infoHash, prefix) => piecesOf(parts, infoHash, prefix),
  };
}

async function statusOf(parts: StatusParts, prefix: string): Promise<Status> {
  const { engine, activity } = parts;
  const [stored, disk, next, torrents] = await Promise.all([
    parts.catalogue.counts(),
    diskOf(parts),
    nextOf(parts, prefix),
    torrentsOf(parts, prefix),
  ]);
  const { connections, downloadBytesPerSec, uploadBytesPerSec, uploadedBytes, torrents: torrentCount } = engine.stats();
  return {
    kind: 'depot',
    version: VERSION,
    time: new Date().toISOString(),
    stored,
    disk,
    requests: parts.requests(),
    connections,
    peers: parts.tracker.counts.peers,
    downloadBytesPerSec,
    uploadBytesPerSec,
    uploadedBytes,
    uploads: activity.uploads(prefix, UPLOADS_MAX),
    torrents,
    torrentCount,
    next,
    // They name paths of all.
    problems: prefix === '' ? activity.problems() : [],
  };
}

async function diskOf({ store, house }: StatusParts): Promise<StatusDisk> {
  const space = await store.space().catch(() => null);
  const { ownBytes, diskShare } = house.rules;
  return {
    usedBytes: store.usedBytes,
    freeBytes: space?.freeBytes ?? null,
    totalBytes: space?.totalBytes ?? null,
    highBytes: whole(ownBytes?.high),
    lowBytes: whole(ownBytes?.low),
    highShare: diskShare?.high ?? null,
  };
}

function whole(count: number | undefined): number | null {
  return count === undefined ? null : Math.round(count);
}

async function nextOf({ house }: StatusParts, prefix: string): Promise<StatusNext[]> {
  const found = await house.next(NEXT_MAX, (name) => name.startsWith(prefix));
  return found.map(({ row, reason, atMs, obstacle }) => ({
    name: shortName(row.name),
    lengthBytes: row.lengthBytes,
    reason,
    at: timeOrNever(atMs),
    obstacle,
  }));
}

async function torrentsOf(parts: StatusParts, prefix: string): Promise<StatusTorrent[]> {
  const busiest = parts.engine.torrents
    .map((torrent) => ({ torrent, stats: torrent.stats() }))
    .sort((a, b) => b.stats.peers - a.stats.peers || b.stats.uploadBytesPerSec - a.stats.uploadBytesPerSec)
    .slice(0, TORRENTS_MAX);
  const found = await Promise.all(
    busiest.map(async ({ torrent, stats }): Promise<StatusTorrent | null> => {
      const name = await nameOf(parts, torrent, prefix);
      if (name === null) return null;
      const { lengthBytes, verifiedBytes, peers, downloadBytesPerSec, uploadBytesPerSec, uploadedBytes } = stats;
      const rates = { downloadBytesPerSec, uploadBytesPerSec, uploadedBytes };
      return { name, infoHash: torrent.metainfo.infoHashHex, lengthBytes, verifiedBytes, peers, ...rates };
    }),
  );
  return found.filter((torrent) => torrent !== null);
}

/** A folder's ends with a slash. Null: it may not be seen. */
async function nameOf({ catalogue, folders }: StatusParts, torrent: Torrent, prefix: string): Promise<string | null> {
  const { infoHashHex } = torrent.metainfo;
  const folder = folders?.prefixesOf(infoHashHex).find((name) => name.startsWith(prefix));
  const name = folder ?? (await catalogue.byInfoHash(infoHashHex))?.name;
  return name?.startsWith(prefix) === true ? shortName(name) : null;
}

async function piecesOf(parts: StatusParts, infoHash: string, prefix: string): Promise<PieceMapAnswer | null> {
  const torrent = parts.engine.get(infoHash);
  const name = torrent === null ? null : await nameOf(parts, torrent, prefix);
  if (torrent === null || name === null) return null;
  return { name, infoHash, ...parts.pieceMapOf(torrent) };
}

/** The statistics of a torrent over its sessions. Pure. */
import type { TorrentState, TorrentStats } from '../api.js';

/** What sessions that are over have moved, bytes. */
export type SessionSums = Pick<
  TorrentStats,
  'downloadedBytes' | 'uploadedBytes' | 'webSeedBytes' | 'wastedBytes' | 'corruptBytes'
>;

export const NO_STATS: SessionSums = {
  downloadedBytes: 0,
  uploadedBytes: 0,
  webSeedBytes: 0,
  wastedBytes: 0,
  corruptBytes: 0,
};

/** With those of one more session. */
export function sumsOf(stats: SessionSums, before: SessionSums): SessionSums {
  return {
    downloadedBytes: before.downloadedBytes + stats.downloadedBytes,
    uploadedBytes: before.uploadedBytes + stats.uploadedBytes,
    webSeedBytes: before.webSeedBytes + stats.webSeedBytes,
    wastedBytes: before.wastedBytes + stats.wastedBytes,
    corruptBytes: before.corruptBytes + stats.corruptBytes,
  };
}

export function withSums(stats: TorrentStats, before: SessionSums, state: TorrentState): TorrentStats {
  return { ...stats, ...sumsOf(stats, before), state };
}

/** While there is no session: as it was, and nothing moves. */
export function pausedStats(last: TorrentStats, sums: SessionSums, state: TorrentState): TorrentStats {
  return {
    ...last,
    ...sums,
    state,
    downloadBytesPerSec: 0,
    uploadBytesPerSec: 0,
    peers: 0,
    seeds: 0,
    secondsLeft: last.verifiedBytes >= last.wantedBytes ? 0 : Number.POSITIVE_INFINITY,
    health: [],
  };
}

/** The statistics of a torrent over its sessions. Pure. */
import type { TorrentSources, TorrentState, TorrentStats } from '../api.js';
import type { Bitfield } from '../metainfo/bitfield.js';
import type { LiveTorrent } from './torrent.js';

/** What sessions that are over have moved, bytes. */
type SessionSums = Pick<
  TorrentStats,
  'downloadedBytes' | 'uploadedBytes' | 'webSeedBytes' | 'wastedBytes' | 'corruptBytes'
>;

const NO_STATS: SessionSums = {
  downloadedBytes: 0,
  uploadedBytes: 0,
  webSeedBytes: 0,
  wastedBytes: 0,
  corruptBytes: 0,
};

/** With those of one more session. */
function sumsOf(stats: SessionSums, before: SessionSums): SessionSums {
  return {
    downloadedBytes: before.downloadedBytes + stats.downloadedBytes,
    uploadedBytes: before.uploadedBytes + stats.uploadedBytes,
    webSeedBytes: before.webSeedBytes + stats.webSeedBytes,
    wastedBytes: before.wastedBytes + stats.wastedBytes,
    corruptBytes: before.corruptBytes + stats.corruptBytes,
  };
}

function withSums(stats: TorrentStats, before: SessionSums, state: TorrentState): TorrentStats {
  return { ...stats, ...sumsOf(stats, before), state };
}

/** While there is no session: as it was, and nothing moves. */
function pausedStats(last: TorrentStats, sums: SessionSums, state: TorrentState): TorrentStats {
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

/** What is left of the sessions that are over. */
export class PastSessions {
  /** Of the last one. */
  have: Bitfield | null = null;
  sources: TorrentSources | null = null;
  #last: TorrentStats | null = null;
  #sums: SessionSums = NO_STATS;

  add(live: LiveTorrent): void {
    this.#last = live.stats();
    this.sources = live.sources();
    this.#sums = sumsOf(this.#last, this.#sums);
    this.have = live.have;
  }

  /** With those of the session under way. @param live null: there is none, and there was one */
  stats(live: LiveTorrent | null, state: TorrentState): TorrentStats {
    return live === null ? pausedStats(this.#last!, this.#sums, state) : withSums(live.stats(), this.#sums, state);
  }
}

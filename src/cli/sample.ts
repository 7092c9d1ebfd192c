/** What progress shows at one moment, and how a torrent, a hash run or a seed becomes such a sample. */
import type { Torrent, TorrentStats } from '../api.js';
import { waitingFor } from '../torrent/health.js';
import { count, formatBytes, formatRate, formatSeconds, percent } from './format.js';

export type Phase =
  | 'preparing'
  | 'sending'
  | 'copying'
  | 'hashing'
  | 'checking'
  | 'downloading'
  | 'seeding'
  | 'stopping';

export interface Sample {
  /** Of what is worked on. */
  readonly name?: string;
  readonly phase: Phase;
  readonly doneBytes: number;
  /** 0: there is no end to measure against (seeding). */
  readonly totalBytes: number;
  /** Rate towards the end; upload rate when seeding. */
  readonly bytesPerSec: number;
  /** Infinity when unknown. */
  readonly secondsLeft: number;
  /** Absent while there is no torrent (hashing). */
  readonly torrent?: TorrentStats;
}

/** The line of text for one sample: what a log gets, and what stands beside the bar. */
export function sampleText(sample: Sample): string {
  const { torrent } = sample;
  const peers = torrent === undefined ? '' : `, ${count(torrent.peers, 'peer')}`;
  if (sample.totalBytes === 0) {
    const sent = torrent === undefined ? '' : `, ${formatBytes(torrent.uploadedBytes)} sent`;
    return `${sample.phase}: ${formatRate(sample.bytesPerSec)} up${sent}${peers}`;
  }
  const done = `${percent(sample.doneBytes, sample.totalBytes).toFixed(1)}%`;
  const bytes = `${formatBytes(sample.doneBytes)} of ${formatBytes(sample.totalBytes)}`;
  const left = sample.doneBytes >= sample.totalBytes ? '' : `, ${formatSeconds(sample.secondsLeft)} left`;
  return `${sample.phase}: ${done}, ${bytes}, ${formatRate(sample.bytesPerSec)}${left}${peers}`;
}

/** The fields of a `progress` JSON line. */
export function sampleFields(sample: Sample): Record<string, unknown> {
  const { phase, doneBytes, totalBytes, bytesPerSec, secondsLeft, torrent } = sample;
  return {
    phase,
    doneBytes,
    totalBytes,
    percent: totalBytes === 0 ? null : percent(doneBytes, totalBytes),
    bytesPerSec: Math.round(bytesPerSec),
    secondsLeft: Number.isFinite(secondsLeft) ? Math.round(secondsLeft * 10) / 10 : null,
    ...(torrent === undefined ? {} : torrentFields(torrent)),
  };
}

/** The fields of a torrent's statistics in `progress` and `result` lines. */
export function torrentFields(stats: TorrentStats): Record<string, unknown> {
  return {
    verifiedBytes: stats.verifiedBytes,
    wantedBytes: stats.wantedBytes,
    lengthBytes: stats.lengthBytes,
    downloadedBytes: stats.downloadedBytes,
    uploadedBytes: stats.uploadedBytes,
    webSeedBytes: stats.webSeedBytes,
    downloadBytesPerSec: Math.round(stats.downloadBytesPerSec),
    uploadBytesPerSec: Math.round(stats.uploadBytesPerSec),
    wastedBytes: stats.wastedBytes,
    corruptBytes: stats.corruptBytes,
    peers: stats.peers,
    seeds: stats.seeds,
    knownAddresses: stats.knownAddresses,
    waitingFor: waitingFor(stats.health),
    health: stats.health,
  };
}

/** What a command waits for: all data here, or the end of serving it. */
export type Goal = 'complete' | 'serve';

/** Samples a torrent on the way to its goal: checking and downloading to the last byte, or checking and seeding. */
export function torrentSampler(
  torrent: Pick<Torrent, 'stats' | 'metainfo'>,
  goal: Goal,
  now: () => number = () => performance.now(),
): () => Sample {
  const checking = new Pace(now);
  const [down, up] = [new RecentRate(), new RecentRate()];
  const { name } = torrent.metainfo;
  return () => {
    const found = torrent.stats();
    const nowMs = now();
    const downloadBytesPerSec = down.at(found.downloadedBytes, nowMs);
    const uploadBytesPerSec = up.at(found.uploadedBytes, nowMs);
    const stats = { ...found, downloadBytesPerSec, uploadBytesPerSec };
    const total = stats.wantedBytes;
    if (stats.state === 'preparing' || stats.state === 'checking') {
      const doneBytes = Math.min(total, torrent.metainfo.geometry.bytesOf(stats.checkedPieces, false));
      return { name, phase: stats.state, totalBytes: total, torrent: stats, ...checking.at(doneBytes, total) };
    }
    if (goal === 'serve' && stats.verifiedBytes === total) {
      const bytesPerSec = stats.uploadBytesPerSec;
      return { name, phase: 'seeding', doneBytes: total, totalBytes: 0, bytesPerSec, secondsLeft: 0, torrent: stats };
    }
    const isStopping = stats.state === 'stopping' || stats.state === 'stopped' || stats.state === 'failed';
    return {
      name,
      phase: isStopping ? 'stopping' : 'downloading',
      doneBytes: stats.verifiedBytes,
      totalBytes: total,
      bytesPerSec: downloadBytesPerSec,
      secondsLeft: secondsFor(total - stats.verifiedBytes, downloadBytesPerSec),
      torrent: stats,
    };
  };
}

/** Of a file that comes by HTTP. @param doneBytes of it that are here */
export function fileSampler(
  name: string,
  totalBytes: number,
  doneBytes: () => number,
  now: () => number = () => performance.now(),
): () => Sample {
  const rate = new RecentRate();
  return () => {
    const done = Math.min(totalBytes, doneBytes());
    const bytesPerSec = rate.at(done, now());
    const secondsLeft = secondsFor(totalBytes - done, bytesPerSec);
    return { name, phase: 'downloading', doneBytes: done, totalBytes, bytesPerSec, secondsLeft };
  };
}

const SUMMED = [
  'lengthBytes',
  'wantedBytes',
  'verifiedBytes',
  'downloadedBytes',
  'uploadedBytes',
  'webSeedBytes',
  'downloadBytesPerSec',
  'uploadBytesPerSec',
  'wastedBytes',
  'corruptBytes',
  'peers',
  'seeds',
  'knownAddresses',
] as const satisfies readonly (keyof TorrentStats)[];

/** Of several torrents together: what `torrentFields` shows is added up, the rest is that of the first. */
export function sumStats(all: readonly TorrentStats[]): TorrentStats {
  const sums = SUMMED.map((key) => [key, all.reduce((sum, stats) => sum + stats[key], 0)] as const);
  return { ...all[0]!, ...Object.fromEntries(sums), health: all.flatMap(({ health }) => health) };
}

/** Several torrents in one line: the first phase that is not the last one, and sums. */
export function torrentsSampler(torrents: readonly Pick<Torrent, 'stats' | 'metainfo'>[], goal: Goal): () => Sample {
  const samplers = torrents.map((torrent) => torrentSampler(torrent, goal));
  if (samplers.length === 1) return samplers[0]!;
  const name = count(torrents.length, 'torrent');
  return () => {
    const samples = samplers.map((sampler) => sampler());
    const torrent = sumStats(samples.flatMap((sample) => sample.torrent ?? []));
    const { phase, totalBytes } = samples.find((sample) => sample.totalBytes > 0) ?? samples[0]!;
    const doneBytes = samples.reduce((sum, sample) => sum + sample.doneBytes, 0);
    const bytesPerSec = samples.reduce((sum, sample) => sum + sample.bytesPerSec, 0);
    const total = totalBytes === 0 ? 0 : torrent.wantedBytes;
    const secondsLeft = total === 0 ? 0 : secondsFor(total - doneBytes, bytesPerSec);
    return { name, phase, doneBytes, totalBytes: total, bytesPerSec, secondsLeft, torrent };
  };
}

/** Rates are of so long: they follow what happens, and do not tremble with every piece. */
const RATE_WINDOW_MS = 3_000;

/** Bytes per second of the last seconds, of a count that only rises; 0 when nothing has moved in them. */
export class RecentRate {
  /** The first is the newest that is as old as the window, if there is one. */
  readonly #points: { readonly bytes: number; readonly ms: number }[] = [];

  /** Ask about once a second, or more often. @param nowMs milliseconds from any origin */
  at(bytes: number, nowMs: number): number {
    const points = this.#points;
    points.push({ bytes, ms: nowMs });
    while (points.length > 1 && points[1]!.ms <= nowMs - RATE_WINDOW_MS) points.shift();
    const first = points[0]!;
    const seconds = (nowMs - first.ms) / 1000;
    return seconds > 0 ? Math.max(0, bytes - first.bytes) / seconds : 0;
  }
}

function secondsFor(leftBytes: number, bytesPerSec: number): number {
  if (leftBytes <= 0) return 0;
  return bytesPerSec > 0 ? leftBytes / bytesPerSec : Number.POSITIVE_INFINITY;
}

/** Rate and time left of work that counts its own bytes; the clock starts when it is made. */
export class Pace {
  readonly #now: () => number;
  readonly #rate = new RecentRate();

  /** @param now milliseconds from any origin */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
    this.#rate.at(0, now());
  }

  at(doneBytes: number, totalBytes: number): { doneBytes: number; bytesPerSec: number; secondsLeft: number } {
    const bytesPerSec = this.#rate.at(doneBytes, this.#now());
    return { doneBytes, bytesPerSec, secondsLeft: secondsFor(totalBytes - doneBytes, bytesPerSec) };
  }
}

/** How `haul get` says what came of it: done, stopped by the user, or given up, then with the reason of each source. */
import { join } from 'node:path';
import type { Torrent, TorrentSources, TorrentStats, TrackerReport } from '../api.js';
import { HaulError } from '../errors.js';
import { waitingFor } from '../torrent/health.js';
import { count, formatBytes, formatRate, formatSeconds, percent, printable } from './format.js';
import type { Fields, Output } from './output.js';
import type { GaveUp, Patience } from './patience.js';
import { torrentFields } from './sample.js';
import type { FileChoice } from './select.js';
import { resourceFields } from './usage.js';

export interface Fetched {
  readonly torrent: Torrent;
  readonly choice: FileChoice;
}

/** Named on standard error; --json has all. */
const TRACKERS_SHOWN = 10;
const REASONS_SHOWN = 3;
const BANS_SHOWN = 3;

export function reportDone(output: Output, { torrent, choice }: Fetched, seconds: number): void {
  const stats = torrent.stats();
  const path = join(torrent.output, torrent.metainfo.name);
  const isNew = stats.downloadedBytes > 0;
  const { wantedFiles, fileCount } = choice;
  const part = wantedFiles < fileCount ? `${wantedFiles} of ${count(fileCount, 'file')}, ` : '';
  const what = `${printable(path, 4000)}: ${part}${formatBytes(stats.wantedBytes)}`;
  output.event(
    'result',
    resultFields('done', { torrent, choice }, stats, seconds, {
      averageBytesPerSec: Math.round(stats.downloadedBytes / seconds),
    }),
    isNew
      ? `${what}, ${formatBytes(stats.downloadedBytes)} fetched in ` +
          `${formatSeconds(seconds)}, ${formatRate(stats.downloadedBytes / seconds)}`
      : `${what}, already complete`,
  );
}

/** @param isKnown false before the end of the check of what is here: nobody knows then how much is good. */
export function reportStopped(output: Output, fetched: Fetched, seconds: number, isKnown: boolean): void {
  const stats = fetched.torrent.stats();
  output.event('result', resultFields('interrupted', fetched, stats, seconds), '');
  noteStopped(output, stats, isKnown);
}

/** The state of a torrent when its time was up: taken before it stopped. */
export interface Snapshot {
  readonly stats: TorrentStats;
  readonly sources: TorrentSources;
}

export function reportGaveUp(
  output: Output,
  fetched: Fetched,
  seconds: number,
  { stats: before, sources }: Snapshot,
  patience: Patience,
): void {
  const stats = fetched.torrent.stats();
  const gaveUp = patience.gaveUp!;
  const { health } = before;
  const waited = waitingFor(health);
  const more = { sources, health, waitingFor: waited };
  output.event('result', resultFields(gaveUp, fetched, stats, seconds, more), '');
  const why = waited ?? whatWasDone(before);
  output.error(gaveUpError(patience, why));
  for (const line of sourceLines(sources)) output.note(`  ${line}`);
  noteStopped(output, stats, before.state === 'downloading');
}

/** One line: which limit, and why nothing came. */
export function gaveUpError(
  patience: Pick<Patience, 'gaveUp' | 'timeoutMs' | 'deadlineMs' | 'countsBytes'>,
  why: string,
  cause?: unknown,
): HaulError {
  const gaveUp: GaveUp = patience.gaveUp ?? 'timeout';
  const limitMs = gaveUp === 'timeout' ? patience.timeoutMs : patience.deadlineMs;
  const time = formatSeconds(limitMs / 1000);
  const nothing = patience.countsBytes ? 'nothing useful came' : 'nothing was verified';
  const what = gaveUp === 'timeout' ? `${nothing} for ${time}` : `not complete after ${time}`;
  const facts = { option: `--${gaveUp}`, limitMs };
  return new HaulError('TIMEOUT', `${what} (--${gaveUp}): ${why}`, facts, cause);
}

/** For whoever wants to know why nothing came: one line for each tracker, one about peers, one about bans. */
export function sourceLines({ trackers, addresses }: TorrentSources): string[] {
  const lines = trackers.slice(0, TRACKERS_SHOWN).map(trackerLine);
  if (trackers.length === 0) lines.push('trackers: none');
  if (trackers.length > TRACKERS_SHOWN) lines.push(`and ${count(trackers.length - TRACKERS_SHOWN, 'more tracker')}`);
  const { known, dialled, connected, failures, banned, bans } = addresses;
  const reasons = failures.slice(0, REASONS_SHOWN).map((failure) => {
    return `${failure.addresses} ${failure.reason} (${failure.example})`;
  });
  const why = reasons.length === 0 ? '' : `: ${reasons.join(', ')}`;
  lines.push(`peers: ${known} known, ${count(dialled, 'dial')}, ${count(connected, 'connection')}${why}`);
  if (banned > 0) {
    const named = bans.slice(-BANS_SHOWN).map(({ address, reason, until }) => {
      return `${address} ${reason}, until ${until.toISOString().replace(/\.\d+Z$/, 'Z')}`;
    });
    lines.push(`banned: ${banned}${named.length === 0 ? '' : `: ${named.join('; ')}`}`);
  }
  return lines;
}

function trackerLine({ url, outcome, message, failures }: TrackerReport): string {
  const prefix = `tracker ${url}: `;
  const said = message.startsWith(prefix) ? message.slice(prefix.length) : message;
  if (outcome === 'waiting') return `${prefix}no answer yet`;
  if (outcome === 'unsupported') return `${prefix}not contacted, ${said}`;
  return failures > 1 ? `${prefix}${said} (${failures} times)` : `${prefix}${said}`;
}

function whatWasDone({ state, verifiedBytes, wantedBytes, downloadBytesPerSec, peers }: TorrentStats): string {
  if (state !== 'downloading')
    return state === 'checking' ? 'still checking what is here' : 'still preparing the files';
  if (verifiedBytes === wantedBytes) return 'all is here, and not yet on the disk';
  const done = `${percent(verifiedBytes, wantedBytes).toFixed(1)}% is here`;
  return `${done}, ${count(peers, 'peer')}, ${formatRate(downloadBytesPerSec)}`;
}

function noteStopped(output: Output, { verifiedBytes, wantedBytes }: TorrentStats, isKnown: boolean): void {
  const done = `with ${percent(verifiedBytes, wantedBytes).toFixed(1)}% here`;
  const when = isKnown ? done : 'before what is here was checked';
  output.note(`stopped ${when}; run the same command again to continue`);
}

function resultFields(
  outcome: string,
  { torrent, choice }: Fetched,
  stats: TorrentStats,
  seconds: number,
  more: Fields = {},
): Fields {
  return {
    outcome,
    path: join(torrent.output, torrent.metainfo.name),
    name: torrent.metainfo.name,
    infoHash: torrent.metainfo.infoHashHex,
    wantedFiles: choice.wantedFiles,
    fileCount: choice.fileCount,
    seconds,
    ...torrentFields(stats),
    ...more,
    ...resourceFields(),
  };
}

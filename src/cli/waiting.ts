/**
 * What a download waits for, as lines for people: said when it begins to wait and when the reason changes, not every
 * second.
 */
import type { HealthCode, HealthProblem, Torrent, TorrentStats } from '../api.js';
import { waitingFor } from '../torrent/health.js';
import type { Output } from './output.js';

const LOOK_EVERY_MS = 1000;
/** Reasons may change back and forth as peers come and go. */
const BETWEEN_LINES_MS = 10_000;
/** In the ten minutes of an unattended command: some 0.4 KB/s, less than any line that works. */
const PROGRESS_BYTES = 256 * 1024;

export class WaitingLines {
  #said = '';
  #saidAtMs = Number.NEGATIVE_INFINITY;

  /** The line to print now, or null. Ask about once a second. */
  next(health: readonly HealthProblem[], nowMs: number): string | null {
    const line = waitingFor(health);
    // Counts and seconds in the text change all the time; the codes are the reason.
    const reason = line === null ? '' : health.map(({ code }) => code).join(' ');
    if (reason === this.#said || nowMs - this.#saidAtMs < BETWEEN_LINES_MS) return null;
    this.#said = reason;
    if (line === null) return null;
    this.#saidAtMs = nowMs;
    return `waiting: ${line}`;
  }
}

interface Looking {
  readonly end: () => void;
}

/** Says on standard error what a download waits for, whenever it does, until `end`. */
export function sayWaiting(output: Output, torrent: Pick<Torrent, 'stats'>): Looking {
  const lines = new WaitingLines();
  return lookAt(torrent, (health) => {
    const line = lines.next(health, performance.now());
    if (line !== null) output.note(line);
  });
}

/** Told by themselves, as they happen. */
const TOLD_ALREADY: ReadonlySet<HealthCode> = new Set(['tracker-failing', 'bad-pieces']);

/** A seed that nobody can learn of would wait in silence. */
export function warnOfProblems(output: Output, torrent: Pick<Torrent, 'stats'>): Looking {
  const said = new Set<string>();
  return lookAt(torrent, (health) => {
    for (const { code, message, facts } of health) {
      if (TOLD_ALREADY.has(code) || said.has(code)) continue;
      said.add(code);
      output.warn(message, { code, facts });
    }
  });
}

function lookAt(torrent: Pick<Torrent, 'stats'>, use: (health: readonly HealthProblem[]) => void): Looking {
  const timer = setInterval(() => use(torrent.stats().health), LOOK_EVERY_MS);
  return { end: () => clearInterval(timer) };
}

/**
 * Says whether a torrent got on since the last call: a piece was verified, or it does work that is no waiting, such as
 * checking.
 * @param countsBytes so did it when a good deal came that has not proved bad: a large piece may take a slow line longer
 * than the limit
 */
export function makeProgressLook(torrent: Pick<Torrent, 'stats'>, countsBytes: boolean): () => boolean {
  let verified = torrent.stats().verifiedPieces;
  let usefulBytes = usefulBytesOf(torrent.stats());
  return () => {
    const stats = torrent.stats();
    let isMore = stats.verifiedPieces > verified;
    verified = stats.verifiedPieces;
    // A mark that only rises: a bad copy that is fetched again and again does not pass it.
    if (countsBytes && usefulBytesOf(stats) >= usefulBytes + PROGRESS_BYTES) {
      usefulBytes = usefulBytesOf(stats);
      isMore = true;
    }
    return isMore || !isWaitingForPieces(stats);
  };
}

function usefulBytesOf({ downloadedBytes, corruptBytes }: TorrentStats): number {
  return downloadedBytes - corruptBytes;
}

function isWaitingForPieces({ state, verifiedPieces, wantedPieces }: TorrentStats): boolean {
  return state === 'downloading' && verifiedPieces < wantedPieces;
}

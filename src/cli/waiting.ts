/** What a download waits for, as lines for people: said when it begins to wait and when the reason changes, not every second. */
import type { HealthProblem, Torrent, TorrentStats } from '../api.js';
import { waitingFor } from '../torrent/health.js';
import type { Output } from './output.js';

const LOOK_EVERY_MS = 1000;
/** Reasons may change back and forth as peers come and go. */
const BETWEEN_LINES_MS = 10_000;

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

/** A seed that nobody can learn of would wait in silence. Trackers that fail are told by themselves. */
export function warnOfProblems(output: Output, torrent: Pick<Torrent, 'stats'>): Looking {
  const said = new Set<string>();
  return lookAt(torrent, (health) => {
    for (const { code, message, facts } of health) {
      if (code === 'tracker-failing' || said.has(code)) continue;
      said.add(code);
      output.warn(message, { code, facts });
    }
  });
}

function lookAt(torrent: Pick<Torrent, 'stats'>, use: (health: readonly HealthProblem[]) => void): Looking {
  const timer = setInterval(() => use(torrent.stats().health), LOOK_EVERY_MS);
  return { end: () => clearInterval(timer) };
}

/** Says whether a torrent got on since the last call: a piece was verified, or it does work that is no waiting, such as checking. */
export function makeProgressLook(torrent: Pick<Torrent, 'stats'>): () => boolean {
  let verified = torrent.stats().verifiedPieces;
  return () => {
    const stats = torrent.stats();
    const isMore = stats.verifiedPieces > verified;
    verified = stats.verifiedPieces;
    return isMore || !isWaitingForPieces(stats);
  };
}

function isWaitingForPieces({ state, verifiedPieces, wantedPieces }: TorrentStats): boolean {
  return state === 'downloading' && verifiedPieces < wantedPieces;
}

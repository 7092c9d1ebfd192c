/**
 * Tells the depot's tracker of blobs that sleep: they have no torrent that announces itself, and nobody would find them
 * else. A few in each second, those that were used last; the tracker says how often it wants to hear of each. Pure but
 * for what it is given.
 */
import { AGENT_LIMITS } from './limits.js';

export interface PresenceOptions {
  /** Resolves with how long the tracker will remember it, milliseconds, or null where it does not say. */
  readonly announce: (infoHash: string) => Promise<number | null>;
  /** Its torrent is awake, and speaks for itself. */
  readonly isAwake: (infoHash: string) => boolean;
  /** Nobody can be told now. */
  readonly isAway: () => boolean;
  readonly now: () => number;
}

interface Row {
  dueMs: number;
  wasAwake: boolean;
  isUnderWay: boolean;
}

export class Presence {
  readonly #options: PresenceOptions;
  /** The one used longest ago first. */
  readonly #rows = new Map<string, Row>();
  #underWay = 0;

  constructor(options: PresenceOptions) {
    this.#options = options;
  }

  get count(): number {
    return this.#rows.size;
  }

  /** It was used: of too many the ones that were not leave. */
  add(infoHash: string): void {
    const row = this.#rows.get(infoHash) ?? { dueMs: this.#options.now(), wasAwake: false, isUnderWay: false };
    this.#rows.delete(infoHash);
    this.#rows.set(infoHash, row);
    if (this.#rows.size > AGENT_LIMITS.announced) this.#rows.delete(this.#rows.keys().next().value!);
  }

  remove(infoHash: string): void {
    this.#rows.delete(infoHash);
  }

  /** The tracker may have forgotten all: it remembers nobody over a restart. */
  again(): void {
    const nowMs = this.#options.now();
    for (const row of this.#rows.values()) row.dueMs = Math.min(row.dueMs, nowMs);
  }

  /** Once a second. */
  tick(): void {
    const { now, isAwake, isAway } = this.#options;
    const nowMs = now();
    let begun = 0;
    for (const [infoHash, row] of this.#rows) {
      const awake = isAwake(infoHash);
      // Who falls asleep has said goodbye.
      if (row.wasAwake && !awake) row.dueMs = nowMs + SOON_MS;
      row.wasAwake = awake;
      if (awake || row.isUnderWay || row.dueMs > nowMs || isAway()) continue;
      if (begun >= AGENT_LIMITS.announces || this.#underWay >= AGENT_LIMITS.announces) continue;
      begun++;
      void this.#announce(infoHash, row);
    }
  }

  async #announce(infoHash: string, row: Row): Promise<void> {
    const { announce, now } = this.#options;
    row.isUnderWay = true;
    this.#underWay++;
    const intervalMs = await announce(infoHash).catch(() => RETRY_MS);
    this.#underWay--;
    row.isUnderWay = false;
    row.dueMs = now() + Math.max(LEAST_MS, intervalMs ?? AGENT_LIMITS.announceMs);
  }
}

/** The goodbye of the torrent is on its way still. */
const SOON_MS = 3_000;
const RETRY_MS = 60_000;
const LEAST_MS = 60_000;

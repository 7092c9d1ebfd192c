/**
 * Which tracker to announce to, and when (BEP 12 and the intervals of BEP 3). Pure: time and dice are arguments.
 * Invariant: at most one announce is under way; trackers are tried tier by tier, the next tier only when all of one failed,
 * and the one that answers moves to the front of its tier. After a round in which all failed there is a growing pause.
 */
import { LIMITS } from '../config.js';
import type { AnnounceEvent } from './announce.js';

/** URLs beyond this are dropped: nobody runs that many trackers for one torrent, but anybody can write them into a file. */
export const TRACKERS_MAX = 100;
/** Pause after a round of failures; it doubles up to the last. */
export const RETRY_FIRST_MS = 5_000;
export const RETRY_LAST_MS = 30 * 60_000;
/** What trackers that name no interval get: the common value of the field. */
const INTERVAL_DEFAULT_MS = 30 * 60_000;
/** Without `min interval`, this is how soon a torrent short of peers asks again. */
const HUNGRY_INTERVAL_MS = 5 * 60_000;

export class Tiers {
  readonly #tiers: string[][];
  #tier = 0;
  #place = 0;
  #nextAtMs = Number.POSITIVE_INFINITY;
  #hungryAtMs = Number.POSITIVE_INFINITY;
  #failedRounds = 0;
  /** Trackers that know we are here: only these are told anything but 'started'. */
  readonly #started = new Set<string>();
  #owesCompleted = false;
  #isBusy = false;

  /** Shuffles within tiers. Repeated URLs count once. @param random a generator of [0, 1). */
  constructor(trackers: readonly (readonly string[])[], random: () => number) {
    const seen = new Set<string>();
    const isNew = (url: string): boolean => seen.size < TRACKERS_MAX && seen.size < seen.add(url).size;
    this.#tiers = trackers.map((tier) => shuffled(tier.filter(isNew), random)).filter((tier) => tier.length > 0);
  }

  get isEmpty(): boolean {
    return this.#tiers.length === 0;
  }

  /** Tiers in their present order; for display and tests. */
  get order(): readonly (readonly string[])[] {
    return this.#tiers;
  }

  /** Trackers that got 'started' and not 'stopped'. */
  get started(): readonly string[] {
    return [...this.#started];
  }

  /** When the next regular announce is due. */
  get nextAtMs(): number {
    return this.#nextAtMs;
  }

  start(nowMs: number): void {
    this.#nextAtMs = nowMs;
  }

  /** The download is complete: the next announce comes at once and says so. */
  completed(nowMs: number): void {
    this.#owesCompleted = true;
    // While a tracker is failing its pause stays: 'completed' is said when it works again.
    if (this.#failedRounds === 0) this.#nextAtMs = Math.min(this.#nextAtMs, nowMs);
  }

  /** The tracker to announce to now, or null. `isHungry`: peers are few, ask as early as the tracker permits. */
  due(nowMs: number, isHungry: boolean): string | null {
    if (this.#isBusy) return null;
    const atMs = isHungry ? Math.min(this.#nextAtMs, this.#hungryAtMs) : this.#nextAtMs;
    return nowMs < atMs ? null : (this.#tiers[this.#tier]?.[this.#place] ?? null);
  }

  /** The event this tracker must hear next (BEP 3). */
  eventFor(url: string): AnnounceEvent | undefined {
    if (!this.#started.has(url)) return 'started';
    return this.#owesCompleted ? 'completed' : undefined;
  }

  /** The announce that `due` asked for is under way. */
  begun(): void {
    this.#isBusy = true;
  }

  /** The tracker answered. Intervals as it said them, null when it did not. */
  succeeded(
    nowMs: number,
    event: AnnounceEvent | undefined,
    intervalMs: number | null,
    minIntervalMs: number | null,
  ): void {
    this.#isBusy = false;
    this.#failedRounds = 0;
    const tier = this.#tiers[this.#tier]!;
    const [url] = tier.splice(this.#place, 1);
    tier.unshift(url!);
    this.#started.add(url!);
    this.#tier = 0;
    this.#place = 0;
    if (event === 'completed') this.#owesCompleted = false;
    const pauseMs = clampInterval(Math.max(intervalMs ?? INTERVAL_DEFAULT_MS, minIntervalMs ?? 0));
    const hungryMs = clampInterval(minIntervalMs ?? Math.min(pauseMs, HUNGRY_INTERVAL_MS));
    this.#nextAtMs = this.#owesCompleted ? nowMs : nowMs + pauseMs;
    this.#hungryAtMs = nowMs + Math.min(hungryMs, pauseMs);
  }

  /** The tracker failed: the next one is due at once, or after a pause when it was the last. */
  failed(nowMs: number): void {
    this.#isBusy = false;
    this.#place++;
    if (this.#place >= this.#tiers[this.#tier]!.length) {
      this.#place = 0;
      this.#tier++;
    }
    this.#nextAtMs = nowMs;
    if (this.#tier >= this.#tiers.length) {
      this.#tier = 0;
      this.#nextAtMs = nowMs + Math.min(RETRY_FIRST_MS * 2 ** Math.min(this.#failedRounds++, 20), RETRY_LAST_MS);
    }
    // A failing round is never cut short by hunger.
    this.#hungryAtMs = Number.POSITIVE_INFINITY;
  }

  /** No further announces. Returns the trackers that must hear 'stopped'. */
  stop(): readonly string[] {
    const told = this.started;
    this.#started.clear();
    this.#nextAtMs = Number.POSITIVE_INFINITY;
    this.#hungryAtMs = Number.POSITIVE_INFINITY;
    return told;
  }
}

function clampInterval(intervalMs: number): number {
  return Math.min(Math.max(intervalMs, LIMITS.announceIntervalMinMs), LIMITS.announceIntervalMaxMs);
}

function shuffled(items: readonly string[], random: () => number): string[] {
  const list = [...items];
  for (let i = list.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [list[i], list[j]] = [list[j]!, list[i]!];
  }
  return list;
}

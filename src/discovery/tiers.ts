/**
 * Which tracker to announce to, and when (BEP 12 and the intervals of BEP 3). Pure: time and dice are arguments.
 * Invariant: at most one announce is under way; trackers are tried tier by tier, the next tier only when all of one
 * failed, and the one that answers moves to the front of its tier. After a round in which all failed there is a growing
 * pause, the shorter the more we need somebody; each is drawn from a range, so that those who lost a tracker together
 * do not come back together.
 */
import { LIMITS } from '../config.js';
import type { AnnounceEvent } from './announce.js';

/**
 * URLs beyond this are dropped: nobody runs that many trackers for one torrent, but anybody can write them into a file.
 */
export const TRACKERS_MAX = 100;

/** Pauses after rounds of failures: the first one, which grows by a factor up to the last. */
export interface RetryPauses {
  readonly firstMs: number;
  readonly growth: number;
  readonly lastMs: number;
}

/** Where peers are connected nothing depends on the tracker. */
export const RETRY: RetryPauses = { firstMs: 5_000, growth: 2, lastMs: 30 * 60_000 };
/** Nobody is connected: those who look for us find us only there. */
export const RETRY_ALONE: RetryPauses = { firstMs: 5_000, growth: 2, lastMs: 5 * 60_000 };
/**
 * The same with a download to go on with, and no tracker that refuses us: they are away, perhaps only for a moment. Who
 * grows by a half comes late by at most half the time they were away.
 */
export const RETRY_WAITING: RetryPauses = { firstMs: 1_000, growth: 1.5, lastMs: 60_000 };
/** A pause is between so many times the one above and so much more. */
const JITTER_FROM = 0.75;
const JITTER_WIDTH = 0.5;
/** What trackers that name no interval get: the common value of the field. */
const INTERVAL_DEFAULT_MS = 30 * 60_000;
/** Without `min interval`, this is how soon a torrent short of peers asks again. */
const HUNGRY_INTERVAL_MS = 5 * 60_000;

/** Who is connected. */
export interface Company {
  /** Peers are few, and the download is not done: ask as early as the tracker permits. */
  readonly isHungry: boolean;
  /** There is no peer at all. */
  readonly isAlone: boolean;
}

export class Tiers {
  readonly #tiers: string[][];
  #tier = 0;
  #place = 0;
  #nextAtMs = Number.POSITIVE_INFINITY;
  #hungryAtMs = Number.POSITIVE_INFINITY;
  /** For who is alone, and for who is alone and hungry. */
  #aloneAtMs = Number.POSITIVE_INFINITY;
  #waitingAtMs = Number.POSITIVE_INFINITY;
  #failedRounds = 0;
  /** In this round a tracker has answered, with a refusal. */
  #isRefused = false;
  readonly #random: () => number;
  /** Trackers that know we are here: only these are told anything but 'started'. */
  #started: Set<string> | null = null;
  #owesCompleted = false;
  #isBusy = false;

  /** Shuffles within tiers. Repeated URLs count once. @param random a generator of [0, 1). */
  constructor(trackers: readonly (readonly string[])[], random: () => number) {
    this.#random = random;
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
    return [...(this.#started ?? [])];
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

  /** Somebody asked for an announce: it is due now, unless all is over. */
  hurry(nowMs: number): void {
    if (this.#nextAtMs !== Number.POSITIVE_INFINITY) this.#nextAtMs = Math.min(this.#nextAtMs, nowMs);
  }

  /** The tracker to announce to now, or null. */
  due(nowMs: number, company: Company): string | null {
    return nowMs < this.dueAtMs(company) ? null : (this.#tiers[this.#tier]?.[this.#place] ?? null);
  }

  /** When the next announce is due; Infinity while one is under way. */
  dueAtMs({ isHungry, isAlone }: Company): number {
    if (this.#isBusy) return Number.POSITIVE_INFINITY;
    let atMs = this.#nextAtMs;
    if (isHungry) atMs = Math.min(atMs, this.#hungryAtMs);
    if (isAlone) atMs = Math.min(atMs, isHungry ? this.#waitingAtMs : this.#aloneAtMs);
    return atMs;
  }

  /** The event this tracker must hear next (BEP 3). */
  eventFor(url: string): AnnounceEvent | undefined {
    if (this.#started?.has(url) !== true) return 'started';
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
    this.#isRefused = false;
    const tier = this.#tiers[this.#tier]!;
    const [url] = tier.splice(this.#place, 1);
    tier.unshift(url!);
    this.#started ??= new Set();
    this.#started.add(url!);
    this.#tier = 0;
    this.#place = 0;
    if (event === 'completed') this.#owesCompleted = false;
    const pauseMs = clampInterval(Math.max(intervalMs ?? INTERVAL_DEFAULT_MS, minIntervalMs ?? 0));
    const saidMs = minIntervalMs === null ? null : Math.max(minIntervalMs, LIMITS.announceMinIntervalMs);
    const hungryMs = saidMs ?? HUNGRY_INTERVAL_MS;
    this.#nextAtMs = this.#owesCompleted ? nowMs : nowMs + pauseMs;
    this.#hungryAtMs = nowMs + Math.min(hungryMs, pauseMs);
    this.#waitingAtMs = this.#hungryAtMs;
    // A seed alone may be one whose tracker has forgotten it; only where the tracker says how often it may be asked.
    this.#aloneAtMs = nowMs + Math.min(saidMs ?? pauseMs, pauseMs);
  }

  /**
   * The tracker failed: the next one is due at once, or after a pause when it was the last.
   * @param isRefusal it answered, but not as asked.
   */
  failed(nowMs: number, isRefusal: boolean): void {
    this.#isBusy = false;
    this.#isRefused ||= isRefusal;
    this.#place++;
    if (this.#place >= this.#tiers[this.#tier]!.length) {
      this.#place = 0;
      this.#tier++;
    }
    this.#nextAtMs = nowMs;
    if (this.#tier >= this.#tiers.length) this.#endRound(nowMs);
    // A failing round is never cut short by hunger.
    this.#hungryAtMs = Number.POSITIVE_INFINITY;
  }

  #endRound(nowMs: number): void {
    this.#tier = 0;
    const jitter = JITTER_FROM + JITTER_WIDTH * this.#random();
    const steps = Math.min(this.#failedRounds++, 20);
    const after = ({ firstMs, growth, lastMs }: RetryPauses): number =>
      nowMs + Math.min(firstMs * growth ** steps, lastMs) * jitter;
    this.#nextAtMs = after(RETRY);
    this.#aloneAtMs = after(RETRY_ALONE);
    this.#waitingAtMs = after(this.#isRefused ? RETRY_ALONE : RETRY_WAITING);
    this.#isRefused = false;
  }

  /** No further announces. Returns the trackers that must hear 'stopped'. */
  stop(): readonly string[] {
    const told = this.started;
    this.#started = null;
    this.#nextAtMs = Number.POSITIVE_INFINITY;
    this.#hungryAtMs = Number.POSITIVE_INFINITY;
    this.#aloneAtMs = Number.POSITIVE_INFINITY;
    this.#waitingAtMs = Number.POSITIVE_INFINITY;
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

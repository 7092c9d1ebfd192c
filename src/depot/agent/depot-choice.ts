/**
 * Which of several depots is asked first: the nearest that is well, by how long each takes to say that it is. Another
 * one takes its place when it is clearly nearer, so that two of the same distance do not take turns, or when the first
 * is away. Pure: time and dice are arguments.
 *
 *   unknown ── answers ──> here ── no connection, no answer, breaks off ──> away ── answers a look ──> here again
 *                           └── 500, 503 ──> busy: asked after the others for a while        (one that comes back is
 *                                                                                      first only after some looks)
 */

export const CHOICE = {
  /** How much of a new measurement is in the mean. */
  weight: 0.3,
  /** Another one is nearer when it takes so much less, */
  nearer: 1.5,
  /** and so many milliseconds less: that is noise on a local network. */
  nearerMs: 3,
  /** One that was away has to answer so often before it can be first again while another one is. */
  trustedLooks: 3,
  /** Between two looks at one that is well; at first, and while what is under way depends on it. */
  lookMs: 10_000,
  firstLookMs: 1_000,
  closeLookMs: 500,
  /** One that is away is looked at again after this, twice as long each time, */
  awayMs: 500,
  /** and at least so often. */
  awayMaxMs: 30_000,
  /** A look that takes longer shows that it is away. */
  lateMs: 1_000,
  /** One that is busy comes after the others for at least so long, and at most. */
  busyMs: 1_000,
  busyMaxMs: 10_000,
  /** One that gave wrong bytes comes after all others for so long. */
  lyingMs: 60_000,
} as const;

interface Depot {
  isAway: boolean | null;
  /** Null: not measured. */
  meanMs: number | null;
  /** Looks that were answered since it came. */
  looks: number;
  /** It was away. */
  wasAway: boolean;
  failures: number;
  /** When it is looked at next. */
  dueMs: number;
  isLookedAt: boolean;
  awaySinceMs: number;
  busyUntilMs: number;
  lyingUntilMs: number;
}

export class DepotChoice {
  readonly #depots: readonly Depot[];
  readonly #random: () => number;
  readonly #lookedAtMs: number[] = [];
  #first = 0;
  /** Another one became the first. */
  changes = 0;

  /** @param random a generator of [0, 1) */
  constructor(count: number, random: () => number) {
    this.#random = random;
    this.#depots = Array.from({ length: count }, () => ({
      isAway: null,
      meanMs: null,
      looks: 0,
      wasAway: false,
      failures: 0,
      dueMs: Number.NEGATIVE_INFINITY,
      isLookedAt: false,
      awaySinceMs: 0,
      busyUntilMs: Number.NEGATIVE_INFINITY,
      lyingUntilMs: Number.NEGATIVE_INFINITY,
    }));
  }

  /** The one that is asked first. */
  get first(): number {
    return this.#first;
  }

  isAway(depot: number): boolean | null {
    return this.#depots[depot]!.isAway;
  }

  meanMs(depot: number): number | null {
    return this.#depots[depot]!.meanMs;
  }

  /** Since when it is away, milliseconds; 0: it is not. */
  awayForMs(depot: number, nowMs: number): number {
    const { isAway, awaySinceMs } = this.#depots[depot]!;
    return isAway === true ? nowMs - awaySinceMs : 0;
  }

  /** All of them, in the order in which they are to be asked. */
  order(nowMs: number): number[] {
    this.#choose(nowMs);
    const rank = (depot: number): number => {
      const { isAway, busyUntilMs } = this.#depots[depot]!;
      if (this.#isLying(depot, nowMs)) return 5;
      if (isAway === true) return 4;
      if (busyUntilMs > nowMs) return 3;
      if (depot === this.#first) return 0;
      return isAway === null ? 2 : 1;
    };
    return [...this.#depots.keys()].sort((a, b) => rank(a) - rank(b) || this.#distance(a) - this.#distance(b) || a - b);
  }

  /** Those that are to be looked at now. @param isClose what is under way depends on the first */
  due(nowMs: number, isClose: boolean): number[] {
    return [...this.#depots.keys()].filter((depot) => {
      const { isLookedAt, dueMs, isAway } = this.#depots[depot]!;
      if (isLookedAt) return false;
      const soonMs = isClose && depot === this.#first && isAway !== true ? this.#lookedMs(depot) : dueMs;
      return Math.min(soonMs, dueMs) <= nowMs;
    });
  }

  /** A look at it has begun. */
  looking(depot: number): void {
    this.#depots[depot]!.isLookedAt = true;
  }

  /** It has answered a look. */
  looked(depot: number, tookMs: number, nowMs: number): void {
    const one = this.#depots[depot]!;
    const { weight, lookMs, firstLookMs, trustedLooks } = CHOICE;
    one.isLookedAt = false;
    const mean = one.meanMs ?? tookMs;
    // What has to be loaded and opened for the first ones is none of their distance.
    one.meanMs = one.looks < trustedLooks ? Math.min(mean, tookMs) : mean + weight * (tookMs - mean);
    one.looks++;
    this.#lookedAtMs[depot] = nowMs;
    one.dueMs = nowMs + (one.looks < trustedLooks ? firstLookMs : lookMs * this.#jitter());
    this.#here(one);
    this.#choose(nowMs);
  }

  /** It has answered something. */
  answered(depot: number, nowMs: number): void {
    this.#here(this.#depots[depot]!);
    this.#choose(nowMs);
  }

  /** A look at it came to nothing. */
  missed(depot: number, nowMs: number): void {
    const one = this.#depots[depot]!;
    one.isLookedAt = false;
    this.#gone(one, nowMs);
    const pauseMs = Math.min(CHOICE.awayMaxMs, CHOICE.awayMs * 2 ** Math.min(20, one.failures));
    one.failures++;
    one.dueMs = nowMs + pauseMs * this.#jitter();
    this.#choose(nowMs);
  }

  /** Something that it was asked for broke off, or did not come: it is looked at soon whether it is there. */
  broke(depot: number, nowMs: number): void {
    const one = this.#depots[depot]!;
    this.#gone(one, nowMs);
    if (one.failures === 0) one.dueMs = Math.min(one.dueMs, nowMs + CHOICE.awayMs * this.#jitter());
    this.#choose(nowMs);
  }

  /** It lets somebody wait: it is looked at now, unless that has just been done. */
  suspect(depot: number, nowMs: number): void {
    const one = this.#depots[depot]!;
    if (one.isAway === true) return;
    one.dueMs = Math.min(one.dueMs, Math.max(nowMs, this.#lookedMs(depot)));
  }

  /** It could not do it now. @param forMs as it said */
  busy(depot: number, forMs: number | null, nowMs: number): void {
    const one = this.#depots[depot]!;
    const { busyMs, busyMaxMs } = CHOICE;
    this.#here(one);
    one.busyUntilMs = Math.max(one.busyUntilMs, nowMs + Math.min(busyMaxMs, Math.max(busyMs, forMs ?? busyMs)));
    this.#choose(nowMs);
  }

  /** What it gave was wrong. */
  lied(depot: number, nowMs: number): void {
    const one = this.#depots[depot]!;
    one.lyingUntilMs = nowMs + CHOICE.lyingMs;
    this.#choose(nowMs);
  }

  /** When it may be looked at again without being pestered. */
  #lookedMs(depot: number): number {
    return (this.#lookedAtMs[depot] ?? Number.NEGATIVE_INFINITY) + CHOICE.closeLookMs;
  }

  #jitter(): number {
    return 0.75 + this.#random() / 2;
  }

  #here(one: Depot): void {
    one.isAway = false;
    one.failures = 0;
  }

  #gone(one: Depot, nowMs: number): void {
    if (one.isAway !== true) one.awaySinceMs = nowMs;
    one.isAway = true;
    one.wasAway = true;
    one.looks = 0;
  }

  #distance(depot: number): number {
    return this.#depots[depot]!.meanMs ?? Number.POSITIVE_INFINITY;
  }

  #isWell(depot: number, nowMs: number): boolean {
    const { isAway, busyUntilMs } = this.#depots[depot]!;
    return isAway === false && busyUntilMs <= nowMs && !this.#isLying(depot, nowMs);
  }

  #isLying(depot: number, nowMs: number): boolean {
    return this.#depots[depot]!.lyingUntilMs > nowMs;
  }

  #isTrusted(depot: number): boolean {
    const { wasAway, looks, meanMs } = this.#depots[depot]!;
    return meanMs !== null && (!wasAway || looks >= CHOICE.trustedLooks);
  }

  #choose(nowMs: number): void {
    const nearest = (depots: readonly number[]): number | undefined =>
      [...depots].sort((a, b) => this.#distance(a) - this.#distance(b) || a - b)[0];
    const well = [...this.#depots.keys()].filter((depot) => this.#isWell(depot, nowMs));
    let next: number | undefined = this.#first;
    if (!this.#isWell(this.#first, nowMs)) {
      const isHere = (depot: number): boolean => this.#depots[depot]!.isAway !== true && !this.#isLying(depot, nowMs);
      const rest = [...this.#depots.keys()].filter((depot) => isHere(depot) && depot !== this.#first);
      const unknown = this.#depots[this.#first]!.isAway === null && isHere(this.#first) ? this.#first : undefined;
      // One that is busy is better than one that is away.
      next = nearest(well) ?? unknown ?? (isHere(this.#first) ? this.#first : nearest(rest));
    } else {
      const best = nearest(well.filter((depot) => this.#isTrusted(depot)));
      const { nearer, nearerMs } = CHOICE;
      const isNearer = (ms: number): boolean =>
        ms * nearer < this.#distance(this.#first) && ms + nearerMs < this.#distance(this.#first);
      if (best !== undefined && isNearer(this.#distance(best))) next = best;
    }
    if (next === undefined || next === this.#first) return;
    this.#first = next;
    this.changes++;
  }
}

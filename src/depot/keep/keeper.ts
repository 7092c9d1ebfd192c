/**
 * House-keeping as it runs: every minute it looks what has to go (`decide.ts`), and removes a bounded number of names
 * through the depot, which removes blobs that nothing names. Where more has to go it comes again at once. It owns the
 * timer and the doubt about the clock; it deletes nothing itself.
 */
import type { Log } from '../../log.js';
import type { ArtifactRow, Catalogue, ExpiryReason, RowFacts } from '../catalogue/port.js';
import type { Uses } from '../uses.js';
import { type ClockDoubt, ClockGuard, type Clocks } from './clock-guard.js';
import {
  excessBytes,
  type Fullness,
  type KeepRules,
  obstacle,
  planRemovals,
  type Removal,
  type Situation,
  type Surroundings,
  type Upcoming,
  upcoming,
} from './decide.js';

/** Between two looks. */
const TICK_MS = 60_000;
/** Where a look did not do all: the others get a turn, then it goes on. */
const AGAIN_MS = 50;
/** Names that go in one look. */
const REMOVALS_MAX = 256;
/** Rows that are looked at in one look: most of them may be in use. */
const ROWS_PER_LOOK = 10_000;
const PAGE_ROWS = 500;
/** Removals at once: each waits for syncs that the others share. */
const AT_ONCE = 8;
/** Uses that the catalogue is told of in one look, where they are in the way of what has to go. */
const TOLD_MAX = 100;

export interface KeeperParts extends Surroundings {
  readonly rules: KeepRules;
  readonly catalogue: Pick<Catalogue, 'expiring' | 'leastUsed'>;
  /** `Depository.remove`. */
  remove(name: string, onlyIf: RowFacts): Promise<ArtifactRow | null>;
  fullness(): Promise<Fullness>;
  /** When names were used, of which the catalogue hears later: `Uses`. Default: it has heard of all. */
  readonly uses?: Pick<Uses, 'untold' | 'tell'>;
  /**
   * Runs it, unless another depot of the same catalogue does: null then. Two that look at once would both remove what
   * is too much. Default: there is no other.
   */
  turn?(look: () => Promise<KeepReport>): Promise<KeepReport | null>;
  clocks(): Clocks;
  /** Time of day when it was last believed, kept over a restart. */
  readonly lastWallMs: number | null;
  /** Told at each look while the time is believed. */
  keepWall?(wallMs: number): Promise<void>;
  readonly log: Log;
}

/** Whether a name is asked for. Where that took long the answer comes in a later turn of the event loop. */
export type NameFilter = (name: string) => boolean | Promise<boolean>;

/** What one look did. */
export interface KeepReport {
  readonly removed: Readonly<Record<ExpiryReason, number>>;
  /** More has to go. */
  readonly isMore: boolean;
}

export class Keeper {
  readonly #parts: KeeperParts;
  readonly #guard: ClockGuard;
  /** Since it began. */
  readonly #removed: Record<ExpiryReason, number> = { age: 0, idle: 0, watermark: 0 };
  #isDraining = false;
  #timer: NodeJS.Timeout | null = null;
  #looking: Promise<KeepReport> | null = null;
  #isStopped = false;
  #isHurried = false;
  #toldDoubt: ClockDoubt | null = null;

  constructor(parts: KeeperParts) {
    this.#parts = parts;
    this.#guard = new ClockGuard(parts.lastWallMs, parts.clocks());
  }

  /** Names that went, by reason, since it began. */
  get removed(): Readonly<Record<ExpiryReason, number>> {
    return this.#removed;
  }

  /** Why nothing goes by age and idleness; null: it does. */
  get clockDoubt(): ClockDoubt | null {
    return this.#guard.doubt;
  }

  /** A time of day that is not behind what is known: for what is published. */
  nowMs(): number {
    return this.#guard.nowMs(this.#parts.clocks());
  }

  start(): void {
    this.#schedule(AGAIN_MS);
  }

  /** Something was published, or there was no room: looks soon. */
  hurry(): void {
    if (this.#isHurried || this.#timer === null) return;
    this.#isHurried = true;
    if (this.#looking === null) this.#schedule(AGAIN_MS);
  }

  /** What is under way is ended. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    await this.#looking?.catch(() => {});
  }

  /** One look; one that is under way is taken. Rejects as the catalogue and the depot do. */
  look(): Promise<KeepReport> {
    this.#looking ??= this.#look().finally(() => {
      this.#looking = null;
    });
    return this.#looking;
  }

  /**
   * What goes next, the first first, with reasons and times. Of names that are wanted nowhere among the next
   * `ROWS_PER_LOOK` it tells nothing.
   * @param isWanted only these; it may take turns
   */
  async next(limit: number, isWanted: NameFilter = () => true): Promise<Upcoming[]> {
    const { catalogue, rules } = this.#parts;
    const byAge = await nextOf(limit, isWanted, (after) => catalogue.expiring(Infinity, PAGE_ROWS, after));
    const goesUnused = rules.idleMs !== null || rules.ownBytes !== null || rules.diskShare !== null;
    const byUse = goesUnused
      ? await nextOf(limit, isWanted, (after) => catalogue.leastUsed(PAGE_ROWS, after))
      : { rows: [], wanted: [] };
    const wanted = new Set([...byAge.wanted, ...byUse.wanted]);
    const situation = { ...this.#situation(await this.#parts.fullness()), limit: Infinity };
    // Those that are not wanted take their share of what has to go.
    const used = byUse.rows.map((row) => this.#asUsed(row)).sort((a, b) => a.usedMs - b.usedMs);
    const found = upcoming(byAge.rows, used, this.#parts, situation);
    return found.filter(({ row }) => wanted.has(row.name)).slice(0, limit);
  }

  #situation(fullness: Fullness): Situation {
    const { rules } = this.#parts;
    return {
      rules,
      nowMs: this.#parts.clocks().wallMs,
      isTimeSure: this.#guard.doubt === null,
      excessBytes: excessBytes(rules, fullness, this.#isDraining),
      limit: REMOVALS_MAX,
    };
  }

  async #look(): Promise<KeepReport> {
    const now = this.#parts.clocks();
    if (this.#guard.look(now)) await this.#parts.keepWall?.(now.wallMs);
    this.#tellDoubt(now);
    const work = (): Promise<KeepReport> => this.#removeDue();
    const report = this.#parts.turn === undefined ? await work() : await this.#parts.turn(work);
    return report ?? { removed: { age: 0, idle: 0, watermark: 0 }, isMore: false };
  }

  async #removeDue(): Promise<KeepReport> {
    const situation = this.#situation(await this.#parts.fullness());
    this.#isDraining = situation.excessBytes > 0;
    const report = { removed: { age: 0, idle: 0, watermark: 0 }, isMore: false };
    let left = situation.excessBytes;
    let limit = REMOVALS_MAX;
    let failure: unknown = null;
    const untold: string[] = [];
    for await (const rows of this.#candidates(situation, untold)) {
      const plan = planRemovals(rows, this.#parts, { ...situation, excessBytes: left, limit });
      for (let begin = 0; begin < plan.length && !this.#isStopped; begin += AT_ONCE) {
        const group = plan.slice(begin, begin + AT_ONCE).filter((removal) => this.#stillGoes(removal));
        const done = await Promise.allSettled(group.map(({ row }) => this.#parts.remove(row.name, factsOf(row))));
        for (const [index, { row, reason }] of group.entries()) {
          const outcome = done[index]!;
          // One that cannot be removed keeps nobody behind it.
          if (outcome.status === 'rejected') failure ??= outcome.reason;
          if (outcome.status === 'rejected' || outcome.value === null) continue;
          report.removed[reason]++;
          this.#removed[reason]++;
          left -= row.lengthBytes;
        }
      }
      limit -= plan.length;
      if (limit <= 0 || this.#isStopped) break;
    }
    if (failure !== null) throw failure;
    report.isMore = limit <= 0;
    if (left > 0 && untold.length > 0) {
      // What was used last goes, too, where nothing else is left: in its turn.
      await this.#parts.uses?.tell(untold.slice(0, TOLD_MAX));
      report.isMore = true;
    }
    return report;
  }

  /** It has not been wanted since it was looked at. */
  #stillGoes({ row, reason }: Removal): boolean {
    const isUntold = reason !== 'age' && (this.#parts.uses?.untold(row.name) ?? null) !== null;
    return !isUntold && obstacle(row, reason, this.#parts) === null;
  }

  #asUsed(row: ArtifactRow): ArtifactRow {
    return { ...row, usedMs: Math.max(row.usedMs, this.#parts.uses?.untold(row.name) ?? 0) };
  }

  /**
   * Rows whose turn may have come, a page at a time: over their age, then the longest unused.
   * @param untold gets the names that were used, and of which the catalogue does not know it: they are left out
   */
  async *#candidates(situation: Situation, untold: string[]): AsyncGenerator<readonly ArtifactRow[]> {
    const { catalogue, uses } = this.#parts;
    const { rules, nowMs, isTimeSure } = situation;
    if (isTimeSure) yield* pages((after) => catalogue.expiring(nowMs, PAGE_ROWS, after));
    const isIdle = (row: ArtifactRow) => isTimeSure && rules.idleMs !== null && row.usedMs + rules.idleMs < nowMs;
    for await (const rows of pages((after) => catalogue.leastUsed(PAGE_ROWS, after))) {
      if (situation.excessBytes <= 0 && !isIdle(rows[0]!)) return;
      yield rows.filter(({ name }) => {
        if ((uses?.untold(name) ?? null) === null) return true;
        untold.push(name);
        return false;
      });
    }
  }

  #tellDoubt(now: Clocks): void {
    const { doubt } = this.#guard;
    if (doubt === this.#toldDoubt) return;
    this.#toldDoubt = doubt;
    const { log } = this.#parts;
    if (doubt === null) log('info', 'the clock is believed again: names go by age and idleness');
    else {
      const minutes = Math.ceil(this.#guard.leftMs(now) / 60_000);
      const days = (doubt.byMs / 86_400_000).toFixed(1);
      const what = doubt.kind === 'jump' ? `the clock jumped by ${days} days` : `the last run was ${days} days ago`;
      log('warn', `${what}: nothing goes by age or idleness for ${minutes} minutes; is the date right?`);
    }
  }

  #schedule(delayMs: number): void {
    if (this.#isStopped) return;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#run(), delayMs);
    this.#timer.unref();
  }

  async #run(): Promise<void> {
    this.#isHurried = false;
    let isMore = false;
    try {
      isMore = (await this.look()).isMore;
    } catch (error) {
      this.#parts.log('warn', `house-keeping: ${error instanceof Error ? error.message : String(error)}`);
    }
    this.#schedule(isMore || this.#isHurried ? AGAIN_MS : TICK_MS);
  }
}

/** Published, fetched or pinned since it was read: it stays. */
function factsOf({ sha256, createdMs, expiresMs, usedMs, isPinned }: ArtifactRow): RowFacts {
  return { sha256, createdMs, expiresMs, usedMs, isPinned };
}

async function* pages(
  read: (after: ArtifactRow | null) => Promise<readonly ArtifactRow[]>,
): AsyncGenerator<readonly ArtifactRow[]> {
  let after: ArtifactRow | null = null;
  for (let seen = 0; seen < ROWS_PER_LOOK; ) {
    const rows: readonly ArtifactRow[] = await read(after);
    if (rows.length === 0) return;
    yield rows;
    seen += rows.length;
    after = rows.at(-1)!;
  }
}

/** Rows in their order until so many of them are wanted, with the names of those. */
async function nextOf(
  limit: number,
  isWanted: NameFilter,
  read: (after: ArtifactRow | null) => Promise<readonly ArtifactRow[]>,
): Promise<{ readonly rows: readonly ArtifactRow[]; readonly wanted: readonly string[] }> {
  const rows: ArtifactRow[] = [];
  const wanted: string[] = [];
  for await (const page of pages(read)) {
    for (const row of page) {
      if (wanted.length >= limit) return { rows, wanted };
      const answer = isWanted(row.name);
      if (typeof answer === 'boolean' ? answer : await answer) wanted.push(row.name);
      rows.push(row);
    }
  }
  return { rows, wanted };
}

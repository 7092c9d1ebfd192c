/**
 * What goes next, and why. Pure: rows, sizes and the time come in, names and reasons go out. Nothing here asks a disk
 * or a catalogue, and nothing is deleted here.
 *
 *   age         its time is over (`expiresMs`)
 *   idle        nobody fetched it for so long
 *   watermark   the depot (or its disk) is fuller than the high mark: the longest unused go until the low mark
 *
 * Never what is pinned or in use. By watermark never what somebody wants more copies of than the swarm has.
 */
import type { ArtifactRow, ExpiryReason } from '../catalogue/port.js';

/** Where it begins and where it ends. */
export interface Marks {
  readonly high: number;
  /** Not above `high`. */
  readonly low: number;
}

export interface KeepRules {
  /** Unfetched so long a name goes. Milliseconds; null: never. */
  readonly idleMs: number | null;
  /** Bytes of our own blobs; null: no bound. */
  readonly ownBytes: Marks | null;
  /** Share of the disk that is used, by anybody, 0 to 1; null: no matter. Only our own blobs go for it. */
  readonly diskShare: Marks | null;
}

export const NO_RULES: KeepRules = { idleMs: null, ownBytes: null, diskShare: null };

/** What is stored, and where. */
export interface Fullness {
  /** Own blobs and uploads. */
  readonly usedBytes: number;
  readonly disk: { readonly freeBytes: number; readonly totalBytes: number } | null;
}

/** Bytes between a mark and what is used, of ours and of the disk; positive: above it. */
function above(mark: 'high' | 'low', { ownBytes, diskShare }: KeepRules, { usedBytes, disk }: Fullness): number {
  const own = ownBytes === null ? -Infinity : usedBytes - ownBytes[mark];
  if (diskShare === null || disk === null) return own;
  return Math.max(own, disk.totalBytes - disk.freeBytes - diskShare[mark] * disk.totalBytes);
}

/**
 * Bytes that must go by watermark; 0: none.
 * @param isDraining the high mark was passed, and the low one not reached yet
 */
export function excessBytes(rules: KeepRules, fullness: Fullness, isDraining: boolean): number {
  if (!isDraining && above('high', rules, fullness) <= 0) return 0;
  return Math.min(fullness.usedBytes, Math.max(0, Math.ceil(above('low', rules, fullness))));
}

/** What a row may not go for, though its turn has come. */
export type Obstacle = 'in use' | 'replicas';

export interface Surroundings {
  /** Somebody fetches it, or has its torrent awake. */
  isInUse(row: ArtifactRow): boolean;
  /** Whole copies in the swarm beside ours, as far as the tracker knows. */
  copies(row: ArtifactRow): number;
}

export function obstacle(row: ArtifactRow, reason: ExpiryReason, around: Surroundings): Obstacle | null {
  if (around.isInUse(row)) return 'in use';
  const isWanted = reason === 'watermark' && row.replicas !== null && around.copies(row) < row.replicas;
  return isWanted ? 'replicas' : null;
}

export interface Removal {
  readonly row: ArtifactRow;
  readonly reason: ExpiryReason;
}

export interface Situation {
  readonly rules: KeepRules;
  readonly nowMs: number;
  /** The time is believed: names may go by age and idleness. */
  readonly isTimeSure: boolean;
  readonly excessBytes: number;
  /** Removals at most. */
  readonly limit: number;
}

/** Why this row goes now, if nothing is in its way; null: it stays. `left`: bytes that still have to go. */
function dueFor(row: ArtifactRow, { rules, nowMs, isTimeSure }: Situation, left: number): ExpiryReason | null {
  if (row.isPinned) return null;
  if (isTimeSure && row.expiresMs !== null && row.expiresMs < nowMs) return 'age';
  if (isTimeSure && rules.idleMs !== null && row.usedMs + rules.idleMs < nowMs) return 'idle';
  return left > 0 ? 'watermark' : null;
}

/**
 * What is to be removed, in this order.
 * @param rows those over their age first, then the longest unused; one may come twice
 */
export function planRemovals(rows: readonly ArtifactRow[], around: Surroundings, situation: Situation): Removal[] {
  const removals: Removal[] = [];
  const seen = new Set<string>();
  let left = situation.excessBytes;
  for (const row of rows) {
    if (removals.length >= situation.limit) break;
    if (seen.has(row.name)) continue;
    seen.add(row.name);
    const reason = dueFor(row, situation, left);
    if (reason === null || obstacle(row, reason, around) !== null) continue;
    removals.push({ row, reason });
    // A blob that another name keeps frees nothing: the next look finds what is still too much.
    left -= row.lengthBytes;
  }
  return removals;
}

/** What would go, for people. */
export interface Upcoming {
  readonly row: ArtifactRow;
  readonly reason: ExpiryReason;
  /** When; null for a watermark that is not reached: nobody knows. */
  readonly atMs: number | null;
  /** What is in its way now. */
  readonly obstacle: Obstacle | 'clock' | null;
}

function isSooner(known: Upcoming | undefined, atMs: number | null): boolean {
  return known !== undefined && (known.atMs ?? Infinity) <= (atMs ?? Infinity);
}

/**
 * What goes next, the first first: what is due, as `planRemovals` has it; then by time; then, where there are
 * watermarks, the longest unused.
 * @param byAge in the order of `expiresMs`, not pinned
 * @param byUse in the order of `usedMs`, not pinned
 */
export function upcoming(
  byAge: readonly ArtifactRow[],
  byUse: readonly ArtifactRow[],
  around: Surroundings,
  situation: Situation,
): Upcoming[] {
  const found = new Map<string, Upcoming>();
  const { rules, nowMs, isTimeSure } = situation;
  const timeOf = (row: ArtifactRow, reason: ExpiryReason): number =>
    reason === 'age' ? row.expiresMs! : reason === 'idle' ? row.usedMs + rules.idleMs! : nowMs;
  let left = situation.excessBytes;
  const overAge = isTimeSure ? byAge.filter(({ expiresMs }) => expiresMs! < nowMs) : [];
  for (const row of [...overAge, ...byUse]) {
    const reason = found.has(row.name) ? null : dueFor(row, situation, left);
    if (reason === null) continue;
    const inTheWay = obstacle(row, reason, around);
    found.set(row.name, { row, reason, atMs: timeOf(row, reason), obstacle: inTheWay });
    if (inTheWay === null) left -= row.lengthBytes;
  }
  const due = new Set(found.keys());
  const add = (row: ArtifactRow, reason: ExpiryReason, atMs: number | null): void => {
    if (due.has(row.name) || isSooner(found.get(row.name), atMs)) return;
    // What is over its time, and not due, is doubted.
    const inTheWay = obstacle(row, reason, around) ?? (atMs !== null && atMs < nowMs ? 'clock' : null);
    found.set(row.name, { row, reason, atMs, obstacle: inTheWay });
  };
  const hasMark = rules.ownBytes !== null || rules.diskShare !== null;
  for (const row of byUse) {
    if (rules.idleMs !== null) add(row, 'idle', timeOf(row, 'idle'));
    else if (hasMark) add(row, 'watermark', null);
  }
  for (const row of byAge) add(row, 'age', row.expiresMs);
  const order = [...found.values()].sort((a, b) => {
    if (a.atMs === null || b.atMs === null)
      return a.atMs === b.atMs ? a.row.usedMs - b.row.usedMs : a.atMs === null ? 1 : -1;
    return a.atMs - b.atMs;
  });
  return order.slice(0, situation.limit);
}

/**
 * How much a piece is wanted. Higher ones are opened first; skipped ones are not fetched, and a torrent is complete
 * without them.
 */
export type Priority = 0 | 1 | 2 | 3;

export const SKIP = 0;
export const LOW = 1;
export const NORMAL = 2;
export const HIGH = 3;
/** Priorities there are. */
export const PRIORITIES = 4;
/** Somebody reads the piece now; nobody's own priority. */
export const URGENT = 4;
export type Level = Priority | typeof URGENT;
export const LEVELS = 5;

/** Throws RangeError unless there is one priority per piece. */
export function checkPriorities(priorities: Uint8Array, pieceCount: number): void {
  if (priorities.length !== pieceCount)
    throw new RangeError(`${priorities.length} priorities for ${pieceCount} pieces`);
  for (const priority of priorities) checkPriority(priority);
}

/** Throws RangeError when the number is no priority. */
export function checkPriority(priority: number): asserts priority is Priority {
  if (!Number.isInteger(priority) || priority < SKIP || priority > HIGH)
    throw new RangeError(`no priority: ${priority}`);
}

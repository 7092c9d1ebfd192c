/**
 * Steps before the first block, while no file can be opened or there is no memory: others give some back soon, mostly,
 * and what was checked so far is worth it.
 */
import { setTimeout as rest } from 'node:timers/promises';
import { HaulError } from '../errors.js';
import { isShortage } from '../swarm/disk-trouble.js';

/**
 * Half a minute in all, besides the seconds that each open waits by itself: who has none by then is told what to raise.
 */
const PAUSES_MS = [1000, 2000, 4000, 8000, 16_000];

export interface Patience {
  readonly signal: AbortSignal;
  /** Null: it goes on. */
  readonly onPause: (error: HaulError | null) => void;
  readonly pausesMs?: readonly number[];
}

/** @throws what the step throws, when it is another thing or does not pass */
export async function untilFiles<T>(step: () => Promise<T>, { signal, onPause, pausesMs }: Patience): Promise<T> {
  for (const pauseMs of pausesMs ?? PAUSES_MS) {
    try {
      return await step();
    } catch (error) {
      if (signal.aborted || !(error instanceof HaulError) || !isShortage(error)) throw error;
      onPause(error);
    }
    await rest(pauseMs, undefined, { signal }).catch(() => {});
    onPause(null);
  }
  return step();
}

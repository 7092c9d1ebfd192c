/** Bugs planted on purpose: the search must find each of them soon, and by the invariant it breaks. */
import { runSeed } from './search.js';
import type { Canary } from './spec.js';

/** Seeds after which a canary has flown. */
const SEEDS = 60;

export const CANARIES: Readonly<Record<Canary, { readonly about: string; readonly caughtBy: RegExp }>> = {
  'lost-request': { about: 'a request never leaves, and nobody is told', caughtBy: /a request to host \d+ was lost/ },
  'early-have': { about: 'a piece is said to be there before its hash was looked at', caughtBy: /believes that host/ },
  'ghost-piece': { about: 'a host believes in a piece that its peer does not have', caughtBy: /believes that host/ },
  'kept-memory': { about: 'memory of a closed piece is not given back', caughtBy: /holds memory of \d+ pieces/ },
  twice: { about: 'a block is asked of two peers outside of the endgame', caughtBy: /is asked of two peers outside/ },
};

export interface CanaryRun {
  /** The first seed that shows anything, or null. */
  readonly seed: number | null;
  readonly message: string;
  /** It was found, by the right invariant. */
  readonly isCaught: boolean;
}

export async function runCanary(canary: Canary): Promise<CanaryRun> {
  for (let seed = 1; seed <= SEEDS; seed++) {
    const { failure } = await runSeed(seed, canary);
    if (failure !== null) return { seed, message: failure, isCaught: CANARIES[canary].caughtBy.test(failure) };
  }
  return { seed: null, message: `not found in ${SEEDS} seeds`, isCaught: false };
}

/** True when all are caught. */
export async function runCanaries(): Promise<boolean> {
  let isGood = true;
  for (const [canary, { about }] of Object.entries(CANARIES)) {
    const { message, isCaught } = await runCanary(canary as Canary);
    isGood &&= isCaught;
    process.stdout.write(`${canary}: ${about}\n  ${isCaught ? 'caught' : 'MISSED'}: ${message}\n`);
  }
  return isGood;
}

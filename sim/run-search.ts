/** `search`: seed after seed until the time is up, the count is reached, or something is wrong. */
import { Progress } from './progress.js';
import { describeSpec, runSeed, type SearchRun } from './search.js';

/** Every so many seeds one is run twice: equal seeds must give equal events. */
const TWICE_EVERY = 16;
const DEFAULT_MINUTES = 1;

export interface SearchRequest {
  readonly fromSeed: number;
  readonly count?: number | undefined;
  readonly minutes?: number | undefined;
}

/** True when nothing was found. */
export async function runSearch({ fromSeed, count, minutes }: SearchRequest): Promise<boolean> {
  const now = (): number => performance.now();
  const progress = new Progress(process.stderr, now);
  const startedMs = now();
  const limitMs = (minutes ?? (count === undefined ? DEFAULT_MINUTES : Number.POSITIVE_INFINITY)) * 60_000;
  const end = fromSeed + (count ?? Number.POSITIVE_INFINITY);
  let events = 0;
  let seed = fromSeed;
  for (; seed < end && now() - startedMs < limitMs; seed++) {
    const run = await searched(seed);
    events += run.events;
    if (run.failure !== null) {
      progress.clear();
      process.stdout.write(failureText(run));
      return false;
    }
    progress.say(`search: seed ${seed}, ${events.toLocaleString('en')} events, nothing found`);
  }
  progress.clear();
  const seconds = Math.round((now() - startedMs) / 1000);
  const seeds = `${seed - fromSeed} seeds from ${fromSeed}`;
  process.stdout.write(`search: ${seeds}, ${events.toLocaleString('en')} events, nothing found in ${seconds} s\n`);
  return true;
}

async function searched(seed: number): Promise<SearchRun> {
  const run = await runSeed(seed);
  if (run.failure !== null || seed % TWICE_EVERY !== 0) return run;
  const again = await runSeed(seed);
  if (again.eventHash === run.eventHash) return run;
  return { ...run, failure: `seed ${seed}: two runs differ: ${run.eventHash} and ${again.eventHash}` };
}

function failureText({ seed, failure, events, eventHash }: SearchRun): string {
  return (
    `FAILED: ${failure}\n${describeSpec(seed)}  ${events} events, hash ${eventHash}\n` +
    `replay: npm run sim -- search --seed ${seed} --count 1\n`
  );
}

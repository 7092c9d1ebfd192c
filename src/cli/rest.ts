/**
 * A service that rests gives back what its busiest minutes took. V8 collects when there is need for room, and the C
 * library keeps what lies between blocks in use: a depot of 100 MiB stayed at 250 MiB after 500 downloads at once.
 */
import { trimHeaps } from '../native/malloc.js';

const LOOK_MS = 30_000;
/** Of one core: who takes less between two looks rests. */
const REST_SHARE = 0.02;
/** Less work than this leaves little behind. */
const WORK_MS = 1_000;

/** Whether it rests after work. Pure: time comes as arguments. */
export class RestWatch {
  #lookedMs: number;
  #cpuMs: number;
  #workMs = 0;

  constructor(nowMs: number, cpuMs: number) {
    this.#lookedMs = nowMs;
    this.#cpuMs = cpuMs;
  }

  /** True once after each time of work. @param cpuMs of the process so far */
  look(nowMs: number, cpuMs: number): boolean {
    const [passedMs, usedMs] = [nowMs - this.#lookedMs, cpuMs - this.#cpuMs];
    this.#lookedMs = nowMs;
    this.#cpuMs = cpuMs;
    this.#workMs += usedMs;
    if (usedMs > passedMs * REST_SHARE || this.#workMs < WORK_MS) return false;
    this.#workMs = 0;
    return true;
  }
}

function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

/** As long as the process lives. */
export function tidyAtRest(): void {
  const watch = new RestWatch(performance.now(), cpuMs());
  setInterval(() => {
    if (watch.look(performance.now(), cpuMs())) void tidy();
  }, LOOK_MS).unref();
}

/** Some 20 ms of the main thread, and as much of another. */
async function tidy(): Promise<void> {
  const [v8, { runInNewContext }] = await Promise.all([import('node:v8'), import('node:vm')]);
  v8.setFlagsFromString('--expose-gc');
  try {
    (runInNewContext('gc') as () => void)();
  } finally {
    v8.setFlagsFromString('--no-expose-gc');
  }
  await trimHeaps();
}

/** Rounds of a fuzzer: so many in a test, so many seconds from the shell. */
import { pathToFileURL } from 'node:url';
import { makeRandom } from '../../src/random.js';

export interface FuzzOptions {
  readonly seed: number;
  /** Of `performance.now()`; null: so many rounds. */
  readonly untilMs: number | null;
  readonly rounds: number;
}

/** What a fuzzer throws. */
export abstract class Dice {
  /** A generator of [0, 1). */
  protected readonly random: () => number;

  constructor(seed: number) {
    this.random = makeRandom(seed);
  }

  protected below(count: number): number {
    return Math.floor(this.random() * count);
  }

  protected pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)]!;
  }

  protected bytes(count: number): Buffer {
    return Buffer.from(Uint8Array.from({ length: count }, () => this.below(256)));
  }
}

/** @returns how many rounds there were */
export function fuzzRounds(round: () => void, { seed, untilMs, rounds }: FuzzOptions): number {
  let count = 0;
  const goesOn = (): boolean => (untilMs === null ? count < rounds : performance.now() < untilMs);
  for (; goesOn(); count++) {
    try {
      round();
    } catch (error) {
      throw new Error(`round ${count} of seed ${seed}`, { cause: error });
    }
  }
  return count;
}

/** `node FILE [SECONDS] [SEED]`. @param fuzz says what it did */
export function fuzzFromShell(moduleUrl: string, fuzz: (options: FuzzOptions) => string): void {
  if (moduleUrl !== pathToFileURL(process.argv[1] ?? '').href) return;
  const seconds = Number(process.argv[2] ?? 20);
  const seed = Number(process.argv[3] ?? Date.now() % 2 ** 31);
  const done = fuzz({ seed, untilMs: performance.now() + seconds * 1000, rounds: 0 });
  process.stdout.write(`${done}, seed ${seed}, no fault\n`);
}

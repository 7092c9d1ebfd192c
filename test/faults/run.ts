/** Runs cases one after the other in some lanes, tells each, and sums them up. `main.ts` is the program. */
import { Scope } from '../../lab/scope.js';
import { drawCase, ENDS, nameOf, type Outcome, runCase, STORAGES } from './case.js';
import { DISTURBANCES } from './disturbances.js';
import { openStage, SHAPES } from './stage.js';
import { Table } from './table.js';

export interface FaultsOptions {
  readonly seed: number;
  readonly count: number;
  readonly only?: number | undefined;
  readonly jobs?: number | undefined;
  readonly haul?: string | undefined;
  readonly say: (line: string) => void;
}

const JOBS = 2;

/** @returns the names and stories of the lost cases */
export async function runFaults({ seed, count, only, jobs, haul, say }: FaultsOptions): Promise<string[]> {
  const scope = new Scope();
  const table = new Table();
  const lost: string[] = [];
  const numbers = only === undefined ? Array.from({ length: count }, (_, number) => number) : [only];
  try {
    const stage = await openStage(scope, haul);
    const lane = async (): Promise<void> => {
      for (let number = numbers.shift(); number !== undefined; number = numbers.shift()) {
        const drawn = drawCase(seed, number);
        const outcome: Outcome = await runCase(stage, drawn);
        table.add(drawn, outcome);
        const line = `${number}: ${nameOf(drawn)}, at ${Math.round(drawn.fraction * 100)} %: ${outcome.story}`;
        say(`${outcome.isSurvived ? 'survived' : 'LOST'} ${line}`);
        if (!outcome.isSurvived) lost.push(line);
      }
    };
    await Promise.all(Array.from({ length: jobs ?? JOBS }, lane));
  } finally {
    await scope.close();
  }
  for (const line of table.lines([...DISTURBANCES, ...STORAGES, ...ENDS, ...SHAPES, 'all'])) say(line);
  return lost;
}

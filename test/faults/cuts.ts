/**
 * Runs cases of files that are cut off, one after the other in some lanes, tells each, and sums them up. `main.ts
 * --cuts` is the program.
 */

import { Scope } from '../../lab/scope.js';
import { fileSet, startEngine, treeSet } from '../support/engines.js';
import { type CutStage, drawCut, nameOf, runCut } from './cut-case.js';

const MIB = 1024 * 1024;
const PIECE_BYTES = 256 * 1024;
const LANES = 2;

export interface CutsOptions {
  readonly seed: number;
  readonly count: number;
  readonly only?: number | undefined;
  readonly jobs?: number | undefined;
  /** False: without the native library, to see what it is for. */
  readonly isGuarded: boolean;
  readonly say: (line: string) => void;
}

export interface CutsResult {
  /** Names and stories of what went wrong. */
  readonly lost: readonly string[];
  readonly cases: number;
  /** Cases in which the process would have been ended. */
  readonly withFaults: number;
}

async function openStage(scope: Scope, isGuarded: boolean): Promise<CutStage> {
  const options = { pieceLengthBytes: PIECE_BYTES };
  const tree = Array.from({ length: 20 }, (_, at) => ({ path: `${at % 3}/${at}`, lengthBytes: (at + 1) * 150_001 }));
  const victims = [await fileSet(scope, 40 * MIB, options), await treeSet(scope, tree, options)];
  const bystander = await fileSet(scope, 16 * MIB + 5, options);
  const seed = await startEngine(scope, { storage: 'positional' });
  for (const { metainfo, folder } of [...victims, bystander])
    await seed.add(metainfo, { output: folder, mode: 'seed', trustData: true, trackers: [] }).done;
  return { victims, bystander, port: seed.port!, isGuarded };
}

export async function runCuts({ seed, count, only, jobs, isGuarded, say }: CutsOptions): Promise<CutsResult> {
  const scope = new Scope();
  const lost: string[] = [];
  const numbers = only === undefined ? Array.from({ length: count }, (_, number) => number) : [only];
  const cases = numbers.length;
  let withFaults = 0;
  let faults = 0;
  let corruptBytes = 0;
  try {
    const stage = await openStage(scope, isGuarded);
    const lane = async (): Promise<void> => {
      for (let number = numbers.shift(); number !== undefined; number = numbers.shift()) {
        const drawn = drawCut(seed, number, stage.victims.length);
        const outcome = await runCut(stage, drawn);
        const figures = `${outcome.faults} faults, ${outcome.corruptBytes} corrupt bytes`;
        const line = `${number}: ${nameOf(drawn)}: ${outcome.story} (${figures})`;
        say(outcome.trouble === null ? `survived ${line}` : `LOST ${line}: ${outcome.trouble}`);
        if (outcome.trouble !== null) lost.push(`${line}: ${outcome.trouble}`);
        if (outcome.faults > 0) withFaults++;
        faults += Math.max(0, outcome.faults);
        corruptBytes = Math.max(corruptBytes, outcome.corruptBytes);
      }
    };
    await Promise.all(Array.from({ length: jobs ?? LANES }, lane));
  } finally {
    await scope.close();
  }
  say(
    `${cases} cases: ${withFaults} with faults that would have ended the process, ${faults} in all; ` +
      `a leech threw away ${corruptBytes} bytes at most`,
  );
  return { lost, cases, withFaults };
}

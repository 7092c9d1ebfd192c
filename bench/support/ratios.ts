/** How a run compares with the pairs of the rivals that count, which ran in the same turn. Pure. */
import type { Run } from './results.js';

/** Series and the name it has in a figure. */
const MEASURES: ReadonlyMap<string, string> = new Map([
  ['rqbit', 'Rqbit'],
  ['libtorrent', 'Libtorrent'],
]);

/** The same place and turn, both sides of that rival. */
function pairOf(series: string, run: Run, runs: readonly Run[]): Run | undefined {
  const wanted = JSON.stringify({ ...run.parameters, role: 'pair', other: series });
  return runs.find(
    (each) => each.series === series && each.turn === run.turn && JSON.stringify(each.parameters) === wanted,
  );
}

/**
 * The runs with `timesRqbit`, `timesLibtorrent` (rate ÷ rate of that rival's pair) and `cpuTimesRqbit`,
 * `cpuTimesLibtorrent` (CPU of both sides ÷ that of the pair). Without them where that pair did not run in that turn.
 */
export function withRatios(runs: readonly Run[]): Run[] {
  return runs.map((run) => {
    const ratios: Record<string, number> = {};
    for (const [series, name] of MEASURES) {
      const pair = pairOf(series, run, runs)?.figures;
      if (pair === undefined) continue;
      ratios[`times${name}`] = run.figures.mbPerSec! / pair.mbPerSec!;
      ratios[`cpuTimes${name}`] = run.figures.cpuSecPerGb! / pair.cpuSecPerGb!;
    }
    return { ...run, figures: { ...run.figures, ...ratios } };
  });
}

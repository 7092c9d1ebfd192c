/** What micro benches share: turns, sizes, CPU time of a stretch of work. */
import { parseArgs } from 'node:util';
import { count } from './options.js';
import { Results } from './results.js';

/**
 * CPU nanoseconds of this process for the work: steadier than wall time on a busy machine. Meant for 10 ms and more.
 */
export function cpuNanoseconds(work: () => void): number {
  const before = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) * 1000;
}

export interface Turn {
  readonly figures: Record<string, number>;
  readonly checksum: string;
}

/**
 * Runs each size in turns, after one turn that measures the compiler and is thrown away, and writes the results.
 * @param measure must give the same checksum in every turn.
 */
export async function microBench(
  name: string,
  argv: readonly string[],
  sizes: { readonly parameter: string | null; readonly small: readonly number[]; readonly full: readonly number[] },
  measure: (n: number, isSmall: boolean) => Turn | readonly (Turn & { readonly series: string })[],
): Promise<void> {
  const { values } = parseArgs({
    args: [...argv],
    options: { small: { type: 'boolean', default: false }, turns: { type: 'string' }, out: { type: 'string' } },
  });
  const turns = count('turns', values.turns ?? (values.small ? '1' : '5'));
  const counts = values.small ? sizes.small : sizes.full;
  const results = new Results(name, { argv, parameters: { turns } });
  const checksums = new Map<string, string>();
  for (let turn = -1; turn < turns; turn++) {
    for (const n of counts) {
      const measured = measure(n, values.small);
      const series = 'checksum' in measured ? [{ series: name, ...measured }] : measured;
      for (const each of series) {
        const key = `${each.series} ${n}`;
        if ((checksums.get(key) ?? each.checksum) !== each.checksum) throw new Error(`${key}: another checksum`);
        checksums.set(key, each.checksum);
        const parameters = sizes.parameter === null ? {} : { [sizes.parameter]: n };
        if (turn >= 0) results.add({ ...each, turn, parameters });
      }
    }
  }
  await results.finish();
}

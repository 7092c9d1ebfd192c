/**
 * Downloads that are disturbed, from a seed: `npm run faults -- --seed N --count 200`.
 * With --cuts: mapped files that are cut off beside another torrent of the same engine; --unguarded does so without the
 * native library. Options: --only K runs case K alone; --jobs N cases at a time (default 2); --haul FILE tests another
 * build (its dist/src/cli/haul.cjs). Exits with 1 when a case was lost.
 */
import { parseArgs } from 'node:util';
import { runCuts } from './cuts.js';
import { runFaults } from './run.js';

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    count: { type: 'string', default: '84' },
    only: { type: 'string' },
    jobs: { type: 'string' },
    haul: { type: 'string' },
    cuts: { type: 'boolean', default: false },
    unguarded: { type: 'boolean', default: false },
  },
});

function number(name: string, text: string | undefined): number | undefined {
  if (text === undefined || /^\d{1,9}$/.test(text)) return text === undefined ? undefined : Number(text);
  throw new Error(`--${name} is a whole number, not ${text}`);
}

const seed = number('seed', values.seed)!;
const options = {
  seed,
  count: number('count', values.count)!,
  only: number('only', values.only),
  jobs: number('jobs', values.jobs),
  say: (line: string) => console.log(line),
};
const lost = values.cuts
  ? (await runCuts({ ...options, isGuarded: !values.unguarded })).lost
  : await runFaults({ ...options, haul: values.haul });
console.log(
  lost.length === 0 ? `nothing lost (seed ${seed})` : `${lost.length} lost (seed ${seed}):\n${lost.join('\n')}`,
);
process.exitCode = lost.length === 0 ? 0 : 1;

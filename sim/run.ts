/**
 * `npm run sim -- WORDS`: scenarios against their bars, the search for seeds that break something, the canaries.
 * Ends with 1 when a bar is missed or something is broken, with 2 when the words are not understood.
 */
import { type ParseArgsConfig, parseArgs } from 'node:util';
import { count, positive } from '../bench/support/options.js';
import { ValueError } from '../src/cli/values.js';
import { runCanaries } from './canary.js';
import { runScenarios } from './run-scenarios.js';
import { runSearch } from './run-search.js';
import { SCENARIOS } from './scenarios/index.js';

const SEED_MAX = 2 ** 31 - 1;

function list(): string {
  const width = Math.max(...Object.keys(SCENARIOS).map((name) => name.length));
  return Object.entries(SCENARIOS)
    .map(([name, { title }]) => `  ${name.padEnd(width)}  ${title}\n`)
    .join('');
}

function usage(): string {
  return `Usage: npm run sim -- SCENARIO... [--seed N] [--small] [--json FILE] [--html FILE]
       npm run sim -- --all            the same for every scenario
       npm run sim -- --list           their names
       npm run sim -- search           random small swarms with faults, every invariant checked after every event
       npm run sim -- canary           bugs planted on purpose: each must be found

  --seed N        everything that is left to chance follows from it (default 1); of a search: the first one
  --small         fewer hosts and pieces: does it work; bars hold for the full size only
  --json FILE     all outcomes, with commit and version of Node
  --html FILE     a page with completion curves
  --minutes M     how long to search (default 1)
  --count N       how many seeds to search

Scenarios:
${list()}
Examples:
  $ npm run sim -- flash --seed 7
  $ npm run sim -- --all --html sim.html
  $ npm run sim -- search --minutes 5
  $ npm run sim -- search --seed 1125 --count 1
`;
}

function seedOf(text: string): number {
  const seed = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN;
  if (!(seed <= SEED_MAX)) throw new ValueError(`--seed ${text} is not a whole number up to ${SEED_MAX}`);
  return seed;
}

/** @throws TypeError with a code that tells of the words */
function parsed<T extends NonNullable<ParseArgsConfig['options']>>(argv: readonly string[], options: T) {
  return parseArgs({ args: [...argv], options, allowPositionals: true, strict: true });
}

async function search(argv: readonly string[]): Promise<boolean> {
  const { values, positionals } = parsed(argv, {
    seed: { type: 'string', default: '1' },
    count: { type: 'string' },
    minutes: { type: 'string' },
  });
  if (positionals.length > 0) throw new ValueError(`search takes no ${positionals[0]}`);
  return runSearch({
    fromSeed: seedOf(values.seed),
    count: values.count === undefined ? undefined : count('count', values.count),
    minutes: values.minutes === undefined ? undefined : positive('minutes', values.minutes),
  });
}

async function canary(argv: readonly string[]): Promise<boolean> {
  const { positionals } = parsed(argv, {});
  if (positionals.length > 0) throw new ValueError(`canary takes no ${positionals[0]}`);
  return runCanaries();
}

async function scenarios(argv: readonly string[]): Promise<boolean> {
  const { values, positionals } = parsed(argv, {
    seed: { type: 'string', default: '1' },
    small: { type: 'boolean', default: false },
    all: { type: 'boolean', default: false },
    list: { type: 'boolean', default: false },
    json: { type: 'string' },
    html: { type: 'string' },
  });
  if (values.list) {
    process.stdout.write(list());
    return true;
  }
  const unknown = positionals.find((name) => !Object.hasOwn(SCENARIOS, name));
  if (unknown !== undefined) throw new ValueError(`no such scenario: ${unknown}`);
  if (values.all && positionals.length > 0) throw new ValueError('--all and names do not go together');
  if (!values.all && positionals.length === 0) throw new ValueError('no scenario is named');
  const names = values.all ? Object.keys(SCENARIOS) : positionals;
  return runScenarios({
    names,
    seed: seedOf(values.seed),
    isSmall: values.small,
    json: values.json,
    html: values.html,
  });
}

/** What is wrong with the words, when that is what the error is about. */
function usageProblem(error: unknown): string | null {
  if (error instanceof ValueError) return error.message;
  if (!(error instanceof TypeError && 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS_'))) return null;
  return error.message.split(/\.\s/)[0]!;
}

async function run(words: readonly string[]): Promise<boolean> {
  if (words.includes('--help')) {
    process.stdout.write(usage());
    return true;
  }
  if (words[0] === 'search') return search(words.slice(1));
  if (words[0] === 'canary') return canary(words.slice(1));
  return scenarios(words);
}

// No handler for Ctrl-C: the event loop does not turn inside a run, and the default ends the process at once, which
// shells see as 130.
try {
  process.exitCode = (await run(process.argv.slice(2))) ? 0 : 1;
} catch (error) {
  const problem = usageProblem(error);
  if (problem === null) throw error;
  process.stderr.write(`sim: ${problem}. See: npm run sim -- --help\n`);
  process.exitCode = 2;
}

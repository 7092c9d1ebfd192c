/** Runs scenarios one after the other and tells what came out: a table, and JSON and HTML files where asked for. */
import { mkdir, rename, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { ValueError } from '../src/cli/values.js';
import { fromSystemError } from '../src/errors.js';
import { Progress } from './progress.js';
import { simPage } from './report/page.js';
import { commandOf, isGood, reportOf, type ScenarioRun } from './report/record.js';
import { checksTable, runText } from './report/table.js';
import { SCENARIOS } from './scenarios/index.js';
import { SimFailure } from './swarm.js';

export interface RunRequest {
  /** Of SCENARIOS. */
  readonly names: readonly string[];
  readonly seed: number;
  readonly isSmall: boolean;
  readonly json?: string | undefined;
  readonly html?: string | undefined;
}

async function runOne(name: string, { seed, isSmall }: RunRequest): Promise<ScenarioRun> {
  const { title, load } = SCENARIOS[name]!;
  const now = (): number => performance.now();
  const progress = new Progress(process.stderr, now);
  const startedMs = now();
  const rest = { scenario: name, title, seed, isSmall, command: commandOf(name, seed, isSmall) };
  try {
    const scenario = await load();
    const outcome = await scenario.run({ seed, isSmall, onProgress: (line) => progress.say(`${name}: ${line}`) });
    return { ...rest, realSeconds: (now() - startedMs) / 1000, outcome, failure: null };
  } catch (error) {
    if (!(error instanceof SimFailure)) throw error;
    return { ...rest, realSeconds: (now() - startedMs) / 1000, outcome: null, failure: error.message };
  } finally {
    progress.clear();
  }
}

/** True when every run came to its end and met its bars. */
export async function runScenarios(request: RunRequest): Promise<boolean> {
  const { names, json, html } = request;
  await prepareFile('json', json);
  await prepareFile('html', html);
  const startedAt = new Date();
  const runs: ScenarioRun[] = [];
  for (const name of names) {
    runs.push(await runOne(name, request));
    process.stdout.write(`${runText(runs.at(-1)!)}\n`);
    // After each: the last scenarios may take minutes, and somebody may lose patience.
    const report = reportOf(startedAt, runs);
    await writeWhole(json, () => `${JSON.stringify(report, null, 2)}\n`);
    await writeWhole(html, () => simPage(report));
  }
  process.stdout.write(checksTable(runs));
  return runs.every(isGood);
}

/** What cannot be written is found before minutes are spent. */
async function prepareFile(option: string, file: string | undefined): Promise<void> {
  if (file === undefined) return;
  try {
    await mkdir(path.dirname(file), { recursive: true });
    const found = await stat(file).catch(() => null);
    if (found?.isDirectory() !== true) return;
  } catch (error) {
    throw new ValueError(`--${option} ${fromSystemError(error, 'make', path.dirname(file)).message}`);
  }
  throw new ValueError(`--${option} ${file} is a folder`);
}

async function writeWhole(file: string | undefined, text: () => string): Promise<void> {
  if (file === undefined) return;
  await writeFile(`${file}.new`, text());
  await rename(`${file}.new`, file);
}

/**
 * `npm run bench -- start [options]`: what it costs to begin.
 *   --size 10M   --piece-length 256K   --folder DIR   --turns 9   --no-warm-up   --small   --out FILE
 *
 * In turns: an empty program of Node, `haul --version`, and `haul get` of a small file from a `haul seed` on loopback,
 * which is mostly start. rqbit does the same between two of its own, where it is installed.
 *   ms          the whole process, from before it is started to its end; of a download, data verified and on the device
 *   timesNode   ÷ that of the empty program in the same turn, which is what Node itself needs
 *   cpuMs       user and kernel, all threads
 *   startMs     of a download, until its copy takes up space on disk
 */
import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { parseArgs, promisify } from 'node:util';
import { Scope } from '../lab/scope.js';
import { startTestTracker, type TestTracker } from '../lab/tracker.js';
import { watchEndedChildren } from './support/children-use.js';
import { defaultFolder, type Job, makeJobs } from './support/job.js';
import { count, length } from './support/options.js';
import { cpuSeconds } from './support/procstat.js';
import { Results, type Run } from './support/results.js';
import { HAUL, swarmhaul } from './support/rivals/haul.js';
import { meet } from './support/rivals/meeting.js';
import type { Rival } from './support/rivals/rival.js';
import { rqbit } from './support/rivals/rqbit.js';
import { withoutMachineCertificates } from './support/timed.js';

const NODE = 'node, an empty program';

interface Contender {
  readonly name: string;
  /** One run, alone on the stage. */
  run(): Promise<Record<string, number>>;
}

/** A program run to its end. */
function program(name: string, words: readonly string[]): Contender {
  return {
    name,
    async run() {
      const used = watchEndedChildren();
      const beginMs = performance.now();
      await promisify(execFile)(words[0]!, words.slice(1));
      const ms = performance.now() - beginMs;
      return { ms, cpuMs: cpuSeconds(used()) * 1000 };
    },
  };
}

/** The leech of a pair; what the seed does is not counted. */
function download(name: string, rival: Rival, job: Job, tracker: TestTracker): Contender {
  return {
    name,
    async run() {
      const { figures } = await meet({ seed: rival, leech: rival, job, tracker, connections: 1 });
      const cpuMs = figures.leechCpuSecPerGb! * (job.lengthBytes / 1e9) * 1000;
      return { ms: figures.wholeSec! * 1000, cpuMs, startMs: figures.startSec! * 1000 };
    },
  };
}

function parseOptions(argv: readonly string[]) {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      size: { type: 'string', default: '10M' },
      'piece-length': { type: 'string', default: '256K' },
      folder: { type: 'string', default: defaultFolder() },
      turns: { type: 'string', default: '9' },
      'no-warm-up': { type: 'boolean', default: false },
      small: { type: 'boolean', default: false },
      out: { type: 'string' },
    },
  });
  return values.small ? { ...values, size: '1M', turns: '1', 'no-warm-up': true } : values;
}

async function contendersOf(job: Job, tracker: TestTracker, results: Results): Promise<Contender[]> {
  const empty = path.join(job.workFolder, 'empty.mjs');
  await writeFile(empty, '');
  const size = `${job.lengthBytes / 2 ** 20} MiB`;
  const missing = await rqbit.missing();
  if (missing !== null) results.skip('rqbit', missing);
  else results.version('rqbit', await rqbit.version());
  return [
    program(NODE, [process.execPath, empty]),
    program('haul --version', [...HAUL, '--version']),
    download(`haul get, ${size}`, swarmhaul('auto'), job, tracker),
    ...(missing === null ? [download(`rqbit download, ${size}`, rqbit, job, tracker)] : []),
  ];
}

export async function main(argv: readonly string[]): Promise<void> {
  const values = parseOptions(argv);
  const [lengthBytes, turns] = [length('size', values.size), count('turns', values.turns)];
  const pieceLengths = [length('piece-length', values['piece-length'])];
  const scope = new Scope();
  try {
    withoutMachineCertificates();
    const [job] = await makeJobs(scope, { folder: values.folder, lengthBytes, pieceLengths });
    const parameters = { lengthBytes, pieceLengthBytes: pieceLengths[0], fileSystem: job!.fileSystem, turns };
    const results = new Results('start', { argv, parameters });
    const contenders = await contendersOf(job!, await startTestTracker(scope), results);
    // The first time everything is read from the disk.
    if (!values['no-warm-up']) for (const contender of contenders) await contender.run();
    for (let turn = 0; turn < turns; turn++) {
      const runs: Run[] = [];
      for (const { name, run } of contenders) runs.push({ series: name, turn, figures: await run() });
      const nodeMs = runs[0]!.figures.ms!;
      for (const run of runs) results.add({ ...run, figures: { ...run.figures, timesNode: run.figures.ms! / nodeMs } });
    }
    await results.finish();
  } finally {
    await scope.close();
  }
}

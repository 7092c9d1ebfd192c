/**
 * `npm run bench -- depot-idle [--artifacts 10000] [--seconds 30] [--folder DIR] [--out FILE] [--small]`
 * A depot with many small artifacts and an agent of it, of whom nobody wants anything.
 *   cpuShare      of one core. Bar: 0.005
 *   residentMiB   at the end, all of it: a third is the code of Node itself. Bar: 100
 */
import path from 'node:path';
import { parseArgs } from 'node:util';
import { Scope } from '../lab/scope.js';
import { tempFolder } from '../lab/temp.js';
import { fill } from './depot-many.js';
import { type Running, startAgent, startDepot } from './support/depot-world.js';
import { defaultFolder } from './support/job.js';
import { count, makeFolder } from './support/options.js';
import { sampleProcess } from './support/procstat.js';
import { Results } from './support/results.js';

const HERE = { host: '127.0.0.1', engine: {} };
/** What a start leaves to do is over then. */
const SETTLE_MS = 10_000;

function wait(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function cpuSec({ child }: Running): number {
  const { userSeconds, systemSeconds } = sampleProcess(child.pid).process;
  return userSeconds + systemSeconds;
}

export async function main(argv: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      artifacts: { type: 'string' },
      seconds: { type: 'string' },
      folder: { type: 'string', default: defaultFolder() },
      out: { type: 'string' },
      small: { type: 'boolean', default: false },
    },
  });
  const { small } = values;
  const artifacts = count('artifacts', values.artifacts ?? (small ? '50' : '10000'));
  const seconds = count('seconds', values.seconds ?? (small ? '1' : '30'));
  await makeFolder(values.folder);
  const results = new Results('depot-idle', { argv, parameters: { artifacts, seconds } });
  const scope = new Scope();
  try {
    const root = await tempFolder(scope, values.folder);
    const data = path.join(root, 'depot');
    await fill(data, artifacts);
    const depot = await startDepot(scope, HERE, data);
    const agent = await startAgent(scope, HERE, depot.url, path.join(root, 'cache'));
    await wait(small ? 0 : SETTLE_MS);
    const both = { depot, agent };
    const before = { depot: cpuSec(depot), agent: cpuSec(agent) };
    await wait(seconds * 1000);
    for (const [series, running] of Object.entries(both)) {
      const cpuShare = (cpuSec(running) - before[series as 'depot' | 'agent']) / seconds;
      const residentMiB = sampleProcess(running.child.pid).residentBytes / 2 ** 20;
      results.add({ series, turn: 0, figures: { cpuShare, residentMiB } });
    }
  } finally {
    await scope.close();
  }
  await results.finish();
}

/**
 * `npm run bench -- depot-first [--size 64M] [--folder DIR] [--out FILE]`
 * From nothing to the first artifact that came through an agent, in a clean clone of this checkout (what is committed):
 * the very lines of README.md below "Install", then those below "Keep artifacts" that start a depot, put, start an
 * agent and fetch from it. Only their folders and addresses are others, and what npm installs globally has a folder.
 *   step1Sec …   the lines of Install, one by one; all words are in `parameters`
 *   firstSec     from the depot's start to the last byte of the artifact
 *   wholeSec     all of it. Bar: 60
 * npm takes packages from its cache where it has them, else from the registry: that time counts.
 */
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { type Child, run, startChild } from '../lab/child.js';
import { missingTool } from '../lab/clients/client.js';
import { PACKAGE_ROOT } from '../lab/root.js';
import { Scope } from '../lab/scope.js';
import { tempFolder } from '../lab/temp.js';
import { sha256File } from '../lab/tree.js';
import { makeImage } from './support/depot-world.js';
import { length, makeFolder } from './support/options.js';
import { IS_CHECKOUT } from './support/place.js';
import { type FirstSteps, readFirstSteps } from './support/readme-steps.js';
import { Results } from './support/results.js';

const STEP_MS = 600_000;
/** Any free port, and a line that says which. */
const ANYWHERE = '--port 0 --http 127.0.0.1:0 --json';

async function listening(child: Child): Promise<string> {
  const line = await child.line('listening', STEP_MS, (text) => text.includes('"type":"listening"'));
  return (JSON.parse(line) as { url: string }).url.replace(/\/$/, '');
}

async function first(scope: Scope, root: string, lengthBytes: number, steps: FirstSteps) {
  const at = (name: string): string => path.join(root, name);
  const [clone, prefix, work, copies] = [at('clone'), at('prefix'), at('work'), at('copies')];
  for (const made of [prefix, work, copies]) await mkdir(made);
  const image = path.join(work, path.basename(steps.image));
  await makeImage(image, lengthBytes);
  await run(scope, 'git', ['clone', '-q', PACKAGE_ROOT, clone], { timeoutMs: STEP_MS });
  // Another prefix would hide the global configuration, with it the certificate of a registry: each try fails then.
  const globalConfig = (await run(scope, 'npm', ['config', 'get', 'globalconfig'])).trim();
  const env = {
    npm_config_prefix: prefix,
    npm_config_globalconfig: globalConfig,
    PATH: `${path.join(prefix, 'bin')}:${process.env.PATH}`,
  };
  const shell = (line: string, cwd: string) => run(scope, 'sh', ['-c', line], { cwd, env, timeoutMs: STEP_MS });
  const daemon = (line: string) => startChild(scope, 'sh', ['-c', `exec ${line} ${ANYWHERE}`], { cwd: work, env });
  const figures: Record<string, number> = {};
  const beginMs = performance.now();
  let lastMs = beginMs;
  const note = (name: string): void => {
    figures[name] = (performance.now() - lastMs) / 1000;
    lastMs = performance.now();
  };
  for (const [index, line] of steps.install.entries()) {
    await shell(line, clone);
    note(`step${index + 1}Sec`);
  }
  const depot = await listening(daemon(steps.depot(path.join(root, 'depot'))));
  await shell(steps.put(depot), work);
  const agent = await listening(daemon(steps.agent(depot, path.join(root, 'cache'))));
  await shell(steps.fetch(agent), copies);
  note('firstSec');
  const copy = path.join(copies, path.basename(steps.image));
  if ((await sha256File(copy)) !== (await sha256File(image))) throw new Error('the copy differs');
  return { ...figures, wholeSec: (lastMs - beginMs) / 1000 };
}

export async function main(argv: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      size: { type: 'string', default: '64M' },
      folder: { type: 'string', default: '/tmp' },
      out: { type: 'string' },
      small: { type: 'boolean', default: false },
    },
  });
  const lengthBytes = length('size', values.size);
  await makeFolder(values.folder);
  const steps = await readFirstSteps();
  const results = new Results('depot-first', { argv, parameters: { lengthBytes, install: steps.install.join('; ') } });
  const missing = IS_CHECKOUT ? await missingTool(['git', 'npm', 'curl']) : 'a checkout';
  if (values.small) results.skip('depot-first', 'it installs all packages anew, which is nothing small');
  else if (missing !== null) results.skip('depot-first', `${missing} is not here`);
  else {
    const scope = new Scope();
    try {
      const root = await tempFolder(scope, values.folder);
      results.add({ series: 'by the README', turn: 0, figures: await first(scope, root, lengthBytes, steps) });
    } finally {
      await scope.close();
    }
  }
  await results.finish();
}

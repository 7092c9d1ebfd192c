/**
 * `npm run bench -- depot-first [--size 64M] [--folder DIR] [--out FILE]`
 * From nothing to the first artifact that came through an agent, by the words of the README, in a clean clone of this
 * checkout (what is committed): npm ci, npm pack, npm install of the package, haul depot, curl -T, haul agent, curl.
 *   ciSec, packSec, installSec   the first steps
 *   firstSec                     from the depot's start to the last byte of the artifact
 *   wholeSec                     all of it. Bar: 60
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
import { curl, makeImage } from './support/depot-world.js';
import { length, makeFolder } from './support/options.js';
import { IS_CHECKOUT } from './support/place.js';
import { Results } from './support/results.js';

const STEP_MS = 600_000;
const HERE = { host: '127.0.0.1', engine: {} };
const NAME = 'artifacts/ci/42/image.raw';

async function listening(child: Child): Promise<string> {
  const line = await child.line('listening', STEP_MS, (text) => text.includes('"type":"listening"'));
  return (JSON.parse(line) as { url: string }).url.replace(/\/$/, '');
}

async function first(scope: Scope, root: string, lengthBytes: number): Promise<Record<string, number>> {
  const [clone, prefix, image] = [path.join(root, 'clone'), path.join(root, 'prefix'), path.join(root, 'image.raw')];
  await mkdir(prefix);
  await makeImage(image, lengthBytes);
  await run(scope, 'git', ['clone', '-q', PACKAGE_ROOT, clone], { timeoutMs: STEP_MS });
  const beginMs = performance.now();
  let lastMs = beginMs;
  const step = (): number => {
    const seconds = (performance.now() - lastMs) / 1000;
    lastMs = performance.now();
    return seconds;
  };
  const npm = (...words: string[]) => run(scope, 'npm', words, { cwd: clone, timeoutMs: STEP_MS });
  await npm('ci', '--no-audit', '--no-fund');
  const ciSec = step();
  await npm('pack', '--silent');
  const packSec = step();
  await npm('install', '-g', '--prefix', prefix, '--no-audit', '--no-fund', './swarmhaul-0.1.0.tgz');
  const installSec = step();
  const haul = path.join(prefix, 'bin', 'haul');
  const any = ['--port', '0', '--json', '--http', '127.0.0.1:0'];
  const depot = await listening(startChild(scope, haul, ['depot', '--data', path.join(root, 'depot'), ...any]));
  await curl(scope, HERE, ['-T', image, `${depot}/${NAME}`]);
  const cache = path.join(root, 'cache');
  const agent = await listening(startChild(scope, haul, ['agent', '--depot', depot, '--cache', cache, ...any]));
  const copy = path.join(root, 'copy.raw');
  await curl(scope, HERE, [`${agent}/${NAME}`], copy);
  const firstSec = step();
  if ((await sha256File(copy)) !== (await sha256File(image))) throw new Error('the copy differs');
  return { ciSec, packSec, installSec, firstSec, wholeSec: (lastMs - beginMs) / 1000 };
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
  const results = new Results('depot-first', { argv, parameters: { lengthBytes } });
  const missing = IS_CHECKOUT ? await missingTool(['git', 'npm', 'curl']) : 'a checkout';
  if (values.small) results.skip('depot-first', 'it installs all packages anew, which is nothing small');
  else if (missing !== null) results.skip('depot-first', `${missing} is not here`);
  else {
    const scope = new Scope();
    try {
      const root = await tempFolder(scope, values.folder);
      results.add({ series: 'by the README', turn: 0, figures: await first(scope, root, lengthBytes) });
    } finally {
      await scope.close();
    }
  }
  await results.finish();
}

/**
 * Runs every compiled test with node's own runner, or those of which a path contains one of the arguments: `npm test --
 * storage/ wire/decoder`. (Node 20 knows no globs here.) Exit code 2 when there is no such test.
 */
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';
import { fileURLToPath } from 'node:url';
import { buildBundles } from '../bundle/build.js';
import { buildPage } from '../bundle/page.js';
import { buildHere } from '../native/build.js';
import { chooseTests, lanesOf } from './support/choose-tests.js';
import { together } from './support/lanes.js';

const folder = path.dirname(fileURLToPath(import.meta.url));
const words = process.argv.slice(2);
const files = chooseTests(readdirSync(folder, { recursive: true, encoding: 'utf8' }), words);
// What is tested is what the sources say, also where only the TypeScript was compiled anew.
await buildHere();
buildPage();
await buildBundles();
if (files.length === 0) {
  process.stderr.write(`no test file below test/ has ${words.join(' or ')} in its path\n`);
  process.exitCode = 2;
} else {
  const runs = lanesOf(files).map((lane) =>
    run({ files: lane.files.map((file) => path.join(folder, file)), concurrency: lane.atOnce }),
  );
  for (const one of runs)
    one.on('test:fail', ({ todo }) => {
      if (todo === undefined || todo === false) process.exitCode = 1;
    });
  together(runs).compose(new spec()).pipe(process.stdout);
}

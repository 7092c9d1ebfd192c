/**
 * Runs every compiled test with node's own runner, or those of which a path contains one of the arguments: `npm test --
 * storage/ wire/decoder`. (Node 20 knows no globs here.) Exit code 2 when there is no such test.
 */
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildBundles } from '../bundle/build.js';
import { buildPage } from '../bundle/page.js';
import { buildHere } from '../native/build.js';
import { chooseTests } from './support/choose-tests.js';

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
  const runner = ['--test', '--test-reporter=spec', '--test-concurrency=3'];
  const paths = files.map((file) => path.join(folder, file));
  const { status } = spawnSync(process.execPath, [...runner, ...paths], { stdio: 'inherit' });
  process.exitCode = status ?? 1;
}

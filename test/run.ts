/**
 * Runs every compiled test with node's own runner; arguments are parts of paths to choose by. (Node 20 knows no globs
 * here.)
 */
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildBundles } from '../bundle/build.js';
import { buildHere } from '../native/build.js';

const folder = path.dirname(fileURLToPath(import.meta.url));
const chosen = process.argv.slice(2);
const files = readdirSync(folder, { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.test.js'))
  .filter((file) => chosen.length === 0 || chosen.some((part) => file.includes(part)))
  .sort()
  .map((file) => path.join(folder, file));
// What is tested is what the sources say, also where only the TypeScript was compiled anew.
await buildHere();
await buildBundles();
if (files.length === 0) throw new Error(`no test file matches ${chosen.join(' ')}`);
const { status } = spawnSync(process.execPath, ['--test', '--test-reporter=spec', '--test-concurrency=3', ...files], {
  stdio: 'inherit',
});
process.exitCode = status ?? 1;

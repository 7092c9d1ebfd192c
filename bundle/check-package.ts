/**
 * `npm run check:package`: packs the package as it is built and has publint and attw look at it, then asks the registry
 * for known holes in what it depends on. `require()` of it works, by way of modules that Node.js takes from there; so
 * attw is not asked about CommonJS of its own.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const BIN = path.join(ROOT, 'node_modules', '.bin');

function isFine(command: string, args: readonly string[]): boolean {
  const { status, error } = spawnSync(command, args, { cwd: ROOT, stdio: 'inherit' });
  if (error !== undefined) process.stderr.write(`${command}: ${error.message}\n`);
  return status === 0;
}

/** Not every registry answers that; who does and finds something is believed. */
function hasNoHoles(): boolean {
  const { status, stdout, stderr } = spawnSync('npm', ['audit', '--omit=dev'], { cwd: ROOT, encoding: 'utf8' });
  if (status === 0) return true;
  const isUnanswered = /audit endpoint returned an error|EAI_AGAIN|ENOTFOUND|ECONNREFUSED/.test(stderr);
  const nothing = 'npm audit: the registry does not answer it, nothing is known\n';
  process.stderr.write(isUnanswered ? nothing : stdout + stderr);
  return isUnanswered;
}

const folder = mkdtempSync(path.join(tmpdir(), 'swarmhaul-package-'));
try {
  const packed = isFine('npm', ['pack', '--ignore-scripts', '--silent', '--pack-destination', folder]);
  const [name = ''] = readdirSync(folder);
  const tarball = path.join(folder, name);
  const checks: readonly (() => boolean)[] = [
    () => packed,
    () => isFine(path.join(BIN, 'publint'), ['--strict', tarball]),
    () => isFine(path.join(BIN, 'attw'), ['--ignore-rules', 'cjs-resolves-to-esm', '--no-emoji', '--', tarball]),
    hasNoHoles,
  ];
  process.exitCode = checks.every((check) => check()) ? 0 : 1;
} finally {
  rmSync(folder, { recursive: true });
}

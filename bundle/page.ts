/**
 * The scripts of the depot's page are compiled for browsers, by a configuration of their own. `npm run build` does so;
 * who has compiled the rest alone gets them here, when they are older than their sources.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const require = createRequire(import.meta.url);
/** This runs in dist/bundle. */
const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const SOURCES = path.join(ROOT, 'src/depot/page');
const SCRIPTS = path.join(ROOT, 'dist/src/depot/page');

function isOld(name: string): boolean {
  const script = path.join(SCRIPTS, name.replace(/\.ts$/, '.js'));
  return !existsSync(script) || statSync(script).mtimeMs < statSync(path.join(SOURCES, name)).mtimeMs;
}

/** @throws what the compiler says */
export function buildPage(): void {
  if (!existsSync(SOURCES)) return;
  const names = readdirSync(SOURCES).filter((name) => name.endsWith('.ts'));
  if (!names.some(isOld)) return;
  const compiler = [require.resolve('typescript/lib/tsc.js'), '-p', SOURCES];
  execFileSync(process.execPath, compiler, { stdio: 'inherit' });
}

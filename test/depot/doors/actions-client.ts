/**
 * GitHub's own client of its Actions cache, in a folder of its own beside our modules: nothing of ours needs it. It is
 * installed where foreign programs are required (CI); elsewhere with SWARMHAUL_INSTALL=1, and then it is there.
 */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { cp, mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { TestContext } from 'node:test';
import { promisify } from 'node:util';
import { PACKAGE_ROOT } from '../../../lab/root.js';
import { skipWithout } from '../../support/requirements.js';

const exec = promisify(execFile);
const SOURCE = join(PACKAGE_ROOT, 'test', 'depot', 'doors', 'client');
export const INSTALLED = join(PACKAGE_ROOT, 'node_modules', '.swarmhaul-test', 'actions-cache');
const MARK = join(INSTALLED, 'node_modules', '@actions', 'cache', 'package.json');

/** True when the test was skipped because the client is not here. */
export async function requireActionsClient(test: TestContext): Promise<boolean> {
  const mayInstall = process.env.SWARMHAUL_INTEROP === 'required' || process.env.SWARMHAUL_INSTALL === '1';
  if (!existsSync(MARK) && mayInstall) {
    // Other test files do the same at the same time: each in a folder of its own, and the first one stays.
    await mkdir(dirname(INSTALLED), { recursive: true });
    const own = await mkdtemp(`${INSTALLED}-`);
    for (const name of ['package.json', 'package-lock.json']) await cp(join(SOURCE, name), join(own, name));
    await exec('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], { cwd: own });
    await rename(own, INSTALLED).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
    });
    await rm(own, { recursive: true, force: true });
  }
  const reason = existsSync(MARK) ? null : '@actions/cache is not installed (SWARMHAUL_INSTALL=1 does it)';
  if (skipWithout(test, reason)) return true;
  // It may be read by another test right now.
  const script = join(INSTALLED, `cache-${process.pid}.mjs`);
  await cp(join(SOURCE, 'cache.mjs'), script);
  await rename(script, join(INSTALLED, 'cache.mjs'));
  return false;
}

export interface Step {
  readonly work: 'save' | 'restore';
  readonly protocol: 'v1' | 'v2';
  /** The key, then those of which the begin is enough. */
  readonly keys: readonly string[];
  /** Before it: a file or folder goes, a file is written. */
  readonly remove?: string;
  readonly write?: readonly [path: string, text: string];
}

export interface ClientResult {
  /** Of each step the id of what was saved (-1: it was not), the key of what was restored, or null. */
  readonly results: readonly unknown[];
  readonly output: string;
}

/** Steps of one job on its folder `deps`, in the environment that a runner gives them. */
export async function runJob(url: string, workspace: string, steps: readonly Step[]): Promise<ClientResult> {
  const temp = join(workspace, '..', 'runner-temp');
  await mkdir(temp, { recursive: true });
  const { PATH = '' } = process.env;
  const env = {
    PATH,
    ACTIONS_CACHE_URL: `${url}/`,
    ACTIONS_RESULTS_URL: `${url}/`,
    ACTIONS_RUNTIME_TOKEN: 'header.payload.signature',
    GITHUB_WORKSPACE: workspace,
    RUNNER_TEMP: temp,
    RUNNER_OS: 'Linux',
  };
  const words = [join(INSTALLED, 'cache.mjs'), JSON.stringify(steps)];
  const { stdout } = await exec(process.execPath, words, { cwd: workspace, env, maxBuffer: 2 ** 24 });
  const [, results] = /^RESULT (.*)$/m.exec(stdout) ?? [];
  return { results: JSON.parse(results ?? '[]') as unknown[], output: stdout };
}

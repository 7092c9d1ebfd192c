/**
 * What a figure was measured on: the machine and the versions, without names, addresses or paths of anybody's machine.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import os from 'node:os';
import { PACKAGE_ROOT } from '../../lab/root.js';
import { VERSION } from '../../src/version.js';
import { IS_CHECKOUT } from './place.js';

export interface Machine {
  readonly cpu: string;
  /** Cores this process may use. */
  readonly cores: number;
  readonly memoryGiB: number;
  readonly system: string;
  readonly kernel: string;
  readonly architecture: string;
}

function systemName(): string {
  try {
    const release = readFileSync('/etc/os-release', 'utf8');
    return /^PRETTY_NAME="?([^"\n]+)"?$/m.exec(release)?.[1] ?? os.type();
  } catch {
    return os.type();
  }
}

export function describeMachine(): Machine {
  return {
    cpu: os.cpus()[0]?.model.trim() ?? 'unknown',
    cores: os.availableParallelism(),
    memoryGiB: Number((os.totalmem() / 2 ** 30).toFixed(1)),
    system: systemName(),
    kernel: os.release(),
    architecture: os.arch(),
  };
}

export function ownVersions(): Record<string, string> {
  const { node, v8, openssl, uv } = process.versions;
  return { swarmhaul: VERSION, node: node!, v8: v8!, openssl: openssl!, uv: uv! };
}

function git(...args: readonly string[]): string {
  return execFileSync('git', args, { cwd: PACKAGE_ROOT, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
}

/**
 * Short commit, followed by `+changes` when sources differ from it. Null for an installed package: the commit around it
 * is another's.
 */
export function currentCommit(): string | null {
  if (!IS_CHECKOUT) return null;
  try {
    const changes = git('status', '--porcelain', '--', 'src', 'bench', 'sim', 'test', 'package.json');
    return git('rev-parse', '--short=12', 'HEAD') + (changes === '' ? '' : '+changes');
  } catch {
    return null;
  }
}

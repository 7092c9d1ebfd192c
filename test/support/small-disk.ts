/** A file system of a size that a test says. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { statfsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import type { TestContext } from 'node:test';
import type { Scope } from '../../lab/scope.js';
import { tempFolder } from '../../lab/temp.js';
import { skipWithout } from './requirements.js';

const BLOCK_BYTES = 4096;

/**
 * @param options of mount(8) for tmpfs, as 'size=1m'
 * @returns where it is; null: this user may not mount one, and the test is skipped
 */
export async function smallDisk(t: TestContext, scope: Scope, options: string): Promise<string | null> {
  const mount = path.join(await tempFolder(scope), 'small');
  await mkdir(mount);
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', mount], { stdio: 'ignore' });
  } catch {
    skipWithout(t, 'this user may not mount a tmpfs');
    return null;
  }
  scope.defer(() => void execFileSync('umount', ['-l', mount]));
  return mount;
}

/** Whatever is free goes to others, but so much. */
export function fill(disk: string, freeBytes = 0): void {
  const { bavail, bsize } = statfsSync(disk);
  const count = Math.floor((bavail * bsize - freeBytes) / BLOCK_BYTES) + (freeBytes === 0 ? 1000 : 0);
  append(path.join(disk, 'others'), count);
  // The last blocks of some are for the table of a file that grows.
  if (freeBytes === 0 && statfsSync(disk).bavail > 0) append(path.join(disk, 'others.rest'), 1);
  if (freeBytes === 0) assert.equal(statfsSync(disk).bavail, 0);
}

function append(file: string, blocks: number): void {
  const words = ['if=/dev/zero', `of=${file}`, `bs=${BLOCK_BYTES}`, `count=${blocks}`, 'oflag=append', 'conv=notrunc'];
  try {
    execFileSync('dd', words, { stdio: 'ignore' });
  } catch {}
}

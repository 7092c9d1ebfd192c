/** A file system that clones files, for what is only as quick as it should be where bytes are not moved. */
import { execFile, execFileSync } from 'node:child_process';
import { open } from 'node:fs/promises';
import path from 'node:path';
import type { TestContext } from 'node:test';
import { promisify } from 'node:util';
import type { Scope } from '../../lab/scope.js';
import { tempFolder } from '../../lab/temp.js';
import { skipUnlessInstalled } from './requirements.js';

const exec = promisify(execFile);
const DISK_BYTES = 200 * 1024 * 1024;

/**
 * A btrfs in a sparse file.
 * @returns where it is; null: it cannot be made or mounted here, and the test is skipped
 */
export async function cloneDisk(t: TestContext, scope: Scope): Promise<string | null> {
  if (await skipUnlessInstalled(t, ['mkfs.btrfs', 'btrfs'])) return null;
  const folder = await tempFolder(scope);
  const [image, mount] = [path.join(folder, 'image'), path.join(folder, 'disk')];
  const file = await open(image, 'w');
  await file.truncate(DISK_BYTES);
  await file.close();
  try {
    await exec('mkfs.btrfs', ['-q', image]);
    await exec('mkdir', [mount]);
    await exec('mount', ['-t', 'btrfs', '-o', 'loop', image, mount]);
  } catch (error) {
    // A container has no loop devices, whoever runs in it.
    t.skip(`no btrfs can be mounted here: ${String(error).split('\n').at(-2)}`);
    return null;
  }
  scope.defer(() => void execFileSync('umount', ['-l', mount]));
  return mount;
}

/** Bytes of this file that no other file has, too. */
export async function exclusiveBytes(file: string): Promise<number> {
  await exec('sync', ['-f', file]);
  const { stdout } = await exec('btrfs', ['filesystem', 'du', '--raw', file]);
  return Number(/^\s*\d+\s+(\d+)\s/m.exec(stdout)![1]);
}

/** A file system of its own in a sparse file: one that clones files, or one that cannot set space aside. */
import { execFile, execFileSync } from 'node:child_process';
import { mkdir, open } from 'node:fs/promises';
import path from 'node:path';
import type { TestContext } from 'node:test';
import { promisify } from 'node:util';
import type { Scope } from '../../lab/scope.js';
import { tempFolder } from '../../lab/temp.js';
import { skipUnlessInstalled } from './requirements.js';

const exec = promisify(execFile);

const KINDS = {
  /** Clones files. The smallest there is. Short files lie in blocks of their own, too. */
  btrfs: { bytes: 200 * 1024 * 1024, words: ['-q'], needs: ['btrfs'], mounted: 'loop,max_inline=0' },
  /** Has no fallocate: space is found, or not, when something is written. */
  ext2: { bytes: 96 * 1024 * 1024, words: ['-q', '-F', '-m', '0', '-b', '4096'], needs: [], mounted: 'loop' },
} as const;

/** @returns where it is; null: it cannot be made or mounted here, and the test is skipped */
export async function loopDisk(t: TestContext, scope: Scope, kind: keyof typeof KINDS): Promise<string | null> {
  const { bytes, words, needs, mounted } = KINDS[kind];
  if (await skipUnlessInstalled(t, [`mkfs.${kind}`, ...needs])) return null;
  const folder = await tempFolder(scope);
  const [image, mount] = [path.join(folder, 'image'), path.join(folder, 'disk')];
  const file = await open(image, 'w');
  await file.truncate(bytes);
  await file.close();
  await mkdir(mount);
  try {
    await exec(`mkfs.${kind}`, [...words, image]);
    await exec('mount', ['-t', kind, '-o', mounted, image, mount]);
  } catch (error) {
    // A container has no loop devices, whoever runs in it.
    t.skip(`no ${kind} can be mounted here: ${String(error).split('\n').at(-2)}`);
    return null;
  }
  scope.defer(() => void execFileSync('umount', ['-l', mount]));
  return mount;
}

/** Bytes of this file that no other file has, too. Of a btrfs. */
export async function exclusiveBytes(file: string): Promise<number> {
  await exec('sync', ['-f', file]);
  const { stdout } = await exec('btrfs', ['filesystem', 'du', '--raw', file]);
  return Number(/^\s*\d+\s+(\d+)\s/m.exec(stdout)![1]);
}

/**
 * Bad sectors: what holds these bytes on a btrfs of `loopDisk` is others now, which its checksums find: reading them is
 * EIO from now on.
 */
export async function spoil(mount: string, bytes: Buffer): Promise<void> {
  await exec('sync', ['-f', mount]);
  const file = await open(path.join(path.dirname(mount), 'image'), 'r+');
  try {
    const all = await file.readFile();
    for (let at = all.indexOf(bytes); at >= 0; at = all.indexOf(bytes, at + 1)) await file.write('bad', at);
  } finally {
    await file.close();
  }
  // What is in memory of its files is given up.
  await exec('find', [mount, '-type', 'f', '-exec', 'dd', 'if={}', 'iflag=nocache', 'count=0', 'status=none', ';']);
}

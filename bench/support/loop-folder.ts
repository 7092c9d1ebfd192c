/**
 * `--folder loop:xfs`: a file system of that kind in an image of its own, mounted through a loop device for the time
 * of a bench (Linux, root). The image lies in the folder for temporary files, or in the one after a second colon:
 * `loop:xfs:/mnt/disk`. The loop device reads and writes it past the page cache: only the file system inside caches.
 */
import { execFileSync } from 'node:child_process';
import { accessSync, constants, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { Scope } from '../../lab/scope.js';
import { ValueError } from '../../src/cli/values.js';

const PREFIX = 'loop:';
const MAKERS: Readonly<Record<string, readonly string[]>> = {
  xfs: ['mkfs.xfs', '-q', '-f'],
  ext4: ['mkfs.ext4', '-q', '-F'],
};
/** The original, two copies should one linger, and the file system's own; the image is sparse. */
const COPIES = 3;
const OWN_BYTES = 2 ** 30;

interface LoopFolder {
  readonly kind: string;
  readonly parent: string;
}

function parse(name: string): LoopFolder | null {
  if (!name.startsWith(PREFIX)) return null;
  const [, kind = '', parent = os.tmpdir()] = /^loop:([^:]*)(?::(.+))?$/.exec(name) ?? [];
  return { kind, parent };
}

/** Before anything is measured. @throws ValueError for a kind that cannot be made here */
export function checkLoopFolders(names: readonly string[]): void {
  for (const name of names) {
    const wanted = parse(name);
    if (wanted === null) continue;
    const kinds = Object.keys(MAKERS);
    const wrong = (why: string): never => {
      throw new ValueError(`--folder ${name}: ${why}`);
    };
    if (!kinds.includes(wanted.kind)) wrong(`it is one of ${kinds.map((kind) => `${PREFIX}${kind}`).join(', ')}`);
    if (process.platform !== 'linux' || process.getuid?.() !== 0) wrong('mounting needs Linux and root');
    try {
      accessSync(wanted.parent, constants.W_OK);
      execFileSync('/bin/sh', ['-c', `command -v ${MAKERS[wanted.kind]![0]}`], { stdio: 'ignore' });
    } catch {
      wrong(`no ${MAKERS[wanted.kind]![0]} here, or ${wanted.parent} cannot be written`);
    }
  }
}

/**
 * A folder as it is, or a mounted one, large enough for copies of that length, which goes with the scope and when the
 * bench is interrupted.
 */
export async function openLoopFolder(scope: Scope, name: string, lengthBytes: number): Promise<string> {
  const wanted = parse(name);
  if (wanted === null) return name;
  const folder = mkdtempSync(path.join(wanted.parent, 'swarmhaul-loop-'));
  const [image, mount] = [path.join(folder, 'image'), path.join(folder, 'mount')];
  const remove = (): void => {
    try {
      // Lazily: a child may still be leaving. The loop device goes with the mount.
      execFileSync('umount', ['--lazy', mount], { stdio: 'ignore' });
    } catch {
      // It was not mounted yet.
    }
    rmSync(folder, { recursive: true, force: true, maxRetries: 10 });
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, remove);
    scope.defer(() => void process.off(signal, remove));
  }
  scope.defer(remove);
  writeFileSync(image, '');
  truncateSync(image, COPIES * lengthBytes + OWN_BYTES);
  execFileSync(MAKERS[wanted.kind]![0]!, [...MAKERS[wanted.kind]!.slice(1), image], { stdio: 'ignore' });
  execFileSync('mkdir', [mount]);
  const device = execFileSync('losetup', ['--find', '--show', '--direct-io=on', image], { encoding: 'utf8' }).trim();
  try {
    execFileSync('mount', [device, mount]);
  } finally {
    // Marks it to go when it is not used any more.
    execFileSync('losetup', ['--detach', device]);
  }
  return mount;
}

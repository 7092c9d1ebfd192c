/** The bytes of a bench and the torrents of them: one file in a folder of its own, one torrent per piece length. */
import { existsSync, rmSync, statfsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import type { Scope } from '../../lab/scope.js';
import { sha256File } from '../../lab/tree.js';
import { createTorrent } from '../../src/content/create.js';
import { createWorkPool } from '../../src/work/pool.js';
import { makeFile } from './make-file.js';
import { makeFolder } from './options.js';
import { warmForCopy } from './warm.js';

export const FILE_NAME = 'image.bin';

export interface Job {
  readonly torrent: string;
  /** Holds the original. */
  readonly dataFolder: string;
  /** For copies and everything else; gone with the job. */
  readonly workFolder: string;
  readonly lengthBytes: number;
  readonly pieceLengthBytes: number;
  readonly sha256: string;
  /** 'tmpfs', 'ext4' … */
  readonly fileSystem: string;
}

export interface JobOptions {
  readonly folder: string;
  readonly lengthBytes: number;
  readonly pieceLengths: readonly number[];
  readonly trackers?: readonly string[];
}

/** Magic numbers of statfs(2). */
const FILE_SYSTEMS: ReadonlyMap<number, string> = new Map([
  [0x01021994, 'tmpfs'],
  [0xef53, 'ext4'],
  [0x58465342, 'xfs'],
  [0x9123683e, 'btrfs'],
  [0x794c7630, 'overlay'],
  [0x2fc12fc1, 'zfs'],
]);

/** The kind, not the place: results name no folder of anybody's machine. */
export function fileSystemOf(folder: string): string {
  const { type } = statfsSync(folder);
  return FILE_SYSTEMS.get(type) ?? `0x${type.toString(16)}`;
}

export function defaultFolder(): string {
  return existsSync('/dev/shm') ? '/dev/shm' : os.tmpdir();
}

const REMOVE_TRIES = 50;
const REMOVE_PAUSE_MS = 50;

/**
 * Removes a folder at once, without a turn of the event loop. Children that were interrupted as well may write into it
 * a little longer.
 * @param remove of a test. @throws when they do so for seconds
 */
export function removeNow(folder: string, remove: typeof rmSync = rmSync): void {
  for (let tries = 1; ; tries++) {
    try {
      remove(folder, { recursive: true, force: true });
      return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOTEMPTY' || tries === REMOVE_TRIES) throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, REMOVE_PAUSE_MS);
    }
  }
}

/** Also when the bench is interrupted: gigabytes in memory must not stay. */
export function removeAtEnd(scope: Scope, folder: string): void {
  const interrupted = (): void => {
    try {
      removeNow(folder);
    } catch (error) {
      process.stderr.write(`bench: ${folder} stays behind: ${(error as Error).message}\n`);
    }
    process.exit(130);
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, interrupted);
    scope.defer(() => void process.off(signal, interrupted));
  }
  scope.defer(() => rm(folder, { recursive: true, force: true }));
}

/** Writes the file once and a torrent for each piece length. Everything is removed when the scope closes. */
export async function makeJobs(scope: Scope, options: JobOptions): Promise<Job[]> {
  const { folder, lengthBytes, pieceLengths } = options;
  await makeFolder(folder);
  const workFolder = await mkdtemp(path.join(folder, 'swarmhaul-bench-'));
  removeAtEnd(scope, workFolder);
  const dataFolder = path.join(workFolder, 'data');
  await mkdir(dataFolder);
  const file = path.join(dataFolder, FILE_NAME);
  await makeFile(file, lengthBytes, 1);
  const sha256 = await sha256File(file);
  const pool = createWorkPool({ threads: os.availableParallelism() });
  const trackers = (options.trackers ?? []).map((url) => [url]);
  const jobs: Job[] = [];
  try {
    for (const pieceLengthBytes of pieceLengths) {
      const torrent = path.join(workFolder, `${pieceLengthBytes}.torrent`);
      await writeFile(torrent, await createTorrent(file, { pieceLengthBytes, trackers }, pool));
      const fileSystem = fileSystemOf(workFolder);
      jobs.push({ torrent, dataFolder, workFolder, lengthBytes, pieceLengthBytes, sha256, fileSystem });
    }
  } finally {
    await pool.close();
  }
  scope.defer(warmForCopy(lengthBytes));
  return jobs;
}

/** An empty folder for one copy; `remove` when it was looked at. */
export async function outputFolder(job: Job): Promise<{ folder: string; copy: string; remove: () => Promise<void> }> {
  const folder = await mkdtemp(path.join(job.workFolder, 'copy-'));
  return { folder, copy: path.join(folder, FILE_NAME), remove: () => rm(folder, { recursive: true, force: true }) };
}

/** SHA-256 of the copy. @throws when it is not the original's */
export async function checkCopy(who: string, copy: string, job: Job): Promise<string> {
  const sha256 = await sha256File(copy);
  if (sha256 !== job.sha256) throw new Error(`${who}: the copy differs from the original`);
  return sha256;
}

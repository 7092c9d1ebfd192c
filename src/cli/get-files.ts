/** Files that `haul get` puts into their place: whether they are there, what they hash to, and how they get there. */
import { createHash } from 'node:crypto';
import { createReadStream, type Stats } from 'node:fs';
import { type FileHandle, link, lstat, open, readFile, rename, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fromSystemError, HaulError } from '../errors.js';
import { LOCK_EX, loadFlock } from '../native/flock.js';
import type { DepotArtifact } from './depot-client.js';

/** Read as a whole: a stream costs more than a short file. */
const WHOLE_BYTES = 1024 * 1024;

export async function hashOf(path: string): Promise<string> {
  const hash = createHash('sha256');
  const { size } = await lstat(path);
  if (size <= WHOLE_BYTES) return hash.update(await readFile(path)).digest('hex');
  for await (const chunk of createReadStream(path, { highWaterMark: WHOLE_BYTES })) hash.update(chunk as Buffer);
  return hash.digest('hex');
}

/** What is on its way: written on at its end, by nobody else as long as it is open. */
export interface Part {
  readonly path: string;
  readonly file: FileHandle;
}

/** Of one artifact in one folder, by as many processes. */
const PARTS_MAX = 100;

/** Names that nobody gives a file; each process at it has one of its own. */
function partPath(path: string, sha256: string, number: number): string {
  return join(dirname(path), `.${sha256.slice(0, 32)}${number === 1 ? '' : `.${number}`}.haul-part`);
}

/**
 * What an earlier try has left is gone on with.
 * @param path where the file will be
 * @throws HaulError READ_ONLY, NO_PERMISSION, …; IN_USE: too many are at it
 */
export async function openPart(path: string, sha256: string): Promise<Part> {
  for (let number = 1; number <= PARTS_MAX; number++) {
    const part = partPath(path, sha256, number);
    const file = await openOwn(part);
    if (file !== null) return { path: part, file };
  }
  throw new HaulError('IN_USE', `too many are fetching ${path} just now: wait for them`, { path });
}

/** Null: another process has it. */
async function openOwn(path: string): Promise<FileHandle | null> {
  try {
    for (;;) {
      const file = await open(path, 'a', 0o666);
      if (loadFlock()?.(file.fd, LOCK_EX) === 'busy') {
        await file.close();
        return null;
      }
      // Whoever had it just before may have given it its place.
      const [own, there] = await Promise.all([file.stat(), lstat(path).catch(() => null)]);
      if (own.ino === there?.ino) return file;
      await file.close();
    }
  } catch (error) {
    throw fromSystemError(error, 'write to', path);
  }
}

/** What others had begun, and were ended at. Never rejects. */
export async function sweepParts(path: string, sha256: string): Promise<void> {
  for (let number = 1; number <= PARTS_MAX; number++) {
    const part = partPath(path, sha256, number);
    if ((await lstat(part).catch(() => null)) === null && number > 1) return;
    const file = await open(part, 'r').catch(() => null);
    if (file === null) continue;
    if (loadFlock()?.(file.fd, LOCK_EX) !== 'busy') await unlink(part).catch(() => {});
    await file.close();
  }
}

/** @throws HaulError NO_SPACE, … */
export async function append({ path, file }: Part, chunk: Uint8Array): Promise<void> {
  try {
    await file.appendFile(chunk);
  } catch (error) {
    throw fromSystemError(error, 'write to', path);
  }
}

/** @throws HaulError FILE_EXISTS: another file is there, and may not be overwritten */
export async function whatIsThere(path: string, artifact: DepotArtifact, isForced: boolean): Promise<'it' | 'nothing'> {
  const there = await lstat(path).catch(() => null);
  if (there === null) return 'nothing';
  const { lengthBytes, sha256 } = artifact;
  if (there.isFile() && there.size === lengthBytes && (await hashOf(path)) === sha256) return 'it';
  if (isForced && there.isFile()) return 'nothing';
  if (!there.isFile()) throw noFile(path, there);
  throw new HaulError('FILE_EXISTS', `${path} is another file; --force overwrites it`, { path });
}

function noFile(path: string, there: Stats): HaulError {
  const what = there.isDirectory() ? 'a folder' : 'no plain file';
  return new HaulError('FILE_EXISTS', `${path} is ${what}: move it away, or choose another --output`, { path });
}

const OWNER_WRITES = 0o200;

/**
 * A torrent writes into the file that is there. One that has other names, which would get those bytes too, or that is
 * not to be written to, makes way for a new one.
 * @throws HaulError FILE_EXISTS: something else is there, and may not be overwritten
 */
export async function makeWay(path: string, artifact: DepotArtifact, isForced: boolean): Promise<void> {
  const there = await lstat(path).catch(() => null);
  if (there === null) return;
  if (!there.isFile()) throw noFile(path, there);
  if (there.nlink === 1 && (there.mode & OWNER_WRITES) !== 0) return;
  if ((await whatIsThere(path, artifact, isForced)) === 'it') return;
  await unlink(path).catch((error: unknown) => {
    throw fromSystemError(error, 'write', path);
  });
}

/** Whoever made another file there meanwhile keeps it. @throws HaulError FILE_EXISTS */
export async function placeFile(part: string, path: string, artifact: DepotArtifact, isForced: boolean): Promise<void> {
  const move = (): Promise<void> =>
    rename(part, path).catch((error: unknown) => {
      throw fromSystemError(error, 'write', path);
    });
  if (isForced) return move();
  try {
    await link(part, path);
    await unlink(part);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // A file system without hard links.
    if (code !== 'EEXIST') await move();
    // Another one that fetches the same was here first.
    else if ((await whatIsThere(path, artifact, false)) === 'it') await unlink(part);
  }
}

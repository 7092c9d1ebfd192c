/** Files that `haul get` puts into their place: whether they are there, what they hash to, and how they get there. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { link, lstat, readFile, rename, unlink } from 'node:fs/promises';
import { HaulError } from '../errors.js';
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

/** @throws HaulError FILE_EXISTS: another file is there, and may not be overwritten */
export async function whatIsThere(path: string, artifact: DepotArtifact, isForced: boolean): Promise<'it' | 'nothing'> {
  const there = await lstat(path).catch(() => null);
  if (there === null) return 'nothing';
  const { lengthBytes, sha256 } = artifact;
  if (there.isFile() && there.size === lengthBytes && (await hashOf(path)) === sha256) return 'it';
  if (isForced && there.isFile()) return 'nothing';
  throw new HaulError('FILE_EXISTS', `${path} is another file; --force overwrites it`, { path });
}

/** Whoever made a file there meanwhile keeps it. @throws HaulError FILE_EXISTS */
export async function placeFile(part: string, path: string, isForced: boolean): Promise<void> {
  if (isForced) {
    await rename(part, path);
    return;
  }
  try {
    await link(part, path);
    await unlink(part);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') throw new HaulError('FILE_EXISTS', `${path} is there now; --force overwrites it`, { path });
    // A file system without hard links.
    await rename(part, path);
  }
}

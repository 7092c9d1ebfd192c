/** Files that `haul get` puts into their place: whether they are there, what they hash to, and how they get there. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { type FileHandle, link, lstat, open, readFile, rename, unlink } from 'node:fs/promises';
import { fromSystemError, HaulError } from '../errors.js';
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

/** What is on its way: written on at its end. */
export interface Part {
  readonly path: string;
  readonly file: FileHandle;
}

/** @throws HaulError READ_ONLY, NO_PERMISSION, … */
export async function openPart(path: string): Promise<Part> {
  try {
    return { path, file: await open(path, 'a', 0o666) };
  } catch (error) {
    throw fromSystemError(error, 'write to', path);
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
  if (!there.isFile()) {
    const what = there.isDirectory() ? 'a folder' : 'no plain file';
    throw new HaulError('FILE_EXISTS', `${path} is ${what}: move it away, or choose another --output`, { path });
  }
  throw new HaulError('FILE_EXISTS', `${path} is another file; --force overwrites it`, { path });
}

/** Whoever made a file there meanwhile keeps it. @throws HaulError FILE_EXISTS */
export async function placeFile(part: string, path: string, isForced: boolean): Promise<void> {
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
    if (code === 'EEXIST') throw new HaulError('FILE_EXISTS', `${path} is there now; --force overwrites it`, { path });
    // A file system without hard links.
    await move();
  }
}

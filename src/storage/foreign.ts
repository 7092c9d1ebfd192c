/**
 * Somebody else's files in the places of the torrent's: found before anything is changed, and overwritten only when
 * asked to. A file that holds nothing but zeros is nobody's loss: a download that was killed while it reserved its
 * space leaves such ones.
 */
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import { fromSystemError, HaulError } from '../errors.js';
import type { FileEntry } from '../metainfo/metainfo.js';
import type { FileState } from './survey.js';

const READ_BYTES = 1024 * 1024;
const ZEROS = Buffer.alloc(READ_BYTES);
/** Files a message names; a tree may have a million. */
const SHOWN_FILES = 3;

export interface ForeignQuestion {
  readonly states: readonly FileState[];
  readonly entry: (file: number) => FileEntry;
  /** Where the file really is. */
  readonly path: (file: number) => string;
  readonly output: string;
  readonly isOurs: (file: number) => boolean;
  readonly signal?: AbortSignal | undefined;
}

/**
 * @returns the files that hold nothing, or are not there: nobody's, as long as that is so
 * @throws HaulError FILE_EXISTS naming the others; ABORTED, NO_PERMISSION, IO
 */
export async function refuseForeign(question: ForeignQuestion): Promise<ReadonlySet<number>> {
  const { states, entry, path, output, isOurs, signal } = question;
  const foreign: string[] = [];
  const empty = new Set<number>();
  for (const { file, lengthBytes } of states) {
    if (lengthBytes === 0) empty.add(file);
    if (lengthBytes === 0 || isOurs(file)) continue;
    // A longer one was not made for this torrent, whatever it holds.
    const mayBeEmpty = lengthBytes <= entry(file).lengthBytes;
    if (mayBeEmpty && (await holdsNothing(path(file), signal))) empty.add(file);
    else foreign.push(join(...entry(file).path));
  }
  if (foreign.length > 0) throw fileExists(output, foreign);
  return empty;
}

function fileExists(output: string, foreign: readonly string[]): HaulError {
  const first = join(output, foreign[0]!);
  const facts = { path: first, fileCount: foreign.length };
  if (foreign.length === 1) {
    const ways = '--force overwrites it, or choose another --output';
    const message = `${first} is there and holds nothing of this torrent; ${ways}`;
    return new HaulError('FILE_EXISTS', message, facts);
  }
  const left = foreign.length - SHOWN_FILES;
  const names = foreign.slice(0, SHOWN_FILES).join(', ') + (left > 0 ? ` and ${left} more` : '');
  const message =
    `${foreign.length} files in ${output} are there and hold nothing of this torrent: ${names}; ` +
    '--force overwrites them, or choose another --output';
  return new HaulError('FILE_EXISTS', message, facts);
}

/** True: the whole file is zeros. Stops at the first other byte. */
async function holdsNothing(path: string, signal: AbortSignal | undefined): Promise<boolean> {
  let handle: FileHandle;
  try {
    handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    throw fromSystemError(error, 'open', path);
  }
  try {
    const buffer = Buffer.allocUnsafe(READ_BYTES);
    for (;;) {
      if (signal?.aborted) throw new HaulError('ABORTED', `the look at ${path} was stopped`);
      const { bytesRead } = await handle.read(buffer, 0, READ_BYTES, null);
      if (bytesRead === 0) return true;
      if (buffer.compare(ZEROS, 0, bytesRead, 0, bytesRead) !== 0) return false;
    }
  } catch (error) {
    throw fromSystemError(error, 'read', path);
  } finally {
    await handle.close();
  }
}

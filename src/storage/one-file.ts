/**
 * Files that have another name on disk: what is written to one is written to the other.
 * Two files of a torrent that are one, through hard links that save space or a link in the place of a folder, would
 * each be believed with the bytes of both. A name outside the torrent is somebody's copy (`cp -al`, `ln`) of an earlier
 * version, which a newer one would change.
 */
import { join } from 'node:path';
import { HaulError } from '../errors.js';
import { forEachStatus } from './stamp-files.js';

export interface OneFileQuestion {
  /** That are there. */
  readonly files: readonly number[];
  readonly path: (file: number) => string;
  /** Below the output folder. */
  readonly name: (file: number) => string;
  readonly output: string;
  /** Nothing will be written to it, and it is not cut. */
  readonly isLeftAlone: (file: number) => boolean;
  /** False: an inode number says nothing here. */
  readonly hasInodes: boolean;
  /** Files with names outside the torrent are told. */
  readonly isOverwriting: boolean;
}

/**
 * Before anything is changed.
 * @returns files that have names elsewhere and will be written to: they need bytes of their own first
 * @throws HaulError BAD_DATA naming two files of the torrent that are one, FILE_EXISTS naming a file that has a name
 * elsewhere
 */
export async function refuseOneFile(question: OneFileQuestion): Promise<readonly number[]> {
  const { files, path, isLeftAlone, hasInodes, isOverwriting } = question;
  const seen = new Map<string, number>();
  const linked: number[] = [];
  let pair: readonly [number, number] | null = null;
  await forEachStatus(files, path, (file, status) => {
    if (status === null) return;
    if (status.nlink > 1n && !isLeftAlone(file)) linked.push(file);
    if (!hasInodes) return;
    const key = `${status.dev}:${status.ino}`;
    const other = seen.get(key);
    if (other === undefined) seen.set(key, file);
    else if (pair === null && !(isLeftAlone(file) && isLeftAlone(other))) {
      pair = other < file ? [other, file] : [file, other];
    }
  });
  if (pair !== null) throw twoNames(question, ...(pair as readonly [number, number]));
  if (linked.length > 0 && !isOverwriting) throw nameElsewhere(question, linked);
  return linked;
}

function twoNames({ output, name }: OneFileQuestion, first: number, second: number): HaulError {
  const path = join(output, name(first));
  const message =
    `${path} and ${name(second)} are one file on disk (a hard link, or a link on the way); ` +
    'remove that link, and its bytes are fetched anew';
  return new HaulError('BAD_DATA', message, { path, other: join(output, name(second)) });
}

function nameElsewhere({ output, name }: OneFileQuestion, linked: readonly number[]): HaulError {
  const path = join(output, name(linked.reduce((a, b) => Math.min(a, b))));
  const left = linked.length - 1;
  const what =
    left === 0
      ? `${path} has another name on this disk (a hard link): ` +
        'writing would change that one too; put a copy in its place'
      : `${path} and ${left} more have other names on this disk (hard links): ` +
        'writing would change those too; put copies in their places';
  return new HaulError('FILE_EXISTS', `${what}, or --force does`, { path, fileCount: linked.length });
}

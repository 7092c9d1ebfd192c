/**
 * Two files of a torrent that are one on disk: hard links that save space, or a link in the place of a folder. What is written to one is
 * written to the other, and each would be believed with the bytes of both.
 */
import { join } from 'node:path';
import { HaulError } from '../errors.js';
import { forEachStatus } from './stamp-files.js';

export interface OneFileQuestion {
  /** That are there and hold something. */
  readonly files: readonly number[];
  readonly path: (file: number) => string;
  /** Below the output folder. */
  readonly name: (file: number) => string;
  readonly output: string;
  /** Nothing will be written to it. */
  readonly isFinished: (file: number) => boolean;
}

/** @throws HaulError BAD_DATA naming two of them, before anything is changed */
export async function refuseOneFile({ files, path, name, output, isFinished }: OneFileQuestion): Promise<void> {
  const seen = new Map<string, number>();
  let trouble: HaulError | null = null;
  await forEachStatus(files, path, (file, status) => {
    if (status === null) return;
    const key = `${status.dev}:${status.ino}`;
    const other = seen.get(key);
    if (other === undefined) seen.set(key, file);
    else if (trouble === null && !(isFinished(file) && isFinished(other))) {
      const [first, second] = other < file ? [other, file] : [file, other];
      const message = `${join(output, name(first))} and ${name(second)} are one file on disk (a hard link, or a link on the way); remove that link, and its bytes are fetched anew`;
      trouble = new HaulError('BAD_DATA', message, {
        path: join(output, name(first)),
        other: join(output, name(second)),
      });
    }
  });
  if (trouble !== null) throw trouble;
}

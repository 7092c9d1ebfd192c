/**
 * `haul get --stdout FILE`: the bytes of a file go to standard output in order, while they arrive. What is said goes to
 * standard error then. A reader of ours that has gone is noticed by the runner, which fires the signal.
 */
import { once } from 'node:events';
import { createReadStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import type { Torrent } from '../api.js';
import { fromSystemError, HaulError } from '../errors.js';
import { checkRead } from '../library/read-options.js';
import type { Metainfo } from '../metainfo/metainfo.js';
import type { FilePriority } from '../metainfo/selection.js';
import { type FileChoice, listNames, type SelectOptions } from './select.js';

/** As far as standard output takes more. */
export interface Sink {
  write(bytes: Uint8Array): boolean;
  once(event: 'drain', listener: () => void): unknown;
}

/** Index of the file. @throws HaulError BAD_ARGUMENT: there is no such file, or it is padding or a link */
export function findFile(metainfo: Metainfo, name: string): number {
  try {
    return checkRead(metainfo, name, {}).file;
  } catch (error) {
    const { message } = error as HaulError;
    throw new HaulError('BAD_ARGUMENT', `--stdout: ${message}; it has ${listNames(metainfo)}`, { option: '--stdout' });
  }
}

/**
 * Without words about other files it is the only one that is fetched, whatever a magnet link would choose.
 * @throws HaulError BAD_ARGUMENT: it is skipped
 */
export function chooseAlone(
  metainfo: Metainfo,
  file: number,
  { only, skip }: SelectOptions,
  choice: FileChoice,
): FileChoice {
  if (only !== undefined || skip !== undefined) {
    if (choice.priorities?.[file] !== 'skip') return choice;
    throw new HaulError('BAD_ARGUMENT', '--only and --skip leave out the file of --stdout', { option: '--stdout' });
  }
  if (choice.fileCount === 1) return choice;
  const priorities = metainfo.files.map((_, index): FilePriority => (index === file ? 'normal' : 'skip'));
  return { ...choice, priorities, wantedFiles: 1 };
}

/** Resolves when all is written, or the signal has fired. @throws HaulError what ended the torrent */
export async function pour(torrent: Torrent, file: number, sink: Sink, signal: AbortSignal): Promise<void> {
  const reader = torrent.read(file);
  const stop = (): void => void reader.return?.();
  signal.addEventListener('abort', stop, { once: true });
  if (signal.aborted) stop();
  try {
    for await (const bytes of reader) {
      if (sink.write(bytes)) continue;
      await once(sink as never, 'drain', { signal }).catch(() => {});
      if (signal.aborted) return;
    }
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

/** All of a file that is here. Ends early where the signal fires. @throws HaulError where it cannot be read */
export async function pourFile(path: string, signal: AbortSignal): Promise<void> {
  try {
    await pipeline(createReadStream(path, { highWaterMark: 256 * 1024 }), process.stdout, { signal, end: false });
  } catch (error) {
    // Who reads no more is noticed by the runner.
    if (signal.aborted || process.stdout.errored !== null) throw new HaulError('ABORTED', 'interrupted');
    throw fromSystemError(error, 'read', path);
  }
}

/**
 * What is in memory is read and looked at on the main thread: a trip to another one and back takes longer than to copy
 * 128 KiB. Nothing here waits for a device or for another machine; where it might, a thread has to do it.
 */
import { type BigIntStats, close, fstat, fstatSync, openSync, read, readSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { promisify } from 'node:util';
import { fileSystemOf } from '../../native/file-systems.js';
import { readCached } from '../../native/read-cached.js';
import { stampOf } from '../../storage/stamp-files.js';
import type { FileStamp } from '../../work/file-stamp.js';

/** `memory`: there is nothing else; `cached`: what was used lately is there; `far`: nobody knows. */
export type Nearness = 'memory' | 'cached' | 'far';

/** What is read of, as a `FileHandle` is. */
export interface OpenFile {
  readonly fd: number;
  read(target: Uint8Array, offset: number, length: number, at: number): Promise<{ readonly bytesRead: number }>;
  close(): Promise<void>;
}

/** Of the files in a folder. Never rejects. */
export async function nearnessOf(folder: string): Promise<Nearness> {
  const volume = await statfs(folder).catch(() => null);
  const { hasNoDevice = false, isLocal = false } = volume === null ? {} : fileSystemOf(volume.type);
  return hasNoDevice ? 'memory' : isLocal ? 'cached' : 'far';
}

const statusInThread = promisify(fstat) as (fd: number, options: { bigint: true }) => Promise<BigIntStats>;

/** What an open file is now. Throws or rejects with what the system says. */
export function stampOfOpen(fd: number, nearness: Nearness): FileStamp | Promise<FileStamp> {
  if (nearness === 'far') return statusInThread(fd, { bigint: true }).then(stampOf);
  return stampOf(fstatSync(fd, { bigint: true }));
}

/** How many bytes from `at` on were there at once: 0 says nothing of the file. */
export function readNow(fd: number, target: Uint8Array, at: number, nearness: Nearness): number {
  if (nearness === 'far') return 0;
  return nearness === 'memory' ? readSync(fd, target, 0, target.length, at) : readCached(fd, target, at);
}

const readInThread = promisify(read);
const closeInThread = promisify(close);

/** Of a file that was used lately, so that its place is known. Throws what the system says. */
export function openNow(path: string, flags: number): OpenFile {
  const fd = openSync(path, flags);
  return {
    fd,
    read: (target, offset, length, at) => readInThread(fd, target, offset, length, at),
    close: () => closeInThread(fd),
  };
}

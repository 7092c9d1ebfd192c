/**
 * Looks at the files of a torrent for their stamps. Pads, links (BEP 47) and skipped files hold no data of ours and
 * have none.
 */
import { type BigIntStats, statSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { partFileName } from '../metainfo/layout.js';
import type { Metainfo } from '../metainfo/metainfo.js';
import type { Selection } from '../metainfo/selection.js';
import { ABSENT, type FileStamp } from '../work/file-stamp.js';
import { forEachConcurrently } from './concurrently.js';

const STATS_AT_ONCE = 8;
/** Above this many files an asynchronous stat each costs the main thread ten times the call itself. */
const STATS_ASYNC = 256;
/** Files looked at before other work gets its turn: about a millisecond. */
const STATS_IN_A_ROW = 400;

export function stampOf(status: BigIntStats): FileStamp {
  if (!status.isFile()) return ABSENT;
  return {
    device: status.dev,
    inode: status.ino,
    birthNs: birthOf(status),
    sizeBytes: Number(status.size),
    mtimeNs: status.mtimeNs,
    ctimeNs: status.ctimeNs,
  };
}

let hasBirths: boolean | undefined;

/**
 * When the file was made, 0 where nobody says. Without statx(2) (an old kernel, a sandbox) Node gives the time of the
 * last change instead; our own executable shows that: it has been renamed or given its mode after it was made.
 */
export function birthOf(status: BigIntStats): bigint {
  if (hasBirths === undefined) {
    const own = statSync(process.execPath, { bigint: true, throwIfNoEntry: false });
    hasBirths = own !== undefined && own.birthtimeNs !== own.ctimeNs;
  }
  return hasBirths && status.birthtimeNs > 0n ? status.birthtimeNs : 0n;
}

/** The files that have a stamp; the part file is another one. */
export function stampedFiles({ files }: Metainfo, selection: Selection | null): number[] {
  return [...files.keys()].filter(
    (index) => !files[index]!.isPad && files[index]!.symlinkPath === null && selection?.isSkipped(index) !== true,
  );
}

/** Where a file is found under its own name; `metainfo.files.length` is the part file. */
export function stampedPath(metainfo: Metainfo, output: string, file: number): string {
  const path = metainfo.files[file]?.path ?? [partFileName(metainfo)];
  return join(output, ...path);
}

/**
 * Looks at every file under its own name; the last stamp is the part file's. Never throws for what it finds.
 * @param only these files; the others are ABSENT
 */
export async function stampFiles(
  metainfo: Metainfo,
  output: string,
  selection: Selection | null,
  only?: readonly number[],
): Promise<FileStamp[]> {
  const stamps: FileStamp[] = Array.from({ length: metainfo.files.length + 1 }, () => ABSENT);
  const stored = only ?? [...stampedFiles(metainfo, selection), metainfo.files.length];
  await forEachStatus(
    stored,
    (file) => stampedPath(metainfo, output, file),
    (file, status) => {
      if (status !== null) stamps[file] = stampOf(status);
    },
  );
  return stamps;
}

/** `stat` of each file, null where there is none. The main thread is never held for longer than about a millisecond. */
export async function forEachStatus(
  files: readonly number[],
  pathOf: (file: number) => string,
  use: (file: number, status: BigIntStats | null) => void,
): Promise<void> {
  if (files.length <= STATS_ASYNC) {
    await forEachConcurrently(files, STATS_AT_ONCE, async (file) => {
      use(file, await stat(pathOf(file), { bigint: true }).catch(() => null));
    });
    return;
  }
  for (let at = 0; at < files.length; at += STATS_IN_A_ROW) {
    for (const file of files.slice(at, at + STATS_IN_A_ROW)) use(file, statusNow(pathOf(file)));
    await new Promise((resolve) => setImmediate(resolve));
  }
}

function statusNow(path: string): BigIntStats | null {
  try {
    return statSync(path, { bigint: true, throwIfNoEntry: false }) ?? null;
  } catch {
    return null;
  }
}

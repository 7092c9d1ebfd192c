/**
 * Which storage fits a folder. Mapped memory only where it is known to be safe and fast: Linux, a plain local file
 * system that reserves space, files of a sensible size. Everything else, and everything unknown, is positional.
 *
 * A download to tmpfs, and to ext4 or XFS on a new kernel, is positional too: a written piece is taken as a whole (by
 * ext4 and XFS as a few long folios), while a mapped one is cleared, filled, made writable and cleaned page by page
 * (bench/EXPERIMENTS.md has the figures). Seeds are mapped.
 */
import { randomBytes } from 'node:crypto';
import { open, statfs, unlink } from 'node:fs/promises';
import { release } from 'node:os';
import { join } from 'node:path';
import { DEFAULTS } from '../config.js';
import type { Metainfo } from '../metainfo/metainfo.js';
import { fileSystemOf, isWrittenFaster, UNKNOWN } from '../native/file-systems.js';
import * as mmap from '../native/mmap-io.js';
import { existingFolder } from './files.js';
import type { StorageKind } from './port.js';

/** Files one piece may touch before so many mappings cost more than copies. */
const FILES_PER_PIECE = 1024;

export interface Choice {
  readonly kind: StorageKind;
  /** One clause for the log. */
  readonly reason: string;
}

/** Looks at the file system of `output`, or of the nearest folder above it that exists. */
export async function chooseStorage(metainfo: Metainfo, output: string, forWriting: boolean): Promise<Choice> {
  if (process.platform !== 'linux' || !mmap.isSupported())
    return { kind: 'positional', reason: 'no mapping on this platform' };
  if (DEFAULTS.windowBytes % mmap.pageSize() !== 0) return { kind: 'positional', reason: 'unusual page size' };
  const crowded = filesInOnePiece(metainfo);
  if (crowded > FILES_PER_PIECE) return { kind: 'positional', reason: `a piece spans ${crowded} files` };
  const folder = await existingFolder(output);
  const fileSystem = await statfs(folder).then(
    ({ type }) => fileSystemOf(type),
    () => UNKNOWN,
  );
  const { name, kind } = fileSystem;
  if (forWriting && isWrittenFaster(fileSystem, release()))
    return { kind: 'positional', reason: `file system ${name} takes written pieces faster` };
  if (kind === 'mapped' && !(await canReserve(folder)))
    return { kind: 'positional', reason: `${name} without fallocate` };
  return { kind, reason: `file system ${name}` };
}

/** Largest number of stored files that one piece touches. */
export function filesInOnePiece({ files, geometry }: Metainfo): number {
  let most = 0;
  let count = 0;
  let piece = -1;
  for (const { beginBytes, lengthBytes, isPad } of files) {
    if (lengthBytes === 0 || isPad) continue;
    const { first, end } = geometry.piecesIn(beginBytes, lengthBytes);
    if (first !== piece) count = 0;
    most = Math.max(most, ++count);
    piece = end - 1;
    if (piece !== first) count = 1;
  }
  return most;
}

/** ext2, old overlays and some others accept a mapping but cannot promise space for it. */
async function canReserve(folder: string): Promise<boolean> {
  const path = join(folder, `.haul-probe-${randomBytes(6).toString('hex')}`);
  try {
    const handle = await open(path, 'wx', 0o600);
    try {
      await unlink(path);
      await mmap.fallocate(handle.fd, 0, 1);
    } finally {
      await handle.close();
    }
    return true;
  } catch (error) {
    // Anything but "cannot" (read-only, full) is for `prepare` to report, in its own words.
    const { code } = error as NodeJS.ErrnoException;
    return code !== 'EOPNOTSUPP' && code !== 'ENOTSUP' && code !== 'ENOSYS';
  }
}

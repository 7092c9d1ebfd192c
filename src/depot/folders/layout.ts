/**
 * The multi-file torrent of all artifacts below a prefix (BEP 3, 27, 47): where their bytes lie in it. Pure, and the
 * same on every depot: nothing goes in but paths, lengths and bytes.
 *
 *   a.bin (50 MB)        |####|####|####|##
 *   pad                                    ..|          so that the next long one begins a piece
 *   b.bin (50 MB)                             |####|####|#
 *   many short ones                                       abbcddddd
 *
 * Only long files begin a piece: their pieces are those of the blob's own torrent, and need no hashing. Short ones lie
 * close: a client that knows no padding would fetch more zeros than bytes.
 */
import { choosePieceLength } from '../../content/create.js';
import { HaulError } from '../../errors.js';
import { Geometry } from '../../metainfo/geometry.js';
import { showName } from '../../metainfo/paths.js';
import { DEPOT_LIMITS } from '../limits.js';

/** An artifact of the folder. */
export interface FolderFile {
  /** Below the prefix, slashes between its parts. */
  readonly path: string;
  readonly sha256: string;
  readonly lengthBytes: number;
}

export interface FolderEntry {
  readonly path: string;
  readonly lengthBytes: number;
  /** Torrent offset of the first byte. */
  readonly beginBytes: number;
  /** Null: padding. */
  readonly sha256: string | null;
}

export interface FolderLayout {
  readonly name: string;
  readonly geometry: Geometry;
  readonly entries: readonly FolderEntry[];
}

const MIB = 1024 * 1024;
/** Shorter ones are not worth the padding. */
const ALIGNED_BYTES = 4 * MIB;
/** Nor those of fewer pieces: at most a quarter of a long file is padding before the next one. */
const ALIGNED_PIECES = 4;

/**
 * @param name of the torrent: the last part of the prefix
 * @param files in any order, not all of them empty
 * @throws HaulError LIMIT, or FILE_EXISTS: a path is a file and a folder at once
 */
export function layOutFolder(name: string, files: readonly FolderFile[]): FolderLayout {
  const keyed = files.map((file) => ({ file, key: Buffer.from(file.path) }));
  const sorted = keyed.sort((a, b) => Buffer.compare(a.key, b.key)).map(({ file }) => file);
  checkFolder(sorted);
  const pieceLengthBytes = choosePieceLength(sorted.reduce((sum, { lengthBytes }) => sum + lengthBytes, 0));
  const padName = padNameBeside(sorted);
  const entries: FolderEntry[] = [];
  let beginBytes = 0;
  for (const { path, sha256, lengthBytes } of sorted) {
    const over = beginBytes % pieceLengthBytes;
    if (over > 0 && isAligned(lengthBytes, pieceLengthBytes)) {
      const padBytes = pieceLengthBytes - over;
      entries.push({ path: `${padName}/${padBytes}`, lengthBytes: padBytes, beginBytes, sha256: null });
      beginBytes += padBytes;
    }
    entries.push({ path, lengthBytes, beginBytes, sha256 });
    beginBytes += lengthBytes;
  }
  return { name, geometry: new Geometry(beginBytes, pieceLengthBytes), entries };
}

/** It begins a piece. */
export function isAligned(lengthBytes: number, pieceLengthBytes: number): boolean {
  return lengthBytes >= ALIGNED_BYTES && lengthBytes / ALIGNED_PIECES >= pieceLengthBytes;
}

function checkFolder(files: readonly FolderFile[]): void {
  const { folderFiles } = DEPOT_LIMITS;
  const folders = new Set<string>();
  for (const { path } of files)
    for (let at = path.indexOf('/'); at >= 0; at = path.indexOf('/', at + 1)) folders.add(path.slice(0, at));
  if (folders.size > folderFiles)
    throw new HaulError('LIMIT', `there are more than ${folderFiles} folders below it: take one of fewer`);
  const both = files.find(({ path }) => folders.has(path));
  if (both === undefined) return;
  const text = `${showName(both.path)} is an artifact and a folder at once: no torrent can hold both`;
  throw new HaulError('FILE_EXISTS', text, { path: both.path });
}

/** As BEP 47 recommends, unless an artifact is called so. */
function padNameBeside(files: readonly FolderFile[]): string {
  const taken = new Set(files.map(({ path }) => path.split('/', 1)[0]!));
  let name = '.pad';
  while (taken.has(name)) name += '_';
  return name;
}

/**
 * The hash check of a torrent's files on disk.
 *
 * Symbolic links are followed, the output folder itself and links below it alike: this only reads regular files, a
 * digest that matches proves the bytes to be the torrent's own, and no link that a torrent brings leads outside its
 * folder (`metainfo/paths`). So data that the user linked in from elsewhere can be checked and seeded. What is not a
 * regular file counts as missing.
 */
import { lstat, readlink } from 'node:fs/promises';
import path from 'node:path';
import { fromSystemError, HaulError } from '../errors.js';
import { Bitfield } from '../metainfo/bitfield.js';
import { type Geometry, type PieceIndex, pieceHash } from '../metainfo/geometry.js';
import { FileLayout, partFileName } from '../metainfo/layout.js';
import type { FileEntry, Metainfo } from '../metainfo/metainfo.js';
import { hasAny } from '../metainfo/piece-spans.js';
import type { Selection } from '../metainfo/selection.js';
import type { FileStamp } from '../work/file-stamp.js';
import { type Look, look } from '../work/look.js';
import type { WorkPool } from '../work/port.js';
import { digestFiles } from './digest-files.js';

export interface RecheckOptions {
  /**
   * Pieces to check; default all. The others stay unset in the result, and only files that hold bytes of these are
   * looked at.
   */
  readonly only?: Bitfield;
  /** Trouble in reading is no verdict, and thrown. Default: a piece that cannot be read is bad. */
  readonly isStrict?: boolean;
  /**
   * Skipped files are not looked at, what wanted pieces hold of them is in the part file; other pieces are not checked.
   */
  readonly selection?: Selection | null;
  /**
   * The files as they were looked at, the part file last: pieces of others that take their places are bad. Default: any
   * will do.
   */
  readonly stamps?: readonly FileStamp[] | undefined;
  /** `pieceCount` is the number of pieces to check. */
  readonly onProgress?: (checkedPieces: number, pieceCount: number) => void;
  readonly signal?: AbortSignal;
}

/**
 * 'bad': right length, but a checked piece that it shares in is not good. A piece may span files: the neighbour of a
 * missing file can be 'bad' too, because nothing proves its last bytes. Symbolic links (BEP 47) are 'bad' when they
 * lead elsewhere.
 */
export type FileState = 'ok' | 'bad' | 'missing' | 'wrong-length';

export interface RecheckedFile {
  /** Below the output folder, with '/'. */
  readonly path: string;
  readonly state: FileState;
}

export interface RecheckResult {
  readonly good: Bitfield;
  /** In the torrent's order, padding and files that were not looked at left out. */
  readonly files: RecheckedFile[];
}

/** Bounds what is known of files before they are judged. */
const LOOKS_AT_ONCE = 4096;
/** What a file can lose between two looks without that being trouble of the machine. */
const GONE = new Set(['ENOENT', 'ENOTDIR', 'ELOOP', 'ENAMETOOLONG']);

/**
 * Hashes the files at `path.join(outputFolder, ...entry.path)` in the pool. Pieces of missing and short files are bad;
 * a file that is too long has its pieces checked all the same.
 * @throws HaulError ABORTED; NO_PERMISSION and IO when a file is there and cannot be looked at or opened; with
 * `isStrict` what the disk says.
 */
export async function recheckFiles(
  metainfo: Metainfo,
  outputFolder: string,
  pool: WorkPool,
  options: RecheckOptions = {},
): Promise<RecheckResult> {
  const { geometry, files, pieceHashes } = metainfo;
  const { only, signal, selection = null } = options;
  const layout = new FileLayout(metainfo, selection);
  const pathOf = (file: number) =>
    path.join(outputFolder, ...(file === layout.partFile ? [partFileName(metainfo)] : files[file]!.path));
  const isTouched = only === undefined ? () => true : (file: number) => holdsAny(metainfo, file, only);
  const isOurs = (file: number) => selection?.isSkipped(file) !== true && isTouched(file);
  const onDisk = await lookAt({ layout, isOurs, pathOf, pool, signal });
  const good = new Bitfield(geometry.pieceCount);
  const isChecked = (piece: number) => (only === undefined || only.has(piece)) && selection?.isWanted(piece) !== false;
  const unreadable = unreadablePieces(metainfo, layout, onDisk, selection);

  const total = only === undefined ? geometry.pieceCount : only.count;
  let checked = 0;
  for (let piece = 0; piece < geometry.pieceCount; piece++) if (isChecked(piece) && unreadable.has(piece)) checked++;
  options.onProgress?.(checked, total);
  await digestFiles({
    pool,
    geometry,
    files,
    layout,
    pathOf,
    identityOf: (file) => options.stamps?.[file] ?? null,
    signal,
    wants: (piece: PieceIndex) => isChecked(piece) && !unreadable.has(piece),
    onPiece: (piece, digest) => {
      if (digest instanceof HaulError) throwIfNoVerdict(digest, options.isStrict === true);
      else if (pieceHash(pieceHashes, piece).equals(digest)) good.set(piece);
      options.onProgress?.(++checked, total);
    },
  });

  const isBad = (piece: number) => isChecked(piece) && !good.has(piece);
  const states = files.flatMap((entry, index): RecheckedFile[] => {
    if (entry.isPad || !isOurs(index)) return [];
    return [{ path: entry.path.join('/'), state: stateOf(entry, onDisk[index]!, geometry, isBad) }];
  });
  return { good, files: states };
}

/**
 * A bad sector is a bad piece; no permission is not the data's fault, and must not look like it. What is gone or too
 * short is no trouble.
 */
function throwIfNoVerdict(error: HaulError, isStrict: boolean): void {
  const isAboutData = error.code === 'BAD_DATA' || error.code === 'NOT_FOUND';
  if (error.code === 'NO_PERMISSION' || (isStrict && !isAboutData)) throw error;
}

/** A check of one piece must not cost a look at every file of the torrent. */
function holdsAny({ files, geometry }: Metainfo, file: number, pieces: Bitfield): boolean {
  const { beginBytes, lengthBytes } = files[file]!;
  return hasAny(pieces, geometry.piecesIn(beginBytes, lengthBytes));
}

/** Length on disk; or 'missing'; for a symbolic link of the torrent 'link' or 'wrong-link'. */
type OnDisk = number | 'missing' | 'link' | 'wrong-link';

interface Surroundings {
  readonly layout: FileLayout;
  readonly isOurs: (file: number) => boolean;
  readonly pathOf: (file: number) => string;
  readonly pool: WorkPool;
  readonly signal?: AbortSignal | undefined;
}

/** One for each file, and one for the part file. */
async function lookAt({ layout, isOurs, pathOf, pool, signal }: Surroundings): Promise<OnDisk[]> {
  const { files, partFile, partFileBytes } = layout;
  const found: OnDisk[] = files.map(({ isPad, lengthBytes }) => (isPad ? lengthBytes : 'missing'));
  found.push('missing');
  for (const [index, { symlinkPath }] of files.entries()) {
    if (symlinkPath === null || !isOurs(index)) continue;
    if (signal?.aborted) throw new HaulError('ABORTED', 'the hash check was stopped');
    found[index] = await lookAtLink(files[index]!, symlinkPath, pathOf(index));
  }
  const plain = files.flatMap((entry, index) =>
    entry.isPad || entry.symlinkPath !== null || !isOurs(index) ? [] : [index],
  );
  if (partFileBytes > 0) plain.push(partFile);
  for (let at = 0; at < plain.length; at += LOOKS_AT_ONCE) {
    const group = plain.slice(at, at + LOOKS_AT_ONCE);
    const looks = await look(pool, group.map(pathOf), true, signal);
    for (const [i, index] of group.entries()) found[index] = onDisk(looks[i]!, pathOf(index));
  }
  return found;
}

function onDisk({ error, kind, lengthBytes }: Look, file: string): OnDisk {
  if (error === null) return kind === 'file' ? lengthBytes : 'missing';
  return goneOrThrow(error, file);
}

function goneOrThrow(error: unknown, file: string): 'missing' {
  if (GONE.has(String((error as NodeJS.ErrnoException).code))) return 'missing';
  throw fromSystemError(error, 'look at', file);
}

/** A link is right when it leads, as text, to its target below the torrent's root folder. */
async function lookAtLink(entry: FileEntry, target: readonly string[], file: string): Promise<OnDisk> {
  try {
    if (!(await lstat(file)).isSymbolicLink()) return 'wrong-link';
    const leadsTo = await readlink(file);
    if (path.isAbsolute(leadsTo)) return 'wrong-link';
    return path.join(...entry.path.slice(1, -1), leadsTo) === path.join(...target) ? 'link' : 'wrong-link';
  } catch (error) {
    return goneOrThrow(error, file);
  }
}

/** Pieces with bytes beyond the end of their file. */
function unreadablePieces(
  { geometry, files }: Metainfo,
  layout: FileLayout,
  onDisk: readonly OnDisk[],
  selection: Selection | null,
): Bitfield {
  const unreadable = new Bitfield(geometry.pieceCount);
  const lengthOf = (file: number): number => (typeof onDisk[file] === 'number' ? onDisk[file] : 0);
  const borders = selection?.borders();
  for (let piece = 0; borders !== undefined && piece < geometry.pieceCount; piece++) {
    if (!borders.has(piece)) continue;
    const segments = layout.segments(
      geometry.pieceBegin(piece as PieceIndex),
      geometry.pieceLength(piece as PieceIndex),
    );
    const end = segments.findLast(({ file }) => file === layout.partFile)!;
    if (end.beginBytes + end.lengthBytes > lengthOf(layout.partFile)) unreadable.set(piece);
  }
  files.forEach((entry, index) => {
    const lengthBytes = lengthOf(index);
    if (lengthBytes >= entry.lengthBytes || selection?.isSkipped(index) === true) return;
    const { first, end } = geometry.piecesIn(entry.beginBytes + lengthBytes, entry.lengthBytes - lengthBytes);
    for (let piece: number = first; piece < end; piece++) unreadable.set(piece);
  });
  return unreadable;
}

function stateOf(entry: FileEntry, found: OnDisk, geometry: Geometry, isBad: (piece: number) => boolean): FileState {
  if (found === 'missing') return 'missing';
  if (found === 'link') return 'ok';
  if (found === 'wrong-link') return 'bad';
  if (found !== entry.lengthBytes) return 'wrong-length';
  const { first, end } = geometry.piecesIn(entry.beginBytes, entry.lengthBytes);
  for (let piece: number = first; piece < end; piece++) if (isBad(piece)) return 'bad';
  return 'ok';
}

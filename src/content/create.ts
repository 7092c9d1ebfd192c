/** Makes a .torrent of a file or folder (BEP 3, 12, 19, 27, 47), hashing on all cores. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { LIMITS } from '../config.js';
import { HaulError } from '../errors.js';
import { encodeBencode } from '../metainfo/bencode.js';
import { Geometry, PIECE_HASH_BYTES, pieceHash } from '../metainfo/geometry.js';
import { infoHashOf } from '../metainfo/info-hash.js';
import type { FileEntry } from '../metainfo/metainfo.js';
import { showName } from '../metainfo/paths.js';
import { encodeTorrent } from '../metainfo/torrent-write.js';
import { isTrackerUrl, isWebSeedUrl } from '../metainfo/urls.js';
import type { FileStamp } from '../work/file-stamp.js';
import type { WorkPool } from '../work/port.js';
import { digestFiles } from './digest-files.js';
import { checkUnchanged, type Source, walk } from './walk.js';

/**
 * What goes into a new torrent. The same tree gives the same info-hash whatever is said here but `isPrivate` and
 * `pieceLengthBytes`.
 */
export interface TorrentFields {
  /**
   * Globs of files and folders that do not become part of it: `*` and `?` match within a name, `**` across folders. One
   * without '/' means names in any folder, one with '/' the path below the shared folder. Default: none.
   */
  readonly exclude?: readonly string[];
  /** Tiers of tracker URLs, the first asked first (BEP 12). Default: none. */
  readonly trackers?: readonly (readonly string[])[];
  /** http(s) URLs of the same data, for clients that use them (BEP 19). Default: none. */
  readonly webSeeds?: readonly string[];
  /**
   * A power of two from 16 KiB to 64 MiB, bytes. Default: the smallest from 256 KiB to 16 MiB that gives at most 4,000
   * pieces.
   */
  readonly pieceLengthBytes?: number;
  /** Peers come from the trackers only (BEP 27). Default false. */
  readonly isPrivate?: boolean;
  /** Free text. Default: none. */
  readonly comment?: string;
  /** Default: 'swarmhaul' and its version. */
  readonly createdBy?: string;
  /** Seconds since 1970, whole; null for none. Default: now. */
  readonly creationDate?: number | null;
}

export interface CreateOptions extends Omit<TorrentFields, 'exclude'> {
  /** After each piece. */
  readonly onProgress?: (doneBytes: number, totalBytes: number) => void;
  readonly signal?: AbortSignal;
  /** What is left out: see `walk`. */
  readonly isExcluded?: (path: string) => boolean;
}

const KIB = 1024;
const MIB = 1024 * KIB;
/** About 2 ms of encoding. */
const FILES_PER_STEP = 200;
const CHOSEN_MIN_BYTES = 256 * KIB;
const CHOSEN_MAX_BYTES = 16 * MIB;
const CHOSEN_PIECES = 4000;
/** Smaller pieces than a block make no sense to any client. */
const PIECE_MIN_BYTES = 16 * KIB;

/**
 * A power of two from 256 KiB to 16 MiB: the smallest that gives at most 4,000 pieces, so that a torrent between 256
 * MiB and 62 GiB has 2,000 to 4,000. Smaller pieces spread sooner through a swarm; more of them cost memory and
 * messages.
 */
export function choosePieceLength(totalBytes: number): number {
  let length = CHOSEN_MIN_BYTES;
  while (length < CHOSEN_MAX_BYTES && totalBytes > length * CHOSEN_PIECES) length *= 2;
  return length;
}

/**
 * The bytes of a .torrent for `path`. The same tree gives the same info-hash on every machine: files are sorted, and
 * nothing but names, lengths, contents, executable bits and links goes into the info dictionary.
 * @throws HaulError BAD_ARGUMENT (options; what cannot be shared), NOT_FOUND, NO_PERMISSION, IO, LIMIT, ABORTED, and
 * BAD_DATA when a file changes while it is hashed. Errors name the file.
 */
export async function createTorrent(path: string, options: CreateOptions, pool: WorkPool): Promise<Buffer> {
  return (await makeTorrent(path, options, pool)).bytes;
}

export interface MadeTorrent {
  readonly bytes: Buffer;
  readonly name: string;
  readonly infoHash: Buffer;
  readonly geometry: Geometry;
  readonly fileCount: number;
  /** The very files that were hashed, in the torrent's order: for `AddOptions.hashed`. */
  readonly stamps: readonly FileStamp[];
  /** Of the folder, what a torrent cannot hold: see `Source`. */
  readonly emptyFolders: readonly string[];
  readonly specialFiles: readonly string[];
  readonly cutLinks: readonly string[];
}

/** `createTorrent` with what a reader would find: reading a tree of many files again costs as much as encoding it. */
export async function makeTorrent(path: string, options: CreateOptions, pool: WorkPool): Promise<MadeTorrent> {
  checkOptions(options);
  const source = await walk(path, pool, options);
  const files = layOut(source);
  const lengthBytes = files.reduce((sum, file) => sum + file.lengthBytes, 0);
  if (lengthBytes === 0) {
    const why = source.isFolder && files.length === 0 ? 'there is no file in it' : 'all files are empty';
    throw new HaulError('BAD_ARGUMENT', `cannot be shared: ${path}: it holds no data (${why})`);
  }
  if (lengthBytes > LIMITS.torrentLengthBytes) throw limit(`${path}: more than ${LIMITS.torrentLengthBytes} bytes`);
  const geometry = new Geometry(lengthBytes, options.pieceLengthBytes ?? choosePieceLength(lengthBytes));
  if (geometry.pieceCount > LIMITS.pieceCount) {
    throw limit(`${path}: ${geometry.pieceCount} pieces, more than ${LIMITS.pieceCount}; choose longer pieces`);
  }
  const [pieces, list] = await Promise.all([hashPieces(source, files, geometry, options, pool), encodeFiles(source)]);
  await checkUnchanged(source, pool, options.signal);

  const infoBytes = encodeInfo(source, list, geometry, pieces, options.isPrivate === true);
  const bytes = encodeTorrent({
    infoBytes,
    trackers: options.trackers ?? [],
    webSeeds: options.webSeeds ?? [],
    comment: options.comment ?? null,
    createdBy: options.createdBy ?? 'swarmhaul',
    creationDate: options.creationDate === undefined ? Math.floor(Date.now() / 1000) : options.creationDate,
  });
  if (bytes.length > LIMITS.torrentFileBytes) {
    const tooMuch = `the .torrent would have ${bytes.length} bytes, more than ${LIMITS.torrentFileBytes}`;
    throw limit(`${path}: ${tooMuch}; choose longer pieces or share fewer files`);
  }
  return {
    bytes,
    name: source.name,
    infoHash: infoHashOf(infoBytes),
    geometry,
    fileCount: files.length,
    stamps: source.files.map(({ stamp }) => stamp),
    emptyFolders: source.emptyFolders,
    specialFiles: source.specialFiles,
    cutLinks: source.cutLinks,
  };
}

function checkOptions(options: CreateOptions): void {
  const { pieceLengthBytes: length, creationDate } = options;
  if (length !== undefined) {
    const isPowerOfTwo = Number.isSafeInteger(length) && length > 0 && Number.isInteger(Math.log2(length));
    if (!isPowerOfTwo || length < PIECE_MIN_BYTES || length > LIMITS.pieceLengthBytes) {
      const range = `${PIECE_MIN_BYTES} to ${LIMITS.pieceLengthBytes}`;
      throw new HaulError('BAD_ARGUMENT', `piece length ${length}: it must be a power of two from ${range} bytes`);
    }
  }
  if (typeof creationDate === 'number' && !(Number.isSafeInteger(creationDate) && creationDate >= 0)) {
    throw new HaulError('BAD_ARGUMENT', `creation date ${creationDate}: it must be whole seconds since 1970`);
  }
  for (const url of (options.trackers ?? []).flat()) {
    if (!isTrackerUrl(url)) throw new HaulError('BAD_ARGUMENT', `not a tracker URL: ${showName(url)}`);
  }
  for (const url of options.webSeeds ?? []) {
    if (!isWebSeedUrl(url)) throw new HaulError('BAD_ARGUMENT', `not a web seed URL (http or https): ${showName(url)}`);
  }
}

/** The files with their torrent offsets. */
function layOut(source: Source): FileEntry[] {
  let beginBytes = 0;
  return source.files.map(({ path, lengthBytes, isExecutable, symlinkPath }) => {
    const entry = { path: [source.name, ...path], lengthBytes, beginBytes, isExecutable, symlinkPath };
    beginBytes += lengthBytes;
    return { ...entry, isPad: false, isHidden: false };
  });
}

async function hashPieces(
  source: Source,
  files: readonly FileEntry[],
  geometry: Geometry,
  options: CreateOptions,
  pool: WorkPool,
): Promise<Buffer> {
  const pieces = Buffer.alloc(geometry.pieceCount * PIECE_HASH_BYTES);
  let doneBytes = 0;
  options.onProgress?.(0, geometry.lengthBytes);
  await digestFiles({
    pool,
    geometry,
    files,
    signal: options.signal,
    pathOf: (file) => source.files[file]!.absolutePath,
    identityOf: (file) => source.files[file]!.stamp,
    wants: () => true,
    onPiece: (piece, digest) => {
      if (digest instanceof HaulError) throw digest;
      pieceHash(pieces, piece).set(digest);
      doneBytes += geometry.pieceLength(piece);
      options.onProgress?.(doneBytes, geometry.lengthBytes);
    },
  }).catch(async (error: unknown) => {
    // A file that ends too early has changed since the walk: the second look names it.
    if (error instanceof HaulError && error.code === 'BAD_DATA') await checkUnchanged(source, pool, options.signal);
    throw error;
  });
  return pieces;
}

/**
 * `5:files` and its list; nothing for a single file. In steps, because it is done while the workers hash and must be
 * fed.
 */
async function encodeFiles({ isFolder, files }: Source): Promise<Buffer> {
  if (!isFolder) return Buffer.alloc(0);
  const parts: Uint8Array[] = [Buffer.from('5:filesl')];
  for (let at = 0; at < files.length; at += FILES_PER_STEP) {
    await nextTurn();
    const step = files.slice(at, at + FILES_PER_STEP).map((file) => ({
      attr: file.symlinkPath !== null ? 'l' : file.isExecutable ? 'x' : undefined,
      length: file.lengthBytes,
      path: file.path,
      'symlink path': file.symlinkPath ?? undefined,
    }));
    parts.push(encodeBencode(step).subarray(1, -1));
  }
  return Buffer.concat([...parts, Buffer.from('e')]);
}

/** `list` comes first: no key of ours sorts before `files` where there is one. */
function encodeInfo(source: Source, list: Buffer, geometry: Geometry, pieces: Buffer, isPrivate: boolean): Buffer {
  const only = source.isFolder ? null : source.files[0]!;
  const rest = encodeBencode({
    attr: only?.isExecutable === true ? 'x' : undefined,
    length: only?.lengthBytes,
    name: source.name,
    'piece length': geometry.pieceLengthBytes,
    pieces,
    private: isPrivate ? 1 : undefined,
  });
  return Buffer.concat([rest.subarray(0, 1), list, rest.subarray(1)]);
}

function limit(what: string): HaulError {
  return new HaulError('LIMIT', `beyond a limit: ${what}`);
}

/** Makes torrents and checks data without an engine: what `haul create` and `haul verify` are made of. */
import { stat } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { basename, resolve } from 'node:path';
import { type MadeTorrent, makeTorrent, type TorrentFields } from '../content/create.js';
import { fromSystemError, HaulError } from '../errors.js';
import { VERSION } from '../version.js';
import type { FileStamp } from '../work/file-stamp.js';
import { createWorkPool } from '../work/pool.js';
import {
  callable,
  checkOptions,
  checkValue,
  either,
  flag,
  listOf,
  type Rules,
  signal,
  text,
  threads,
  tiers,
  urls,
  wholeNumber,
  words,
} from './check-options.js';
import { type Exclusion, makeExclusion } from './glob.js';

export type { TorrentFields };

/** Options of `createTorrent`. */
export interface CreateTorrentOptions extends TorrentFields {
  /** Hash threads; default: all cores. */
  readonly threads?: number;
  /**
   * How many of the bytes are hashed: called once when the folder has been walked, then after each piece. An error
   * thrown here ends the work and comes out of `createTorrent`.
   */
  readonly onProgress?: (doneBytes: number, totalBytes: number) => void;
  /** Stops the work: it rejects with ABORTED. */
  readonly signal?: AbortSignal;
}

/** A torrent that was made a moment ago. */
export interface CreatedTorrent {
  /** The .torrent: to be written to a file, or given to `engine.add` or `parseTorrent`. */
  readonly bytes: Buffer;
  /** Name of the file or folder. */
  readonly name: string;
  /** 20 bytes. */
  readonly infoHash: Buffer;
  /** The same as 40 hexadecimal digits. */
  readonly infoHashHex: string;
  readonly lengthBytes: number;
  readonly pieceLengthBytes: number;
  readonly pieceCount: number;
  readonly fileCount: number;
  /**
   * The very files that were hashed: with `trustData`, for `AddOptions.hashed`. Nothing has to be hashed again, and
   * nothing else is served.
   */
  readonly hashed: readonly FileStamp[];
  /** What of the folder is not in it though nobody left it out, and globs that matched nothing; lines for people. */
  readonly warnings: readonly string[];
}

/** Also those of `share`, which makes a torrent first. */
export const TORRENT_FIELD_RULES: Rules<TorrentFields> = {
  exclude: listOf(words, 'globs'),
  trackers: tiers,
  webSeeds: urls,
  pieceLengthBytes: wholeNumber(1, Number.MAX_SAFE_INTEGER),
  isPrivate: flag,
  comment: text,
  createdBy: text,
  creationDate: either(wholeNumber(0, Number.MAX_SAFE_INTEGER), null),
};

const CREATE_RULES: Rules<CreateTorrentOptions> = {
  ...TORRENT_FIELD_RULES,
  threads,
  onProgress: callable,
  signal,
};

/**
 * Makes a .torrent of a file or folder, hashing on all cores. Nothing is written: the bytes are in the result.
 * Symbolic links inside a folder become links of the torrent (BEP 47).
 * @param path the file or folder
 * @throws HaulError BAD_ARGUMENT (an option; what cannot be shared), NOT_FOUND, NO_PERMISSION, IO, LIMIT, ABORTED,
 * POOL, and BAD_DATA when a file changes while it is hashed. Errors name the file.
 */
export async function createTorrent(path: string, options: CreateTorrentOptions = {}): Promise<CreatedTorrent> {
  checkValue('createTorrent', 'path', path, words);
  checkOptions('createTorrent', options, CREATE_RULES);
  return hashSource(await checkSource(path), options);
}

/** Globs of what was to be left out that nothing matches: most likely they are not what was meant. */
export function unusedGlobs({ unused }: Exclusion): string[] {
  return unused().map((glob) => `nothing matches the glob '${glob}' of what to leave out`);
}

/**
 * `createTorrent` of a path that `checkSource` gave.
 * @param shared of several paths: whoever made it says which of its globs nothing matches
 */
export async function hashSource(
  source: string,
  options: CreateTorrentOptions,
  shared?: Exclusion,
): Promise<CreatedTorrent> {
  const { threads: count, exclude = [], ...given } = options;
  if (given.signal?.aborted === true) throw new HaulError('ABORTED', `make a torrent of ${source}: it was stopped`);
  const exclusion = shared ?? makeExclusion(exclude);
  const { isExcluded } = exclusion;
  const pool = createWorkPool({ threads: count ?? availableParallelism(), startsOneByOne: true });
  try {
    const made = await makeTorrent(source, { createdBy: `swarmhaul ${VERSION}`, ...given, isExcluded }, pool);
    const { lengthBytes, pieceLengthBytes, pieceCount } = made.geometry;
    return {
      bytes: made.bytes,
      name: made.name,
      infoHash: made.infoHash,
      infoHashHex: made.infoHash.toString('hex'),
      lengthBytes,
      pieceLengthBytes,
      pieceCount,
      fileCount: made.fileCount,
      hashed: made.stamps,
      warnings: [...notKept(made), ...(shared === undefined ? unusedGlobs(exclusion) : [])],
    };
  } finally {
    await pool.close();
  }
}

const NAMES_TOLD = 5;

type NotKept = Pick<MadeTorrent, 'emptyFolders' | 'specialFiles' | 'cutLinks'>;

function notKept({ emptyFolders, specialFiles, cutLinks }: NotKept): string[] {
  const lines: string[] = [];
  const tell = (paths: readonly string[], one: string, many: string): void => {
    if (paths.length === 0) return;
    const names = paths.slice(0, NAMES_TOLD).join(', ') + (paths.length > NAMES_TOLD ? ' …' : '');
    lines.push(`${paths.length === 1 ? `1 ${one}` : `${paths.length} ${many}`}: ${names}`);
  };
  tell(emptyFolders, 'empty folder is not part of the torrent', 'empty folders are not part of the torrent');
  const bits = 'setuid, setgid or sticky, which a torrent does not keep';
  tell(specialFiles, `file is ${bits}`, `files are ${bits}`);
  tell(cutLinks, 'symbolic link leads to what is left out', 'symbolic links lead to what is left out');
  return lines;
}

/** The absolute path of a file or folder that can have a torrent. @throws HaulError */
export async function checkSource(path: string): Promise<string> {
  const source = resolve(path);
  const found = await stat(source).catch((error: unknown) => {
    throw fromSystemError(error, 'open', source);
  });
  if (!found.isFile() && !found.isDirectory()) {
    throw new HaulError('BAD_ARGUMENT', `${source} is neither a file nor a folder`, { path: source });
  }
  if (basename(source) === '') throw new HaulError('BAD_ARGUMENT', `${source} has no name to give the torrent`);
  return source;
}

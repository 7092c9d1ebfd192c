/** Checks data on disk against a torrent without an engine: what `haul verify` is made of. */
import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';
import { recheckFiles } from '../content/recheck.js';
import { HaulError } from '../errors.js';
import type { Metainfo } from '../metainfo/metainfo.js';
import { createWorkPool } from '../work/pool.js';
import { callable, checkOptions, checkValue, type Rules, signal, threads, words } from './check-options.js';
import { asMetainfo } from './metainfo-argument.js';

/** Options of `verifyTorrent`. */
export interface VerifyTorrentOptions {
  /** Hash threads; default: all cores. */
  readonly threads?: number;
  /** How many of the bytes are checked: called after each piece. An error thrown here ends the work. */
  readonly onProgress?: (doneBytes: number, totalBytes: number) => void;
  /** Stops the work: it rejects with ABORTED. */
  readonly signal?: AbortSignal;
}

/** One file of the torrent as it is on disk. */
export interface VerifiedFile {
  /** Below the folder that was named, with '/'. */
  readonly path: string;
  /**
   * 'bad': right length, but a piece that it shares in is not good. A piece may span files: the neighbour of a missing
   * file can be 'bad' too, because nothing proves its last bytes. A symbolic link that leads elsewhere is 'bad'.
   */
  readonly state: 'ok' | 'bad' | 'missing' | 'wrong-length';
}

/** What `verifyTorrent` found. */
export interface VerifyResult {
  /** Every piece is good and every file is 'ok'. */
  readonly isGood: boolean;
  readonly pieceCount: number;
  readonly goodPieces: number;
  /** Indices of the others, in order. */
  readonly badPieces: readonly number[];
  /** In the torrent's order, padding left out. */
  readonly files: readonly VerifiedFile[];
}

const RULES: Rules<VerifyTorrentOptions> = { threads, onProgress: callable, signal };

/**
 * Hashes the torrent's files in a folder on all cores and says which pieces and files are bad. Reads only. Missing
 * files and short ones are a result, not an error.
 * @param torrent what `parseTorrent` gave, or the bytes of a .torrent
 * @param folder the folder that holds the file, or the torrent's folder
 * @throws HaulError BAD_ARGUMENT, BAD_BENCODE and BAD_TORRENT (of bytes), ABORTED, POOL; NO_PERMISSION and IO when a
 * file is there and cannot be read
 */
export async function verifyTorrent(
  torrent: Metainfo | Uint8Array,
  folder: string,
  options: VerifyTorrentOptions = {},
): Promise<VerifyResult> {
  checkValue('verifyTorrent', 'folder', folder, words);
  checkOptions('verifyTorrent', options, RULES);
  const metainfo = asMetainfo('verifyTorrent', torrent);
  const { threads: count, onProgress, signal: stop } = options;
  if (stop?.aborted === true) throw new HaulError('ABORTED', `check ${metainfo.name}: it was stopped`);
  const { geometry } = metainfo;
  const { lengthBytes, pieceCount } = geometry;
  const pool = createWorkPool({ threads: count ?? availableParallelism(), startsOneByOne: true });
  try {
    const { good, files } = await recheckFiles(metainfo, resolve(folder), pool, {
      onProgress: (checked) => onProgress?.(geometry.bytesOf(checked, checked === pieceCount), lengthBytes),
      ...(stop === undefined ? {} : { signal: stop }),
    });
    const badPieces: number[] = [];
    for (let piece = 0; piece < pieceCount; piece++) if (!good.has(piece)) badPieces.push(piece);
    const isGood = badPieces.length === 0 && files.every(({ state }) => state === 'ok');
    return { isGood, pieceCount, goodPieces: good.count, badPieces, files };
  } finally {
    await pool.close();
  }
}

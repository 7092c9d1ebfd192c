/** Torrents made by foreign makers, and what foreign readers say about a torrent. */
import { rm } from 'node:fs/promises';
import { run } from '../../lab/child.js';
import type { Scope } from '../../lab/scope.js';

const KIB = 1024;

export interface MakeOptions {
  readonly announce: string;
  /** A power of two, bytes. */
  readonly pieceLengthBytes?: number;
}

/** Debian's mktorrent; its piece length is given as an exponent. */
export async function mktorrent(
  scope: Scope,
  source: string,
  torrentFile: string,
  options: MakeOptions,
): Promise<void> {
  await rm(torrentFile, { force: true });
  const exponent = Math.log2(options.pieceLengthBytes ?? 256 * KIB);
  await run(scope, 'mktorrent', ['-a', options.announce, '-l', String(exponent), '-o', torrentFile, source]);
}

/** Debian's transmission-create; its piece length is given in KiB. */
export async function transmissionCreate(
  scope: Scope,
  source: string,
  torrentFile: string,
  options: MakeOptions,
): Promise<void> {
  const pieceKib = String((options.pieceLengthBytes ?? 256 * KIB) / KIB);
  await run(scope, 'transmission-create', ['-t', options.announce, '-s', pieceKib, '-o', torrentFile, source]);
}

/** The info-hash transmission-show prints, 40 hex digits. */
export async function transmissionInfoHash(scope: Scope, torrentFile: string): Promise<string> {
  const output = await run(scope, 'transmission-show', [torrentFile]);
  const match = /^\s*Hash: ([0-9a-f]{40})$/m.exec(output);
  if (match === null) throw new Error(`transmission-show printed no hash:\n${output}`);
  return match[1]!;
}

const LIBTORRENT_HASH = 'import libtorrent, sys; print(libtorrent.torrent_info(sys.argv[1]).info_hash())';

/** The info-hash libtorrent computes, 40 hex digits. */
export async function libtorrentInfoHash(scope: Scope, torrentFile: string): Promise<string> {
  return (await run(scope, '/usr/bin/python3', ['-c', LIBTORRENT_HASH, torrentFile])).trim();
}

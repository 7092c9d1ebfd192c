/** Engines and torrents for tests: real files, real sockets, ephemeral ports, everything closed with the scope. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { type TreeFile, writeSeededFile, writeTree } from '../../lab/data.js';
import type { Scope } from '../../lab/scope.js';
import { tempFolder } from '../../lab/temp.js';
import type { Engine, EngineOptions, Torrent } from '../../src/api.js';
import { type CreateOptions, createTorrent } from '../../src/content/create.js';
import { createEngine } from '../../src/engine/engine.js';
import type { Metainfo } from '../../src/metainfo/metainfo.js';
import { parseTorrent } from '../../src/metainfo/torrent.js';
import type { TorrentHandle } from '../../src/torrent/handle.js';
import type { LiveTorrent } from '../../src/torrent/torrent.js';
import { createWorkPool } from '../../src/work/pool.js';

export interface DataSet {
  /** The folder that holds the file or the tree: what a seed is given as output. */
  readonly folder: string;
  /** The file or the root of the tree. */
  readonly path: string;
  readonly torrent: Buffer;
  readonly metainfo: Metainfo;
}

async function describe(folder: string, name: string, options: CreateOptions): Promise<DataSet> {
  const pool = createWorkPool({ threads: 1 });
  try {
    const torrent = await createTorrent(path.join(folder, name), options, pool);
    return { folder, path: path.join(folder, name), torrent, metainfo: parseTorrent(torrent) };
  } finally {
    await pool.close();
  }
}

export async function fileSet(scope: Scope, lengthBytes: number, options: CreateOptions = {}): Promise<DataSet> {
  const folder = await tempFolder(scope);
  await writeSeededFile(path.join(folder, 'image.bin'), lengthBytes, 'image');
  return describe(folder, 'image.bin', options);
}

export async function treeSet(scope: Scope, files: readonly TreeFile[], options: CreateOptions = {}): Promise<DataSet> {
  const folder = await tempFolder(scope);
  await writeTree(path.join(folder, 'tree'), files, 'tree');
  return describe(folder, 'tree', options);
}

/** The session under way of a torrent, whose inside some tests look at. */
export function liveOf(torrent: Torrent | undefined): LiveTorrent {
  const { live } = torrent as TorrentHandle;
  if (live === null) throw new Error('the torrent has no session');
  return live;
}

/** An engine on loopback with one thread and a fixed seed; closed with the scope. */
export async function startEngine(scope: Scope, options: EngineOptions = {}): Promise<Engine> {
  const engine = await createEngine({ port: 0, host: '127.0.0.1', threads: 1, seed: 1, ...options });
  scope.defer(() => engine.close());
  return engine;
}

/** An engine that seeds the data set. */
export async function startSeed(scope: Scope, set: DataSet, options: EngineOptions = {}): Promise<Engine> {
  const engine = await startEngine(scope, options);
  await engine.add(set.metainfo, { output: set.folder, mode: 'seed', trustData: true, trackers: [] }).done;
  return engine;
}

export async function readPiece(set: DataSet, piece: number): Promise<Buffer> {
  const { pieceLengthBytes, lengthBytes } = set.metainfo.geometry;
  const bytes = await readFile(set.path);
  return bytes.subarray(piece * pieceLengthBytes, Math.min(lengthBytes, (piece + 1) * pieceLengthBytes));
}

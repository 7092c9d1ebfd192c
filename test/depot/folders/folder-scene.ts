/** A depot in this process with a folder in it, of names and lengths that are easily got wrong. */
import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Scope } from '../../../lab/scope.js';
import { tempFolder } from '../../../lab/temp.js';
import { withDeadline } from '../../../lab/wait.js';
import type { Engine } from '../../../src/api.js';
import {
  type FolderRequest,
  FolderTorrents,
  type FolderTorrentsOptions,
} from '../../../src/depot/folders/folder-torrents.js';
import type { FolderRecord } from '../../../src/depot/folders/record.js';
import { encodePath } from '../../../src/depot/http/target.js';
import { Depot as Publishing } from '../../../src/depot/publish.js';
import { type FolderStore, openFolderStore } from '../../../src/depot/store/folders.js';
import type { Depot, DepotOptions } from '../../../src/index.js';
import { startDepot } from '../../../src/index.js';
import type { Metainfo } from '../../../src/metainfo/metainfo.js';
import { parseTorrent } from '../../../src/metainfo/torrent.js';
import { startEngine } from '../../support/engines.js';
import { get, put } from '../agent-harness.js';
import { bytesOf, KIB, MIB, request } from '../depot-kit.js';
import { MemoryCatalogue } from '../memory-catalogue.js';
import { quickFolder } from '../quick-folder.js';

export const DEADLINE_MS = 60_000;
const PIECE = 256 * KIB;

/** Two long ones, one in the middle of the short ones. By path below the prefix. */
export const FILES: ReadonlyMap<string, Buffer> = new Map([
  ['a.txt', bytesOf(10_000, 2)],
  ['empty', Buffer.alloc(0)],
  ['long one.bin', bytesOf(4 * MIB + 5, 3)],
  ['sub/b', bytesOf(2 * PIECE, 4)],
  ['sub/copy of b', bytesOf(2 * PIECE, 4)],
  ['ü [1] #%20/b c.bin', bytesOf(4 * MIB + PIECE, 5)],
  ['ü [1] #%20/z', Buffer.from('z')],
]);

export async function depotWith(scope: Scope, more: Partial<DepotOptions> = {}): Promise<Depot> {
  const data = more.data ?? join(await quickFolder(scope), 'depot');
  const depot = await startDepot({ httpPort: 0, engine: { port: 0 }, ...more, data });
  scope.defer(() => depot.close(0));
  return depot;
}

export async function putAll(depot: Depot, prefix: string, files: ReadonlyMap<string, Buffer> = FILES): Promise<void> {
  for (const [path, bytes] of files) await put(depot.url, encodePath(`${prefix}/${path}`), bytes);
}

export async function torrentOf(url: string, prefix: string): Promise<Metainfo> {
  return parseTorrent(await torrentBytes(url, prefix));
}

export async function torrentBytes(url: string, prefix: string): Promise<Buffer> {
  const { status, bytes } = await get(url, `artifacts/${encodePath(prefix)}/?torrent`);
  assert.equal(status, 200, bytes.toString());
  return bytes;
}

/** By an engine of ours, from this peer alone or from the web seed alone. @returns the folder that it made */
export async function fetchFolder(scope: Scope, torrent: Buffer, peerPort: number | null): Promise<string> {
  const leech = await startEngine(scope);
  const output = await tempFolder(scope);
  const peers = peerPort === null ? [] : [{ host: '127.0.0.1', port: peerPort }];
  const webSeeds = peerPort === null ? {} : { webSeeds: [] };
  const bytes = peerPort === null ? torrent : withoutWebSeeds(torrent);
  const download = leech.add(bytes, { output, trackers: [], peers, ...webSeeds });
  await withDeadline(download.done, 'the download', DEADLINE_MS);
  await leech.close();
  return join(output, download.metainfo.name);
}

function withoutWebSeeds(torrent: Buffer): Buffer {
  const text = torrent.toString('latin1');
  const at = text.indexOf('8:url-list');
  if (at < 0) return torrent;
  const [, digits] = /^8:url-list(\d+):/.exec(text.slice(at))!;
  const length = `8:url-list${digits}:`.length + Number(digits);
  return Buffer.from(text.slice(0, at) + text.slice(at + length), 'latin1');
}

export async function checkFiles(
  folder: string,
  files: ReadonlyMap<string, Buffer> = FILES,
  isLeftOut: (path: string) => boolean = () => false,
): Promise<void> {
  for (const [path, bytes] of files)
    if (!isLeftOut(path)) assert.ok((await readFile(join(folder, path))).equals(bytes), path);
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const found = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  const stored = found.map((path) => path.slice(folder.length + 1)).filter((path) => !path.startsWith('.pad'));
  assert.deepEqual(stored.sort(), [...files.keys()].filter((path) => !isLeftOut(path)).sort());
}

export interface Book {
  readonly data: string;
  readonly store: FolderStore;
  readonly catalogue: MemoryCatalogue;
  readonly engine: Engine;
  readonly folders: FolderTorrents;
  readonly depot: Publishing;
}

/** The torrents of folders alone, over a real store and engine. */
export async function openBook(scope: Scope, more: Partial<FolderTorrentsOptions> = {}): Promise<Book> {
  const data = await quickFolder(scope);
  const store = await openFolderStore({ folder: data });
  scope.defer(() => store.close());
  const catalogue = new MemoryCatalogue();
  const engine = await startEngine(scope);
  const options = { data, engine, store, catalogue, torrentFromBytes: 1, sleepAfterMs: 0, ...more };
  const folders = new FolderTorrents(options);
  await folders.load();
  const depot = new Publishing({ store, catalogue, folders });
  scope.defer(async () => {
    await folders.stop();
    await engine.close();
    await folders.close();
    await depot.close();
  });
  return { data, store, catalogue, engine, folders, depot };
}

export async function publishAll({ depot }: Book, files: Readonly<Record<string, string>>): Promise<void> {
  for (const [name, text] of Object.entries(files))
    await depot.publish(request(name, Buffer.from(text), { overwrite: true }));
}

export function ask(prefix: string, more: Partial<FolderRequest> = {}): FolderRequest {
  const signal = new AbortController().signal;
  return { prefix: `artifacts/${prefix}/`, group: 'test', signal, onlyMade: false, ...more };
}

/** @throws where there is none */
export async function recordOf(book: Pick<Book, 'folders'>, prefix: string): Promise<FolderRecord> {
  const record = await book.folders.request(ask(prefix));
  assert.ok(typeof record === 'object', String(record));
  return record;
}

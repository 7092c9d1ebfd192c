/**
 * Foreign clients take part in our swarms, both ways: each downloads from a Swarmhaul seed (they dial us) and each
 * seeds to a Swarmhaul leech (we dial them). Real data: a tree around the Node binary, and one file of no round length.
 * Foreign makers make the torrents. foreign.test.ts proves that the drivers themselves work.
 */
import assert from 'node:assert/strict';
import { copyFile, mkdir, readFile, truncate } from 'node:fs/promises';
import path from 'node:path';
import { after, before, describe, type TestContext, test } from 'node:test';
import type { ForeignClient } from '../../lab/clients/client.js';
import { AWKWARD_FILES, writeTree } from '../../lab/data.js';
import { type Namespace, openNamespace } from '../../lab/namespace.js';
import { openScope, Scope } from '../../lab/scope.js';
import { tempFolder } from '../../lab/temp.js';
import { startTestTracker } from '../../lab/tracker.js';
import { treeDifferences } from '../../lab/tree.js';
import { until, withDeadline } from '../../lab/wait.js';
import type { AddOptions, Engine, Torrent } from '../../src/api.js';
import { createEngine } from '../../src/index.js';
import type { Metainfo } from '../../src/metainfo/metainfo.js';
import { parseTorrent } from '../../src/metainfo/torrent.js';
import { FOREIGN_CLIENTS } from '../support/clients/all.js';
import { libtorrent } from '../support/clients/libtorrent.js';
import { requireClients } from '../support/requirements.js';
import { libtorrentInfoHash, mktorrent, transmissionCreate, transmissionInfoHash } from '../support/torrents.js';

const MAKERS = ['mktorrent', 'transmission-create', 'transmission-show'];
const TREE_BINARY_BYTES = 20 * 1024 * 1024;
const FILE_BYTES = 9_999_999;
const CHECK_TIMEOUT_MS = 30_000;
const DOWNLOAD_TIMEOUT_MS = 60_000;
const CLOSE_TIMEOUT_MS = 15_000;
/** Not used by anyone: each job names its own tracker. */
const NO_TRACKER = 'http://127.0.0.1:9/announce';

/** What is transferred: `folder`/`name` is the data. */
interface Payload {
  readonly title: string;
  readonly folder: string;
  readonly name: string;
  readonly torrentFile: string;
}

const shared = new Scope();
const payloads: Payload[] = [];

async function cutNodeBinary(target: string, lengthBytes: number): Promise<void> {
  await copyFile(process.execPath, target);
  await truncate(target, lengthBytes);
}

async function makePayloads(): Promise<void> {
  const folder = await tempFolder(shared);
  const tree = { title: 'a tree', folder, name: 'image', torrentFile: path.join(folder, 'image.torrent') };
  await mkdir(path.join(folder, 'image'));
  await writeTree(path.join(folder, 'image'), AWKWARD_FILES, 'clients');
  await cutNodeBinary(path.join(folder, 'image', 'node'), TREE_BINARY_BYTES);
  await mktorrent(shared, path.join(folder, 'image'), tree.torrentFile, { announce: NO_TRACKER });
  const file = { title: 'a single file', folder, name: 'runner.bin', torrentFile: path.join(folder, 'runner.torrent') };
  await cutNodeBinary(path.join(folder, 'runner.bin'), FILE_BYTES);
  const pieceLengthBytes = 64 * 1024;
  const options = { announce: NO_TRACKER, pieceLengthBytes };
  await transmissionCreate(shared, path.join(folder, 'runner.bin'), file.torrentFile, options);
  payloads.push(tree, file);
}

async function readTorrent(payload: Payload): Promise<Metainfo> {
  return parseTorrent(await readFile(payload.torrentFile));
}

async function openEngine(scope: Scope): Promise<Engine> {
  const engine = await createEngine({ port: 0 });
  scope.defer(() => withDeadline(engine.close(), 'our engine closes', CLOSE_TIMEOUT_MS));
  return engine;
}

/** Adds a torrent; trouble comes through `done` and the state, so nothing is left unhandled. */
function add(engine: Engine, metainfo: Metainfo, options: AddOptions): Torrent {
  const torrent = engine.add(metainfo, { trackers: [], ...options });
  torrent.done.catch(() => {});
  return torrent;
}

async function untilSeeding(torrent: Torrent): Promise<void> {
  await until('our seed has checked its data', CHECK_TIMEOUT_MS, async () => {
    if (torrent.state === 'failed') await torrent.done;
    return torrent.state === 'seeding';
  });
}

async function assertSame(payload: Payload, target: string, emptyMayBeMissing: boolean): Promise<void> {
  const [expected, actual] = [path.join(payload.folder, payload.name), path.join(target, payload.name)];
  assert.deepEqual(await treeDifferences(expected, actual, { emptyMayBeMissing }), []);
}

async function clientDownloadsFromUs(t: TestContext, client: ForeignClient, payload: Payload): Promise<void> {
  const scope = openScope(t);
  const namespace: Namespace | undefined = client.needsNamespace ? await openNamespace(scope) : undefined;
  const [target, tracker] = [await tempFolder(scope), await startTestTracker(scope)];
  const engine = await openEngine(scope);
  const torrent = add(engine, await readTorrent(payload), { output: payload.folder, mode: 'seed' });
  await untilSeeding(torrent);
  tracker.pinned.push({ host: namespace?.hostAddress ?? '127.0.0.1', port: engine.port! });
  const { torrentFile } = payload;
  await client.download(scope, {
    torrentFile,
    folder: target,
    tracker: tracker.url(namespace?.hostAddress),
    namespace,
    timeoutMs: DOWNLOAD_TIMEOUT_MS,
  });
  await assertSame(payload, target, !client.makesEmptyFiles);
  const { lengthBytes, uploadedBytes, corruptBytes } = torrent.stats();
  assert.ok(uploadedBytes >= lengthBytes, `we uploaded ${uploadedBytes} of ${lengthBytes} bytes`);
  assert.equal(corruptBytes, 0);
}

async function clientSeedsToUs(t: TestContext, client: ForeignClient, payload: Payload): Promise<void> {
  const scope = openScope(t);
  const namespace: Namespace | undefined = client.needsNamespace ? await openNamespace(scope) : undefined;
  const [target, tracker] = [await tempFolder(scope), await startTestTracker(scope)];
  const { torrentFile, folder } = payload;
  const address = await client.seed(scope, {
    torrentFile,
    folder,
    tracker: tracker.url(namespace?.hostAddress),
    namespace,
  });
  const engine = await openEngine(scope);
  const torrent = add(engine, await readTorrent(payload), { output: target, peers: [address] });
  await withDeadline(torrent.done, `our download from ${client.name}`, DOWNLOAD_TIMEOUT_MS).catch((error: Error) => {
    throw new Error(`${error.message}\n${JSON.stringify({ ...torrent.stats(), peers: torrent.peers() })}`);
  });
  await assertSame(payload, target, false);
  assert.equal(torrent.stats().corruptBytes, 0);
}

/** Transmission spends its time waiting for its own 10 s rounds: let others run meanwhile. */
describe('foreign clients', { concurrency: 4 }, () => {
  let makersReady: Promise<void> | null = null;
  before(() => {
    makersReady = makePayloads();
    makersReady.catch(() => {}); // Without the makers the tests skip; otherwise each reports it.
  });
  after(() => shared.close());

  const whenPossible = async (t: TestContext, clients: readonly ForeignClient[], body: () => Promise<void>) => {
    if (await requireClients(t, clients, MAKERS)) return;
    await makersReady;
    await body();
  };

  for (const client of FOREIGN_CLIENTS) {
    test(`${client.name} downloads a tree from a Swarmhaul seed`, (t) =>
      whenPossible(t, [client], () => clientDownloadsFromUs(t, client, payloads[0]!)));
    test(`${client.name} seeds a tree to a Swarmhaul leech`, (t) =>
      whenPossible(t, [client], () => clientSeedsToUs(t, client, payloads[0]!)));
  }

  test('torrents of foreign makers have the info-hash that transmission-show and libtorrent print', (t) =>
    whenPossible(t, [libtorrent], async () => {
      const scope = openScope(t);
      for (const payload of payloads) {
        const { infoHashHex } = await readTorrent(payload);
        assert.equal(infoHashHex, await transmissionInfoHash(scope, payload.torrentFile));
        assert.equal(infoHashHex, await libtorrentInfoHash(scope, payload.torrentFile));
      }
    }));
});

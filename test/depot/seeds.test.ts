/** Blobs as torrents: deterministic, dormant until a peer comes, fetched by foreign clients, gone with their rows. */
import assert from 'node:assert/strict';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { openScope, type Scope } from '../../lab/scope.js';
import { tempFolder } from '../../lab/temp.js';
import { startTestTracker } from '../../lab/tracker.js';
import { until, withDeadline } from '../../lab/wait.js';
import type { Engine } from '../../src/api.js';
import { Depot } from '../../src/depot/publish.js';
import { Seeds, type SeedsOptions } from '../../src/depot/seeds.js';
import { SHARED_TORRENT_TIMES } from '../../src/depot/shared-torrents.js';
import { openFolderStore } from '../../src/depot/store/folders.js';
import { HaulError } from '../../src/errors.js';
import { parseTorrent } from '../../src/metainfo/torrent.js';
import { FOREIGN_CLIENTS } from '../support/clients/all.js';
import { startEngine } from '../support/engines.js';
import { requireClients } from '../support/requirements.js';
import { bytesOf, code, MIB, request } from './depot-kit.js';
import { MemoryCatalogue } from './memory-catalogue.js';

const DEADLINE_MS = 60_000;
const LENGTH = 5 * MIB + 3;

/** As one that another depot has, too. */
class SharedCatalogue extends MemoryCatalogue {
  override readonly isShared = true;
}

interface Swarm {
  readonly depot: Depot;
  readonly seeds: Seeds;
  readonly engine: Engine;
  readonly folder: string;
}

async function openSwarm(scope: Scope, options: Partial<SeedsOptions> = {}): Promise<Swarm> {
  const folder = await tempFolder(scope);
  const store = await openFolderStore({ folder });
  scope.defer(() => store.close());
  const catalogue = new MemoryCatalogue();
  const engine = await startEngine(scope);
  const seeds = new Seeds({ engine, store, catalogue, sleepAfterMs: 0, ...options });
  const depot = new Depot({ store, catalogue, torrents: seeds });
  scope.defer(async () => {
    await seeds.close();
    await depot.close();
  });
  return { depot, seeds, engine, folder };
}

async function torrentOf({ depot }: Swarm, name: string, announce: string): Promise<Buffer> {
  const row = await depot.find(`artifacts/${name}`);
  const torrent = await depot.torrent(row!, announce, 'http://127.0.0.1:9/none');
  assert.ok(torrent !== null);
  return torrent;
}

async function fetchFrom(scope: Scope, swarm: Swarm, torrent: Buffer): Promise<Buffer> {
  const leech = await startEngine(scope);
  const output = await tempFolder(scope);
  const peers = [{ host: '127.0.0.1', port: swarm.engine.port! }];
  const download = leech.add(torrent, { output, trackers: [], peers });
  await withDeadline(download.done, 'the download', DEADLINE_MS);
  await leech.close();
  return readFile(join(output, download.metainfo.name));
}

async function asleep(swarm: Swarm): Promise<void> {
  await until('it sleeps', DEADLINE_MS, () => swarm.engine.torrents.length === 0);
  await until('its link is gone', DEADLINE_MS, async () => (await readdir(join(swarm.folder, 'views'))).length === 0);
}

test('a torrent of which the disk does not give a piece ends, and is left alone for a minute', async (t) => {
  const scope = openScope(t);
  let nowMs = 0;
  const swarm = await openSwarm(scope, { now: () => nowMs });
  const { depot, engine } = swarm;
  const { row } = await depot.publish(request('a', bytesOf(LENGTH)));
  const torrent = await engine.wake(row.infoHash!);
  // Trouble that passes by itself is none of this.
  torrent!.emit('warning', new HaulError('SYSTEM_LIMIT', 'a: paused', { errno: 'EMFILE' }));
  assert.equal(engine.get(row.infoHash!), torrent);
  torrent!.emit('warning', new HaulError('IO', 'a: paused', { errno: 'EIO' }));
  await asleep(swarm);
  assert.equal(await engine.wake(row.infoHash!), null);
  nowMs = 60_001;
  const retry = (): Promise<boolean> => engine.wake(row.infoHash!).then((found) => found !== null);
  await until('it is woken again', DEADLINE_MS, retry);
});

test('the same bytes under the same file name are one torrent, private, tracker and web seed outside', async (t) => {
  const scope = openScope(t);
  const [one, two] = [await openSwarm(scope), await openSwarm(scope)];
  const bytes = bytesOf(LENGTH);
  await one.depot.publish(request('a/image.raw', bytes));
  await one.depot.publish(request('b/image.raw', bytes, { lengthBytes: null }));
  await two.depot.publish(request('c/d/image.raw', bytes));
  const torrents = [
    await torrentOf(one, 'a/image.raw', 'http://one/announce'),
    await torrentOf(one, 'b/image.raw', 'http://two/announce'),
    await torrentOf(two, 'c/d/image.raw', 'http://three/announce'),
  ].map((torrent) => parseTorrent(torrent));
  assert.equal(new Set(torrents.map(({ infoHashHex }) => infoHashHex)).size, 1);
  for (const { isPrivate, name, geometry, webSeeds } of torrents) {
    assert.deepEqual([isPrivate, name, geometry.lengthBytes, webSeeds.length], [true, 'image.raw', LENGTH, 1]);
  }
  assert.equal((await one.depot.find('artifacts/a/image.raw'))!.infoHash, torrents[0]!.infoHashHex);
  assert.equal(one.seeds.count, 1);
});

test('a blob sleeps until a peer comes, is served, sleeps again, and stops with its last row', async (t) => {
  const scope = openScope(t);
  const swarm = await openSwarm(scope);
  const bytes = bytesOf(LENGTH);
  const { row } = await swarm.depot.publish(request('a/image.raw', bytes));
  const torrent = await torrentOf(swarm, 'a/image.raw', 'http://127.0.0.1:9/announce');
  for (let round = 0; round < 2; round++) {
    assert.ok((await fetchFrom(scope, swarm, torrent)).equals(bytes));
    await asleep(swarm);
  }
  await swarm.depot.publish(request('b/image.raw', bytes));
  await swarm.depot.remove('artifacts/a/image.raw');
  assert.ok((await fetchFrom(scope, swarm, torrent)).equals(bytes), 'another row has it still');
  assert.ok((await swarm.engine.wake(row.infoHash!)) !== null);
  await swarm.depot.remove('artifacts/b/image.raw');
  assert.equal(swarm.engine.torrents.length, 0);
  assert.equal(await swarm.engine.wake(row.infoHash!), null);
  assert.deepEqual(await readdir(join(swarm.folder, 'views')), []);
  assert.equal(swarm.seeds.count, 0);
});

test('a blob that was changed on disk does not wake', async (t) => {
  const scope = openScope(t);
  const swarm = await openSwarm(scope);
  const { row } = await swarm.depot.publish(request('image.raw', bytesOf(LENGTH)));
  const { sha256, infoHash } = row;
  await writeFile(join(swarm.folder, 'blobs', sha256.slice(0, 2), sha256), 'x', { flag: 'r+' }).catch(async () => {
    // Where permissions hold: it is made writable first, as whoever damages it would.
    assert.fail('the tests run as a user who may write it');
  });
  assert.equal(await swarm.engine.wake(infoHash!), null);
  await assert.rejects(torrentOf(swarm, 'image.raw', 'http://127.0.0.1:9/announce'), code('BAD_DATA'));
});

const clients = FOREIGN_CLIENTS.filter(({ name }) => name === 'aria2' || name === 'libtorrent');
for (const client of clients) {
  test(`${client.name} fetches a blob from the dormant engine through a tracker`, async (t: TestContext) => {
    const scope = openScope(t);
    if (await requireClients(t, [client])) return;
    const swarm = await openSwarm(scope, { sleepAfterMs: 60_000 });
    const bytes = bytesOf(LENGTH);
    await swarm.depot.publish(request('a/image.raw', bytes));
    const tracker = await startTestTracker(scope);
    const peer = { host: '127.0.0.1', port: swarm.engine.port! };
    tracker.pinned.push(peer);
    const folder = await tempFolder(scope);
    const torrentFile = join(folder, 'image.torrent');
    await writeFile(torrentFile, await torrentOf(swarm, 'a/image.raw', tracker.url()));
    const peers = client.takesPeers ? [peer] : [];
    await client.download(scope, { torrentFile, folder, tracker: tracker.url(), peers });
    assert.ok((await readFile(join(folder, 'image.raw'))).equals(bytes));
  });
}

test('what one depot publishes another of the same catalogue seeds, until it is removed', async (t) => {
  const scope = openScope(t);
  const catalogue = new SharedCatalogue();
  const store = await openFolderStore({ folder: await tempFolder(scope) });
  scope.defer(() => store.close());
  let nowMs = 0;
  const open = async (): Promise<{ readonly depot: Depot; readonly seeds: Seeds; readonly engine: Engine }> => {
    const engine = await startEngine(scope);
    const seeds = new Seeds({ engine, store, catalogue, now: () => nowMs });
    const depot = new Depot({ store, catalogue, torrents: seeds });
    scope.defer(async () => {
      await seeds.close();
      await depot.close();
    });
    await seeds.load();
    return { depot, seeds, engine };
  };
  const [first, second] = [await open(), await open()];
  const bytes = bytesOf(LENGTH);
  await first.depot.publish(request('image.raw', bytes));
  const row = (await first.depot.find('artifacts/image.raw'))!;
  const key = Buffer.from(row.infoHash!, 'hex').toString('latin1');
  assert.equal(second.engine.stats().dormant, 0, 'nothing is kept of what sleeps');
  assert.equal(second.seeds.has(key), true);
  const torrent = (await second.depot.torrent(row, 'http://127.0.0.1:9/announce', 'http://127.0.0.1:9/none'))!;
  const got = await fetchFrom(scope, { ...second, folder: '' }, torrent);
  assert.equal(got.compare(bytes), 0);
  assert.notEqual(second.engine.get(row.infoHash!), null);
  await first.depot.remove('artifacts/image.raw');
  second.seeds.look();
  assert.notEqual(second.engine.get(row.infoHash!), null, 'it was looked for a moment ago');
  nowMs += SHARED_TORRENT_TIMES.thereMs;
  second.seeds.look();
  await until('it is gone', DEADLINE_MS, () => second.engine.get(row.infoHash!) === null);
  assert.equal(second.seeds.has(key), false);
});

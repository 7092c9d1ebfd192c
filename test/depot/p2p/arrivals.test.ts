/** Publishes by peers: fetched, named when all is here, kept over a restart, gone when given up or stale. */
import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { openScope } from '../../../lab/scope.js';
import { until } from '../../../lab/wait.js';
import { P2P_LIMITS } from '../../../src/depot/p2p/limits.js';
import { HaulError } from '../../../src/errors.js';
import { parseTorrent } from '../../../src/metainfo/torrent.js';
import { spoilt, startScriptedSeed } from '../../support/scripted-seed.js';
import { bytesOf, code, contentOf, KIB, MIB, request } from '../depot-kit.js';
import { become, DEADLINE_MS, idOf, Scene, seedOf, torrentOf, wish } from './scene.js';

const here = (port: number | null) => [{ host: '127.0.0.1', port: port! }];
const codeOf = (error: unknown): string => (HaulError.is(error) ? error.code : String(error));

test('what a peer gives gets its name when all of it is here, and nothing of the fetch stays', async (t) => {
  const scope = openScope(t);
  const scene = await Scene.make(scope);
  const opened = await scene.open();
  const bytes = bytesOf(3 * MIB + 7);
  const torrent = torrentOf('image.raw', bytes);
  scene.peers = here((await seedOf(scope, torrent, bytes)).port);
  const begun = await opened.arrivals.begin(wish('ci/1/image.raw', bytes, { retentionDays: 3 }), torrent);
  const id = idOf(begun);
  assert.match(id, /^[0-9a-f]{32}$/);
  assert.equal(opened.arrivals.has(parseTorrent(torrent).infoHash.toString('latin1')), true);
  const { row, receivedBytes } = await become(opened, id, 'done');
  assert.equal(receivedBytes, bytes.length);
  assert.equal(row?.infoHash, parseTorrent(torrent).infoHashHex);
  assert.equal(row!.expiresMs! - row!.createdMs, 3 * 86_400_000);
  assert.ok((await contentOf(opened, 'ci/1/image.raw')).equals(bytes));
  assert.deepEqual(await scene.kept(), []);
  const again = await opened.arrivals.begin(wish('ci/1/image.raw', bytes), torrent);
  assert.equal(again.kind, 'there');
  // Its term cannot be told without the bytes; nor are they given to who only knows their digest.
  const longer = await opened.arrivals.begin(wish('ci/1/image.raw', bytes, { retentionDays: 9 }), torrent);
  const elsewhere = await opened.arrivals.begin(wish('ci/2/image.raw', bytes), torrent);
  assert.deepEqual([longer.kind, elsewhere.kind], ['send', 'send']);
  assert.equal((await opened.arrivals.begin(wish('s', null), torrentOf('s', bytesOf(99_999)))).kind, 'send');
  assert.deepEqual(scene.logged, []);
});

test('bytes of another digest, or another name that is taken, are refused at the end with nothing kept', async (t) => {
  const scope = openScope(t);
  const scene = await Scene.make(scope);
  const opened = await scene.open();
  const [bytes, others] = [bytesOf(400 * KIB), bytesOf(300 * KIB, 2)];
  const torrent = torrentOf('a', bytes);
  scene.peers = here((await seedOf(scope, torrent, bytes)).port);
  const lied = idOf(await opened.arrivals.begin(wish('a', others), torrent));
  assert.equal(codeOf((await become(opened, lied, 'failed')).error), 'MISMATCH');
  assert.equal(await opened.depot.find('artifacts/a'), null);
  scene.peers = [];
  const late = idOf(await opened.arrivals.begin(wish('a', bytes), torrent));
  await opened.artifacts.publish(request('a', others));
  assert.equal(codeOf((await become(opened, late, 'failed')).error), 'FILE_EXISTS');
  const replacing = idOf(await opened.arrivals.begin(wish('a', bytes, { overwrite: true }), torrent));
  await opened.artifacts.publish(request('a', bytesOf(10, 3), { overwrite: true }));
  scene.peers = here((await seedOf(scope, torrent, bytes)).port);
  for (let tick = 0; tick < 3; tick++) scene.pass(opened, 1);
  await become(opened, replacing, 'done');
  assert.ok((await contentOf(opened, 'a')).equals(bytes));
  assert.deepEqual(await scene.kept(), []);
});

test('who puts the same bytes meanwhile is first, and the fetch ends well', async (t) => {
  const scope = openScope(t);
  const scene = await Scene.make(scope);
  const opened = await scene.open();
  const bytes = bytesOf(400 * KIB);
  const id = idOf(await opened.arrivals.begin(wish('a', bytes), torrentOf('a', bytes)));
  const { row } = await opened.artifacts.publish(request('a', bytes));
  assert.deepEqual((await become(opened, id, 'done')).row, row);
  assert.deepEqual(await scene.kept(), []);
  // Its torrent can be woken from now on.
  assert.ok((await opened.engine.wake(row.infoHash!)) !== null);
});

test('two who publish the same share one fetch; of two names with one torrent the second sends it', async (t) => {
  const scope = openScope(t);
  const scene = await Scene.make(scope);
  const opened = await scene.open();
  const bytes = bytesOf(400 * KIB);
  const torrent = torrentOf('a', bytes);
  const both = await Promise.all([1, 2].map(() => opened.arrivals.begin(wish('x/a', bytes), torrent)));
  assert.equal(idOf(both[0]!), idOf(both[1]!));
  assert.equal((await opened.arrivals.begin(wish('y/a', bytes), torrent)).kind, 'send');
  assert.equal((await opened.arrivals.begin(wish('x/a', bytesOf(1)), torrent)).kind, 'send');
  assert.equal((await scene.kept()).length, 1);
  const id = idOf(both[0]!);
  await opened.arrivals.drop(id);
  assert.equal(codeOf(opened.arrivals.find(id)?.error), 'ABORTED');
  await opened.arrivals.drop(id);
  assert.equal(opened.arrivals.find(id), null);
  assert.deepEqual([await scene.kept(), opened.engine.torrents.length], [[], 0]);
  assert.equal(opened.arrivals.has(parseTorrent(torrent).infoHash.toString('latin1')), false);
  await opened.arrivals.drop('f'.repeat(32));
});

test('a publisher that vanishes: what came rests, and goes on with the next; nothing came: it is over', async (t) => {
  const scope = openScope(t);
  const scene = await Scene.make(scope);
  let opened = await scene.open();
  const bytes = bytesOf(3 * MIB);
  const torrent = torrentOf('a', bytes);
  const first = idOf(await opened.arrivals.begin(wish('a', bytes), torrent));
  await until('it waits for peers', DEADLINE_MS, () => opened.engine.torrents[0]?.state === 'downloading');
  scene.pass(opened, 0);
  scene.pass(opened, P2P_LIMITS.windowMs + 1);
  assert.equal(codeOf((await become(opened, first, 'failed')).error), 'TIMEOUT');
  const half = await startScriptedSeed(scope, { metainfo: parseTorrent(torrent), bytes, pieceCount: 6 });
  scene.peers = here(half.port);
  const second = idOf(await opened.arrivals.begin(wish('a', bytes), torrent));
  const halfBytes = 6 * 256 * KIB;
  await until('half is here', DEADLINE_MS, () => opened.arrivals.find(second)?.receivedBytes === halfBytes);
  scene.peers = [];
  await half.close();
  // The window has its bytes; the next has none.
  scene.pass(opened, P2P_LIMITS.windowMs + 1);
  scene.pass(opened, P2P_LIMITS.windowMs + 1);
  assert.equal((await become(opened, second, 'resting')).receivedBytes, halfBytes);
  assert.equal(opened.engine.torrents.length, 0);
  await opened.close();
  opened = await scene.open();
  assert.deepEqual(
    [opened.arrivals.find(second)?.state, opened.arrivals.find(second)?.receivedBytes],
    ['resting', halfBytes],
  );
  scene.peers = here((await seedOf(scope, torrent, bytes)).port);
  assert.equal(idOf(await opened.arrivals.begin(wish('a', bytes), torrent)), second);
  await become(opened, second, 'done');
  assert.equal(opened.engine.stats().downloadedBytes, bytes.length - halfBytes);
  assert.ok((await contentOf(opened, 'a')).equals(bytes));
});

test('what rests is swept after a day, and gives way to who needs its place', async (t) => {
  const scope = openScope(t);
  const scene = await Scene.make(scope);
  const opened = await scene.open();
  const bytes = bytesOf(600 * KIB);
  const resting = async (name: string): Promise<string> => {
    const torrent = torrentOf(name, bytes);
    const half = await startScriptedSeed(scope, { metainfo: parseTorrent(torrent), bytes, pieceCount: 1 });
    scene.peers = here(half.port);
    const id = idOf(await opened.arrivals.begin(wish(name, bytes), torrent));
    await until('a piece is here', DEADLINE_MS, () => opened.arrivals.find(id)!.receivedBytes > 0);
    scene.peers = [];
    scene.pass(opened, P2P_LIMITS.windowMs + 1);
    scene.pass(opened, P2P_LIMITS.windowMs + 1);
    await become(opened, id, 'resting');
    return id;
  };
  const stale = await resting('stale');
  scene.pass(opened, P2P_LIMITS.keepMs + 1);
  assert.equal(codeOf((await become(opened, stale, 'failed')).error), 'TIMEOUT');
  scene.pass(opened, P2P_LIMITS.toldMs + 1);
  assert.equal(opened.arrivals.find(stale), null);
  const oldest = await resting('oldest');
  const small = (name: string) => [wish(name, null), torrentOf(name, bytesOf(110_000))] as const;
  for (let count = 1; count < P2P_LIMITS.publishesPerOwner; count++)
    idOf(await opened.arrivals.begin(...small(`small-${count}`)));
  idOf(await opened.arrivals.begin(...small('last')));
  assert.equal(opened.arrivals.find(oldest)?.state, 'failed');
  await assert.rejects(opened.arrivals.begin(...small('more')), code('SYSTEM_LIMIT'));
  assert.equal((await scene.kept()).length, P2P_LIMITS.publishesPerOwner);
  const [other, torrent] = small('other');
  idOf(await opened.arrivals.begin({ ...other, owner: 'another' }, torrent));
});

test('a peer that gives bad pieces is left, and a good one ends it', async (t) => {
  const scope = openScope(t);
  const scene = await Scene.make(scope);
  const opened = await scene.open();
  const bytes = bytesOf(2 * MIB);
  const torrent = torrentOf('a', bytes);
  const answer = (_piece: number, _begin: number, good: Buffer): Buffer => spoilt(good);
  const bad = await startScriptedSeed(scope, { metainfo: parseTorrent(torrent), bytes, answer });
  scene.peers = here(bad.port);
  const id = idOf(await opened.arrivals.begin(wish('a', bytes), torrent));
  await until('it is bad', DEADLINE_MS, () => (opened.engine.torrents[0]?.stats().corruptBytes ?? 0) > 0);
  assert.equal(opened.arrivals.find(id)?.receivedBytes, 0);
  scene.peers = here((await seedOf(scope, torrent, bytes)).port);
  for (let tick = 0; tick < P2P_LIMITS.peerLookSecondsInCompany; tick++) scene.pass(opened, 1);
  await become(opened, id, 'done');
  assert.ok((await contentOf(opened, 'a')).equals(bytes));
});

test('what was on its way, or named and not told, goes on after a restart; what cannot be read is swept', async (t) => {
  const scope = openScope(t);
  const scene = await Scene.make(scope);
  let opened = await scene.open();
  const bytes = bytesOf(2 * MIB);
  const torrent = torrentOf('a', bytes);
  const id = idOf(await opened.arrivals.begin(wish('a', bytes, { onlyIfNew: true }), torrent));
  const damaged = idOf(await opened.arrivals.begin(wish('b', null), torrentOf('b', bytesOf(200_000, 4))));
  const other = idOf(await opened.arrivals.begin(wish('c', null), torrentOf('c', bytesOf(200_000, 5))));
  await opened.close();
  writeFileSync(`${scene.folder}/arriving/${damaged}/publish.json`, '{"format":1');
  rmSync(`${scene.folder}/arriving/${other}/torrent`);
  scene.peers = here((await seedOf(scope, torrent, bytes)).port);
  opened = await scene.open();
  assert.deepEqual([opened.arrivals.find(damaged), opened.arrivals.find(other)], [null, null]);
  const { row } = await become(opened, id, 'done');
  assert.deepEqual(await scene.kept(), []);
  // As if the process had ended between the row and the end of its folder.
  await opened.depot.remove('artifacts/a');
  scene.peers = [];
  const again = idOf(await opened.arrivals.begin(wish('a', bytes, { onlyIfNew: true }), torrent));
  await opened.depot.publish(request('a', bytes));
  await opened.close();
  opened = await scene.open();
  assert.equal(opened.arrivals.find(again)?.row?.sha256, row?.sha256);
  assert.deepEqual(await scene.kept(), []);
});

test('no space: refused before it begins, and what rests makes room for bodies', async (t) => {
  const scope = openScope(t);
  const scene = await Scene.make(scope);
  const space = { freeBytes: 40 * MIB, totalBytes: 100 * MIB };
  const opened = await scene.open({ store: { space: async () => space } });
  const bytes = bytesOf(600 * KIB);
  const torrent = torrentOf('a', bytes);
  const half = await startScriptedSeed(scope, { metainfo: parseTorrent(torrent), bytes, pieceCount: 1 });
  scene.peers = here(half.port);
  const id = idOf(await opened.arrivals.begin(wish('a', bytes), torrent));
  await until('a piece is here', DEADLINE_MS, () => opened.arrivals.find(id)!.receivedBytes > 0);
  scene.peers = [];
  await half.close();
  const large = Buffer.alloc(30 * MIB);
  await assert.rejects(opened.arrivals.begin(wish('large', large), torrentOf('large', large)), code('NO_SPACE'));
  scene.pass(opened, P2P_LIMITS.windowMs + 1);
  scene.pass(opened, P2P_LIMITS.windowMs + 1);
  await become(opened, id, 'resting');
  const full = opened.arrivals.watch({
    ...opened.artifacts,
    publish: async () => {
      throw new HaulError('NO_SPACE', 'full');
    },
  });
  await assert.rejects(full.publish(request('b', bytes)), code('NO_SPACE'));
  assert.equal(opened.arrivals.find(id)?.state, 'failed');
  await opened.close();
  await assert.rejects(opened.arrivals.begin(wish('a', bytes), torrent), code('CLOSED'));
});

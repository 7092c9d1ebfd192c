/** A depot whose blobs are on S3: by HTTP, by the swarm, without S3, and begun anew beside an empty folder. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, type TestContext, test } from 'node:test';
import { MOTO, S3_KEYS, type S3Server, startAnyS3 } from '../../../lab/s3-server.js';
import { openScope, Scope } from '../../../lab/scope.js';
import { withDeadline } from '../../../lab/wait.js';
import type { Depot, DepotOptions } from '../../../src/depot/api.js';
import { startDepot } from '../../../src/depot/depot.js';
import { openStoreOf } from '../../../src/depot/open-store.js';
import { catalogueIn, rebuildCatalogue } from '../../../src/depot/rebuild.js';
import { S3_LIMITS } from '../../../src/depot/store/s3/limits.js';
import { Objects } from '../../../src/depot/store/s3/objects.js';
import { parseS3Url } from '../../../src/depot/store/s3/place.js';
import { loadSdk } from '../../../src/depot/store/s3/sdk.js';
import { parseTorrent } from '../../../src/metainfo/torrent.js';
import { haulWith } from '../../cli/harness.js';
import { startEngine } from '../../support/engines.js';
import { requirePrograms } from '../../support/requirements.js';
import { bytesOf, code, KIB, MIB, sha256 } from '../depot-kit.js';
import { quickFolder } from '../quick-folder.js';
import { type FaultProxy, startFaultProxy } from './fault-proxy.js';

Object.assign(process.env, S3_KEYS);

const DEADLINE_MS = 60_000;
const LENGTH = 18 * MIB + 7;

const servers = new Scope();
let server: S3Server;
let prefixes = 0;
before(async () => {
  server = (await startAnyS3(servers)) ?? server;
});
after(() => servers.close());

interface Scene {
  readonly scope: Scope;
  readonly proxy: FaultProxy;
  readonly options: DepotOptions;
  readonly said: string[];
}

async function open(t: TestContext): Promise<Scene | null> {
  if (server === undefined && (await requirePrograms(t, [MOTO]))) return null;
  const scope = openScope(t);
  const proxy = await startFaultProxy(scope, server.endpoint);
  const store = `s3://${server.bucket}/depot/${++prefixes}?endpoint=${proxy.endpoint}`;
  const said: string[] = [];
  const log = (level: string, message: string, facts?: unknown) =>
    void said.push(`${level} ${message} ${JSON.stringify(facts)}`);
  const data = join(await quickFolder(scope), 'data');
  return { scope, proxy, said, options: { data, store, httpPort: 0, engine: { port: 0 }, log } };
}

async function start({ scope }: Scene, options: DepotOptions): Promise<Depot> {
  const depot = await startDepot(options);
  scope.defer(() => depot.close(0));
  return depot;
}

async function put({ url }: Depot, name: string, bytes: Buffer): Promise<void> {
  const answer = await fetch(`${url}/artifacts/${name}`, { method: 'PUT', body: new Uint8Array(bytes) });
  assert.equal(answer.status, 201, await answer.text());
}

async function get({ url }: Depot, name: string): Promise<Buffer> {
  const answer = await fetch(`${url}/artifacts/${name}`);
  assert.equal(answer.status, 200);
  return Buffer.from(await answer.arrayBuffer());
}

test('artifacts on S3 are put, got and seeded, also by a depot that has none of them on its disk', async (t) => {
  const scene = await open(t);
  if (scene === null) return;
  const { scope, options, proxy } = scene;
  const [long, short] = [bytesOf(LENGTH), bytesOf(3 * KIB)];
  const first = await start(scene, options);
  await put(first, 'ci/1/image.raw', long);
  await put(first, 'ci/1/log.txt', short);
  await put(first, 'ci/1/a.txt', short);
  proxy.sentBytes = 0;
  assert.ok((await get(first, 'ci/1/image.raw')).equals(long));
  assert.ok(proxy.sentBytes < 100 * KIB, 'what was published just now is at hand');
  const ready = await (await fetch(`${first.url}/readyz`)).json();
  assert.deepEqual((ready as { checks: unknown[] }).checks[0], { name: 'store s3', ready: true, message: '' });
  await first.close(0);
  await rm(join(options.data, 'cache'), { recursive: true });
  const depot = await start(scene, options);
  proxy.sentBytes = 0;
  const range = await fetch(`${depot.url}/artifacts/ci/1/image.raw`, { headers: { range: 'bytes=9000000-9000009' } });
  assert.ok(Buffer.from(await range.arrayBuffer()).equals(long.subarray(9_000_000, 9_000_010)));
  assert.ok(proxy.sentBytes < 9 * MIB, 'a chunk of it came');
  const torrent = Buffer.from(await (await fetch(`${depot.url}/artifacts/ci/1/image.raw?torrent`)).arrayBuffer());
  const leech = await startEngine(scope);
  const output = await quickFolder(scope);
  const peers = [{ host: '127.0.0.1', port: depot.peerPort! }];
  const download = leech.add(torrent, { output, trackers: [], webSeeds: [], peers });
  await withDeadline(download.done, 'the download', DEADLINE_MS);
  assert.ok((await readFile(join(output, parseTorrent(torrent).name))).equals(long));
  assert.ok((await get(depot, 'ci/1/image.raw')).equals(long));
  assert.ok(proxy.sentBytes < LENGTH + MIB, `${proxy.sentBytes} bytes came, each once`);
  assert.ok((await get(depot, 'ci/1/log.txt')).equals(short));
  // All of it as one torrent, with padding between the short one and the long.
  const folder = Buffer.from(await (await fetch(`${depot.url}/artifacts/ci/1/?torrent`)).arrayBuffer());
  assert.ok(parseTorrent(folder).files.some(({ isPad }) => isPad));
  const all = leech.add(folder, { output, trackers: [], webSeeds: [], peers });
  await withDeadline(all.done, 'the download of the folder', DEADLINE_MS);
  const { name } = parseTorrent(folder);
  assert.ok((await readFile(join(output, name, 'image.raw'))).equals(long));
  assert.ok((await readFile(join(output, name, 'a.txt'))).equals(short));
  const kept = await readdir(join(options.data, 'cache', 'blobs'), { recursive: true });
  assert.ok(!kept.some((path) => /[0-9a-f]{64}$/.test(path)), 'nothing is whole on its disk');
  const removed = await fetch(`${depot.url}/artifacts/ci/1/image.raw`, { method: 'DELETE' });
  assert.equal(removed.status, 204);
  assert.equal((await depot.stats()).names, 2);
});

test('without S3 requests are 503 with a time, nothing secret is told, and all is well when it is back', async (t) => {
  const scene = await open(t);
  if (scene === null) return;
  const { options, proxy, said } = scene;
  const depot = await start(scene, options);
  const bytes = bytesOf(5 * KIB);
  await put(depot, 'kept', bytes);
  await depot.close(0);
  await rm(join(options.data, 'cache'), { recursive: true });
  const { url } = await start(scene, options);
  for (const fault of [
    { kind: 'reset' },
    { kind: 'answer', status: 503, code: 'SlowDown' },
    { kind: 'answer', status: 403, code: 'InvalidAccessKeyId' },
  ] as const) {
    proxy.fault = () => fault;
    const answers = await Promise.all([
      fetch(`${url}/artifacts/kept`),
      fetch(`${url}/artifacts/new`, { method: 'PUT', body: new Uint8Array(bytesOf(9 * KIB, 5)) }),
    ]);
    for (const answer of answers) {
      assert.equal(answer.status, 503, fault.kind);
      assert.ok(Number(answer.headers.get('retry-after')) > 0);
      said.push(await answer.text());
    }
  }
  for (const page of ['readyz', 'metrics', 'status', '']) said.push(await (await fetch(`${url}/${page}`)).text());
  assert.match(said.join('\n'), /does not know the access key/);
  for (const hidden of ['secret-in-it', S3_KEYS.AWS_ACCESS_KEY_ID, S3_KEYS.AWS_SECRET_ACCESS_KEY])
    assert.ok(!said.join('\n').includes(hidden), hidden);
  proxy.fault = () => null;
  assert.equal(await (await fetch(`${url}/artifacts/kept`)).text(), bytes.toString());
  assert.equal((await fetch(`${url}/artifacts/new`)).status, 404, 'what was not acknowledged is not there');
});

test('an object that the bucket lost is a 404 of which the log says why, mended by whoever publishes it', async (t) => {
  const scene = await open(t);
  if (scene === null) return;
  const { options, said } = scene;
  const bytes = bytesOf(5 * KIB, 23);
  const depot = await start(scene, options);
  await put(depot, 'lost', bytes);
  await depot.close(0);
  await rm(join(options.data, 'cache'), { recursive: true });
  const objects = new Objects(await loadSdk(), parseS3Url(options.store!), S3_LIMITS);
  scene.scope.defer(() => objects.close());
  const name = sha256(bytes);
  await objects.remove(`blobs/${name.slice(0, 2)}/${name}`);
  const later = await start(scene, options);
  const answer = await fetch(`${later.url}/artifacts/lost`);
  assert.equal(answer.status, 404);
  assert.match(await answer.text(), /its bytes are gone: publish them again/);
  assert.match(said.join('\n'), new RegExp(`error GET: .*lost: the store has lost its bytes .*${name}`));
  const again = await fetch(`${later.url}/artifacts/lost`, { method: 'PUT', body: new Uint8Array(bytes) });
  assert.equal(again.status, 200);
  assert.ok(await objects.getShort(`blobs/${name.slice(0, 2)}/${name}`), 'the bucket has it again');
  assert.ok((await get(later, 'lost')).equals(bytes));
});

test('a folder that is lost is made anew of the bucket; one of the other kind is refused', async (t) => {
  const scene = await open(t);
  if (scene === null) return;
  const { scope, options } = scene;
  const depot = await start(scene, options);
  await put(depot, 'a/long', bytesOf(LENGTH));
  await put(depot, 'a/short', bytesOf(10));
  await depot.close(0);
  await rm(options.data, { recursive: true });
  await assert.rejects(startDepot(options), code('IN_USE'), 'it is another depot now');
  const store = await openStoreOf({ data: options.data, store: options.store, takesOver: true });
  const report = await rebuildCatalogue({ store, catalogue: catalogueIn(options.data) });
  await store.close();
  assert.deepEqual([report.blobs, report.names, report.faults, report.found], [2, 2, [], []]);
  const other = await start(scene, options);
  assert.ok((await get(other, 'a/long')).equals(bytesOf(LENGTH)));
  await other.close(0);
  const { store: _, ...plain } = options;
  await assert.rejects(startDepot(plain), code('BAD_ARGUMENT'));
  assert.ok(!existsSync(join(options.data, 'depot.json')));
  const data = join(await quickFolder(scope), 'folder');
  await (await start(scene, { ...plain, data })).close(0);
  await assert.rejects(startDepot({ ...options, data }), code('BAD_ARGUMENT'));
  await assert.rejects(startDepot({ ...plain, store: 'ftp://x', data: join(data, 'x') }), code('BAD_ARGUMENT'));
});

test('what lies on S3 moves into a folder while its depot serves', async (t) => {
  const scene = await open(t);
  if (scene === null) return;
  const { scope, options } = scene;
  const old = await start(scene, options);
  const [long, short] = [bytesOf(LENGTH, 21), bytesOf(3 * KIB, 21)];
  await put(old, 'ci/1/image.raw', long);
  await put(old, 'ci/1/log.txt', short);
  const data = join(await quickFolder(scope), 'new');
  const moved = await haulWith(S3_KEYS, 'depot', 'migrate', '--from', options.store!, '--to', data, '--json');
  assert.equal(moved.exitCode, 0, moved.stderr);
  const { names, copiedBytes, isSettled } = moved.lines.find(({ type }) => type === 'migrated')!;
  assert.deepEqual([names, copiedBytes, isSettled], [2, LENGTH + 3 * KIB, true]);
  const depot = await start(scene, { data, httpPort: 0, engine: { port: 0 } });
  assert.ok((await get(depot, 'ci/1/image.raw')).equals(long));
  assert.ok((await get(depot, 'ci/1/log.txt')).equals(short));
  const none = await haulWith(S3_KEYS, 'depot', 'migrate', '--from', `${options.store}&x=y`, '--to', data);
  assert.match(none.stderr, /^[^\n]*behind the question mark go endpoint, region and path-style[^\n]*\n$/);
});

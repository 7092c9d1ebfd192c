/** What is shared can be fetched by HTTP, and the .torrent says so (BEP 19). */
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import path from 'node:path';
import { test } from 'node:test';
import { writeSeededFile, writeTree } from '../../lab/data.js';
import { openScope, type Scope } from '../../lab/scope.js';
import { tempFolder } from '../../lab/temp.js';
import { withDeadline } from '../../lab/wait.js';
import { type Share, type ShareOptions, share } from '../../src/library/share.js';
import { parseTorrent } from '../../src/metainfo/torrent.js';
import { startEngine } from '../support/engines.js';

const HOST = '127.0.0.1';
/** Beside many other processes it takes a third of a minute. */
const DEADLINE_MS = 120_000;

async function startShare(scope: Scope, source: string, options: ShareOptions = {}): Promise<Share> {
  const engine = { port: 0, host: HOST, threads: 1, ...options.engine };
  const shared = await share(source, { httpPort: 0, host: HOST, threads: 1, ...options, engine });
  scope.defer(() => shared.close());
  return shared;
}

async function served(shared: Share): Promise<ReturnType<typeof parseTorrent>> {
  const reply = await fetch(shared.torrentUrl(HOST));
  return parseTorrent(new Uint8Array(await reply.arrayBuffer()));
}

/** As it is, without what `fetch` mends in a path. */
function status(base: string, rawPath: string): Promise<number> {
  const { port } = new URL(base);
  return new Promise((resolve, reject) => {
    const sent = request({ host: HOST, port, path: rawPath }, (response) => {
      response.resume();
      resolve(response.statusCode!);
    });
    sent.once('error', reject).end();
  });
}

test('a file is there whole, in ranges, and by its head, with a tag that tells its content', async (t) => {
  const scope = openScope(t);
  const source = path.join(await tempFolder(scope), 'an image.bin');
  await writeSeededFile(source, 700_001, 'offer');
  const bytes = await readFile(source);
  const shared = await startShare(scope, source, { webSeeds: ['http://mirror.example/x'] });
  const { webSeeds } = await served(shared);
  assert.deepEqual(webSeeds, [`${shared.tracker.url(HOST)}/data/an%20image.bin`, 'http://mirror.example/x']);
  const url = webSeeds[0]!;
  const whole = await fetch(url);
  assert.ok(Buffer.from(await whole.arrayBuffer()).equals(bytes));
  const etag = whole.headers.get('etag')!;
  const ask = (headers: Record<string, string>, method = 'GET') => fetch(url, { headers, method });
  const bodyOf = async (range: string, more: Record<string, string> = {}): Promise<[number, string | null, Buffer]> => {
    const reply = await ask({ range, ...more });
    return [reply.status, reply.headers.get('content-range'), Buffer.from(await reply.arrayBuffer())];
  };
  assert.deepEqual(await bodyOf('bytes=5-9'), [206, 'bytes 5-9/700001', bytes.subarray(5, 10)]);
  assert.deepEqual(await bodyOf('bytes=-3'), [206, 'bytes 699998-700000/700001', bytes.subarray(-3)]);
  assert.deepEqual(await bodyOf('bytes=699999-'), [206, 'bytes 699999-700000/700001', bytes.subarray(-2)]);
  assert.deepEqual(await bodyOf('bytes=5-9', { 'if-range': etag }), [206, 'bytes 5-9/700001', bytes.subarray(5, 10)]);
  assert.equal((await bodyOf('bytes=5-9', { 'if-range': '"other"' }))[0], 200);
  assert.equal((await bodyOf('bytes=1-2,5-6'))[0], 200);
  assert.deepEqual((await bodyOf('bytes=700001-')).slice(0, 2), [416, 'bytes */700001']);
  const head = await ask({}, 'HEAD');
  assert.deepEqual([head.status, head.headers.get('content-length')], [200, '700001']);
});

test('only names of the torrent are there, and a file that was changed is not served', async (t) => {
  const scope = openScope(t);
  const folder = await tempFolder(scope);
  await writeTree(
    path.join(folder, 'tree'),
    [
      { path: 'a/b.bin', lengthBytes: 1000 },
      { path: 'empty', lengthBytes: 0 },
    ],
    'x',
  );
  await writeFile(path.join(folder, 'secret'), 'not shared');
  const shared = await startShare(scope, path.join(folder, 'tree'));
  const base = shared.tracker.url(HOST);
  assert.deepEqual((await served(shared)).webSeeds, [`${base}/data/`]);
  assert.equal(await status(base, '/data/tree/a/b.bin'), 200);
  assert.equal(await status(base, '/data/tree/empty'), 200);
  for (const odd of [
    '/data/',
    '/data/tree',
    '/data/tree/',
    '/data/tree/a/../a/b.bin',
    '/data/tree/..%2fsecret',
    '/data/../secret',
    '/data/secret',
    '/data/tree/a%2Fb.bin',

    '/data//tree/a/b.bin',
    '/data/tree/a/b.bin%00',
  ]) {
    assert.equal(await status(base, odd), 404, odd);
  }
  await writeFile(path.join(folder, 'tree', 'a', 'b.bin'), 'another content');
  assert.equal(await status(base, '/data/tree/a/b.bin'), 410);
});

test('nothing is offered where it was not wanted, or would break a limit', async (t) => {
  const scope = openScope(t);
  const source = path.join(await tempFolder(scope), 'image.bin');
  await writeSeededFile(source, 100_000, 'offer');
  for (const options of [{ webSeed: false }, { superSeeding: true }, { engine: { uploadBytesPerSec: 1e6 } }]) {
    const shared = await startShare(scope, source, options);
    assert.deepEqual((await served(shared)).webSeeds, []);
    assert.equal(await status(shared.tracker.url(HOST), '/data/image.bin'), 404);
    await shared.close();
  }
});

test('an upload limit that is set later holds for HTTP too, and is shared with peers', async (t) => {
  const scope = openScope(t);
  const source = path.join(await tempFolder(scope), 'image.bin');
  await writeSeededFile(source, 900_000, 'offer');
  const shared = await startShare(scope, source);
  shared.torrent.setLimits({ uploadBytesPerSec: 600_000 });
  const began = performance.now();
  const url = `${shared.tracker.url(HOST)}/data/image.bin`;
  const bodies = await Promise.all([fetch(url), fetch(url)].map(async (reply) => (await reply).arrayBuffer()));
  const seconds = (performance.now() - began) / 1000;
  const bytes = await readFile(source);
  assert.ok(bodies.every((body) => bytes.equals(Buffer.from(body))));
  assert.ok(seconds >= 2.5, `1.8 MB came in ${seconds} s`);
  shared.engine.setLimits({ uploadBytesPerSec: 10_000 });
  const cut = fetch(url).then(async (reply) => (await reply.arrayBuffer()).byteLength);
  await shared.torrent.stop();
  assert.equal(await withDeadline(cut, 'nobody waits for a torrent that is over', DEADLINE_MS), 900_000);
});

test('who reaches no peer fetches all of a share by HTTP', async (t) => {
  const scope = openScope(t);
  const folder = await tempFolder(scope);
  await writeTree(
    path.join(folder, 'tree'),
    [
      { path: 'a.bin', lengthBytes: 300_000 },
      { path: 'ü b', lengthBytes: 77 },
    ],
    'x',
  );
  const shared = await startShare(scope, path.join(folder, 'tree'), { engine: { port: false } });
  const leech = await startEngine(scope, { port: false });
  const output = await tempFolder(scope);
  const torrent = leech.add(await served(shared), { output });
  await withDeadline(torrent.done, 'it is complete', DEADLINE_MS);
  assert.equal(torrent.stats().webSeedBytes, 300_077);
  const name = path.join('tree', 'ü b');
  assert.ok((await readFile(path.join(output, name))).equals(await readFile(path.join(folder, name))));
});

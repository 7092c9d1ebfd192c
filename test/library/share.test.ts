/** Sharing and tracking through the library door: `share`, `startTracker`. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { writeSeededFile } from '../../lab/data.js';
import { openScope, type Scope } from '../../lab/scope.js';
import { tempFolder } from '../../lab/temp.js';
import { until } from '../../lab/wait.js';
import { createTorrent, parseTorrent, share, startTracker, VERSION } from '../../src/index.js';
import { startEngine } from '../support/engines.js';

const QUIET = { httpPort: 0, host: '127.0.0.1', engine: { port: 0, host: '127.0.0.1', threads: 1 } } as const;

async function makeFile(scope: Scope): Promise<string> {
  const file = path.join(await tempFolder(scope), 'my image.bin');
  await writeSeededFile(file, 3_000_000, 'shared');
  return file;
}

test('a shared file is fetched through its URL by an engine that knows nothing else', async (t) => {
  const scope = openScope(t);
  const file = await makeFile(scope);
  let hashed = 0;
  const extra = 'udp://tracker.example:1/announce';
  const shared = await share(file, { ...QUIET, trackers: [[extra]], onProgress: (done) => (hashed = done) });
  scope.defer(() => shared.close());
  assert.equal(hashed, 3_000_000);
  assert.equal(shared.torrentUrl(), `http://127.0.0.1:${shared.tracker.port}/my%20image.bin.torrent`);
  assert.equal(shared.announceUrl('::1'), `http://[::1]:${shared.tracker.port}/announce`);
  assert.deepEqual(shared.hosts, ['127.0.0.1']);
  const torrent = new Uint8Array(await (await fetch(shared.torrentUrl())).arrayBuffer());
  const metainfo = parseTorrent(torrent);
  assert.deepEqual(metainfo.trackers, [[shared.announceUrl()], [extra]]);
  assert.equal(metainfo.createdBy, `swarmhaul ${VERSION}`);
  const leech = await startEngine(scope);
  const output = await tempFolder(scope);
  await leech.add(torrent, { output }).done;
  assert.deepEqual(await readFile(path.join(output, 'my image.bin')), await readFile(file));
  assert.ok(shared.torrent.stats().uploadedBytes >= 3_000_000);
  assert.ok(shared.tracker.stats().announces >= 1);
  await shared.close();
  await shared.close();
  assert.equal(shared.torrent.state, 'stopped');
  await assert.rejects(fetch(shared.torrentUrl()));
});

test('a signal ends sharing, while it hashes and later, and leaves no port open', async (t) => {
  const scope = openScope(t);
  const file = await makeFile(scope);
  const early = new AbortController();
  const hashing = share(file, { ...QUIET, signal: early.signal, onProgress: () => early.abort() });
  await assert.rejects(hashing, { code: 'ABORTED' });
  const late = new AbortController();
  const shared = await share(file, { ...QUIET, signal: late.signal });
  late.abort();
  await until('the share is closed', 5000, () => shared.torrent.state === 'stopped');
  await shared.close();
  const { port } = shared.tracker;
  await (await share(file, { ...QUIET, httpPort: port })).close();
});

test('trouble with a port or an option of any part leaves nothing open', async (t) => {
  const scope = openScope(t);
  const file = await makeFile(scope);
  const tracker = await startTracker({ port: 0, host: '127.0.0.1' });
  scope.defer(() => tracker.close());
  const busy = tracker.port;
  await assert.rejects(share(file, { ...QUIET, httpPort: busy }), { code: 'PORT_IN_USE' });
  const engine = { ...QUIET.engine, port: busy };
  await assert.rejects(share(file, { ...QUIET, engine }), { code: 'PORT_IN_USE' });
  await assert.rejects(share(file, { ...QUIET, engine: { threads: 0 } }), { code: 'BAD_ARGUMENT' });
  await assert.rejects(share(file, { ...QUIET, tracker: { intervalSeconds: -1 } }), { code: 'BAD_ARGUMENT' });
  await assert.rejects(share(path.join(file, 'no')), { code: 'NOT_A_DIRECTORY' });
});

test('a tracker of registered torrents brings two engines together, and ends with its signal', async (t) => {
  const scope = openScope(t);
  const file = await makeFile(scope);
  const stop = new AbortController();
  const tracker = await startTracker({ port: 0, host: '127.0.0.1', registeredOnly: true, signal: stop.signal });
  scope.defer(() => tracker.close());
  const announceUrl = `${tracker.url('127.0.0.1')}/announce`;
  const { bytes, infoHash, hashed } = await createTorrent(file, { trackers: [[announceUrl]] });
  tracker.register(infoHash);
  assert.throws(() => tracker.register(infoHash.subarray(1)), { code: 'BAD_ARGUMENT' });
  const seed = await startEngine(scope);
  await seed.add(bytes, { output: path.dirname(file), mode: 'seed', trustData: true, hashed }).done;
  await until('the tracker knows the seed', 5000, () => tracker.stats().peers === 1);
  const output = await tempFolder(scope);
  await (await startEngine(scope)).add(bytes, { output }).done;
  stop.abort();
  await until('nobody answers', 5000, () =>
    fetch(announceUrl).then(
      () => false,
      () => true,
    ),
  );
  await assert.rejects(startTracker({ port: 0, signal: AbortSignal.abort() }), { code: 'ABORTED' });
  await assert.rejects(startTracker({ prot: 1 } as never), { code: 'BAD_ARGUMENT' });
});

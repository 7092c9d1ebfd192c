/**
 * Peer exchange (BEP 11): others find a peer by our word alone, and we one by the word of libtorrent, transmission and
 * rtorrent. That the latter two heed ours is in the matrix.
 */
import assert from 'node:assert/strict';
import { cp, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { test } from 'node:test';
import { startChild } from '../../lab/child.js';
import { QUIET } from '../../lab/clients/aria2.js';
import { transmission } from '../../lab/clients/transmission.js';
import { addSecondAddress, openNamespace } from '../../lab/namespace.js';
import { freePort } from '../../lab/ports.js';
import { PACKAGE_ROOT } from '../../lab/root.js';
import { openScope, type Scope } from '../../lab/scope.js';
import { tempFolder } from '../../lab/temp.js';
import { startTestTracker } from '../../lab/tracker.js';
import { sha256Tree } from '../../lab/tree.js';
import { until, withDeadline } from '../../lab/wait.js';
import type { Engine } from '../../src/api.js';
import { DEBIAN_PYTHON } from '../support/clients/libtorrent.js';
import { rtorrent } from '../support/clients/rtorrent.js';
import { type DataSet, fileSet, startEngine, startSeed } from '../support/engines.js';
import { requireClients, requirePrograms } from '../support/requirements.js';

const SCRIPT = path.join(PACKAGE_ROOT, 'test/interop/lt_peer.py');
/** libtorrent says nothing in the first minute or so. */
const DEADLINE_MS = 150_000;

const isEvent = (name: string) => (line: string) => line.startsWith(`{"event": "${name}"`);
const slow = { downloadBytesPerSec: 20_000 };

async function libtorrent(scope: Scope, mode: 'seed' | 'get', set: DataSet, folder: string, peer: Engine) {
  const torrentFile = path.join(await tempFolder(scope), 'a.torrent');
  await writeFile(torrentFile, set.torrent);
  const args = [
    SCRIPT,
    mode,
    torrentFile,
    folder,
    '--host',
    '127.0.0.1',
    '--port',
    String(await freePort('127.0.0.1')),
  ];
  return startChild(scope, DEBIAN_PYTHON, [...args, '--peer', `127.0.0.1:${peer.port}`, '--pex']);
}

/** A peer that has nearly nothing, and gives less. */
async function between(scope: Scope, set: DataSet, peers: Engine[] = []): Promise<Engine> {
  const engine = await startEngine(scope, { uploadBytesPerSec: 1_000 });
  const named = peers.map(({ port }) => ({ host: '127.0.0.1', port: port! }));
  engine.add(set.metainfo, { output: await tempFolder(scope), peers: named, trackers: [], ...slow });
  return engine;
}

test('libtorrent downloads of a seed that it knows by our peer exchange alone', async (t) => {
  if (await requirePrograms(t, [DEBIAN_PYTHON])) return;
  const scope = openScope(t);
  const set = await fileSet(scope, 10_000_000, { pieceLengthBytes: 65_536 });
  const seed = await startSeed(scope, set);
  const middle = await between(scope, set, [seed]);
  const output = await tempFolder(scope);
  const child = await libtorrent(scope, 'get', set, output, middle);
  await child.line('download complete', DEADLINE_MS, isEvent('done'));
  assert.equal(await sha256Tree(path.join(output, 'image.bin')), await sha256Tree(set.path));
});

test('we find a peer by the word of libtorrent alone', async (t) => {
  if (await requirePrograms(t, [DEBIAN_PYTHON])) return;
  const scope = openScope(t);
  const set = await fileSet(scope, 10_000_000, { pieceLengthBytes: 65_536 });
  const hub = await libtorrent(scope, 'seed', set, set.folder, await between(scope, set));
  const { port } = JSON.parse(await hub.line('it seeds', DEADLINE_MS, isEvent('ready'))) as { port: number };
  const engine = await startEngine(scope);
  const peers = [{ host: '127.0.0.1', port }];
  const torrent = engine.add(set.metainfo, { output: await tempFolder(scope), peers, trackers: [], ...slow });
  await until('the other one is found', DEADLINE_MS, () => torrent.peers().length >= 2);
  torrent.setLimits({ downloadBytesPerSec: null });
  await withDeadline(torrent.done, 'the download ends', DEADLINE_MS);
});

test('aria2 finds a peer by our word alone', async (t) => {
  if (await requirePrograms(t, ['aria2c'])) return;
  const scope = openScope(t);
  const set = await fileSet(scope, 1_000_001, { pieceLengthBytes: 65_536 });
  // The seed does not hear of it, and so cannot dial it.
  const middle = await between(scope, set, [await startSeed(scope, set, { pex: false })]);
  // It takes peers of trackers only: this one knows the one in between, who gives next to nothing.
  const compact = Buffer.from([127, 0, 0, 1, middle.port! >> 8, middle.port! & 255]);
  const reply = Buffer.concat([Buffer.from('d8:intervali1800e5:peers6:'), compact, Buffer.from('e')]);
  const tracker = createServer((_request, response) => void response.end(reply));
  await new Promise<void>((resolve) => tracker.listen(0, '127.0.0.1', resolve));
  scope.defer(() => void tracker.close());
  const torrentFile = path.join(await tempFolder(scope), 'a.torrent');
  await writeFile(torrentFile, set.torrent);
  const output = await tempFolder(scope);
  const announce = `http://127.0.0.1:${(tracker.address() as AddressInfo).port}/announce`;
  const flags = QUIET.filter((flag) => !flag.startsWith('--enable-peer-exchange'));
  const own = [`--bt-tracker=${announce}`, '--bt-exclude-tracker=*', '--enable-peer-exchange=true', '--seed-time=0'];
  const port = `--listen-port=${await freePort('127.0.0.1')}`;
  const child = startChild(scope, 'aria2c', [...flags, ...own, port, `--dir=${output}`, torrentFile]);
  const { code } = await withDeadline(child.exited, 'the download ends', DEADLINE_MS);
  assert.equal(code, 0, child.tail());
  assert.equal(await sha256Tree(path.join(output, 'image.bin')), await sha256Tree(set.path));
});

for (const client of [transmission, rtorrent]) {
  test(`we find a peer by the word of ${client.name} alone`, async (t) => {
    if (await requireClients(t, [client], [])) return;
    const scope = openScope(t);
    const set = await fileSet(scope, 10_000_000, { pieceLengthBytes: 65_536 });
    const namespace = client.needsNamespace ? await openNamespace(scope) : undefined;
    const host = namespace?.hostAddress ?? '127.0.0.1';
    // Some have one peer of an address at most.
    const other = namespace === undefined ? '127.0.0.2' : await addSecondAddress(namespace);
    const told = await startEngine(scope, { host, uploadBytesPerSec: 1_000 });
    const taught = told.add(set.metainfo, { output: await tempFolder(scope), trackers: [], ...slow });
    const tracker = await startTestTracker(scope);
    tracker.pinned.push({ host, port: told.port! });
    const torrentFile = path.join(await tempFolder(scope), 'a.torrent');
    await writeFile(torrentFile, set.torrent);
    const folder = await tempFolder(scope);
    await cp(set.path, path.join(folder, 'image.bin'));
    const hub = await client.seed(scope, { torrentFile, folder, tracker: tracker.url(host), namespace, usesPex: true });
    // As a seed rtorrent asks its trackers for nobody.
    taught.addPeer(hub.host, hub.port);
    const engine = await startEngine(scope, { host: other });
    const options = { output: await tempFolder(scope), peers: [hub], trackers: [], ...slow };
    const torrent = engine.add(set.metainfo, options);
    // Whichever of the two hears of the other first dials it: nobody else tells them.
    const found = () => torrent.peers().length >= 2;
    await until('the other one is found', DEADLINE_MS, found).catch((error: Error) => {
      throw new Error(`${error.message} ${JSON.stringify([torrent.peers(), torrent.sources()])}`);
    });
    torrent.setLimits({ downloadBytesPerSec: null });
    await withDeadline(torrent.done, 'the download ends', DEADLINE_MS);
  });
}

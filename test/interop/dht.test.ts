/** Our DHT with libtorrent's: each finds the peer that the other has announced. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { startChild } from '../../lab/child.js';
import { freePort } from '../../lab/ports.js';
import { PACKAGE_ROOT } from '../../lab/root.js';
import { openScope, type Scope } from '../../lab/scope.js';
import { tempFolder } from '../../lab/temp.js';
import { sha256Tree } from '../../lab/tree.js';
import { until, withDeadline } from '../../lab/wait.js';
import { DEBIAN_PYTHON } from '../support/clients/libtorrent.js';
import { type DataSet, fileSet, startEngine, startSeed } from '../support/engines.js';
import { requirePrograms } from '../support/requirements.js';

const SCRIPT = path.join(PACKAGE_ROOT, 'test/interop/lt_dht.py');
const DEADLINE_MS = 120_000;

async function libtorrent(scope: Scope, mode: 'seed' | 'get', set: DataSet, folder: string, nodePort: number) {
  const torrentFile = path.join(await tempFolder(scope), 'a.torrent');
  await writeFile(torrentFile, set.torrent);
  const port = await freePort('127.0.0.1');
  const args = [SCRIPT, mode, torrentFile, folder, '--port', String(port), '--node', `127.0.0.1:${nodePort}`];
  return startChild(scope, DEBIAN_PYTHON, args);
}

const isEvent = (name: string) => (line: string) => line.startsWith(`{"event": "${name}"`);

test('libtorrent finds a peer that we announce in the DHT', async (t) => {
  if (await requirePrograms(t, [DEBIAN_PYTHON])) return;
  const scope = openScope(t);
  const first = await startEngine(scope, { dht: {} });
  const { port } = first.stats().dht!;
  const set = await fileSet(scope, 300_000, { pieceLengthBytes: 65_536 });
  await startSeed(scope, set, { dht: { nodes: [{ host: '127.0.0.1', port }] } });
  await until('we have announced', DEADLINE_MS, () => first.stats().dht!.storedPeers > 0);
  const output = await tempFolder(scope);
  const child = await libtorrent(scope, 'get', set, output, port);
  await child.line('download complete', DEADLINE_MS, isEvent('done'));
  assert.equal(await sha256Tree(path.join(output, 'image.bin')), await sha256Tree(set.path));
});

test('we find a peer that libtorrent announces in the DHT', async (t) => {
  if (await requirePrograms(t, [DEBIAN_PYTHON])) return;
  const scope = openScope(t);
  const first = await startEngine(scope, { dht: {} });
  const { port } = first.stats().dht!;
  const set = await fileSet(scope, 300_000, { pieceLengthBytes: 65_536 });
  await libtorrent(scope, 'seed', set, set.folder, port);
  await until('libtorrent has announced', DEADLINE_MS, () => first.stats().dht!.storedPeers > 0);
  const leech = await startEngine(scope, { dht: { nodes: [{ host: '127.0.0.1', port }] } });
  const output = await tempFolder(scope);
  await withDeadline(leech.add(set.metainfo, { output }).done, 'the download ends', DEADLINE_MS);
  assert.equal(await sha256Tree(path.join(output, 'image.bin')), await sha256Tree(set.path));
});

test('a libtorrent node alone is enough to begin with: it keeps what we announce and gives it to others', async (t) => {
  if (await requirePrograms(t, [DEBIAN_PYTHON])) return;
  const scope = openScope(t);
  // It joins by us, and we go: what is found later is found by its word alone.
  const helper = await startEngine(scope, { dht: {} });
  const other = await fileSet(scope, 70_000, { pieceLengthBytes: 65_536 });
  const child = await libtorrent(scope, 'seed', other, other.folder, helper.stats().dht!.port);
  const ready = JSON.parse(await child.line('its DHT is there', DEADLINE_MS, isEvent('ready'))) as { port: number };
  await helper.close();
  const nodes = [{ host: '127.0.0.1', port: ready.port }];
  const set = await fileSet(scope, 300_001, { pieceLengthBytes: 65_536 });
  await startSeed(scope, set, { dht: { nodes } });
  const leech = await startEngine(scope, { dht: { nodes, readOnly: true } });
  const output = await tempFolder(scope);
  await withDeadline(leech.add(set.metainfo, { output }).done, 'the download ends', DEADLINE_MS);
  assert.equal(await sha256Tree(path.join(output, 'image.bin')), await sha256Tree(set.path));
});

/** Transmission and rtorrent fetch one artifact with the .torrent that a depot gives: of the bytes that it has now. */
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { ForeignClient } from '../../lab/clients/client.js';
import { transmission } from '../../lab/clients/transmission.js';
import { openNamespace } from '../../lab/namespace.js';
import { openScope, type Scope } from '../../lab/scope.js';
import { tempFolder } from '../../lab/temp.js';
import { parseTorrent, withTrackers } from '../../src/metainfo/torrent.js';
import { rtorrent } from '../support/clients/rtorrent.js';
import { requireClients } from '../support/requirements.js';
import { get, put } from './agent-harness.js';
import { bytesOf, MIB } from './depot-kit.js';
import { depotWith } from './folders/folder-scene.js';
import { quickFolder } from './quick-folder.js';

const BYTES = bytesOf(5 * MIB + 3);
const NAME = 'ci/42/disk image #1.raw';
const FILE = 'disk image #1.raw';

/** @param change of the .torrent before the client sees it. @returns bytes that peers of the depot had from it */
async function fetchBy(scope: Scope, client: ForeignClient, change = (torrent: Buffer): Buffer => torrent) {
  const namespace = client.needsNamespace ? await openNamespace(scope) : undefined;
  const data = join(await quickFolder(scope), 'depot');
  const first = await depotWith(scope, { data });
  await put(first.url, encodeURI(NAME).replace('#', '%23'), BYTES);
  await first.close(0);
  // Beyond loopback nobody publishes without a token.
  const host = namespace?.hostAddress ?? '127.0.0.1';
  const depot = await depotWith(scope, { data, host, anonymous: 'read' });
  const { status, bytes } = await get(depot.url, `artifacts/${encodeURI(NAME).replace('#', '%23')}?torrent`);
  assert.equal(status, 200);
  const folder = await tempFolder(scope);
  const torrentFile = join(folder, 'a.torrent');
  await writeFile(torrentFile, change(bytes));
  await client.download(scope, { torrentFile, folder, tracker: `${depot.url}/announce`, namespace });
  assert.equal((await readFile(join(folder, FILE))).compare(BYTES), 0);
  return (await depot.stats()).uploadedBytes;
}

/** What it has is what peers gave. */
function withoutWebSeeds(torrent: Buffer): Buffer {
  assert.equal(parseTorrent(torrent).webSeeds.length, 1);
  const bare = withTrackers(torrent, parseTorrent(torrent).trackers, []);
  assert.equal(parseTorrent(bare).webSeeds.length, 0);
  return bare;
}

test('rtorrent, which knows no web seeds, fetches a blob from the swarm alone', async (t: TestContext) => {
  if (await requireClients(t, [rtorrent])) return;
  assert.ok((await fetchBy(openScope(t), rtorrent)) >= BYTES.length);
});

test('transmission fetches a blob with the .torrent as it is', async (t: TestContext) => {
  if (await requireClients(t, [transmission])) return;
  await fetchBy(openScope(t), transmission);
});

test('transmission fetches a blob from the swarm alone', async (t: TestContext) => {
  if (await requireClients(t, [transmission])) return;
  assert.ok((await fetchBy(openScope(t), transmission, withoutWebSeeds)) >= BYTES.length);
});

/**
 * Some files of a torrent, both ways: a foreign seed gives us a selection, and we, with that selection alone, give it
 * to a foreign leech that wants the same files. Every border lies inside a piece.
 */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { aria2 } from '../../lab/clients/aria2.js';
import type { ForeignClient } from '../../lab/clients/client.js';
import { writeTree } from '../../lab/data.js';
import { openScope } from '../../lab/scope.js';
import { tempFolder } from '../../lab/temp.js';
import { startTestTracker } from '../../lab/tracker.js';
import { sha256File } from '../../lab/tree.js';
import { withDeadline } from '../../lab/wait.js';
import type { FilePriorities } from '../../src/metainfo/selection.js';
import { parseTorrent } from '../../src/metainfo/torrent.js';
import { libtorrent } from '../support/clients/libtorrent.js';
import { startEngine } from '../support/engines.js';
import { requireClients } from '../support/requirements.js';
import { mktorrent } from '../support/torrents.js';

const KIB = 1024;
const PIECE_BYTES = 64 * KIB;
const DEADLINE_MS = 60_000;
const FILES = [
  { path: 'before.bin', lengthBytes: 700_001 },
  { path: 'docs/wanted.bin', lengthBytes: 900_003 },
  { path: 'next/after.bin', lengthBytes: 800_007 },
];
const WANTED = 'docs/wanted.bin';
const only: FilePriorities = ({ path: parts }) => (parts.at(-1) === 'wanted.bin' ? 'normal' : 'skip');

async function bothWays(t: TestContext, client: ForeignClient): Promise<void> {
  const scope = openScope(t);
  const [source, ours, theirs] = [await tempFolder(scope), await tempFolder(scope), await tempFolder(scope)];
  await writeTree(path.join(source, 'tree'), FILES, 'selection');
  const tracker = await startTestTracker(scope);
  const torrentFile = path.join(source, 'tree.torrent');
  const options = { announce: tracker.url(), pieceLengthBytes: PIECE_BYTES };
  await mktorrent(scope, path.join(source, 'tree'), torrentFile, options);
  const metainfo = parseTorrent(await readFile(torrentFile));
  const wanted = metainfo.files.findIndex(({ path: parts }) => parts.at(-1) === 'wanted.bin');

  const seed = await client.seed(scope, { torrentFile, folder: source, tracker: tracker.url() });
  const engine = await startEngine(scope);
  const torrent = engine.add(metainfo, { output: ours, trackers: [], peers: [seed], priorities: only });
  await withDeadline(torrent.done, `our selection from ${client.name}`, DEADLINE_MS);
  const { wantedBytes, wantedPieces, corruptBytes } = torrent.stats();
  assert.ok(wantedPieces > 14 && wantedBytes > FILES[1]!.lengthBytes && corruptBytes === 0);
  const expected = await sha256File(path.join(source, 'tree', WANTED));
  assert.equal(await sha256File(path.join(ours, 'tree', WANTED)), expected);
  assert.ok(!existsSync(path.join(ours, 'tree/before.bin')) && !existsSync(path.join(ours, 'tree/next')));

  // We alone are known to the leech: whatever it gets, the border pieces too, is from our selection.
  tracker.pinned.push({ host: '127.0.0.1', port: engine.port! });
  const job = { torrentFile, folder: theirs, tracker: tracker.url(), onlyFiles: [wanted], timeoutMs: DEADLINE_MS };
  await client.download(scope, job);
  assert.equal(await sha256File(path.join(theirs, 'tree', WANTED)), expected);
  assert.ok(torrent.stats().uploadedBytes >= wantedBytes, `${torrent.stats().uploadedBytes} of ${wantedBytes} sent`);
}

describe('a selection', { concurrency: 2 }, () => {
  for (const client of [libtorrent, aria2]) {
    test(`comes from ${client.name} and goes on to ${client.name}, border pieces included`, async (t) => {
      if (await requireClients(t, [client])) return;
      await bothWays(t, client);
    });
  }
});

/**
 * Metadata between foreign clients and us (BEP 9), both ways: each gets a magnet link alone and downloads from our
 * seed, and each seeds to an engine of ours that has a link alone.
 */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import type { ForeignClient } from '../../lab/clients/client.js';
import { openNamespace } from '../../lab/namespace.js';
import { openScope } from '../../lab/scope.js';
import { tempFolder } from '../../lab/temp.js';
import { startTestTracker } from '../../lab/tracker.js';
import { readTree } from '../../lab/tree.js';
import { withDeadline } from '../../lab/wait.js';
import { createEngine, formatMagnet } from '../../src/index.js';
import { FOREIGN_CLIENTS } from '../support/clients/all.js';
import { type DataSet, fileSet } from '../support/engines.js';
import { requireClients } from '../support/requirements.js';

const TIMEOUT_MS = 90_000;
const PIECE_BYTES = 16 * 1024;
/** The info dictionary has three pieces. */
const LENGTH_BYTES = 2000 * PIECE_BYTES - 7;

async function isSame(set: DataSet, folder: string): Promise<void> {
  assert.deepEqual(await readTree(path.join(folder, 'image.bin')), await readTree(set.path));
}

async function stage(t: TestContext, client: ForeignClient) {
  const scope = openScope(t);
  const namespace = client.needsNamespace ? await openNamespace(scope) : undefined;
  const tracker = await startTestTracker(scope);
  const set = await fileSet(scope, LENGTH_BYTES, { pieceLengthBytes: PIECE_BYTES });
  const engine = await createEngine({ port: 0, threads: 1 });
  scope.defer(() => engine.close());
  return { scope, namespace, tracker, set, engine, trackerUrl: tracker.url(namespace?.hostAddress) };
}

async function getsOfUs(t: TestContext, client: ForeignClient): Promise<void> {
  const { scope, namespace, tracker, set, engine, trackerUrl } = await stage(t, client);
  await engine.add(set.metainfo, { output: set.folder, mode: 'seed', trustData: true, trackers: [] }).done;
  tracker.pinned.push({ host: namespace?.hostAddress ?? '127.0.0.1', port: engine.port! });
  const folder = await tempFolder(scope);
  const link = formatMagnet({ infoHash: set.metainfo.infoHash, displayName: 'hint', trackers: [trackerUrl] });
  await client.download(scope, { torrentFile: link, folder, tracker: trackerUrl, namespace, timeoutMs: TIMEOUT_MS });
  await isSame(set, folder);
}

async function givesToUs(t: TestContext, client: ForeignClient): Promise<void> {
  const { scope, namespace, set, engine, trackerUrl } = await stage(t, client);
  const torrentFile = path.join(await tempFolder(scope), 'image.torrent');
  await writeFile(torrentFile, set.torrent);
  const address = await client.seed(scope, { torrentFile, folder: set.folder, tracker: trackerUrl, namespace });
  const output = await tempFolder(scope);
  const magnet = engine.add(formatMagnet({ infoHash: set.metainfo.infoHash, peers: [address] }), { output });
  await withDeadline(magnet.done, `our download from ${client.name}`, TIMEOUT_MS).catch((error: Error) => {
    throw new Error(`${error.message}\n${JSON.stringify([magnet.stats(), magnet.sources()])}`);
  });
  await isSame(set, output);
}

/** Transmission spends its time waiting for its own rounds: let others run meanwhile. */
describe('foreign clients and magnet links', { concurrency: 2 }, () => {
  for (const client of FOREIGN_CLIENTS) {
    test(`${client.name} gets metadata and data of a Swarmhaul seed`, async (t) => {
      if (!(await requireClients(t, [client], []))) await getsOfUs(t, client);
    });
    test(`${client.name} gives metadata and data to a Swarmhaul leech`, async (t) => {
      if (!(await requireClients(t, [client], []))) await givesToUs(t, client);
    });
  }
});

/** Super-seeding (BEP 16) among clients: foreign leeches complete from our super-seed, and ours from libtorrent's. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { aria2 } from '../../lab/clients/aria2.js';
import type { ForeignClient } from '../../lab/clients/client.js';
import { openScope, type Scope } from '../../lab/scope.js';
import { tempFolder } from '../../lab/temp.js';
import { startTestTracker } from '../../lab/tracker.js';
import { readTree } from '../../lab/tree.js';
import { withDeadline } from '../../lab/wait.js';
import { DEBIAN_PYTHON, libtorrent, superSeed } from '../support/clients/libtorrent.js';
import { type DataSet, fileSet, startEngine } from '../support/engines.js';
import { requireClients, requirePrograms } from '../support/requirements.js';

const MIB = 1024 * 1024;
const TIMEOUT_MS = 60_000;

interface Scene {
  readonly set: DataSet;
  readonly torrentFile: string;
}

async function makeScene(scope: Scope): Promise<Scene> {
  const set = await fileSet(scope, 8 * MIB + 4_321, { pieceLengthBytes: 128 * 1024 });
  const torrentFile = path.join(await tempFolder(scope), 'image.torrent');
  await writeFile(torrentFile, set.torrent);
  return { set, torrentFile };
}

async function leechesComplete(t: TestContext, clients: readonly ForeignClient[]): Promise<void> {
  const scope = openScope(t);
  const { set, torrentFile } = await makeScene(scope);
  const tracker = await startTestTracker(scope);
  const engine = await startEngine(scope);
  const options = { output: set.folder, mode: 'seed', trustData: true, trackers: [], superSeeding: true } as const;
  const torrent = engine.add(set.metainfo, options);
  await torrent.done;
  tracker.pinned.push({ host: '127.0.0.1', port: engine.port! });
  const original = await readTree(set.path);
  await Promise.all(
    clients.map(async (client) => {
      const folder = await tempFolder(scope);
      await client.download(scope, { torrentFile, folder, tracker: tracker.url(), timeoutMs: TIMEOUT_MS });
      assert.deepEqual(await readTree(path.join(folder, 'image.bin')), original);
    }),
  );
  const { uploadedBytes, lengthBytes } = torrent.stats();
  assert.ok(uploadedBytes >= lengthBytes, `${uploadedBytes} of ${lengthBytes} bytes left`);
}

/** Each waits for the other's rounds: let them run side by side. */
describe('super-seeding', { concurrency: 4 }, () => {
  for (const clients of [[libtorrent], [aria2], [libtorrent, aria2]]) {
    const names = clients.map((client) => client.name).join(' and ');
    test(`${names} complete${clients.length > 1 ? '' : 's'} from a Swarmhaul super-seed`, async (t) => {
      if (!(await requireClients(t, clients, []))) await leechesComplete(t, clients);
    });
  }

  test('a Swarmhaul leech completes from libtorrent in super-seeding mode', async (t) => {
    if (await requirePrograms(t, [DEBIAN_PYTHON])) return;
    const scope = openScope(t);
    const { set, torrentFile } = await makeScene(scope);
    const tracker = await startTestTracker(scope);
    const address = await superSeed(scope, { torrentFile, folder: set.folder, tracker: tracker.url() });
    const engine = await startEngine(scope);
    const torrent = engine.add(set.metainfo, { output: await tempFolder(scope), peers: [address], trackers: [] });
    await withDeadline(torrent.done, 'our download from a super-seed', TIMEOUT_MS);
    assert.deepEqual(await readTree(path.join(torrent.output, 'image.bin')), await readTree(set.path));
  });
});

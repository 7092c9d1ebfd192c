/** Who wants nothing any more (BEP 21), with libtorrent: it hears so of us, and we of it. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { type Child, startChild } from '../../lab/child.js';
import { freePort } from '../../lab/ports.js';
import { PACKAGE_ROOT } from '../../lab/root.js';
import { openScope, type Scope } from '../../lab/scope.js';
import { tempFolder } from '../../lab/temp.js';
import { until, withDeadline } from '../../lab/wait.js';
import type { Engine } from '../../src/api.js';
import { DEBIAN_PYTHON } from '../support/clients/libtorrent.js';
import { type DataSet, startEngine, startSeed, treeSet } from '../support/engines.js';
import { requirePrograms } from '../support/requirements.js';

const SCRIPT = path.join(PACKAGE_ROOT, 'test/interop/lt_peer.py');
const DEADLINE_MS = 60_000;

const twoFiles = (scope: Scope): Promise<DataSet> => {
  const files = ['a', 'b'].map((name) => ({ path: `${name}.bin`, lengthBytes: 8 * 65_536 }));
  return treeSet(scope, files, { pieceLengthBytes: 65_536 });
};

async function libtorrent(
  scope: Scope,
  set: DataSet,
  peer: Engine,
  ...flags: string[]
): Promise<{ child: Child; port: number }> {
  const torrentFile = path.join(await tempFolder(scope), 'a.torrent');
  await writeFile(torrentFile, set.torrent);
  const port = await freePort('127.0.0.1');
  const args = [SCRIPT, 'get', torrentFile, await tempFolder(scope), '--host', '127.0.0.1', '--port', `${port}`];
  const all = [...args, '--peer', `127.0.0.1:${peer.port}`, '--stay', ...flags];
  return { child: startChild(scope, DEBIAN_PYTHON, all), port };
}

test('libtorrent hears that we have all we want, also when it was connected before', async (t) => {
  if (await requirePrograms(t, [DEBIAN_PYTHON])) return;
  const scope = openScope(t);
  const set = await twoFiles(scope);
  const seed = await startSeed(scope, set);
  // Nobody else tells the seed of libtorrent, or it would be complete.
  const engine = await startEngine(scope, { uploadBytesPerSec: 1_000, pex: false });
  const torrent = engine.add(set.metainfo, {
    output: await tempFolder(scope),
    trackers: [],
    // The other file is never here: to libtorrent we are no seed.
    priorities: ({ path: parts }) => (parts.at(-1) === 'a.bin' ? 'normal' : 'skip'),
  });
  await until('it takes peers', DEADLINE_MS, () => torrent.state === 'downloading');
  const { child } = await libtorrent(scope, set, engine);
  await child.line('it is connected', DEADLINE_MS, (line) => /"peers": 1, "upload_only": 0/.test(line));
  torrent.addPeer('127.0.0.1', seed.port!);
  await withDeadline(torrent.done, 'the download ends', DEADLINE_MS);
  await child.line('it has heard', DEADLINE_MS, (line) => /"peers": 1, "upload_only": 1/.test(line));
});

test('a seed lets libtorrent go when it has all it wants', async (t) => {
  if (await requirePrograms(t, [DEBIAN_PYTHON])) return;
  const scope = openScope(t);
  const set = await twoFiles(scope);
  const seed = await startSeed(scope, set);
  const { child, port } = await libtorrent(scope, set, seed, '--only', '0');
  await child.line('it has its file', DEADLINE_MS, (line) => line.startsWith('{"event": "done"'));
  // libtorrent 2.0.8 says so with its handshake only, so to whom it meets now.
  const other = await startSeed(scope, set);
  const torrent = other.torrents[0]!;
  const partings: string[] = [];
  torrent.on('peer', (_address, change, reason) => change === 'disconnected' && partings.push(reason));
  torrent.addPeer('127.0.0.1', port);
  await until('we part', DEADLINE_MS, () => partings.length > 0);
  assert.equal(partings[0], 'neither side needs the other');
});

/** Seeds whose bytes are not in files: whoever adds them reads them. */
import assert from 'node:assert/strict';
import { open, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { openScope, type Scope } from '../../lab/scope.js';
import { tempFolder } from '../../lab/temp.js';
import { until, withDeadline } from '../../lab/wait.js';
import type { ContentSource, Engine, Torrent } from '../../src/api.js';
import { HaulError } from '../../src/errors.js';
import { type DataSet, fileSet, startEngine, treeSet } from '../support/engines.js';

const DEADLINE_MS = 30_000;
const KIB = 1024;

/** Its files, as somebody else would have them. */
function sourceOf({ folder, metainfo }: DataSet): ContentSource {
  return {
    read: async (file, beginBytes, target) => {
      const handle = await open(join(folder, ...metainfo.files[file]!.path));
      try {
        const { bytesRead } = await handle.read(target, 0, target.length, beginBytes);
        assert.equal(bytesRead, target.length);
      } finally {
        await handle.close();
      }
    },
  };
}

function seedFrom(engine: Engine, { torrent }: DataSet, source: ContentSource): Torrent {
  const own = { trackers: [], webSeeds: [], mode: 'seed', trustData: true } as const;
  return engine.add(torrent, { output: 'nowhere', source, ...own });
}

async function fetchFrom(scope: Scope, seed: Engine, { torrent }: DataSet): Promise<string> {
  const leech = await startEngine(scope);
  const output = await tempFolder(scope);
  const download = leech.add(torrent, { output, trackers: [], peers: [{ host: '127.0.0.1', port: seed.port! }] });
  await withDeadline(download.done, 'the download', DEADLINE_MS);
  return output;
}

test('a file and a tree come from a source, and nothing of them is on disk', async (t) => {
  const scope = openScope(t);
  const files = [
    { path: 'a', lengthBytes: 300 * KIB },
    { path: 'empty', lengthBytes: 0 },
    { path: 'sub/b', lengthBytes: 1 },
    { path: 'z', lengthBytes: 900 * KIB + 7 },
  ];
  const sets = [
    await fileSet(scope, 3000 * KIB + 5, { pieceLengthBytes: 64 * KIB }),
    await treeSet(scope, files, { pieceLengthBytes: 32 * KIB }),
    await treeSet(scope, files, { pieceLengthBytes: 2048 * KIB }),
  ];
  for (const set of sets) {
    const engine = await startEngine(scope);
    const seed = seedFrom(engine, set, sourceOf(set));
    const output = await fetchFrom(scope, engine, set);
    for (const { path, isPad } of set.metainfo.files)
      if (!isPad) assert.ok((await readFile(join(output, ...path))).equals(await readFile(join(set.folder, ...path))));
    await assert.rejects(stat('nowhere'));
    assert.equal(seed.stats().uploadedBytes, set.metainfo.geometry.lengthBytes);
  }
});

test('a source that the network keeps away is waited for', async (t) => {
  const scope = openScope(t);
  const set = await fileSet(scope, 500 * KIB);
  const engine = await startEngine(scope);
  let failures = 0;
  const { read } = sourceOf(set);
  seedFrom(engine, set, {
    read: (...range) =>
      failures++ < 1 ? Promise.reject(new HaulError('NETWORK', 'it does not answer')) : read(...range),
  });
  await fetchFrom(scope, engine, set);
  assert.ok(failures > 1);
});

test('a source that fails for good ends the torrent, with what it said', async (t) => {
  const scope = openScope(t);
  const set = await fileSet(scope, 500 * KIB);
  const engine = await startEngine(scope);
  const seed = seedFrom(engine, set, { read: () => Promise.reject(new HaulError('BAD_DATA', 'it was changed')) });
  seed.done.catch(() => {});
  const leech = await startEngine(scope);
  const peers = [{ host: '127.0.0.1', port: engine.port! }];
  leech.add(set.torrent, { output: await tempFolder(scope), trackers: [], peers });
  await until('the seed has failed', DEADLINE_MS, () => seed.stats().state === 'failed');
  assert.equal(seed.error?.code, 'BAD_DATA');
});

test('a source that hangs holds up no end', async (t) => {
  const scope = openScope(t);
  const set = await fileSet(scope, 500 * KIB);
  const engine = await startEngine(scope);
  let reads = 0;
  const hang: ContentSource['read'] = (_file, _begin, _target, signal) => {
    reads++;
    return new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Error('gone'))));
  };
  const seed = seedFrom(engine, set, { read: hang });
  const leech = await startEngine(scope);
  const peers = [{ host: '127.0.0.1', port: engine.port! }];
  leech.add(set.torrent, { output: await tempFolder(scope), trackers: [], peers });
  await until('it is read', DEADLINE_MS, () => reads > 0);
  await withDeadline(engine.remove(seed), 'its end', DEADLINE_MS);
});

test('a source is for seeds that are trusted, and reads', async (t) => {
  const scope = openScope(t);
  const set = await fileSet(scope, 50 * KIB);
  const engine = await startEngine(scope);
  const source = sourceOf(set);
  for (const options of [
    { source },
    { source, mode: 'seed' },
    { source, mode: 'download', trustData: true },
    { source: {}, mode: 'seed', trustData: true },
    { source: 7, mode: 'seed', trustData: true },
  ])
    assert.throws(
      () => engine.add(set.torrent, { output: 'nowhere', ...(options as { source: ContentSource }) }),
      (error) => HaulError.is(error) && error.code === 'BAD_ARGUMENT' && /source/.test(error.message),
    );
  const seed = seedFrom(engine, set, source);
  await withDeadline(seed.done, 'the seed', DEADLINE_MS);
  await assert.rejects(seed.moveData(await tempFolder(scope)), /seeded from a source/);
  await withDeadline(seed.recheck(), 'the check', DEADLINE_MS);
});

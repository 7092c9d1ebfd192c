import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';
import { AWKWARD_FILES } from '../../lab/data.js';
import { openScope, type Scope } from '../../lab/scope.js';
import { tempFolder } from '../../lab/temp.js';
import { readTree } from '../../lab/tree.js';
import type { Engine } from '../../src/api.js';
import type { StorageKind } from '../../src/storage/port.js';
import { type DataSet, fileSet, startEngine, startSeed, treeSet } from '../support/engines.js';

const MIB = 1024 * 1024;

async function fetch(
  scope: Scope,
  set: DataSet,
  seed: Engine,
  storage: StorageKind | 'auto' = 'auto',
): Promise<string> {
  const output = await tempFolder(scope);
  const engine = await startEngine(scope, { storage });
  const peers = [{ host: '127.0.0.1', port: seed.port! }];
  await engine.add(set.metainfo, { output, peers, trackers: [] }).done;
  await engine.close();
  return path.join(output, set.metainfo.name);
}

for (const storage of ['mapped', 'positional'] as const) {
  test(`a file of many pieces arrives whole over ${storage} storage on both sides`, async (t) => {
    const scope = openScope(t);
    const set = await fileSet(scope, 24 * MIB + 12_345, { pieceLengthBytes: 256 * 1024 });
    const seed = await startSeed(scope, set, { storage });
    const copy = await fetch(scope, set, seed, storage);
    assert.deepEqual(await readTree(copy), await readTree(set.path));
  });

  test(`a tree with empty files, unicode names and an executable arrives whole over ${storage} storage`, async (t) => {
    const scope = openScope(t);
    const files = [...AWKWARD_FILES, { path: 'large.bin', lengthBytes: 3 * MIB + 7 }];
    const set = await treeSet(scope, files, { pieceLengthBytes: 64 * 1024 });
    const seed = await startSeed(scope, set, { storage });
    const copy = await fetch(scope, set, seed, storage);
    assert.deepEqual(await readTree(copy), await readTree(set.path));
  });
}

test('a torrent of one byte arrives', async (t) => {
  const scope = openScope(t);
  const set = await fileSet(scope, 1);
  const copy = await fetch(scope, set, await startSeed(scope, set));
  assert.deepEqual(await readTree(copy), await readTree(set.path));
});

test('leeches that know each other finish from a seed that serves one of them at a time', async (t) => {
  const scope = openScope(t);
  const set = await fileSet(scope, 8 * MIB, { pieceLengthBytes: 64 * 1024 });
  const seed = await startSeed(scope, set, { uploadSlots: 1 });
  const leeches = await Promise.all(Array.from({ length: 4 }, () => startEngine(scope)));
  const ports = [seed.port!, ...leeches.map((leech) => leech.port!)];
  const torrents = await Promise.all(
    leeches.map(async (leech) => {
      const peers = ports.filter((port) => port !== leech.port).map((port) => ({ host: '127.0.0.1', port }));
      return leech.add(set.metainfo, { output: await tempFolder(scope), peers, trackers: [] });
    }),
  );
  await Promise.all(torrents.map((torrent) => torrent.done));
  const original = await readTree(set.path);
  for (const torrent of torrents) assert.deepEqual(await readTree(path.join(torrent.output, 'image.bin')), original);
});

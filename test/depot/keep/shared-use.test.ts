import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Torrent } from '../../../src/api.js';
import { isUsedElsewhere, tellUse, USE_TOLD_MS } from '../../../src/depot/keep/shared-use.js';
import { ADD, rowOf } from '../catalogue-conformance.js';
import { MemoryCatalogue } from '../memory-catalogue.js';

const NOW = 1_800_000_000_000;
const HASH = 'ab'.repeat(20);

test('what is read or awake at one depot is in use for others, as long as it is told and a while after', async () => {
  const catalogue = new MemoryCatalogue();
  await catalogue.put(rowOf('artifacts/read', 'a', { usedMs: 5 }), ADD);
  await catalogue.put(rowOf('artifacts/awake', 'b', { usedMs: 5, infoHash: HASH }), ADD);
  await catalogue.put(rowOf('artifacts/dist/member', 'd', { usedMs: 5 }), ADD);
  await catalogue.put(rowOf('artifacts/other', 'c', { usedMs: 5 }), ADD);
  const folders = {
    namesInUse: function* () {
      yield 'artifacts/dist/member';
    },
  };
  const awake = { metainfo: { infoHashHex: HASH } } as Torrent;
  const gone = { metainfo: { infoHashHex: 'cd'.repeat(20) } } as Torrent;
  const parts = { catalogue, engine: { torrents: [awake, gone] }, folders };
  await tellUse(parts, ['artifacts/read', 'artifacts/removed'], NOW);
  const isUsed = async (name: string, atMs: number): Promise<boolean> =>
    isUsedElsewhere((await catalogue.get(`artifacts/${name}`))!.usedMs, atMs);
  for (const name of ['read', 'awake', 'dist/member']) {
    assert.equal(await isUsed(name, NOW + 3 * USE_TOLD_MS), true);
    assert.equal(await isUsed(name, NOW + 4 * USE_TOLD_MS), false);
    assert.equal(await isUsed(name, NOW - USE_TOLD_MS), true, 'clocks differ a little');
  }
  assert.equal(await isUsed('other', NOW), false);
});

test('a use that is years ahead is of a wrong clock, and a catalogue that is away is no failure', async () => {
  assert.equal(isUsedElsewhere(NOW * 2, NOW), false);
  const away = { byInfoHash: async () => null, touch: () => Promise.reject(new Error('away')) };
  const folders = { namesInUse: function* () {} };
  await tellUse({ catalogue: away, engine: { torrents: [] }, folders }, ['artifacts/x'], NOW);
});

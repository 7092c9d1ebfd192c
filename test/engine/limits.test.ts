import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';
import { openScope } from '../../lab/scope.js';
import { tempFolder } from '../../lab/temp.js';
import { readTree } from '../../lab/tree.js';
import { withDeadline } from '../../lab/wait.js';
import { HaulError } from '../../src/errors.js';
import { fileSet, startEngine, startSeed } from '../support/engines.js';

const MIB = 2 ** 20;
const DEADLINE_MS = 30_000;

for (const side of ['download', 'upload'] as const) {
  test(`a download under a ${side} limit arrives whole, and not before the limit allows`, async (t) => {
    const scope = openScope(t);
    const set = await fileSet(scope, 12 * MIB, { pieceLengthBytes: 256 * 1024 });
    const bytesPerSec = 10e6;
    const seed = await startSeed(scope, set, side === 'upload' ? { uploadBytesPerSec: bytesPerSec } : {});
    const leech = await startEngine(scope, side === 'download' ? { downloadBytesPerSec: bytesPerSec } : {});
    const startMs = performance.now();
    const peers = [{ host: '127.0.0.1', port: seed.port! }];
    const torrent = leech.add(set.metainfo, { output: await tempFolder(scope), peers, trackers: [] });
    await withDeadline(torrent.done, 'the download ends', DEADLINE_MS);
    const seconds = (performance.now() - startMs) / 1000;
    assert.deepEqual(await readTree(path.join(torrent.output, 'image.bin')), await readTree(set.path));
    // A lower bound only: a busy machine is slower, never faster. One read, one burst and the socket buffers come free.
    assert.ok(seconds > ((12 - 4) * MIB) / bytesPerSec, `${seconds} s`);
  });
}

test('a limit of one torrent leaves another of the same engine alone', async (t) => {
  const scope = openScope(t);
  const slow = await fileSet(scope, 16 * MIB, { pieceLengthBytes: 256 * 1024 });
  const fast = await fileSet(scope, 16 * MIB, { pieceLengthBytes: 128 * 1024 });
  const seeds = [await startSeed(scope, slow), await startSeed(scope, fast)];
  const leech = await startEngine(scope);
  const peersOf = (index: number) => [{ host: '127.0.0.1', port: seeds[index]!.port! }];
  const limits = { downloadBytesPerSec: 1e6, trackers: [] };
  const held = leech.add(slow.metainfo, { output: await tempFolder(scope), peers: peersOf(0), ...limits });
  const free = leech.add(fast.metainfo, { output: await tempFolder(scope), peers: peersOf(1), trackers: [] });
  await withDeadline(free.done, 'the free one ends', DEADLINE_MS);
  assert.equal(held.state, 'downloading');
});

test('a limit that is no rate is refused', async (t) => {
  const scope = openScope(t);
  for (const downloadBytesPerSec of [0, -1, Number.NaN, Number.POSITIVE_INFINITY]) {
    await assert.rejects(
      startEngine(scope, { downloadBytesPerSec }),
      (error: HaulError) => error instanceof HaulError && error.code === 'BAD_ARGUMENT',
    );
  }
});

/** Peer exchange (BEP 11) between engines: real sockets and files, no tracker. */
import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';
import { openScope, type Scope } from '../../lab/scope.js';
import { tempFolder } from '../../lab/temp.js';
import { sha256Tree } from '../../lab/tree.js';
import { until, withDeadline } from '../../lab/wait.js';
import type { Engine, Torrent } from '../../src/api.js';
import { type DataSet, fileSet, startEngine, startSeed } from '../support/engines.js';

const DEADLINE_MS = 30_000;
const at = (engine: Engine) => ({ host: '127.0.0.1', port: engine.port! });

/** Downloads slowly, so that it is there while others come. */
async function slowLeech(scope: Scope, set: DataSet, peer: Engine): Promise<[Engine, Torrent]> {
  const engine = await startEngine(scope);
  const output = await tempFolder(scope);
  return [engine, engine.add(set.metainfo, { output, peers: [at(peer)], trackers: [], downloadBytesPerSec: 50_000 })];
}

test('a peer that knows only one other finds a third by its word alone', async (t) => {
  const scope = openScope(t);
  const set = await fileSet(scope, 1_000_000, { pieceLengthBytes: 65_536 });
  const seed = await startSeed(scope, set);
  // The one in between has little: what comes, comes of the third.
  const [middle] = await slowLeech(scope, set, seed);
  const [, torrent] = await slowLeech(scope, set, middle);
  await until('the third is found', DEADLINE_MS, () => torrent.peers().some(({ isSeed }) => isSeed));
  torrent.setLimits({ downloadBytesPerSec: null });
  await withDeadline(torrent.done, 'the download ends', DEADLINE_MS);
  assert.equal(await sha256Tree(path.join(torrent.output, 'image.bin')), await sha256Tree(set.path));
});

test('in a private torrent nobody tells of others', async (t) => {
  const scope = openScope(t);
  const set = await fileSet(scope, 1_000_000, { pieceLengthBytes: 65_536, isPrivate: true });
  assert.equal(set.metainfo.isPrivate, true);
  const seed = await startSeed(scope, set);
  const [, first] = await slowLeech(scope, set, seed);
  const [, second] = await slowLeech(scope, set, seed);
  await until('both download', DEADLINE_MS, () =>
    [first, second].every((torrent) => torrent.stats().downloadedBytes > 100_000),
  );
  assert.deepEqual([first.stats().knownAddresses, second.stats().knownAddresses], [1, 1]);
});

test('an engine that exchanges no peers neither offers it, nor tells, nor hears', async (t) => {
  const scope = openScope(t);
  const set = await fileSet(scope, 1_000_000, { pieceLengthBytes: 65_536 });
  const seed = await startSeed(scope, set);
  const middle = await startEngine(scope, { pex: false });
  const options = { peers: [at(seed)], trackers: [], downloadBytesPerSec: 50_000 };
  const between = middle.add(set.metainfo, { output: await tempFolder(scope), ...options });
  const [, torrent] = await slowLeech(scope, set, middle);
  // It knows the one in between only, which says nothing of the seed; what is said to that one it does not hear.
  await until('both download', DEADLINE_MS, () =>
    [between, torrent].every((each) => each.stats().downloadedBytes > 100_000),
  );
  assert.deepEqual([between.stats().knownAddresses, torrent.stats().knownAddresses], [1, 1]);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openScope } from '../../lab/scope.js';
import { tempFolder } from '../../lab/temp.js';
import { until } from '../../lab/wait.js';
import { announceHttp } from '../../src/discovery/http-tracker.js';
import { HaulError } from '../../src/errors.js';
import { startTracker } from '../../src/tracker/server.js';
import { fileSet, startEngine } from '../support/engines.js';

const DEADLINE_MS = 30_000;

test('an engine that says where it is learns of its neighbours and of few others', async (t) => {
  const scope = openScope(t);
  const set = await fileSet(scope, 100_000);
  const tracker = await startTracker({ port: 0, host: '127.0.0.1' });
  scope.defer(() => tracker.close());
  const url = `${tracker.url('127.0.0.1')}/announce`;
  const { infoHash } = set.metainfo;
  const bytes = { uploadedBytes: 0, downloadedBytes: 0, leftBytes: 1, numwant: 0 };
  // Nobody listens there: the addresses are known, and remembered when they do not answer.
  for (let port = 1; port <= 60; port++) {
    const peerId = Buffer.from(`-XX0001-${String(port).padStart(12, '0')}`);
    await announceHttp(url, { infoHash, peerId, port, ...bytes, zone: port <= 20 ? 'eu-1/rack7' : 'eu-2' });
  }
  const known = async (zone: string | undefined): Promise<number> => {
    const engine = await startEngine(scope, { port: false, ...(zone === undefined ? {} : { zone }) });
    const torrent = engine.add(set.metainfo, { output: await tempFolder(scope), trackers: [[url]] });
    return until('the tracker answered', DEADLINE_MS, () => torrent.stats().knownAddresses || undefined);
  };
  assert.equal(await known('eu-1/rack7'), 23);
  assert.equal(await known(undefined), 50);
});

test('a zone that is none is refused', async (t) => {
  const scope = openScope(t);
  for (const zone of ['', 'a b', 'a/b/c/d/e', 'x'.repeat(65)]) {
    await assert.rejects(
      startEngine(scope, { zone }),
      (error: HaulError) =>
        error instanceof HaulError && error.code === 'BAD_ARGUMENT' && /^zone must/.test(error.message),
    );
  }
});

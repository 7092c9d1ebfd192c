/** Torrents whose trackers are UDP: two engines find each other by one, and a dead one gives way to the next tier. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { freePort } from '../../lab/ports.js';
import { openScope } from '../../lab/scope.js';
import { tempFolder } from '../../lab/temp.js';
import { until, withDeadline } from '../../lab/wait.js';
import { CONNECTION_ID, int32s, replyTo, udpStandIn } from '../discovery/udp-stand-in.js';
import { fileSet, startEngine } from '../support/engines.js';

const DEADLINE_MS = 20_000;

test('a download finds its seed by a UDP tracker in the second tier', async (t) => {
  const scope = openScope(t);
  const set = await fileSet(scope, 100_000, { pieceLengthBytes: 32 * 1024 });
  const ports: number[] = [];
  const tracker = await udpStandIn(t, (request) => {
    if (request.readUInt32BE(8) === 0) return replyTo(request, 0, CONNECTION_ID);
    const port = request.readUInt16BE(96);
    const peers = Buffer.concat(ports.map((other) => Buffer.from([127, 0, 0, 1, other >> 8, other & 255])));
    if (!ports.includes(port)) ports.push(port);
    return replyTo(request, 1, Buffer.concat([int32s(60, 1, 1), peers]));
  });
  const dead = `udp://127.0.0.1:${await freePort('127.0.0.1')}`;
  const trackers = [[dead], [`${tracker.url}/announce`]];
  const [seedEngine, leechEngine] = [await startEngine(scope), await startEngine(scope)];
  const seed = seedEngine.add(set.metainfo, { output: set.folder, mode: 'seed', trackers });
  await withDeadline(seed.done, 'the seed', DEADLINE_MS);
  await until('it has announced', DEADLINE_MS, () => ports.length === 1);
  const leech = leechEngine.add(set.metainfo, { output: await tempFolder(scope), trackers });
  await withDeadline(leech.done, 'the download', DEADLINE_MS);
  const reports = leech.sources().trackers.map(({ outcome }) => outcome);
  assert.deepEqual(reports.sort(), ['failure', 'ok']);
});

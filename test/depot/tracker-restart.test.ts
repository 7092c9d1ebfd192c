/**
 * A depot's table of peers is soft: whole again within one announce interval after a restart. Real engines announce to
 * a depot that is killed and comes back; their clock is set forward, as their intervals are half a minute and more.
 */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type Child, startChild } from '../../lab/child.js';
import { freePort } from '../../lab/ports.js';
import { openScope, type Scope } from '../../lab/scope.js';
import { until } from '../../lab/wait.js';
import type { AnnounceReply } from '../../src/discovery/announce.js';
import { announceHttp, scrapeHttp } from '../../src/discovery/http-tracker.js';
import type { Torrent } from '../../src/index.js';
import { parseTorrent } from '../../src/metainfo/torrent.js';
import { MAIN } from '../cli/harness.js';
import { startEngine } from '../support/engines.js';
import { get, put } from './agent-harness.js';
import { bytesOf, KIB } from './depot-kit.js';
import { quickFolder } from './quick-folder.js';

const START_MS = 60_000;
/** With every look. */
const STEP_MS = 1_000;
const SEEDS = 5;
const BYTES = bytesOf(300 * KIB);

class Clock {
  #aheadMs = 0;

  constructor(t: TestContext) {
    const now = performance.now.bind(performance);
    t.mock.method(performance, 'now', () => now() + this.#aheadMs);
  }

  step(): void {
    this.#aheadMs += STEP_MS;
  }
}

async function startDepot(scope: Scope, data: string, port: number): Promise<Child> {
  const words = [
    'depot',
    '--data',
    data,
    '--http',
    `127.0.0.1:${port}`,
    '--port',
    '0',
    '--torrent-from',
    '100000',
    '--json',
  ];
  const child = startChild(scope, process.execPath, [MAIN, ...words]);
  await child.line('it listens', START_MS, (line) => line.includes('"listening"'));
  return child;
}

test('a depot that was killed names every peer again within one announce interval', async (t) => {
  const scope = openScope(t);
  const [data, port] = [join(await quickFolder(scope), 'depot'), await freePort('127.0.0.1')];
  const url = `http://127.0.0.1:${port}`;
  const clock = new Clock(t);
  const depot = await startDepot(scope, data, port);
  await put(url, 'image.raw', BYTES);
  const torrent = (await get(url, 'artifacts/image.raw?torrent')).bytes;
  const { infoHash, infoHashHex, trackers } = parseTorrent(torrent);
  /** Asked by one that has no port: it is not kept. */
  const look = (): Promise<AnnounceReply> => {
    const figures = { port: 0, uploadedBytes: 0, downloadedBytes: 0, leftBytes: 1, numwant: 200 };
    return announceHttp(trackers[0]![0]!, { infoHash, peerId: Buffer.alloc(20, 'x'), ...figures });
  };
  const seen = async (): Promise<number[]> => {
    const { peers } = await look();
    return peers
      .map((peer) => peer.port)
      .filter((found) => ports.has(found))
      .sort();
  };
  const folder = await quickFolder(scope);
  await writeFile(join(folder, 'image.raw'), BYTES);
  const ports = new Set<number>();
  const torrents: Torrent[] = [];
  for (let seeds = 0; seeds < SEEDS; seeds++) {
    const engine = await startEngine(scope);
    torrents.push(engine.add(torrent, { output: folder, mode: 'seed', webSeeds: [] }));
    ports.add(engine.port!);
  }
  const all = [...ports].sort();
  const isWhole = async (): Promise<boolean> => {
    clock.step();
    return (await seen()).length === SEEDS;
  };
  await until('all are named', START_MS, isWhole);
  const { intervalMs } = await look();
  process.kill(depot.pid, 'SIGKILL');
  await depot.exited;
  await until('an announce failed', 10 * intervalMs!, () => {
    clock.step();
    return torrents.some((torrent) => torrent.sources().trackers[0]?.outcome === 'failure');
  });
  await startDepot(scope, data, port);
  assert.deepEqual(await seen(), [], 'its table was in memory alone');
  const backMs = performance.now();
  await until('the table is whole', 10 * intervalMs!, isWhole);
  const tookMs = performance.now() - backMs;
  t.diagnostic(`whole after ${Math.round(tookMs)} ms, interval ${intervalMs} ms`);
  assert.ok(tookMs <= intervalMs!, `${tookMs} ms of an interval of ${intervalMs}`);
  assert.deepEqual(await seen(), all);
  const counts = (await scrapeHttp(trackers[0]![0]!, [infoHash])).get(infoHashHex)!;
  assert.deepEqual([counts.complete, counts.incomplete], [SEEDS + 1, 0], 'all, and the depot');
});

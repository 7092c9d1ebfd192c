/** Three depots: blobs on S3, names in PostgreSQL, peers in Redis; any of them will do. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { freePort } from '../../lab/ports.js';
import { REDIS, startRedis } from '../../lab/redis.js';
import { MOTO, S3_KEYS, startAnyS3 } from '../../lab/s3-server.js';
import { openScope, type Scope } from '../../lab/scope.js';
import { tempFolder } from '../../lab/temp.js';
import { until, withDeadline } from '../../lab/wait.js';
import { startDepot } from '../../src/depot/depot.js';
import type { Depot } from '../../src/index.js';
import { parseTorrent } from '../../src/metainfo/torrent.js';
import { startEngine } from '../support/engines.js';
import { requirePrograms, skipWithout } from '../support/requirements.js';
import { bytesOf, MIB } from './depot-kit.js';
import { MISSING, postgresKit } from './postgres-kit.js';
import { quickFolder } from './quick-folder.js';

Object.assign(process.env, S3_KEYS);

const DEADLINE_MS = 60_000;
const SECRET = 'a-secret-of-the-runners';
const HEADERS = { authorization: `Bearer ${SECRET}` };
const LENGTH = 9 * MIB + 11;

const kit = postgresKit();
const suite = MISSING === null ? describe : describe.skip;
if (MISSING !== null) test('PostgreSQL', (t) => void skipWithout(t, MISSING));

async function threeDepots(scope: Scope, store: string, peers: string): Promise<[Depot, Depot, Depot]> {
  const catalogue = kit.freshUrl();
  const ports = [await freePort('127.0.0.1'), await freePort('127.0.0.1'), await freePort('127.0.0.1')];
  const otherDepots = ports.map((port) => `http://127.0.0.1:${port}`);
  const depots: Depot[] = [];
  for (const httpPort of ports) {
    const data = join(await quickFolder(scope), 'data');
    const common = { catalogue, store, peers, otherDepots, tokenLines: `${SECRET} read,write,delete` };
    const depot = await startDepot({ data, ...common, anonymous: 'none', httpPort, engine: { port: 0 } });
    scope.defer(() => depot.close(0));
    depots.push(depot);
  }
  return depots as [Depot, Depot, Depot];
}

async function get(depot: Depot, path: string): Promise<Buffer> {
  const answer = await fetch(`${depot.url}/artifacts/${path}`, { headers: HEADERS });
  assert.equal(answer.status, 200, path);
  return Buffer.from(await answer.arrayBuffer());
}

suite('several depots', () => {
  test('what one takes all give, and a fetch goes on when the depot that it began at is gone', async (t) => {
    const scope = openScope(t);
    if (await requirePrograms(t, [REDIS])) return;
    const s3 = await startAnyS3(scope);
    if (s3 === null) {
      await requirePrograms(t, [MOTO]);
      return;
    }
    const redis = await startRedis(scope);
    const [first, second, third] = await threeDepots(scope, s3.url('several'), redis.url);
    const bytes = bytesOf(LENGTH);
    const put = await fetch(`${first.url}/artifacts/ci/image.raw`, { method: 'PUT', headers: HEADERS, body: bytes });
    assert.equal(put.status, 201);
    for (const depot of [second, third]) assert.equal((await get(depot, 'ci/image.raw')).compare(bytes), 0);

    const torrent = await get(first, 'ci/image.raw?torrent');
    const { trackers, webSeeds, infoHash } = parseTorrent(torrent);
    assert.deepEqual(
      trackers.map(([url]) => url!.replace(/\/[^/]+\/announce$/, '')),
      [first, second, third].map(({ url }) => url),
    );
    assert.equal(webSeeds.length, 3);
    const magnet = String(await get(first, 'ci/image.raw?magnet'));
    for (const { url } of [second, third]) assert.ok(magnet.includes(encodeURIComponent(url)), url);

    // The one that gave the torrent is gone: its tracker, its web seed and its peer.
    await first.close(0);
    const leech = await startEngine(scope);
    const output = await tempFolder(scope);
    const download = leech.add(torrent, { output });
    await withDeadline(download.done, 'the download', DEADLINE_MS);
    assert.equal((await readFile(join(output, 'image.raw'))).compare(bytes), 0);
    // A passkey of the first is good at the others, and what one tracker heard the other tells.
    const key = infoHash
      .toString('latin1')
      .replace(/[\s\S]/g, (c) => `%${c.charCodeAt(0).toString(16).padStart(2, '0')}`);
    const scraped = async ([url]: readonly string[]): Promise<string> => {
      const answer = await fetch(`${url!.replace('/announce', '/scrape')}?info_hash=${key}`);
      return Buffer.from(await answer.arrayBuffer()).toString('latin1');
    };
    for (const tier of trackers.slice(1))
      await until('the leech is known there', DEADLINE_MS, async () => /8:completei[1-9]/.test(await scraped(tier)));

    const removed = await fetch(`${third.url}/artifacts/ci/image.raw`, { method: 'DELETE', headers: HEADERS });
    assert.equal(removed.status, 204);
    const gone = await fetch(`${second.url}/artifacts/ci/image.raw`, { headers: HEADERS });
    assert.equal(gone.status, 404);
  });
});

/** Depots of one store ask each other before they ask S3: what leaves the bucket is counted. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { MOTO, S3_KEYS, startMoto, startVersitygw, VERSITYGW } from '../../../lab/s3-server.js';
import { openScope, type Scope } from '../../../lab/scope.js';
import { until, withDeadline } from '../../../lab/wait.js';
import { DEPOT_DEFAULTS } from '../../../src/depot/publish.js';
import { SIBLING_LIMITS } from '../../../src/depot/siblings/limits.js';
import { Proofs } from '../../../src/depot/siblings/proofs.js';
import { S3_LIMITS } from '../../../src/depot/store/s3/limits.js';
import type { Depot } from '../../../src/index.js';
import { startEngine } from '../../support/engines.js';
import { skipUnlessInstalled, skipWithout } from '../../support/requirements.js';
import { bytesOf, MIB } from '../depot-kit.js';
import { MISSING, postgresKit } from '../postgres-kit.js';
import { quickFolder } from '../quick-folder.js';
import { type Address, digestFrom, type Family, type FamilyOptions, HEADERS, metricOf, openFamily } from './family.js';

Object.assign(process.env, S3_KEYS);
// All of them are one process here, and wait for a processor as long as they must: what is silent, and what becomes of
// that, has tests of its own.
const NEVER_MS = 600_000;
Object.assign(SIBLING_LIMITS, { silenceMs: NEVER_MS, waitMs: NEVER_MS });
Object.assign(S3_LIMITS, { connectMs: NEVER_MS, silenceMs: NEVER_MS, requestMs: NEVER_MS, chunkMs: NEVER_MS });

const kit = postgresKit();
const DEADLINE_MS = 120_000;
const LENGTH = 40 * MIB + 5;
const bytes = bytesOf(LENGTH);
const DIGEST = createHash('sha256').update(bytes).digest('hex');
const MOST_COPIES = 1.2;

/** Null: skipped. */
async function open(t: TestContext, more: Partial<FamilyOptions> = {}, isMoto = false): Promise<Family | null> {
  if (skipWithout(t, MISSING) || (await skipUnlessInstalled(t, [isMoto ? MOTO : VERSITYGW]))) return null;
  const scope = openScope(t);
  const server = await (isMoto ? startMoto(scope) : startVersitygw(scope));
  const family = await openFamily(scope, { server, catalogue: kit.freshUrl(), bytes, count: 3, ...more });
  await known(family.depots, family.depots.length - 1);
  return family;
}

/** They have found each other. */
async function known(depots: readonly Depot[], others: number): Promise<void> {
  for (const depot of depots)
    await until('the others are known', DEADLINE_MS, async () => (await metricOf(depot, 'other_depots')) === others);
}

function copies({ proxy }: Family): number {
  return proxy.sentBytes / LENGTH;
}

for (const name of ['versitygw', 'moto']) {
  test(`three cold depots give a blob at once: it leaves ${name} once`, async (t) => {
    const family = await open(t, {}, name === 'moto');
    if (family === null) return;
    assert.deepEqual(await Promise.all(family.depots.map(digestFrom)), [DIGEST, DIGEST, DIGEST]);
    assert.ok(copies(family) < MOST_COPIES, `${copies(family)} copies`);
    const given = await Promise.all(family.depots.map((depot) => metricOf(depot, 'given_bytes_total')));
    const brought = await Promise.all(
      family.depots.map((depot) => metricOf(depot, 'brought_bytes_total{from="depots"}')),
    );
    const sum = (all: readonly (number | null)[]): number => all.reduce<number>((one, other) => one + (other ?? 0), 0);
    assert.ok(sum(given) >= 1.9 * LENGTH, `${given}`);
    assert.equal(sum(given), sum(brought));
  });
}

test('depots that come one after another, with caches of nothing, take it from those before them', async (t) => {
  const family = await open(t, { count: 1 });
  if (family === null) return;
  const depots = [...family.depots];
  for (let count = 1; count <= 3; count++) {
    if (count > 1) depots.push(await family.start(count - 1));
    await known(depots, count - 1);
    assert.equal(await digestFrom(depots.at(-1)!), DIGEST);
  }
  assert.ok(copies(family) < MOST_COPIES, `${copies(family)} copies`);
});

test('one that is gone half way is missed by nobody, and takes from the others when it is back', async (t) => {
  const family = await open(t);
  if (family === null) return;
  const [first, second, third] = family.depots as [Depot, Depot, Depot];
  const left = [digestFrom(first), digestFrom(second)];
  const lost = digestFrom(third).catch(() => 'lost');
  await until('half of it is there', DEADLINE_MS, () => copies(family) > 0.5);
  await third.close(0);
  assert.deepEqual(await Promise.all(left), [DIGEST, DIGEST]);
  await lost;
  const back = await family.start(2);
  await known([first, second, back], 2);
  assert.equal(await digestFrom(back), DIGEST);
  // What it had brought and not given is brought again: three chunks of five at most, as it was reading.
  assert.ok(copies(family) < 1.7, `${copies(family)} copies`);
});

test('a client of BitTorrent that takes a blob from three cold depots costs the bucket one copy', async (t) => {
  const family = await open(t);
  if (family === null) return;
  const { depots } = family;
  const scope = openScope(t);
  const answer = await fetch(`${depots[0]!.url}/artifacts/a/image.raw?torrent`, { headers: HEADERS });
  const torrent = Buffer.from(await answer.arrayBuffer());
  const leech = await startEngine(scope);
  const output = await quickFolder(scope);
  const peers = depots.map(({ peerPort }) => ({ host: '127.0.0.1', port: peerPort! }));
  const download = leech.add(torrent, { output, trackers: [], webSeeds: [], peers });
  await withDeadline(download.done, 'the download', DEADLINE_MS);
  assert.ok((await readFile(join(output, 'image.raw'))).equals(bytes));
  assert.ok(copies(family) < MOST_COPIES, `${copies(family)} copies`);
});

/** A depot by all that it says, but its bytes are others. */
async function startLiar(scope: Scope, address: Address, proofs: Proofs): Promise<void> {
  const id = randomBytes(16).toString('hex');
  const server = http.createServer(({ url = '' }, response) => {
    const { pathname, searchParams } = new URL(url, 'http://liar');
    const nonce = searchParams.get('nonce') ?? '';
    if (pathname === '/siblings/hello') response.end(JSON.stringify({ id, proof: proofs.hello(nonce, id) }));
    else response.end(Buffer.alloc(Number(searchParams.get('end')) - Number(searchParams.get('begin'))));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  address.leadsTo = (server.address() as AddressInfo).port;
  scope.defer(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
}

test('one that lies is found out by all, and S3 is asked', async (t) => {
  const catalogue = kit.freshUrl();
  const family = await open(t, { count: 2, catalogue });
  if (family === null) return;
  const scope = openScope(t);
  const { id } = JSON.parse(await family.mark());
  const settings = { store: `s3 ${id}`, torrentFromBytes: DEPOT_DEFAULTS.torrentFromBytes };
  const secret = await (await kit.open(scope, catalogue, { settings })).secret(randomBytes(32));
  await startLiar(scope, family.addresses[2]!, new Proofs(secret, id));
  await known(family.depots, 2);
  assert.deepEqual(await Promise.all(family.depots.map(digestFrom)), [DIGEST, DIGEST]);
  for (const depot of family.depots) assert.ok((await metricOf(depot, 'wrong_parts_total'))! >= 1);
  await known(family.depots, 1);
});

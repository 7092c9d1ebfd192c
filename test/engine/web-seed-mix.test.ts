/** Web seeds (BEP 19) beside each other and beside peers, over TLS, and behind names. */
import assert from 'node:assert/strict';
import type { LookupAddress, lookup as systemLookup } from 'node:dns';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { openScope, type Scope } from '../../lab/scope.js';
import { tempFolder } from '../../lab/temp.js';
import { until, withDeadline } from '../../lab/wait.js';
import type { AddOptions, EngineOptions } from '../../src/api.js';
import { isPrivateAddress } from '../../src/net/private-address.js';
import { filteredLookup } from '../../src/net/public-lookup.js';
import { CERTIFICATE, PRIVATE_KEY } from '../support/certificate.js';
import { type DataSet, fileSet, startEngine, startSeed } from '../support/engines.js';
import { type Hook, rangeOf, startWebServer } from '../support/web-server.js';

const KIB = 1024;
const MIB = 1024 * KIB;
const LENGTH = 12 * MIB + 5;
const DEADLINE_MS = 30_000;

const bigSet = (scope: Scope): Promise<DataSet> => fileSet(scope, LENGTH, { pieceLengthBytes: 128 * KIB });

async function download(scope: Scope, set: DataSet, options: Partial<AddOptions>, engineOptions: EngineOptions = {}) {
  const engine = await startEngine(scope, engineOptions);
  const output = await tempFolder(scope);
  return { torrent: engine.add(set.metainfo, { output, trackers: [], ...options }), output };
}

async function assertSame(set: DataSet, output: string): Promise<void> {
  const copy = await readFile(path.join(output, path.basename(set.path)));
  assert.ok(copy.equals(await readFile(set.path)));
}

/** Answers as it should, at 64 KiB a second and connection. */
const slowly =
  (bytes: Buffer): Hook =>
  (request, response) => {
    const [begin, end] = rangeOf(request.headers.range, LENGTH) ?? [0, LENGTH];
    response.writeHead(206, { 'content-range': `bytes ${begin}-${end - 1}/${LENGTH}`, 'content-length': end - begin });
    let at = begin;
    const timer = setInterval(() => {
      const next = Math.min(end, at + 3277);
      response.write(bytes.subarray(at, next));
      at = next;
      if (at === end) response.end();
    }, 50);
    response.once('close', () => clearInterval(timer));
    return true;
  };

test('two web seeds are used together, and one that fails leaves all to the other', async (t) => {
  const scope = openScope(t);
  const set = await bigSet(scope);
  const bytes = await readFile(set.path);
  const servers = [
    await startWebServer(scope, { '/image.bin': bytes }),
    await startWebServer(scope, { '/image.bin': bytes }),
  ];
  const webSeeds = servers.map(({ url }) => `${url}/image.bin`);
  const both = await download(scope, set, { webSeeds });
  await withDeadline(both.torrent.done, 'it is complete', DEADLINE_MS);
  await assertSame(set, both.output);
  const shares = both.torrent.sources().webSeeds.map(({ downloadedBytes }) => downloadedBytes);
  assert.ok(
    shares.every((share) => share > 0),
    `${shares}`,
  );
  assert.equal(shares[0]! + shares[1]!, LENGTH);
  servers[0]!.hook = (_request, response) => Boolean(response.writeHead(500).end());
  const one = await download(scope, set, { webSeeds });
  await withDeadline(one.torrent.done, 'it is complete', DEADLINE_MS);
  await assertSame(set, one.output);
});

test('a slow web seed beside a peer takes no time at the end', async (t) => {
  const scope = openScope(t);
  const set = await bigSet(scope);
  const slow = await startWebServer(scope, {});
  slow.hook = slowly(await readFile(set.path));
  const peer = await startSeed(scope, set, { uploadBytesPerSec: 4 * MIB });
  const { torrent, output } = await download(scope, set, { webSeeds: [`${slow.url}/image.bin`] });
  const began = performance.now();
  torrent.addPeer('127.0.0.1', peer.port!);
  await withDeadline(torrent.done, 'it is complete', DEADLINE_MS);
  const seconds = (performance.now() - began) / 1000;
  await assertSame(set, output);
  assert.ok(slow.asked.length > 0);
  // The peer alone needs three seconds; what the web seed holds would take it thirty and more.
  assert.ok(seconds < 10, `${seconds.toFixed(1)} s`);
});

test('a web seed of HTTPS is used when its certificate is trusted, and only then', async (t) => {
  const scope = openScope(t);
  const set = await bigSet(scope);
  const tls = { cert: CERTIFICATE, key: PRIVATE_KEY };
  const server = await startWebServer(scope, { '/image.bin': await readFile(set.path) }, tls);
  const webSeeds = [`${server.url}/image.bin`];
  const stranger = await download(scope, set, { webSeeds });
  const isRefused = (): boolean => stranger.torrent.sources().webSeeds[0]?.state === 'failing';
  await until('it is refused', DEADLINE_MS, isRefused);
  assert.equal(server.asked.length, 0);
  const { torrent, output } = await download(scope, set, { webSeeds }, { ca: [CERTIFICATE] });
  await withDeadline(torrent.done, 'it is complete', DEADLINE_MS);
  await assertSame(set, output);
});

test('of a name only public addresses are connected to, and without one nobody is', async () => {
  const names: Record<string, string[]> = {
    'mixed.example': ['10.0.0.1', '192.0.2.7', '::1', '2606:4700::1'],
    'inside.example': ['127.0.0.1', '169.254.169.254', 'fe80::1', '::ffff:10.1.1.1'],
  };
  const lookUp = ((host: string, _options: object, callback: (error: null, found: LookupAddress[]) => void) =>
    callback(
      null,
      names[host]!.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
    )) as unknown as typeof systemLookup;
  const publicOnly = filteredLookup({ lookUp, permits: (address) => !isPrivateAddress(address) });
  const found = (host: string) =>
    new Promise<unknown>((resolve) => {
      publicOnly(host, { all: true }, (error, addresses) => resolve(error?.code ?? addresses));
    });
  assert.equal(await found('inside.example'), 'EPRIVATE');
  assert.deepEqual(
    ((await found('mixed.example')) as LookupAddress[]).map(({ address }) => address),
    ['192.0.2.7', '2606:4700::1'],
  );
});

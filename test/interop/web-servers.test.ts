/** Web seeds (BEP 19) with the programs of others: we fetch from nginx, and others fetch what `share` offers. */
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { run } from '../../lab/child.js';
import { aria2 } from '../../lab/clients/aria2.js';
import type { ForeignClient } from '../../lab/clients/client.js';
import { writeTree } from '../../lab/data.js';
import { NGINX, startNginx } from '../../lab/nginx.js';
import { openScope } from '../../lab/scope.js';
import { tempFolder } from '../../lab/temp.js';
import { treeDifferences } from '../../lab/tree.js';
import { withDeadline } from '../../lab/wait.js';
import { share } from '../../src/library/share.js';
import { encodeBencode } from '../../src/metainfo/bencode.js';
import { parseTorrent, withTrackers } from '../../src/metainfo/torrent.js';
import { libtorrent } from '../support/clients/libtorrent.js';
import { type DataSet, fileSet, startEngine, treeSet } from '../support/engines.js';
import { requireClients, requirePrograms } from '../support/requirements.js';

const KIB = 1024;
const MIB = 1024 * KIB;
const DEADLINE_MS = 60_000;
const HOST = '127.0.0.1';

const NAMES = ['a.bin', 'with space.bin', '100%41#?.bin', 'déjà/vu & more.bin', "it's (here)!*.bin", 'empty'];

async function assertSame(set: DataSet, output: string): Promise<void> {
  for (const { path: parts, isPad } of set.metainfo.files) {
    if (isPad) continue;
    const [ours, theirs] = await Promise.all(
      [output, set.folder].map((folder) => readFile(path.join(folder, ...parts))),
    );
    assert.ok(ours!.equals(theirs!), `${parts.join('/')} is the same`);
  }
}

test('files with every kind of name come from nginx alone', async (t) => {
  if (await requirePrograms(t, [NGINX])) return;
  const scope = openScope(t);
  const files = NAMES.map((name, index) => ({ path: name, lengthBytes: name === 'empty' ? 0 : 300_000 * (index + 1) }));
  const set = await treeSet(scope, files, { pieceLengthBytes: 64 * KIB });
  const nginx = await startNginx(scope, set.folder, await tempFolder(scope));
  const engine = await startEngine(scope);
  const output = await tempFolder(scope);
  const torrent = engine.add(set.metainfo, { output, trackers: [], webSeeds: [`${nginx.url}/`] });
  await withDeadline(torrent.done, 'it is complete', DEADLINE_MS);
  await assertSame(set, output);
  assert.equal(torrent.stats().webSeedBytes, set.metainfo.geometry.lengthBytes);
});

for (const [what, more] of Object.entries({
  'ends each connection after three requests': 'keepalive_requests 3;',
  'knows no ranges': 'max_ranges 0;',
  'gives 4 MiB/s to each connection': 'limit_rate 4m;',
})) {
  test(`a file comes from an nginx that ${what}`, async (t) => {
    if (await requirePrograms(t, [NGINX])) return;
    const scope = openScope(t);
    const set = await fileSet(scope, 24 * MIB + 12_345, { pieceLengthBytes: 256 * KIB });
    const nginx = await startNginx(scope, set.folder, await tempFolder(scope), more);
    const engine = await startEngine(scope);
    const output = await tempFolder(scope);
    const webSeeds = [`${nginx.url}/${path.basename(set.path)}`];
    const torrent = engine.add(set.metainfo, { output, trackers: [], webSeeds });
    await withDeadline(torrent.done, 'it is complete', DEADLINE_MS);
    await assertSame(set, output);
    assert.equal(torrent.stats().wastedBytes, 0);
  });
}

for (const client of [aria2, libtorrent] satisfies ForeignClient[]) {
  test(`${client.name} fetches what is shared by HTTP alone`, async (t) => {
    if (await requireClients(t, [client], [])) return;
    const scope = openScope(t);
    const source = path.join(await tempFolder(scope), 'a set');
    const files = ['one.bin', 'with space & more.bin', 'sub/two.bin'].map((name) => ({
      path: name,
      lengthBytes: 700_001,
    }));
    await writeTree(source, files, 'web');
    const engine = { port: 0, host: HOST, threads: 1 };
    const shared = await share(source, { httpPort: 0, host: HOST, threads: 1, engine });
    scope.defer(() => shared.close());
    const reply = await fetch(shared.torrentUrl(HOST));
    const { infoHash, webSeeds, infoBytes } = parseTorrent(new Uint8Array(await reply.arrayBuffer()));
    // Without a tracker there is no peer.
    const folder = await tempFolder(scope);
    const torrentFile = path.join(folder, 'only-web.torrent');
    const info = Buffer.from(infoBytes);
    await writeFile(
      torrentFile,
      Buffer.concat([
        Buffer.from('d4:info'),
        info,
        Buffer.from('8:url-list'),
        encodeBencode(webSeeds),
        Buffer.from('e'),
      ]),
    );
    assert.deepEqual(parseTorrent(await readFile(torrentFile)).infoHash, infoHash);
    await client.download(scope, {
      torrentFile,
      folder,
      tracker: 'http://127.0.0.1:1/announce',
      timeoutMs: DEADLINE_MS,
    });
    for (const { path: name } of files) {
      const [ours, theirs] = await Promise.all(
        [source, path.join(folder, 'a set')].map((at) => readFile(path.join(at, name))),
      );
      assert.ok(ours!.equals(theirs!), name);
    }
    assert.equal(shared.torrent.stats().uploadedBytes, 0);
  });
}

/** It asks for 16 MiB of files in one go, on one connection. */
test('libtorrent fetches hundreds of small files with long names from a share by HTTP alone', async (t) => {
  if (await requireClients(t, [libtorrent], [])) return;
  const scope = openScope(t);
  const source = path.join(await tempFolder(scope), 'many');
  const files = Array.from({ length: 200 }, (_, index) => ({
    path: String(index).padStart(120, 'x'),
    lengthBytes: 3_000 + index,
  }));
  await writeTree(source, files, 'many');
  const engine = { port: 0, host: HOST, threads: 1 };
  const shared = await share(source, { httpPort: 0, host: HOST, threads: 1, engine });
  scope.defer(() => shared.close());
  const reply = await fetch(shared.torrentUrl(HOST));
  const folder = await tempFolder(scope);
  const torrentFile = path.join(folder, 'only-web.torrent');
  const torrent = new Uint8Array(await reply.arrayBuffer());
  await writeFile(torrentFile, withTrackers(torrent, [], parseTorrent(torrent).webSeeds));
  const job = { torrentFile, folder, tracker: 'http://127.0.0.1:1/announce', timeoutMs: DEADLINE_MS };
  await libtorrent.download(scope, job);
  assert.deepEqual(await treeDifferences(source, path.join(folder, 'many'), { emptyMayBeMissing: false }), []);
  assert.equal(shared.torrent.stats().uploadedBytes, 0);
});

test('curl fetches what is shared, and goes on where it was cut off', async (t) => {
  if (await requirePrograms(t, ['curl'])) return;
  const scope = openScope(t);
  const set = await fileSet(scope, 3 * MIB + 5);
  const engine = { port: 0, host: HOST, threads: 1 };
  const shared = await share(set.path, { httpPort: 0, host: HOST, threads: 1, engine });
  scope.defer(() => shared.close());
  const reply = await fetch(shared.torrentUrl(HOST));
  const [url] = parseTorrent(new Uint8Array(await reply.arrayBuffer())).webSeeds;
  const bytes = await readFile(set.path);
  const copy = path.join(await tempFolder(scope), 'copy');
  await writeFile(copy, bytes.subarray(0, MIB));
  await run(scope, 'curl', ['-sS', '--fail', '-C', '-', '-o', copy, url!], { timeoutMs: DEADLINE_MS });
  assert.ok((await readFile(copy)).equals(bytes));
});

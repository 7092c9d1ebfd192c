/** A download from web servers (BEP 19): alone, beside others, and from some that are no good. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { openScope, type Scope } from '../../lab/scope.js';
import { tempFolder } from '../../lab/temp.js';
import { withDeadline } from '../../lab/wait.js';
import type { AddOptions, Torrent } from '../../src/api.js';
import { type DataSet, fileSet, startEngine, treeSet } from '../support/engines.js';
import { startWebServer } from '../support/web-server.js';

const KIB = 1024;
const MIB = 1024 * KIB;
const DEADLINE_MS = 30_000;

interface Download {
  readonly torrent: Torrent;
  readonly output: string;
}

async function download(scope: Scope, set: DataSet, options: Partial<AddOptions>): Promise<Download> {
  const engine = await startEngine(scope);
  const output = await tempFolder(scope);
  return { torrent: engine.add(set.metainfo, { output, trackers: [], ...options }), output };
}

async function assertSame(set: DataSet, output: string): Promise<void> {
  for (const { path: parts, isPad, lengthBytes } of set.metainfo.files) {
    if (isPad || lengthBytes === 0) continue;
    const [ours, theirs] = await Promise.all([
      readFile(path.join(output, ...parts)),
      readFile(path.join(set.folder, ...parts)),
    ]);
    assert.ok(ours.equals(theirs), `${parts.join('/')} is the same`);
  }
}

test('a file comes from a web server alone, over kept connections, in long ranges', async (t) => {
  const scope = openScope(t);
  const set = await fileSet(scope, 24 * MIB + 12_345, { pieceLengthBytes: 256 * KIB });
  const server = await startWebServer(scope, { '/image.bin': await readFile(set.path) });
  const { torrent, output } = await download(scope, set, { webSeeds: [`${server.url}/image.bin`] });
  await withDeadline(torrent.done, 'it is complete', DEADLINE_MS);
  await assertSame(set, output);
  const { downloadedBytes, webSeedBytes, wastedBytes, peers } = torrent.stats();
  assert.equal(webSeedBytes, 24 * MIB + 12_345);
  assert.deepEqual([downloadedBytes, wastedBytes, peers], [webSeedBytes, 0, 0]);
  const [report] = torrent.sources().webSeeds;
  assert.equal(report!.url, `${server.url}/image.bin`);
  assert.equal(report!.downloadedBytes, webSeedBytes);
  assert.ok(server.connections <= 8, `${server.connections} connections`);
  assert.ok(server.asked.every(({ headers }) => headers['accept-encoding'] === 'identity'));
});

test('the files of a folder come, across their borders and with names that need escaping', async (t) => {
  const scope = openScope(t);
  const set = await treeSet(
    scope,
    [
      { path: 'a b/ü#1?.bin', lengthBytes: 700_001 },
      { path: 'empty', lengthBytes: 0 },
      { path: "it's (100%).txt", lengthBytes: 5 },
      { path: 'z.bin', lengthBytes: 300_000 },
    ],
    { pieceLengthBytes: 64 * KIB },
  );
  const files: Record<string, Buffer> = {};
  for (const { path: parts } of set.metainfo.files) {
    const escaped = parts.map((part) =>
      encodeURIComponent(part).replace('(', '%28').replace(')', '%29').replace("'", '%27'),
    );
    files[`/pub/${escaped.join('/')}`] = await readFile(path.join(set.folder, ...parts));
  }
  const server = await startWebServer(scope, files);
  const { torrent, output } = await download(scope, set, { webSeeds: [`${server.url}/pub`] });
  await withDeadline(torrent.done, 'it is complete', DEADLINE_MS);
  await assertSame(set, output);
  assert.equal(torrent.stats().webSeedBytes, 1_000_006);
});

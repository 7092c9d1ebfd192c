/** A downloading process that is killed at any moment: the next one continues with what was good, and ends whole. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { type Child, startChild } from '../../lab/child.js';
import { openScope, type Scope } from '../../lab/scope.js';
import { tempFolder } from '../../lab/temp.js';
import { readTree } from '../../lab/tree.js';
import { withDeadline } from '../../lab/wait.js';
import { loadResume } from '../../src/storage/resume.js';
import { type DataSet, fileSet, startEngine, startSeed } from '../support/engines.js';

const MIB = 1024 * 1024;
const PIECE_BYTES = 128 * 1024;
const PIECES = 384;
const DEADLINE_MS = 30_000;
const EMBEDDER = fileURLToPath(new URL('./embedder.js', import.meta.url));

async function startDownload(scope: Scope, set: DataSet, args: readonly string[]): Promise<Child> {
  const torrentFile = path.join(await tempFolder(scope), 'image.torrent');
  await writeFile(torrentFile, set.torrent);
  return startChild(scope, process.execPath, [EMBEDDER, torrentFile, ...args]);
}

async function verifiedUntil(child: Child, count: number): Promise<number> {
  let seen = 0;
  await child.line(
    `${count} pieces are verified`,
    DEADLINE_MS,
    (line) => line.startsWith('verified ') && ++seen >= count,
  );
  return seen;
}

test('a download that is killed again and again loses nothing that was verified and ends whole', async (t) => {
  const scope = openScope(t);
  const set = await fileSet(scope, PIECES * PIECE_BYTES, { pieceLengthBytes: PIECE_BYTES });
  const seed = await startSeed(scope, set);
  const output = await tempFolder(scope);
  let verified = 0;
  for (const count of [1, 20, 80]) {
    const child = await startDownload(scope, set, [output, String(seed.port), 'plain', String(count)]);
    verified += await verifiedUntil(child, count);
    process.kill(child.pid, 'SIGKILL');
    await child.exited;
    const { trusted, recheck, problem } = await loadResume(set.metainfo, output);
    assert.equal(problem, null);
    // The record may be old, but every piece with data is looked at.
    assert.equal(trusted.count + recheck.count, PIECES);
  }
  const engine = await startEngine(scope);
  const peers = [{ host: '127.0.0.1', port: seed.port! }];
  const torrent = engine.add(set.metainfo, { output, trackers: [], peers });
  await withDeadline(torrent.done, 'the download ends', DEADLINE_MS);
  assert.ok(
    torrent.stats().downloadedBytes <= (PIECES - verified) * PIECE_BYTES,
    'verified pieces are not fetched again',
  );
  assert.deepEqual(await readTree(path.join(output, 'image.bin')), await readTree(set.path));
});

test('a log that throws breaks neither the books of the engine nor the download', async (t) => {
  const scope = openScope(t);
  const set = await fileSet(scope, 4 * MIB, { pieceLengthBytes: PIECE_BYTES });
  const seed = await startSeed(scope, set);
  const output = await tempFolder(scope);
  const child = await startDownload(scope, set, [output, String(seed.port), 'throw']);
  await child.line('its own exceptions reach it', DEADLINE_MS, (line) => line === 'thrown');
  await child.line('the engine has closed', DEADLINE_MS, (line) => line === 'closed');
  assert.equal((await withDeadline(child.exited, 'it ends', DEADLINE_MS)).code, 0);
  assert.doesNotMatch(child.tail(), /Error/);
  assert.deepEqual(await readTree(path.join(output, 'image.bin')), await readTree(set.path));
});

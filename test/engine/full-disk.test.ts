/** A device that has room for the data and for nothing else. */
import assert from 'node:assert/strict';
import { closeSync, openSync, writeSync } from 'node:fs';
import { readdir, rm, truncate } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { openScope } from '../../lab/scope.js';
import { sha256File } from '../../lab/tree.js';
import { until, withDeadline } from '../../lab/wait.js';
import { Bitfield } from '../../src/metainfo/bitfield.js';
import { loadResume, resumePath } from '../../src/storage/resume.js';
import * as scenes from '../storage/scene.js';
import { fileSet, startEngine, startSeed } from '../support/engines.js';
import { smallDisk } from '../support/small-disk.js';

const DEADLINE_MS = 30_000;
const LENGTH_BYTES = 2 * 1024 * 1024;
/** The lock names its owner; a tmpfs counts whole pages. */
const LOCK_BYTES = 4096;

test('a download whose space is reserved goes on where its record finds no room, and is right', async (t) => {
  const scope = openScope(t);
  const mount = await smallDisk(t, scope, `size=${LENGTH_BYTES + LOCK_BYTES}`);
  if (mount === null) return;
  const set = await fileSet(scope, LENGTH_BYTES, { pieceLengthBytes: 64 * 1024 });
  const seed = await startSeed(scope, set);
  const leech = await startEngine(scope);
  const warnings: string[] = [];
  const torrent = leech.add(set.metainfo, {
    output: mount,
    trackers: [],
    peers: [{ host: '127.0.0.1', port: seed.port! }],
  });
  torrent.on('warning', ({ code, message }) => warnings.push(`${code} ${message}`));
  await withDeadline(torrent.done, 'the download', DEADLINE_MS);
  assert.match(
    warnings[0] ?? '',
    /^NO_SPACE write the resume record .*no space left on the device.*the download goes on/,
  );
  await leech.close();
  assert.deepEqual(await readdir(mount), ['image.bin']);
  assert.equal(await sha256File(path.join(mount, 'image.bin')), await sha256File(set.path));
});

test('a disk that fills up to the last byte does not keep the record from advancing', async (t) => {
  const scope = openScope(t);
  const mount = await smallDisk(t, scope, `size=${LENGTH_BYTES + LOCK_BYTES + 64 * 1024}`);
  if (mount === null) return;
  const set = await fileSet(scope, LENGTH_BYTES, { pieceLengthBytes: 64 * 1024 });
  const seed = await startSeed(scope, set);
  const leech = await startEngine(scope);
  const warnings: string[] = [];
  const torrent = leech.add(set.metainfo, { output: mount, trackers: [], peers: [] });
  torrent.on('warning', ({ code, message }) => warnings.push(`${code} ${message}`));
  await until('the first record', DEADLINE_MS, () => torrent.state === 'downloading');
  const filler = path.join(mount, 'filler');
  fillUp(filler);
  torrent.addPeer('127.0.0.1', seed.port!);
  await withDeadline(torrent.done, 'the download', DEADLINE_MS);
  assert.deepEqual(warnings, []);
  const { trusted } = await loadResume(set.metainfo, mount);
  assert.equal(trusted.count, 32);
  await leech.close();
  const record = path.basename(resumePath(set.metainfo, mount));
  assert.deepEqual((await readdir(mount)).sort(), [record, 'filler', 'image.bin']);
});

test('records are written one after the other on a full disk, each from the room of the last but one', async (t) => {
  const scope = openScope(t);
  const mount = await smallDisk(t, scope, `size=${256 * 1024}`);
  if (mount === null) return;
  const scene = scenes.sceneOf([{ path: 'a', lengthBytes: 64_000 }], 1000);
  scenes.writeScene(scene, mount);
  const have = new Bitfield(64);
  await scenes.record(scene.metainfo, mount, have, false);
  fillUp(path.join(mount, 'filler'));
  for (let piece = 0; piece < 64; piece++) {
    have.set(piece);
    await scenes.record(scene.metainfo, mount, have, piece === 63);
    const { trusted } = await loadResume(scene.metainfo, mount);
    assert.equal(trusted.count, piece + 1);
    // What a record gives back is somebody else's at once.
    fillUp(path.join(mount, `filler ${piece}`));
  }
});

test('a torrent that finds no room rests with the error, and goes on when told to', async (t) => {
  const scope = openScope(t);
  const mount = await smallDisk(t, scope, `size=${LENGTH_BYTES + 256 * 1024}`);
  if (mount === null) return;
  const set = await fileSet(scope, LENGTH_BYTES, { pieceLengthBytes: 64 * 1024 });
  const seed = await startSeed(scope, set);
  const leech = await startEngine(scope);
  const filler = path.join(mount, 'filler');
  fillUp(filler);
  // Room for the lock and the folder, and for nothing else.
  await truncate(filler, LENGTH_BYTES);
  const peers = [{ host: '127.0.0.1', port: seed.port! }];
  const torrent = leech.add(set.metainfo, { output: path.join(mount, 'here'), trackers: [], peers });
  const first = torrent.done;
  await assert.rejects(withDeadline(first, 'the full disk', DEADLINE_MS), { code: 'NO_SPACE' });
  assert.deepEqual([torrent.state, torrent.error?.code], ['paused', 'NO_SPACE']);
  assert.deepEqual(leech.torrents, [torrent]);
  await rm(filler);
  torrent.resume();
  assert.notEqual(torrent.done, first);
  assert.equal(torrent.error, null);
  await withDeadline(torrent.done, 'the download', DEADLINE_MS);
  assert.equal(await sha256File(path.join(mount, 'here', 'image.bin')), await sha256File(set.path));
});

/** To the last byte. */
function fillUp(file: string): void {
  const fd = openSync(file, 'w');
  try {
    for (;;) writeSync(fd, Buffer.alloc(4096, 1));
  } catch (error) {
    assert.equal((error as NodeJS.ErrnoException).code, 'ENOSPC');
  } finally {
    closeSync(fd);
  }
}

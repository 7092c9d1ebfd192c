/** A device that has room for the data and for nothing else. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdir, readdir } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { fileSet, startEngine, startSeed } from '../support/engines.js';
import { skipWithout } from '../support/requirements.js';
import { openScope } from '../support/scope.js';
import { tempFolder } from '../support/temp.js';
import { sha256File } from '../support/tree.js';
import { withDeadline } from '../support/wait.js';

const DEADLINE_MS = 30_000;
const LENGTH_BYTES = 2 * 1024 * 1024;
/** The lock names its owner; a tmpfs counts whole pages. */
const LOCK_BYTES = 4096;

test('a download whose space is reserved goes on where its record finds no room, and is right', async (t) => {
  const scope = openScope(t);
  const mount = path.join(await tempFolder(scope), 'small');
  await mkdir(mount);
  const size = `size=${LENGTH_BYTES + LOCK_BYTES}`;
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', size, 'tmpfs', mount], { stdio: 'ignore' });
  } catch {
    skipWithout(t, 'this user may not mount a tmpfs');
    return;
  }
  scope.defer(() => void execFileSync('umount', ['-l', mount]));
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

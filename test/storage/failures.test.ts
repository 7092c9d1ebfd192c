/** What a failed job means: populating says EFAULT for three different things. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { openScope } from '../../lab/scope.js';
import { tempFolder } from '../../lab/temp.js';
import { jobFailure, lostMemory } from '../../src/storage/failures.js';
import { mayPass } from '../../src/swarm/disk-trouble.js';
import type { WorkFailure } from '../../src/work/port.js';
import { smallDisk } from '../support/small-disk.js';

const EFAULT: WorkFailure = { ok: false, errno: 'EFAULT', operation: 'prefault' };
const LENGTH_BYTES = 1000;

test('a file that is shorter was cut off, one that is gone too', async (t) => {
  const file = path.join(await tempFolder(openScope(t)), 'file');
  assert.equal(jobFailure(EFAULT, file, LENGTH_BYTES).code, 'BAD_DATA');
  await writeFile(file, Buffer.alloc(LENGTH_BYTES - 1));
  const error = jobFailure(EFAULT, file, LENGTH_BYTES);
  assert.equal(error.code, 'BAD_DATA');
  assert.equal(error.message, `${file} was cut off while it was in use`);
  assert.match(lostMemory(file, LENGTH_BYTES, 999).message, /^\/.*file was cut off .*\(999 bytes, not 1000\)/);
});

test('a whole file on a device with room may be readable next time: a cut for a moment, a failed device', async (t) => {
  const file = path.join(await tempFolder(openScope(t)), 'file');
  await writeFile(file, Buffer.alloc(LENGTH_BYTES));
  const error = jobFailure(EFAULT, file, LENGTH_BYTES);
  assert.equal(error.code, 'IO');
  assert.ok(mayPass(error), error.message);
  assert.match(lostMemory(file, LENGTH_BYTES, 4).message, /file lost data while it was in use: at byte 4/);
});

test('a whole file on a full device has a hole that nothing can fill', async (t) => {
  const scope = openScope(t);
  const mount = await smallDisk(t, scope, 'size=1m');
  if (mount === null) return;
  await writeFile(path.join(mount, 'file'), Buffer.alloc(LENGTH_BYTES));
  assert.equal(jobFailure(EFAULT, path.join(mount, 'file'), LENGTH_BYTES).code, 'NO_SPACE');
});

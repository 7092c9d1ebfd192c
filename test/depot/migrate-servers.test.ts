/** A depot that outgrows its folder: moved to S3 and PostgreSQL while it serves, and on from there. */
import assert from 'node:assert/strict';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { MOTO, S3_KEYS, startAnyS3 } from '../../lab/s3-server.js';
import { openScope, type Scope } from '../../lab/scope.js';
import { startDepot } from '../../src/depot/depot.js';
import type { Depot, DepotOptions } from '../../src/index.js';
import { haulWith } from '../cli/harness.js';
import { requirePrograms, skipWithout } from '../support/requirements.js';
import { bytesOf, KIB, MIB } from './depot-kit.js';
import { MISSING, postgresKit } from './postgres-kit.js';
import { quickFolder } from './quick-folder.js';

Object.assign(process.env, S3_KEYS);

const kit = postgresKit();
const suite = MISSING === null ? describe : describe.skip;
if (MISSING !== null) test('PostgreSQL', (t) => void skipWithout(t, MISSING));

const FILES = new Map([
  ['ci/1/image.raw', bytesOf(9 * MIB + 3, 31)],
  ['ci/1/log.txt', bytesOf(3 * KIB, 31)],
  ['empty', Buffer.alloc(0)],
]);

async function start(scope: Scope, options: DepotOptions): Promise<Depot> {
  const depot = await startDepot({ httpPort: 0, engine: { port: 0 }, ...options });
  scope.defer(() => depot.close(0));
  return depot;
}

async function put({ url }: Depot, name: string, bytes: Buffer): Promise<void> {
  const answer = await fetch(`${url}/artifacts/${name}`, { method: 'PUT', body: new Uint8Array(bytes) });
  assert.equal(answer.status, 201, await answer.text());
}

async function assertAll({ url }: Depot): Promise<void> {
  for (const [name, bytes] of FILES) {
    const answer = await fetch(`${url}/artifacts/${name}`);
    assert.equal(answer.status, 200, name);
    assert.ok(Buffer.from(await answer.arrayBuffer()).equals(bytes), name);
  }
}

/** @returns what it says of the move */
async function migrate(...words: string[]) {
  const { exitCode, stderr, lines } = await haulWith(S3_KEYS, 'depot', 'migrate', ...words, '--json');
  assert.equal(exitCode, 0, stderr);
  const { copiedBlobs, putNames, isSettled } = lines.find(({ type }) => type === 'migrated')!;
  return [copiedBlobs, putNames, isSettled];
}

suite('a depot in a folder', () => {
  test('moves to S3 and PostgreSQL while it serves, to another bucket and database, and its names alone', async (t) => {
    const scope = openScope(t);
    const s3 = await startAnyS3(scope);
    if (s3 === null) {
      await requirePrograms(t, [MOTO]);
      return;
    }
    const folder = await quickFolder(scope);
    const [data, moved, again] = ['old', 'new', 'again'].map((name) => join(folder, name)) as [string, string, string];
    const old = await start(scope, { data });
    for (const [name, bytes] of FILES) if (name !== 'empty') await put(old, name, bytes);
    const there = { store: s3.url('moved'), catalogue: kit.freshUrl() };
    const words = ['--to', moved, '--store', there.store, '--catalogue', there.catalogue];
    assert.deepEqual(await migrate('--from', data, ...words), [2, 2, true]);
    await put(old, 'empty', FILES.get('empty')!);
    assert.deepEqual(await migrate('--from', data, ...words), [1, 1, true], 'only what came meanwhile');
    await old.close(0);
    const depot = await start(scope, { data: moved, ...there });
    await assertAll(depot);

    const other = { store: s3.url('again'), catalogue: kit.freshUrl() };
    const onward = ['--to', again, '--store', other.store, '--catalogue', other.catalogue];
    assert.deepEqual(await migrate('--from', there.store, ...onward), [3, 3, true]);
    await depot.close(0);
    await rm(join(again, 'cache'), { recursive: true });
    const last = await start(scope, { data: again, ...other });
    await assertAll(last);
    await last.close(0);

    const alone = ['--data', again, '--store', other.store, '--catalogue', kit.freshUrl()];
    const rebuilt = await haulWith(S3_KEYS, 'depot', 'rebuild', ...alone);
    assert.match(rebuilt.stdout, /3 names of 3 blobs/, rebuilt.stderr);
    const checked = await haulWith(S3_KEYS, 'depot', 'check', ...alone);
    assert.match(checked.stdout, /^3 names, 3 blobs, .*: all is good/, checked.stderr);
    await assertAll(await start(scope, { data: again, store: other.store, catalogue: alone.at(-1)! }));
  });
});

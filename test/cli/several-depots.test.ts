/** `haul get`, `publish`, `ls` and `rm` that are told of several depots. */
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { bytesOf, depotOf, folderOf, put } from '../depot/agent-harness.js';
import { Gate } from '../depot/gate.js';
import { haul, haulWith } from './harness.js';

const IMAGE = bytesOf(3_000_000);
/** Nobody listens there. */
const DEAD = 'http://127.0.0.1:1';

test('a download goes on at another depot where the first one dies; what is dead is passed over', async (context) => {
  const folder = await folderOf(context);
  const gates: Gate[] = [];
  for (const name of ['a', 'b']) {
    const depot = await depotOf(context, join(folder, name));
    await put(depot.url, 'ci/image.raw', IMAGE);
    gates.push(await Gate.open(context, depot.url));
  }
  const [one, other] = gates as [Gate, Gate];
  for (const gate of gates) gate.passBytes = IMAGE.length / 2;
  const dead = Promise.race(
    [
      [one, other],
      [other, one],
    ].map(async ([gate, next]) => {
      await gate!.held();
      next!.passBytes = Number.POSITIVE_INFINITY;
      await gate!.shut();
      return gate!;
    }),
  );
  const words = ['--depot', one.url, '--depot', other.url, '--json'];
  const got = await haul('get', 'ci/image.raw', ...words, '--output', join(folder, 'out'));
  assert.equal(got.exitCode, 0, got.stderr);
  assert.equal((await readFile(join(folder, 'out', 'image.raw'))).compare(IMAGE), 0);
  const alive = (await dead) === one ? other : one;

  const config = join(folder, 'config.json');
  await writeFile(config, JSON.stringify({ depot: [DEAD, alive.url] }));
  const named = { SWARMHAUL_DEPOT: `${DEAD}, ${alive.url}/`, SWARMHAUL_CONFIG: '' };
  for (const env of [named, { SWARMHAUL_DEPOT: '', SWARMHAUL_CONFIG: config }]) {
    const published = await haulWith(env, 'publish', join(folder, 'out'), '--name', 'ci/again', '--overwrite');
    assert.equal(published.exitCode, 0, published.stderr);
    const listed = await haulWith(env, 'ls', 'ci/again', '--json');
    assert.deepEqual([listed.exitCode, listed.lines.length, listed.stderr], [0, 2, '']);
    assert.equal((await haulWith(env, 'rm', 'ci/again/')).exitCode, 0);
  }
});

test('what is named for a depot is checked in one line', async () => {
  const many = Array.from({ length: 17 }, (_, at) => `http://depot-${at}:7070`);
  for (const [named, why] of [
    [many, /17 depots are named, 16 may be/],
    [['http://a', 'ftp://b'], /--depot: it is an http/],
    [['http://a', 'http://user:secret@b'], /the token goes into --token/],
  ] as const) {
    const { exitCode, stderr } = await haul('ls', ...named.flatMap((url) => ['--depot', url]));
    assert.equal(exitCode, 1);
    assert.match(stderr, why);
    assert.ok(!stderr.includes('secret') && stderr.trim().split('\n').length === 1, stderr);
  }
});

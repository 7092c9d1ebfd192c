/** A depot with its names in PostgreSQL, by HTTP and as a person runs it. */
import assert from 'node:assert/strict';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { openScope } from '../../lab/scope.js';
import { until } from '../../lab/wait.js';
import { startDepot } from '../../src/depot/depot.js';
import { haul, makeFolder, start } from '../cli/harness.js';
import { skipWithout } from '../support/requirements.js';
import { MISSING, postgresKit } from './postgres-kit.js';
import { quickFolder } from './quick-folder.js';

const kit = postgresKit();
const PASSWORD = 'pa55word';

const suite = MISSING === null ? describe : describe.skip;
if (MISSING !== null) test('PostgreSQL', (t) => void skipWithout(t, MISSING));

async function guardedUrl(): Promise<string> {
  await kit.sql(`create role guarded login password '${PASSWORD}'`);
  await kit.sql('grant create on database postgres to guarded');
  return `${kit.server.url('', { user: 'guarded' })}&password=${PASSWORD}`;
}

suite('a depot with its names in PostgreSQL', () => {
  test('answers 503 while the server is away, goes on when it is back, and never shows the password', async (t) => {
    const scope = openScope(t);
    const said: string[] = [];
    const depot = await startDepot({
      data: join(await quickFolder(scope), 'depot'),
      catalogue: await guardedUrl(),
      httpPort: 0,
      engine: { port: 0 },
      log: (level, message, facts) => void said.push(`${level} ${message} ${JSON.stringify(facts)}`),
      onRequest: (request) => void said.push(JSON.stringify(request)),
    });
    scope.defer(() => depot.close(0));
    const ask = async (path: string, init: RequestInit = {}): Promise<Response & { readonly said: string }> => {
      const answer = await fetch(`${depot.url}${path}`, init);
      const text = await answer.text();
      said.push(text);
      return Object.assign(answer, { said: text });
    };
    for (const name of ['a', 'b']) {
      const put = await ask(`/artifacts/ci/${name}`, { method: 'PUT', body: `bytes of ${name}` });
      assert.equal(put.status, 201);
    }
    const ready = JSON.parse((await ask('/readyz')).said) as { checks: { name: string }[] };
    assert.ok(ready.checks.some(({ name }) => name === 'catalogue'));
    await kit.server.stop();
    const asked: [string, RequestInit][] = [
      ['/artifacts/ci/a', {}],
      ['/artifacts/ci/', { headers: { accept: 'application/json' } }],
      ['/artifacts/ci/c', { method: 'PUT', body: 'c' }],
      ['/artifacts/ci/a', { method: 'DELETE' }],
    ];
    const answers = await Promise.all([...asked.map(([path, init]) => ask(path, init)), ask('/readyz')]);
    const unready = answers.pop()!;
    for (const answer of answers) {
      assert.equal(answer.status, 503, answer.said);
      assert.equal(answer.headers.get('retry-after'), '5');
      assert.equal((JSON.parse(answer.said) as { code: string }).code, 'NETWORK');
    }
    assert.equal(unready.status, 503);
    assert.match(unready.said, /"catalogue","ready":false,"message":"PostgreSQL cannot be reached/);
    await kit.server.restart();
    await until('it is ready again', 5_000, async () => (await ask('/readyz')).status === 200);
    assert.equal((await ask('/artifacts/ci/a')).said, 'bytes of a');
    assert.equal((await ask('/artifacts/ci/c', { method: 'PUT', body: 'c' })).status, 201);
    for (const path of ['/metrics', '/status', '/', '/openapi.json', '/artifacts/ci/']) await ask(path);
    assert.ok(said.some((line) => /catalogue postgres:\/\/\//.test(line)));
    assert.deepEqual(
      said.filter((line) => line.includes(PASSWORD)),
      [],
    );
  });

  test('is checked, made anew beside its old rows, and moved there from a folder', async (t) => {
    const folder = await makeFolder(t);
    const [data, moved] = [join(folder, 'data'), join(folder, 'moved')];
    const url = kit.freshUrl();
    const there = ['--data', data, '--catalogue', url];
    const run = start(t, 'depot', ...there, '--http', '0', '--port', '0', '--json');
    const { url: depot } = await run.line(({ type }) => type === 'listening');
    for (const name of ['a', 'b']) await fetch(`${depot}/artifacts/${name}`, { method: 'PUT', body: name });
    const busy = await haul('depot', 'rebuild', '--data', data, '--catalogue', url);
    assert.match(busy.stderr, /process \d+ uses this depot/);
    await run.stop();

    const good = await haul('depot', 'check', ...there);
    assert.match(good.stdout, /^2 names, 2 blobs, .*: all is good/, good.stderr);
    const schema = new URL(url).searchParams.get('schema')!;
    await kit.sql(`update ${schema}.artifacts set length_bytes = 7 where name = 'artifacts/a'`);
    await kit.sql(`delete from ${schema}.artifacts where name = 'artifacts/b'`);
    const bad = await haul('depot', 'check', ...there);
    assert.equal(bad.exitCode, 1);
    assert.match(bad.stdout, /catalogue: the blob [0-9a-f]{64} is kept as "1 1" and is "null null"/);
    const rebuilt = await haul('depot', 'rebuild', ...there);
    assert.match(rebuilt.stdout, new RegExp(`the old catalogue is in ${schema}\\.artifacts_old\\n2 names of 2 blobs`));
    assert.match((await haul('depot', 'check', ...there)).stdout, /^2 names, .*: all is good/);

    const migrated = await haul('depot', 'migrate', '--from', data, '--to', moved, '--catalogue', kit.freshUrl());
    assert.equal(migrated.exitCode, 0, migrated.stderr);
    const wrong = await haul('depot', 'check', '--data', moved, '--catalogue', url);
    assert.match(wrong.stderr, /is that of another store/);
    const none = await haul('depot', 'check', '--data', moved, '--catalogue', kit.freshUrl());
    assert.match(none.stderr, /there is no catalogue in postgres:/);
    await rm(join(data, 'store-id'));
    const lost = await haul('depot', ...there, '--http', '0', '--port', '0');
    assert.match(lost.stderr, /is that of another store/);
  });
});

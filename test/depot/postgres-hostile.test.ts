/** What stands in the database may be anybody's: tables of before and of later, rows that were edited, wrong places. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { openScope, type Scope } from '../../lab/scope.js';
import { Connections } from '../../src/depot/catalogue/postgres/connections.js';
import { loadPg } from '../../src/depot/catalogue/postgres/driver.js';
import { migrate, STEPS } from '../../src/depot/catalogue/postgres/migrations.js';
import { postgresPlace } from '../../src/depot/catalogue/postgres/place.js';
import { HaulError } from '../../src/errors.js';
import { skipWithout } from '../support/requirements.js';
import { ADD, collect, listAll, OVERWRITE, rowOf } from './catalogue-conformance.js';
import { MISSING, postgresKit } from './postgres-kit.js';

const kit = postgresKit(['fsync=off']);
const SHORT = { tryMs: 400, statementMs: 2_000 };

const suite = MISSING === null ? describe : describe.skip;
if (MISSING !== null) test('PostgreSQL', (t) => void skipWithout(t, MISSING));

async function connect(scope: Scope, url: string): Promise<Connections> {
  const connections = new Connections(await loadPg(), postgresPlace(url));
  scope.defer(() => connections.close());
  return connections;
}

suite('tables', () => {
  test('of each version before are brought to ours, with what is in them', async (t) => {
    const scope = openScope(t);
    for (let version = 1; version < STEPS.length; version++) {
      const url = kit.freshUrl();
      const connections = await connect(scope, url);
      assert.equal(await migrate(connections, STEPS.slice(0, version)), true);
      const { schema } = connections;
      const row = `'artifacts/a', '\\x${'ab'.repeat(32)}', 5, null, null, 1, null, 1, false, null`;
      await kit.sql(`insert into ${schema}.artifacts values (${row})`);
      await kit.sql(`insert into ${schema}.blobs values ('\\x${'ab'.repeat(32)}', 1, 5)`);
      await kit.sql(`insert into ${schema}.writers values (gen_random_uuid(), 1, now(), 1, 1, 5)`);
      const catalogue = await kit.open(scope, url);
      assert.equal((await catalogue.get('artifacts/a'))?.lengthBytes, 5);
      assert.deepEqual(await catalogue.counts(), { names: 1, blobs: 1, blobBytes: 5 });
      assert.equal(await catalogue.locked('ab'.repeat(32), async () => 'locked'), 'locked');
      assert.deepEqual(await catalogue.audit(), []);
      assert.equal(await migrate(connections), false);
    }
  });

  test('are made once, however many depots begin at once', async (t) => {
    const scope = openScope(t);
    const url = kit.freshUrl();
    const opened = await Promise.all(Array.from({ length: 6 }, () => kit.open(scope, url)));
    await Promise.all(opened.map((catalogue, index) => catalogue.put(rowOf(`artifacts/${index}`, 'x'), ADD)));
    assert.equal((await opened[0]!.counts()).names, 6);
  });

  test('of a newer program, without a version or of which some are gone are said to be that', async (t) => {
    const scope = openScope(t);
    const url = kit.freshUrl();
    const catalogue = await kit.open(scope, url);
    await catalogue.put(rowOf('artifacts/a', 'x'), ADD);
    const { schema } = catalogue.connections;
    for (const [version, message] of [
      ['99', /of version 99, and this program knows up to \d+: use the newer program/],
      ['0', /its version is none/],
      ['-1', /its version is none/],
    ] as const) {
      await kit.sql(`update ${schema}.depot set version = ${version}`);
      await assert.rejects(kit.open(scope, url), { code: 'BAD_DATA', message });
    }
    await kit.sql(`delete from ${schema}.depot`);
    await assert.rejects(kit.open(scope, url), { code: 'BAD_DATA', message: /its version is none/ });
    await kit.sql(`drop table ${schema}.artifacts`);
    await assert.rejects(catalogue.get('artifacts/a'), { code: 'BAD_DATA', message: /tables are not as they must be/ });
    await assert.rejects(catalogue.put(rowOf('artifacts/b', 'x'), ADD), { code: 'BAD_DATA' });
  });
});

suite('a row that somebody edited', () => {
  const edits: readonly string[] = [
    `sha256 = '\\x00'`,
    `sha256 = ''`,
    'length_bytes = -1',
    'length_bytes = 9223372036854775807',
    `info_hash = '\\x0102'`,
    `content_type = decode(repeat('61', 5000), 'hex')`,
    'created_ms = -5',
    'used_ms = 9007199254740993',
    'expires_ms = -9223372036854775808',
    'replicas = -1',
    'replicas = 9000000000',
  ];
  const names = [`name = '\\xff'`, `name = ''`, `name = decode(repeat('61', 3000), 'hex')`];

  for (const edit of [...edits, ...names])
    test(`is bad data for who wants it, and nothing to others: ${edit.slice(0, 40)}`, async (t) => {
      const scope = openScope(t);
      const told: HaulError[] = [];
      const catalogue = await kit.open(scope, kit.freshUrl(), { onDamaged: (error) => told.push(error) });
      for (const name of ['a', 'b', 'c'])
        await catalogue.put(rowOf(`artifacts/${name}`, name, { expiresMs: 5, usedMs: 5 }), ADD);
      const { schema } = catalogue.connections;
      await kit.sql(`update ${schema}.artifacts set ${edit} where name = 'artifacts/b'`);
      const bad = { code: 'BAD_DATA' };
      await assert.rejects(listAll(catalogue, '', 10), bad);
      assert.deepEqual((await listAll(catalogue, 'artifacts/a', 10)).length, 1);
      if (!edit.startsWith('name')) {
        await assert.rejects(catalogue.get('artifacts/b'), bad);
        await assert.rejects(catalogue.remove('artifacts/b'), bad);
        await assert.rejects(catalogue.put(rowOf('artifacts/b', 'x'), OVERWRITE), bad);
        await catalogue.touch(new Map([['artifacts/b', 100]]));
      }
      assert.equal((await catalogue.put(rowOf('artifacts/d', 'd'), ADD)).kind, 'created');
      const left = (await catalogue.expiring(Infinity, 10)).map(({ name }) => name);
      assert.deepEqual(left, ['artifacts/a', 'artifacts/c']);
      assert.ok((await catalogue.leastUsed(10)).length >= 3);
      assert.ok(told.length > 0 && told.every(({ code }) => code === 'BAD_DATA'));
      assert.ok((await collect(catalogue.infoHashes())).every((infoHash) => /^[0-9a-f]{40}$/.test(infoHash)));
      assert.ok((await catalogue.audit()).length > 0);
    });

  test('counts that somebody edited are bad data, and a blob for those who want it', async (t) => {
    const scope = openScope(t);
    const catalogue = await kit.open(scope, kit.freshUrl());
    for (const name of ['a', 'b', 'c']) await catalogue.put(rowOf(`artifacts/${name}`, name), ADD);
    await catalogue.put(rowOf('artifacts/b2', 'b'), ADD);
    const { schema } = catalogue.connections;
    const bad = { code: 'BAD_DATA' };
    const sha256 = `'\\x${rowOf('', 'b').sha256}'`;
    for (const edit of ['names = -5', 'names = 0', 'names = 1', 'length_bytes = -1', 'length_bytes = 7']) {
      await kit.sql(`update ${schema}.blobs set names = 2, length_bytes = 1001 where sha256 = ${sha256}`);
      await kit.sql(`update ${schema}.blobs set ${edit} where sha256 = ${sha256}`);
      assert.ok((await catalogue.audit()).length > 0, edit);
      if (edit !== 'names = 1') await assert.rejects(catalogue.remove('artifacts/b'), bad, edit);
      assert.equal((await catalogue.put(rowOf('artifacts/a', 'a'), ADD)).kind, 'unchanged');
    }
    await kit.sql(`update ${schema}.writers set names = -100`);
    await assert.rejects(catalogue.counts(), bad);
    assert.equal((await catalogue.remove('artifacts/c'))?.name, 'artifacts/c');
  });

  test('the settings that depots share may be any text', async (t) => {
    const scope = openScope(t);
    const url = kit.freshUrl();
    const catalogue = await kit.open(scope, url);
    for (const text of ['', 'null', '[]', '5', '{"store":5}', '{"torrentFromBytes":"x"}', '{'.repeat(1000)]) {
      await kit.sql(`update ${catalogue.connections.schema}.depot set settings = '${text}'`);
      await kit.open(scope, url).catch((error: unknown) => assert.ok(HaulError.is(error), String(error)));
    }
  });
});

suite('a place that is none', () => {
  const secret = 'pa55word';

  test('is said in a line without what is secret', async (t) => {
    const scope = openScope(t);
    await kit.sql(`create role guarded login password '${secret}'`);
    const server = kit.server;
    const say = async (url: string): Promise<HaulError> => {
      const error: unknown = await kit.open(scope, url, { patience: SHORT }).then(
        () => assert.fail(`it was opened: ${url}`),
        (failure: unknown) => failure,
      );
      assert.ok(HaulError.is(error));
      const all = `${error.message} ${JSON.stringify(error.facts)} ${error.stack} ${String(error.cause)}`;
      assert.equal(all.includes(secret), false, all);
      assert.equal(/\n/.test(error.message), false);
      return error;
    };
    const inPlace = (more: string) => `postgres:///${more}`.replace('HOST', encodeURIComponent(server.folder));
    for (const [url, code, message] of [
      [
        inPlace(`postgres?host=HOST&user=guarded&password=x${secret}`),
        'NO_PERMISSION',
        /password authentication failed/,
      ],
      [inPlace(`none?host=HOST&user=haul&password=${secret}`), 'NOT_FOUND', /database "none" does not exist/],
      [inPlace(`postgres?host=HOST&user=nobody&password=${secret}`), 'NO_PERMISSION', /role "nobody" does not exist/],
      [inPlace(`postgres?host=HOST&user=guarded&password=${secret}`), 'NO_PERMISSION', /permission denied/],
      [
        `postgres://haul:${secret}@127.0.0.1:1/postgres`,
        'NETWORK',
        /postgres:\/\/127\.0\.0\.1:1\/postgres: .*ECONNREFUSED/,
      ],
      [`postgres://haul:a/${secret}@127.0.0.1/postgres`, 'BAD_ARGUMENT', /%XX/],
      [`postgres://haul:12?${secret}@127.0.0.1/postgres`, 'BAD_ARGUMENT', /%XX/],
      [`postgres://haul:12#${secret}@127.0.0.1/postgres`, 'BAD_ARGUMENT', /%XX/],
      [`postgres://haul:${secret} @127.0.0.1/postgres`, 'BAD_ARGUMENT', /%XX/],
      [`mysql://haul:${secret}@127.0.0.1/postgres`, 'BAD_ARGUMENT', /begins with postgres/],
      [`${secret}`, 'BAD_ARGUMENT', /%XX/],
      [`postgres://haul:${secret}@127.0.0.1/postgres?schema=a;drop`, 'BAD_ARGUMENT', /a schema has small letters/],
    ] as const) {
      const error = await say(url);
      assert.equal(error.code, code, error.message);
      assert.match(error.message, message);
    }
  });

  test('and who has not installed pg is told how', async () => {
    const missing = Object.assign(new Error('no pg'), { code: 'ERR_MODULE_NOT_FOUND' });
    await assert.rejects(
      loadPg(() => Promise.reject(missing)),
      { code: 'NOT_FOUND', message: /needs the package pg, which is not installed: npm install pg$/ },
    );
  });

  test('and the word of a role that may not make tables is kept', async (t) => {
    const scope = openScope(t);
    const connections = await connect(scope, kit.freshUrl());
    await migrate(connections);
    await kit.sql('create role reader login');
    await kit.sql(`grant usage on schema ${connections.schema} to reader`);
    const url = kit.server.url(`schema=${connections.schema}`, { user: 'reader' });
    await assert.rejects(kit.open(scope, url, { patience: SHORT }), {
      code: 'NO_PERMISSION',
      message: /permission denied/,
    });
  });
});

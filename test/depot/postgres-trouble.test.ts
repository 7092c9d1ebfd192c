/** What becomes of changes and questions when PostgreSQL, or the way to it, fails. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { openScope } from '../../lab/scope.js';
import type { HaulError } from '../../src/errors.js';
import { makeRandom } from '../../src/random.js';
import { skipWithout } from '../support/requirements.js';
import { ADD, listAll, rowOf } from './catalogue-conformance.js';
import { CatalogueLoad } from './catalogue-load.js';
import { type CommitFate, CutProxy } from './cut-proxy.js';
import { MISSING, postgresKit } from './postgres-kit.js';

const kit = postgresKit();
/** Of tests that wait for the end of it. */
const SHORT = { tryMs: 400, statementMs: 2_000 };
/** Of those in which it is not to end, on a slow machine either. */
const LONG = { tryMs: 20_000, statementMs: 20_000 };

const suite = MISSING === null ? describe : describe.skip;
if (MISSING !== null) test('PostgreSQL', (t) => void skipWithout(t, MISSING));

suite('a connection that breaks at COMMIT', () => {
  async function scene(t: import('node:test').TestContext, fates: readonly CommitFate[], patience = SHORT) {
    const scope = openScope(t);
    const proxy = await CutProxy.open(scope, kit.server.folder);
    const schema = new URL(kit.freshUrl()).searchParams.get('schema')!;
    const url = kit.server.url(`schema=${schema}`, { folder: proxy.folder });
    const catalogue = await kit.open(scope, url, { patience });
    await catalogue.put(rowOf('artifacts/first', 'first'), ADD);
    proxy.fates.push(...fates);
    return { proxy, catalogue, other: await kit.open(scope, kit.server.url(`schema=${schema}`)) };
  }

  for (const fates of [
    ['answer is lost'],
    ['is lost'],
    ['is lost', 'answer is lost'],
    ['answer is lost', 'is lost'],
  ] as const)
    test(`is mended, and what was asked for is done once: ${fates.join(', then ')}`, async (t) => {
      const { catalogue, other } = await scene(t, fates, LONG);
      const put = await catalogue.put(rowOf('artifacts/a', 'x'), ADD);
      assert.deepEqual(put, { kind: 'created' });
      assert.deepEqual(await other.get('artifacts/a'), rowOf('artifacts/a', 'x'));
      assert.equal((await catalogue.remove('artifacts/a'))?.name, 'artifacts/a');
      assert.deepEqual(await other.audit(), []);
    });

  for (const arrives of [true, false])
    test(`and ${arrives ? 'arrives late' : 'never arrives'}: nobody is told before it is certain`, async (t) => {
      const { proxy, catalogue, other } = await scene(t, ['is late']);
      const put = catalogue.put(rowOf('artifacts/a', 'x'), ADD);
      await assert.rejects(put, (error: HaulError) => ['NETWORK', 'IN_USE'].includes(error.code));
      assert.equal(proxy.lateCount, 1);
      await assert.rejects(catalogue.settled('artifacts/a'), (error: HaulError) =>
        ['NETWORK', 'IN_USE'].includes(error.code),
      );
      await proxy.settleLate(arrives);
      const there = await catalogue.settled('artifacts/a');
      assert.deepEqual(there, arrives ? rowOf('artifacts/a', 'x') : null);
      assert.deepEqual(await other.get('artifacts/a'), there);
      assert.deepEqual(
        await catalogue.put(rowOf('artifacts/a', 'x'), ADD),
        arrives ? { kind: 'unchanged', row: there } : { kind: 'created' },
      );
      assert.deepEqual(await other.audit(), []);
    });

  test('reads go on over another connection, and a list is whole', async (t) => {
    const { proxy, catalogue } = await scene(t, [], LONG);
    const rows = Array.from({ length: 300 }, (_, index) => rowOf(`artifacts/${index}`, `${index}`));
    await Promise.all(rows.map((row) => catalogue.put(row, ADD)));
    const lists = Array.from({ length: 20 }, async () => {
      proxy.cutAll();
      return (await listAll(catalogue, 'artifacts/', 100)).length;
    });
    assert.deepEqual(new Set(await Promise.all(lists)), new Set([301]));
  });
});

suite('a server in trouble', () => {
  test('that is killed, and killed again, has all that was acknowledged', async (t) => {
    const scope = openScope(t);
    const url = kit.freshUrl();
    const catalogue = await kit.open(scope, url, { patience: LONG });
    const random = makeRandom(20_261_128);
    const load = new CatalogueLoad(catalogue, 8, random);
    for (let kills = 0; kills < 3; kills++) {
      const enough = load.done + 40 + Math.floor(random() * 40);
      while (load.done < enough) await catalogue.counts();
      await kit.server.kill();
      await kit.server.restart();
    }
    await load.stop();
    await load.check();
  });

  test('that is away is said after a while, and what was asked for comes true or never does', async (t) => {
    const scope = openScope(t);
    const catalogue = await kit.open(scope, kit.freshUrl(), { patience: SHORT });
    await catalogue.put(rowOf('artifacts/a', 'x'), ADD);
    await kit.server.stop();
    const away = { code: 'NETWORK', message: /catalogue postgres:\/\/.*: .*(?:ENOENT|ECONNREFUSED|terminat)/ };
    await assert.rejects(catalogue.get('artifacts/a'), away);
    await assert.rejects(catalogue.put(rowOf('artifacts/b', 'x'), ADD), away);
    await assert.rejects(
      catalogue.locked('0'.repeat(64), async () => {}),
      away,
    );
    await assert.rejects(kit.open(scope, kit.freshUrl(), { patience: SHORT }), away);
    await kit.server.restart();
    assert.equal((await catalogue.get('artifacts/a'))?.name, 'artifacts/a');
    assert.deepEqual(await catalogue.settled('artifacts/b'), await catalogue.get('artifacts/b'));
  });

  test('that is read-only is read, and takes changes again when it may', async (t) => {
    const scope = openScope(t);
    const catalogue = await kit.open(scope, kit.freshUrl(), { patience: SHORT });
    await catalogue.put(rowOf('artifacts/a', 'x'), ADD);
    const setAll = async (value: string) => {
      await kit.sql(`alter system set default_transaction_read_only = ${value}`);
      await kit.sql('select pg_reload_conf()');
      const isSet = `select current_setting('default_transaction_read_only') = '${value}'`;
      while ((await kit.sql(isSet))[0]![0] !== 't');
    };
    await setAll('on');
    try {
      await assert.rejects(catalogue.put(rowOf('artifacts/b', 'x'), ADD), { code: 'READ_ONLY' });
      assert.equal((await catalogue.get('artifacts/a'))?.name, 'artifacts/a');
      await assert.rejects(kit.open(scope, kit.freshUrl(), { patience: SHORT }), { code: 'READ_ONLY' });
    } finally {
      await setAll('off');
    }
    assert.equal((await catalogue.put(rowOf('artifacts/b', 'x'), ADD)).kind, 'created');
  });

  test('whose disk is full says so, keeps what it has, and lets names go', async (t) => {
    const scope = openScope(t);
    const catalogue = await kit.open(scope, kit.freshUrl());
    const { schema } = catalogue.connections;
    await catalogue.put(rowOf('artifacts/a', 'x'), ADD);
    await kit.sql(`create function ${schema}.no_room() returns trigger language plpgsql as
      $$ begin raise exception 'could not extend file' using errcode = 'disk_full'; end $$`);
    await kit.sql(`create trigger no_room before insert on ${schema}.artifacts execute function ${schema}.no_room()`);
    const full = { code: 'NO_SPACE', message: /no space left on the server's device/ };
    await assert.rejects(catalogue.put(rowOf('artifacts/b', 'y'), ADD), full);
    assert.equal((await catalogue.remove('artifacts/a'))?.name, 'artifacts/a');
    await kit.sql(`drop trigger no_room on ${schema}.artifacts`);
    assert.equal((await catalogue.put(rowOf('artifacts/b', 'y'), ADD)).kind, 'created');
    assert.deepEqual(await catalogue.audit(), []);
  });

  test('in which somebody holds a row says that it is busy, and not for longer than it is', async (t) => {
    const scope = openScope(t);
    const catalogue = await kit.open(scope, kit.freshUrl(), { patience: SHORT });
    const { schema, connections } = {
      ...catalogue,
      schema: catalogue.connections.schema,
      connections: catalogue.connections,
    };
    await catalogue.put(rowOf('artifacts/a', 'x'), ADD);
    await connections.transaction({ isDurable: false }, async (run) => {
      await run(`select 1 from ${schema}.artifacts for update`);
      await assert.rejects(catalogue.remove('artifacts/a'), { code: 'IN_USE' });
      assert.equal((await catalogue.get('artifacts/a'))?.name, 'artifacts/a');
    });
    assert.equal((await catalogue.remove('artifacts/a'))?.name, 'artifacts/a');
  });
});

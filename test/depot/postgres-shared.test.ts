/** Several depots with one catalogue in PostgreSQL: who is first, who waits, and what must be the same for all. */
import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { openScope, type Scope } from '../../lab/scope.js';
import { LEASE_TIMES } from '../../src/depot/catalogue/postgres/leases.js';
import type { PostgresCatalogue } from '../../src/depot/catalogue/postgres/postgres.js';
import { Depot } from '../../src/depot/publish.js';
import { type FolderStore, openFolderStore } from '../../src/depot/store/folders.js';
import type { BlobStore } from '../../src/depot/store/port.js';
import { makeRandom } from '../../src/random.js';
import { skipWithout } from '../support/requirements.js';
import { ADD, digestOf, listAll, ONLY_NEW, OVERWRITE, rowOf } from './catalogue-conformance.js';
import { bytesOf, read, request } from './depot-kit.js';
import { MISSING, postgresKit, SETTINGS } from './postgres-kit.js';
import { quickFolder } from './quick-folder.js';

const kit = postgresKit();

async function two(scope: Scope): Promise<[PostgresCatalogue, PostgresCatalogue]> {
  const url = kit.freshUrl();
  return [await kit.open(scope, url), await kit.open(scope, url)];
}

/** A store with something before each removal. */
function withBetween(store: FolderStore, beforeRemoval: (() => Promise<void>) | null): BlobStore {
  if (beforeRemoval === null) return store;
  return new Proxy<BlobStore>(store, {
    get: (target, key) => {
      const value: unknown = Reflect.get(target, key, target);
      if (key === 'remove') return (sha256: string) => beforeRemoval().then(() => target.remove(sha256));
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

const suite = MISSING === null ? describe : describe.skip;
if (MISSING !== null) test('PostgreSQL', (t) => void skipWithout(t, MISSING));

test('two depots make passkeys of one secret, which the first of them brought', {
  skip: MISSING !== null,
}, async (t) => {
  const [first, second] = await two(openScope(t));
  const [ours, theirs] = [bytesOf(32, 1), bytesOf(32, 2)];
  const found = await Promise.all([first.secret(ours), second.secret(theirs)]);
  assert.deepEqual(found[0], found[1]);
  assert.ok([ours, theirs].some((secret) => secret.equals(found[0]!)));
  assert.deepEqual(await second.secret(bytesOf(32, 3)), found[0]);
  await first.connections.read(`update ${first.connections.schema}.depot set secret = 'short'`);
  await assert.rejects(second.secret(ours), { code: 'BAD_DATA', message: /its secret has 5 bytes/ });
});

suite('two depots change names', () => {
  test('of puts for one name one wins, each replaced row is told once, and the counts agree', async (t) => {
    const both = await two(openScope(t));
    const rows = Array.from({ length: 60 }, (_, index) => rowOf('artifacts/a', `blob ${index}`));
    const first = await Promise.all(rows.map((row, index) => both[index % 2]!.put(row, ONLY_NEW)));
    assert.equal(first.filter(({ kind }) => kind === 'created').length, 1);
    const winner = rows[first.findIndex(({ kind }) => kind === 'created')]!;
    const next = await Promise.all(
      Array.from({ length: 60 }, (_, index) => both[index % 2]!.put(rowOf('artifacts/a', `next ${index}`), OVERWRITE)),
    );
    const gone = next.flatMap((outcome) => (outcome.kind === 'replaced' ? [outcome.row.sha256] : []));
    const stays = (await both[0].get('artifacts/a'))!.sha256;
    const all = [winner.sha256, ...Array.from({ length: 60 }, (_, index) => digestOf(`next ${index}`))];
    assert.deepEqual([...gone, stays].sort(), all.sort());
    assert.deepEqual((await both[1].counts()).names, 1);
    assert.deepEqual(await both[0].audit(), []);
  });

  test('whatever both do to the same few names and blobs, they never block each other, and all agrees', async (t) => {
    const both = await two(openScope(t));
    const random = makeRandom(20_261_128);
    const pick = (count: number) => Math.floor(random() * count);
    let names = 0;
    const work = async (catalogue: PostgresCatalogue): Promise<void> => {
      for (let round = 0; round < 40; round++) {
        const changes = Array.from({ length: 12 }, async () => {
          const [name, what] = [`artifacts/${pick(8)}`, random()];
          let more = 0;
          if (what < 0.3) more = (await catalogue.remove(name)) === null ? 0 : -1;
          else if (what < 0.4) await catalogue.pin(name, what < 0.35);
          else if (what < 0.5) await catalogue.touch(new Map([[name, 2e12 + round]]));
          else more = (await catalogue.put(rowOf(name, `${pick(5)}`), OVERWRITE)).kind === 'created' ? 1 : 0;
          names += more;
        });
        await Promise.all(changes);
      }
    };
    await Promise.all(both.map(work));
    assert.equal((await both[0].counts()).names, names);
    assert.deepEqual(await both[1].audit(), []);
  });

  test('sums of a depot that was closed, or was silent for days, are not lost', async (t) => {
    const scope = openScope(t);
    const url = kit.freshUrl();
    const [first, second] = [await kit.open(scope, url), await kit.open(scope, url)];
    for (const [index, catalogue] of [first, second].entries())
      await catalogue.put(rowOf(`artifacts/${index}`, `${index}`), ADD);
    await first.close();
    await kit.sql(
      `update haul.writers set seen = now() - interval '3 days'`.replace('haul', second.connections.schema),
    );
    const third = await kit.open(scope, url);
    const writers = await kit.sql(`select count(*) from ${second.connections.schema}.writers`);
    assert.deepEqual(writers, [['1']]);
    // Its row was given away: it gets another one.
    await second.put(rowOf('artifacts/2', '2'), ADD);
    assert.deepEqual((await third.counts()).names, 3);
    assert.deepEqual(await third.audit(), []);
  });
});

suite('two depots, one store', () => {
  async function depots(t: TestContext, beforeRemoval: (() => Promise<void>) | null = null) {
    const scope = openScope(t);
    const store = await openFolderStore({ folder: await quickFolder(scope) });
    scope.defer(() => store.close());
    const catalogues = await two(scope);
    const [a, b] = [
      new Depot({ store: withBetween(store, beforeRemoval), catalogue: catalogues[0] }),
      new Depot({ store, catalogue: catalogues[1] }),
    ];
    scope.defer(() => a.close());
    scope.defer(() => b.close());
    return { store, catalogues, a, b };
  }

  test('a blob that one depot removes is not named by the other meanwhile: it is published after that', async (t) => {
    let publishing: Promise<unknown> | null = null;
    let isOver = false;
    const bytes = bytesOf(5000);
    const scene = await depots(t, async () => {
      // The last name is gone, and the bytes are about to go.
      publishing = scene.b.publish(request('again', bytes)).finally(() => {
        isOver = true;
      });
      for (let look = 0; look < 20; look++) await scene.catalogues[1].counts();
      assert.equal(isOver, false);
    });
    await scene.a.publish(request('first', bytes));
    await scene.a.remove('artifacts/first');
    await publishing!;
    const row = (await scene.b.find('artifacts/again'))!;
    assert.deepEqual(await read(scene.b.read(row, { begin: 0, end: bytes.length })), bytes);
  });

  test('whatever both publish and remove, each name has its bytes', async (t) => {
    const { a, b, store, catalogues } = await depots(t);
    const blobs = [1, 2, 3].map((seed) => bytesOf(3000, seed));
    const random = makeRandom(7);
    const work = async (depot: Depot): Promise<void> => {
      for (let round = 0; round < 40; round++) {
        const name = `${Math.floor(random() * 4)}`;
        if (random() < 0.5) await depot.remove(`artifacts/${name}`);
        else await depot.publish(request(name, blobs[Math.floor(random() * 3)]!, { overwrite: true }));
      }
    };
    await Promise.all([work(a), work(b), work(a), work(b)]);
    for (const { sha256, lengthBytes } of await listAll(catalogues[0], '', 100))
      assert.equal((await store.stat(sha256))?.lengthBytes, lengthBytes);
    await a.sweep();
    const left = [];
    for await (const blob of store.list()) left.push(blob);
    assert.equal(left.length, (await catalogues[0].counts()).blobs);
    assert.deepEqual(await catalogues[0].audit(), []);
  });

  test('a sweep takes nothing that another depot is about to name', async (t) => {
    const swept: number[] = [];
    const scene = await depots(t);
    const put = scene.catalogues[1].put.bind(scene.catalogues[1]);
    let sweeping: Promise<number> | null = null;
    scene.catalogues[1].put = async (row, rules) => {
      // Its bytes are there, and no row names them yet.
      sweeping = scene.a.sweep();
      await scene.catalogues[0].counts();
      return put(row, rules);
    };
    const bytes = bytesOf(4000);
    const { row } = await scene.b.publish(request('a', bytes));
    swept.push(await sweeping!);
    assert.deepEqual(swept, [0]);
    assert.deepEqual(await read(scene.a.read(row, { begin: 0, end: bytes.length })), bytes);
  });
});

suite('a depot that is silent', () => {
  const short = { ...LEASE_TIMES, leaseMs: 200, sureMs: 50, renewMs: 1e6 };

  test('loses its lock, may remove nothing then, and names nothing that was given to another', async (t) => {
    const scope = openScope(t);
    const url = kit.freshUrl();
    const silent = await kit.open(scope, url, { leaseTimes: short });
    const other = await kit.open(scope, url);
    await silent.locked(digestOf('x'), async (lock) => {
      assert.equal(lock.isSure(), true);
      await other.locked(digestOf('x'), async (theirs) => {
        assert.equal(theirs.isSure(), true);
        assert.equal(lock.isSure(), false);
        await assert.rejects(silent.put(rowOf('artifacts/a', 'x'), ADD), { code: 'IN_USE' });
        assert.equal((await silent.put(rowOf('artifacts/b', 'y'), ADD)).kind, 'created');
        assert.equal((await other.put(rowOf('artifacts/a', 'x'), ADD)).kind, 'created');
      });
    });
    assert.deepEqual(await other.audit(), []);
  });

  test('keeps its lock as long as it renews it', async (t) => {
    const scope = openScope(t);
    const url = kit.freshUrl();
    const alive = await kit.open(scope, url, { leaseTimes: { ...short, renewMs: 20 } });
    const other = await kit.open(scope, url, { leaseTimes: { ...short, waitMs: 600 } });
    await alive.locked(digestOf('x'), async (lock) => {
      const theirs = other.locked(digestOf('x'), async () => {});
      await assert.rejects(theirs, { code: 'IN_USE' });
      assert.equal(lock.isSure(), true);
      assert.equal((await alive.put(rowOf('artifacts/a', 'x'), ADD)).kind, 'created');
    });
  });

  test('one depot at a time keeps house', async (t) => {
    const [a, b] = await two(openScope(t));
    assert.equal(await a.turn('keep', () => b.turn('keep', async () => 'both')), null);
    assert.equal(await b.turn('keep', async () => 'later'), 'later');
  });
});

suite('what must be the same', () => {
  test('another store is refused, and another setting while a depot runs that has the first', async (t) => {
    const scope = openScope(t);
    const url = kit.freshUrl();
    const first = await kit.open(scope, url);
    const open = (more: Partial<typeof SETTINGS>) => kit.open(scope, url, { settings: { ...SETTINGS, ...more } });
    await assert.rejects(open({ store: 'folder 2' as 'folder 1' }), { code: 'BAD_ARGUMENT', message: /another store/ });
    const other = { torrentFromBytes: 1 as 4096 };
    await assert.rejects(open(other), { code: 'BAD_ARGUMENT', message: /do not agree.* 4096 .* 1 here/ });
    await kit.open(scope, url);
    await first.close();
    await assert.rejects(open(other), { code: 'BAD_ARGUMENT' });
  });

  test('alone a depot may have another setting than the last time', async (t) => {
    const scope = openScope(t);
    const url = kit.freshUrl();
    await (await kit.open(scope, url)).close();
    const settings = { ...SETTINGS, torrentFromBytes: 1 };
    await (await kit.open(scope, url, { settings })).close();
    await assert.rejects(kit.open(scope, url, { settings: { ...settings, store: 'folder 2' } }), /another store/);
  });

  test('an empty catalogue beside blobs is one that was lost, until it is known whose it is', async (t) => {
    const scope = openScope(t);
    const url = kit.freshUrl();
    const lost = { hasBlobs: async () => true };
    for (let time = 0; time < 2; time++) {
      const opened = kit.open(scope, url, lost);
      await assert.rejects(opened, { code: 'BAD_DATA', message: /empty, and there are blobs.*haul depot rebuild/ });
    }
    await (await kit.open(scope, url)).close();
    await kit.open(scope, url, lost);
  });
});

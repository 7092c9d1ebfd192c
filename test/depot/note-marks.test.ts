/**
 * What lies beside blobs, and a depot that ends between any two of its steps: nothing acknowledged is undone when the
 * next one starts, and what is noted beside each blob is then what the catalogue has.
 *
 *   NOTE_ROUNDS=20000 node --test dist/test/depot/note-marks.test.js     more of it; NOTE_SEED: another run
 */
import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import type { ArtifactRow, BlobLock, Catalogue } from '../../src/depot/catalogue/port.js';
import { rowFromJson } from '../../src/depot/catalogue/row.js';
import { Locks } from '../../src/depot/locks.js';
import { Depot } from '../../src/depot/publish.js';
import type { BlobStore } from '../../src/depot/store/port.js';
import { HaulError } from '../../src/errors.js';
import { makeRandom } from '../../src/random.js';
import { bytesOf, type Kit, openKit, request, sha256 } from './depot-kit.js';

const ROUNDS = Number(process.env.NOTE_ROUNDS ?? 60);
const SEED = Number(process.env.NOTE_SEED ?? 20_261_129);
const NAMES = ['a', 'b', 'c'];
/** Few: names share them. */
const BLOBS = [bytesOf(0), bytesOf(10), bytesOf(20, 2)];
/** A depot ends after at most so many steps. */
const STEPS_MAX = 30;

/** Of a process: it takes so many steps more, and then nothing any more. */
class Life {
  /** Rejects when it is over, and nothing that it began is under way. */
  readonly ended: Promise<never>;
  isOver = false;
  #left: number;
  #running = 0;
  #end: () => void = () => {};

  constructor(steps: number) {
    this.#left = steps;
    this.ended = new Promise((_, reject) => {
      this.#end = () => reject(new Error('the process was ended'));
    });
    this.ended.catch(() => {});
  }

  async step<T>(does: () => Promise<T>): Promise<T> {
    if (this.#left-- <= 0) this.end();
    if (this.isOver) return new Promise(() => {});
    this.#running++;
    const settled = await does().then(
      (value) => () => value,
      (error: unknown) => () => {
        throw error;
      },
    );
    this.#running--;
    if (!this.isOver) return settled();
    this.end();
    return new Promise(() => {});
  }

  end(): void {
    this.isOver = true;
    if (this.#running === 0) this.#end();
  }
}

/** Each call is a step of that life. */
function mortal<T extends object>(inner: T, life: Life): T {
  return new Proxy(inner, {
    get: (target, key) => {
      const value: unknown = Reflect.get(target, key, target);
      if (typeof value !== 'function') return value;
      if (key === 'list') return value.bind(target);
      return (...all: unknown[]) => life.step(() => value.apply(target, all));
    },
  });
}

/** Locks end with who has them, as leases do. */
function withLocks(catalogue: Catalogue, locks: Locks, life: Life, isShared: boolean): Catalogue {
  return new Proxy(mortal(catalogue, life), {
    get: (target, key) => {
      if (key === 'isShared') return isShared;
      if (key !== 'locked') return Reflect.get(target, key, target);
      return <R>(digest: string, body: (lock: BlobLock) => Promise<R>) =>
        locks.run(digest, () => (life.isOver ? life.ended : Promise.race([life.ended, body({ isSure: () => true })])));
    },
  });
}

class Scene {
  readonly #kit: Kit;
  readonly #isShared: boolean;
  readonly #locks = new Locks();
  readonly #random: () => number;
  /** By name what it may be: a digest, or null for not there. */
  readonly #may = new Map<string, Set<string | null>>(NAMES.map((name) => [name, new Set([null])]));
  /** What is done now may show up, or not. */
  readonly #busy = new Set<string>();

  constructor(kit: Kit, isShared: boolean, random: () => number) {
    this.#kit = kit;
    this.#isShared = isShared;
    this.#random = random;
  }

  pick(count: number): number {
    return Math.floor(this.#random() * count);
  }

  async start(life: Life): Promise<Depot> {
    const catalogue = withLocks(this.#kit.catalogue, this.#locks, life, this.#isShared);
    const depot = new Depot({ store: mortal<BlobStore>(this.#kit.store, life), catalogue });
    await depot.sweep();
    return depot;
  }

  /** Changes names, two at a time, until the depot is over. */
  async work(depot: Depot, life: Life): Promise<void> {
    const lane = async (): Promise<void> => {
      while (!life.isOver) {
        const name = NAMES[this.pick(NAMES.length)]!;
        if (this.#busy.has(name)) {
          await new Promise(setImmediate);
          continue;
        }
        this.#busy.add(name);
        await Promise.race([this.#change(depot, name), life.ended]).catch((error) => {
          if (!life.isOver) throw error;
        });
        this.#busy.delete(name);
      }
    };
    await Promise.all([lane(), lane()]);
  }

  async #change(depot: Depot, name: string): Promise<void> {
    const may = this.#may.get(name)!;
    const dice = this.#random();
    let now: string | null = null;
    if (dice < 0.1) {
      await depot.pin(`artifacts/${name}`, this.#random() < 0.5);
      return;
    }
    if (dice < 0.55) {
      const bytes = BLOBS[this.pick(BLOBS.length)]!;
      may.add(sha256(bytes));
      const { row } = await depot.publish(request(name, bytes, { overwrite: true }));
      now = row.sha256;
    } else {
      may.add(null);
      await depot.remove(`artifacts/${name}`);
    }
    may.clear();
    may.add(now);
  }

  /** Nothing is under way. */
  async check(round: number): Promise<void> {
    const { catalogue, store } = this.#kit;
    const rows = new Map<string, ArtifactRow>();
    for (const [name, may] of this.#may) {
      const row = await catalogue.get(`artifacts/${name}`);
      const found = row?.sha256 ?? null;
      const wanted = [...may].map((one) => one?.slice(0, 8) ?? 'nothing').join(' or ');
      assert.ok(may.has(found), `round ${round}: ${name} is ${found?.slice(0, 8) ?? 'gone'}, and must be ${wanted}`);
      may.clear();
      may.add(found);
      if (row !== null) rows.set(row.name, row);
    }
    const noted = new Map<string, ArtifactRow>();
    for await (const blob of store.list()) {
      for (const [name, text] of await store.names(blob.sha256)) {
        assert.ok(!noted.has(name), `round ${round}: ${name} is noted twice`);
        noted.set(name, rowFromJson(text) as ArtifactRow);
      }
    }
    assert.deepEqual(noted, rows, `round ${round}: notes, and rows`);
    const blobs = new Set([...rows.values()].map((row) => row.sha256));
    for await (const blob of store.list()) assert.ok(blobs.has(blob.sha256), `round ${round}: nobody names a blob`);
    for (const digest of blobs) assert.notEqual(await store.stat(digest), null, `round ${round}: a blob is lost`);
  }
}

async function scene(t: TestContext, isShared: boolean): Promise<Scene> {
  return new Scene(await openKit(t), isShared, makeRandom(SEED));
}

describe('a note that cannot be written', () => {
  test('keeps no removal from being done, is not believed, and is written when it can be', async (t) => {
    const made = await openKit(t);
    const { depot, store, catalogue } = made;
    const marks = () => catalogue.marks({ after: null, limit: 10 });
    for (const name of ['x', 'y', 'z']) await depot.publish(request(name, BLOBS[1]!));
    const noRoom = t.mock.method(store, 'note', () => Promise.reject(new HaulError('NO_SPACE', 'the disk is full')));
    assert.notEqual(await depot.remove('artifacts/x'), null);
    assert.notEqual(await depot.pin('artifacts/y', true), null);
    assert.equal((await depot.publish(request('w', BLOBS[1]!))).kind, 'created');
    assert.deepEqual((await marks()).map(({ name }) => name).sort(), ['artifacts/w', 'artifacts/x', 'artifacts/y']);
    // All rows are lost: what was removed does not come back with the others, and what has no note cannot.
    const digest = sha256(BLOBS[1]!);
    for (const name of ['w', 'y', 'z']) await catalogue.remove(`artifacts/${name}`);
    const again = new Depot({ store, catalogue });
    assert.equal(await again.collect(digest), false);
    const page = await catalogue.list({ prefix: '', cursor: null, limit: 10 });
    assert.deepEqual(
      page.rows.map(({ name }) => name),
      ['artifacts/z'],
    );
    noRoom.mock.restore();
    // One that can be written sees to the others, too.
    await depot.pin('artifacts/z', true);
    await depot.close();
    assert.deepEqual(await marks(), []);
    assert.deepEqual([...(await store.names(digest)).keys()], ['artifacts/z']);
  });
});

describe('a depot that ends between any two of its steps', () => {
  test(`alone, ${ROUNDS} times: nothing acknowledged is undone, and notes are as the rows`, async (t) => {
    const made = await scene(t, false);
    for (let round = 0; round < ROUNDS; round++) {
      const life = new Life(Number.POSITIVE_INFINITY);
      await made.start(life);
      life.end();
      await made.check(round);
      // The next start may be cut short too.
      const short = new Life(made.pick(STEPS_MAX));
      const begun = await Promise.race([made.start(short), short.ended]).catch(() => null);
      if (begun !== null) await made.work(begun, short);
    }
  });

  test(`beside another one, ${ROUNDS} times: the same`, async (t) => {
    const made = await scene(t, true);
    for (let round = 0; round < ROUNDS; round++) {
      const lives = [new Life(made.pick(STEPS_MAX)), new Life(made.pick(4 * STEPS_MAX))];
      await Promise.all(
        lives.map(async (life) => {
          const begun = await Promise.race([made.start(life), life.ended]).catch(() => null);
          if (begun !== null) await made.work(begun, life);
        }),
      );
      const last = new Life(Number.POSITIVE_INFINITY);
      await made.start(last);
      last.end();
      await made.check(round);
    }
  });
});

test('a name pinned, let go or removed while other bytes come for it is so, and the note says it', async (t) => {
  const { depot, store, catalogue } = await openKit(t);
  const name = 'artifacts/a';
  const whiles: readonly (readonly [isPinned: boolean, deed: () => Promise<unknown>, isPinnedThen: boolean])[] = [
    [false, () => depot.pin(name, true), true],
    [true, () => depot.pin(name, false), false],
    [true, () => depot.remove(name), false],
  ];
  for (const [index, [isPinned, deed, isPinnedThen]] of whiles.entries()) {
    await depot.publish(request('a', bytesOf(10, index), { overwrite: true }));
    await depot.pin(name, isPinned);
    const commit = store.commit.bind(store);
    let deeds: Promise<unknown> = Promise.resolve();
    t.mock.method(
      store,
      'commit',
      async (...given: Parameters<typeof commit>) => {
        const committed = await commit(...given);
        // Of what the deed waits for is the lock of the other blob.
        deeds = deed();
        return committed;
      },
      { times: 1 },
    );
    const { row } = await depot.publish(request('a', bytesOf(20, index), { overwrite: true }));
    await deeds;
    const text = (await store.names(row.sha256)).get(name)!;
    const noted = rowFromJson(text) as ArtifactRow;
    const told = [row.isPinned, (await depot.find(name))?.isPinned, noted.isPinned];
    assert.deepEqual(told, [isPinnedThen, isPinnedThen, isPinnedThen], `${index}`);
  }
  await depot.close();
  assert.deepEqual(await catalogue.marks({ after: null, limit: 10 }), []);
});

/**
 * Names go by age, unused and for want of space while they are published, fetched, pinned, removed and listed: in an
 * order that dice decide, over a real store and a real catalogue. Whatever was answered must have come about one after
 * the other, what is read is whole and right, and in the end names, blobs and notes agree.
 *
 *   EVICT_ROUNDS=100 node --test dist/test/depot/keep/evict-races.test.js     more of it; EVICT_SEED: another run;
 *   EVICT_AT_ONCE=4: the disk has a say in the order, too
 */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { openScope } from '../../../lab/scope.js';
import type { ArtifactRow } from '../../../src/depot/catalogue/port.js';
import { checkDepot } from '../../../src/depot/check.js';
import { Keeper } from '../../../src/depot/keep/keeper.js';
import { openCatalogueOf } from '../../../src/depot/open-catalogue.js';
import { Depot } from '../../../src/depot/publish.js';
import { Readers } from '../../../src/depot/readers.js';
import { catalogueIn } from '../../../src/depot/rebuild.js';
import { openFolderStore } from '../../../src/depot/store/folders.js';
import { HaulError } from '../../../src/errors.js';
import { makeRandom } from '../../../src/random.js';
import { bytesOf, chunksOf, request, sha256 } from '../depot-kit.js';
import { Histories, type NameState } from '../history.js';
import { quickFolder } from '../quick-folder.js';
import { Turns } from '../turns.js';

const NOW = 1_800_000_000_000;
const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;
const IDLE_MS = 20 * MINUTE;
const SEED = Number(process.env.EVICT_SEED ?? 20_261_129);
const ROUNDS = Number(process.env.EVICT_ROUNDS ?? 3);
const AT_ONCE = Number(process.env.EVICT_AT_ONCE ?? 1);
const CLIENTS = 6;
const DEEDS = 25;
const NAMES = ['artifacts/a', 'artifacts/b', 'artifacts/c/d', 'ac/e'];
/** As the handler of requests does, where the blob went between name and bytes. */
const RACES_MAX = 5;
const BLOBS = [300, 301, 70_000, 200_000, 1_200_000].map((length, index) => bytesOf(length, index + 1));
const DIGESTS = new Map(BLOBS.map((bytes) => [sha256(bytes), bytes]));

class Scene {
  readonly histories = new Histories();
  readonly turns: Turns;
  readonly depot: () => Depot;
  readonly readers = new Readers();
  readonly lastRead = new Map<string, number>();
  readonly faults: string[] = [];
  nowMs = NOW;
  gone = 0;

  constructor(random: () => number, depot: () => Depot) {
    this.turns = new Turns(random);
    this.depot = depot;
  }

  async put(name: string): Promise<void> {
    const { turns, histories } = this;
    const bytes = BLOBS[turns.pick(BLOBS.length)]!;
    const overwrite = turns.pick(2) === 0;
    const body = this.#body(bytes);
    const retentionDays = turns.pick(3) === 0 ? (1 + turns.pick(30 * MINUTE)) / DAY : null;
    const beganAt = histories.now();
    const blob = sha256(bytes);
    try {
      const { kind } = await this.depot().publish({ ...request('', bytes), name, overwrite, body, retentionDays });
      const was = (state: NameState): boolean =>
        kind === 'created' ? state === null : state !== null && (state.blob === blob) === (kind === 'unchanged');
      histories.add(name, {
        text: `put ${blob.slice(0, 4)} ${kind}`,
        beganAt,
        apply: (state) => (was(state) ? { blob, isPinned: state?.isPinned ?? false } : undefined),
      });
    } catch (error) {
      if (!HaulError.is(error) || error.code !== 'FILE_EXISTS') throw error;
      const apply = (state: NameState) => (state !== null && state.blob !== blob && !overwrite ? state : undefined);
      histories.add(name, { text: `put ${blob.slice(0, 4)} refused`, beganAt, apply });
    }
  }

  async *#body(bytes: Buffer): AsyncGenerator<Uint8Array> {
    for await (const chunk of chunksOf(bytes, 1 + (bytes.length >> 1))) {
      await this.turns.wait();
      yield chunk;
    }
  }

  async get(name: string): Promise<void> {
    const { histories, turns } = this;
    const beganAt = histories.now();
    for (let left = RACES_MAX; left > 0; left--) {
      const row = await this.depot().find(name);
      if (row === null) {
        histories.add(name, { text: 'get: nothing', beganAt, apply: (state) => (state === null ? null : undefined) });
        return;
      }
      const whole = DIGESTS.get(row.sha256)!;
      const begin = turns.pick(3) === 0 ? turns.pick(whole.length) : 0;
      const slices: Buffer[] = [];
      try {
        const range = { begin, end: row.lengthBytes };
        for await (const slice of this.readers.read(row, this.depot().read(row, range))) {
          slices.push(Buffer.from(slice));
          await turns.wait();
        }
      } catch (error) {
        if (HaulError.is(error) && error.code === 'NOT_FOUND' && slices.length === 0) continue;
        this.faults.push(`get ${name}: ${error}`);
        return;
      }
      if (!Buffer.concat(slices).equals(whole.subarray(begin))) this.faults.push(`get ${name}: other bytes`);
      this.lastRead.set(name, this.nowMs);
      const apply = (state: NameState) => (state?.blob === row.sha256 ? state : undefined);
      histories.add(name, { text: `get ${row.sha256.slice(0, 4)}`, beganAt, apply });
      return;
    }
    this.faults.push(`get ${name}: there, and gone, ${RACES_MAX} times`);
  }

  async remove(name: string): Promise<void> {
    const beganAt = this.histories.now();
    const row = await this.depot().remove(name);
    this.histories.add(name, {
      text: `remove ${row?.sha256.slice(0, 4)}`,
      beganAt,
      apply: (state) => (state?.blob === row?.sha256 ? null : undefined),
    });
  }

  async evict(name: string, facts: Partial<ArtifactRow>): Promise<ArtifactRow | null> {
    const beganAt = this.histories.now();
    const readMs = this.lastRead.get(name) ?? 0;
    const row = await this.depot().remove(name, facts);
    if (row === null) return null;
    this.gone++;
    const isOld = row.expiresMs !== null && row.expiresMs < this.nowMs;
    const seemsIdle = row.usedMs + IDLE_MS < this.nowMs;
    if (!isOld && seemsIdle && readMs + IDLE_MS > this.nowMs)
      this.faults.push(`${name} went, and was read a moment ago`);
    const apply = (state: NameState) => (state?.blob === row.sha256 && !state.isPinned ? null : undefined);
    this.histories.add(name, { text: `evict ${row.sha256.slice(0, 4)}`, beganAt, apply });
    return row;
  }

  async pin(name: string): Promise<void> {
    const beganAt = this.histories.now();
    const isPinned = this.turns.pick(3) === 0;
    const row = await this.depot().pin(name, isPinned);
    this.histories.add(name, {
      text: `pin ${isPinned} ${row?.sha256.slice(0, 4)}`,
      beganAt,
      apply: (state) => (state?.blob !== row?.sha256 ? undefined : state === null ? null : { ...state, isPinned }),
    });
  }

  async look(name: string): Promise<void> {
    const beganAt = this.histories.now();
    const row = await this.depot().find(name);
    const is = (state: NameState) => state?.blob === row?.sha256 && state?.isPinned === row?.isPinned;
    const text = `is ${row?.sha256.slice(0, 4)} ${row?.isPinned}`;
    this.histories.add(name, { text, beganAt, apply: (state) => (is(state) ? state : undefined) });
  }
}

async function round(context: TestContext, seed: number): Promise<number> {
  const scope = openScope(context);
  const folder = await quickFolder(scope);
  const store = await openFolderStore({ folder });
  const catalogue = await openCatalogueOf(store, catalogueIn(folder));
  const scene: Scene = new Scene(makeRandom(seed), () => depot);
  const { turns, readers, histories } = scene;
  const depot = new Depot({
    store: turns.wrap(store, ['create', 'commit', 'pieces', 'remove', 'note', 'names', 'stat']),
    catalogue: turns.wrap(catalogue, ['get', 'put', 'remove', 'pin', 'isNamed', 'unmark', 'touch', 'byInfoHash']),
    torrentFromBytes: 100_000,
    now: () => scene.nowMs,
  });
  const keeper = new Keeper({
    rules: { idleMs: IDLE_MS, diskShare: null, ownBytes: { high: 1_500_000, low: 1_300_000 } },
    catalogue: turns.wrap(catalogue, ['expiring', 'leastUsed']),
    remove: (name, facts) => scene.evict(name, facts),
    uses: depot.uses,
    fullness: async () => ({ usedBytes: store.usedBytes, disk: null }),
    isInUse: ({ sha256: blob }) => readers.has(blob),
    copies: () => 0,
    clocks: () => ({ wallMs: scene.nowMs, elapsedMs: scene.nowMs }),
    lastWallMs: NOW,
    log: () => {},
  });
  const client = async (): Promise<void> => {
    for (let left = DEEDS; left > 0; left--) {
      scene.nowMs += turns.pick(MINUTE);
      const name = NAMES[turns.pick(NAMES.length)]!;
      const dice = turns.pick(20);
      if (dice < 7) await scene.put(name);
      else if (dice < 13) await scene.get(name);
      else if (dice < 15) await scene.remove(name);
      else if (dice < 17) await scene.pin(name);
      else await keeper.look();
    }
  };
  await turns.run(Promise.all(Array.from({ length: CLIENTS }, client)), AT_ONCE);
  await turns.run(Promise.all(NAMES.map((name) => scene.look(name))));
  await turns.run(depot.close());
  assert.deepEqual([...histories.faults(), ...scene.faults], [], `seed ${seed}`);
  const { findings, lengthBytes } = await checkDepot({ store, catalogue });
  assert.deepEqual(findings, [], `seed ${seed}`);
  assert.equal(store.usedBytes, lengthBytes, `seed ${seed}`);
  await catalogue.close();
  await store.close();
  return scene.gone;
}

test(`names that go while they are wanted: ${ROUNDS * CLIENTS * DEEDS} random deeds`, async (context) => {
  let gone = 0;
  for (let index = 0; index < ROUNDS; index++) gone += await round(context, SEED + index);
  assert.ok(gone > ROUNDS, `${gone}`);
});

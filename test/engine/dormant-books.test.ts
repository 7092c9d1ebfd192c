/** The books of dormant torrents, with a clock and torrents that the test plays. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TorrentState, WokenTorrent } from '../../src/api.js';
import { Dormant } from '../../src/engine/dormant.js';
import type { LiveTorrent } from '../../src/torrent/torrent.js';

const HASHES = Array.from({ length: 12 }, (_, number) => Buffer.alloc(20, number + 1).toString('hex'));
const [HASH] = HASHES as [string];

class PlayedTorrent {
  readonly #watchers = new Set<() => void>();
  state: TorrentState = 'preparing';
  isStopping = false;
  readonly roster = { isAdmitting: false };
  readonly rest = { isResting: false };
  readonly metainfo: { readonly infoHashHex: string };
  exchange: { readonly peerCount: number; readonly peers: { activeMs: number }[] } | null = null;

  constructor(infoHashHex: string) {
    this.metainfo = { infoHashHex };
  }

  async stop(): Promise<void> {
    this.isStopping = true;
  }

  enter(state: TorrentState): void {
    this.state = state;
    this.roster.isAdmitting = state === 'downloading' || state === 'seeding';
    for (const look of [...this.#watchers]) look();
  }

  get watcherCount(): number {
    return this.#watchers.size;
  }

  watchState(look: () => void): () => void {
    this.#watchers.add(look);
    return () => this.#watchers.delete(look);
  }
}

class World {
  nowMs = 0;
  readonly torrents = new Map<string, PlayedTorrent>();
  readonly added: string[] = [];
  readonly asked: string[] = [];
  /** Some wakes are to fail. */
  mayFail = false;
  readonly troubles: string[] = [];
  readonly #answers = new Map<string, (found: WokenTorrent | null) => void>();
  readonly dormant = new Dormant({
    now: () => this.nowMs,
    maxAwake: 2,
    find: (infoHashHex) => (this.torrents.get(infoHashHex) ?? null) as LiveTorrent | null,
    add: ({ infoHashHex }) => {
      this.added.push(infoHashHex);
      const torrent = new PlayedTorrent(infoHashHex);
      this.torrents.set(infoHashHex, torrent);
      return torrent as unknown as LiveTorrent;
    },
    onTrouble: (message) => {
      if (!this.mayFail) assert.fail(message);
      this.troubles.push(message);
    },
  });

  constructor() {
    for (const hash of HASHES) this.register(hash);
  }

  register(hash: string): void {
    this.dormant.register(hash, (infoHashHex) => {
      this.asked.push(infoHashHex);
      return new Promise((resolve) => this.#answers.set(infoHashHex, resolve));
    });
  }

  answer(infoHashHex: string, sleepAfterMs?: number): void {
    const sleep = sleepAfterMs === undefined ? {} : { sleepAfterMs };
    this.#answers.get(infoHashHex)!({ metainfo: { infoHashHex }, options: {}, ...sleep } as WokenTorrent);
  }

  tick(nowMs: number): void {
    this.nowMs = nowMs;
    this.dormant.tick(nowMs);
  }
}

/** All that follows from what has happened so far. */
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('nobody waits for a known torrent that is being checked', async () => {
  const world = new World();
  const torrent = new PlayedTorrent(HASH);
  world.torrents.set(HASH, torrent);
  torrent.enter('checking');
  const answers = [world.dormant.wake(HASH), world.dormant.wake(HASH)];
  await settle();
  assert.equal(torrent.watcherCount, 0);
  assert.deepEqual(await Promise.all(answers), [null, null]);
});

test('a torrent that takes no peers in time is left without a listener', async () => {
  const world = new World();
  const answer = world.dormant.wake(HASH);
  await settle();
  world.answer(HASH);
  await settle();
  const torrent = world.torrents.get(HASH)!;
  assert.equal(torrent.watcherCount, 1);
  torrent.enter('checking');
  world.tick(10_000);
  assert.equal(await answer, null);
  assert.equal(torrent.watcherCount, 0);
});

test('a torrent that is checked quickly has its peers', async () => {
  const world = new World();
  const answer = world.dormant.wake(HASH);
  await settle();
  world.answer(HASH);
  await settle();
  const torrent = world.torrents.get(HASH)!;
  for (const state of ['checking', 'downloading'] as const) torrent.enter(state);
  assert.equal(await answer, torrent);
  assert.equal(torrent.watcherCount, 0);
});

for (const [title, change] of [
  ['forgotten', (world: World) => world.dormant.forget(HASH)],
  ['registered anew', (world: World) => world.register(HASH)],
] as const) {
  test(`a torrent that was ${title} while its owner was asked is not added`, async () => {
    const world = new World();
    const answer = world.dormant.wake(HASH);
    await settle();
    const late = world.asked.length;
    change(world);
    world.answer(HASH);
    assert.equal(await answer, null);
    assert.equal(late, 1);
    assert.deepEqual(world.added, []);
  });
}

test('a torrent that is forgotten before its turn is not asked for', async () => {
  const world = new World();
  const answers = HASHES.slice(0, 9).map((hash) => world.dormant.wake(hash));
  world.dormant.forget(HASHES[8]!);
  await settle();
  world.answer(HASH);
  await settle();
  world.torrents.get(HASH)!.enter('downloading');
  assert.equal(await answers[8], null);
  assert.deepEqual(world.asked, HASHES.slice(0, 8));
});

test('no owner is asked after the end', async () => {
  const world = new World();
  const answers = HASHES.map((hash) => world.dormant.wake(hash));
  await settle();
  world.dormant.close();
  for (const hash of HASHES.slice(0, 8)) world.answer(hash);
  await settle();
  assert.deepEqual(
    await Promise.all(answers),
    HASHES.map(() => null),
  );
  assert.deepEqual(world.asked, HASHES.slice(0, 8));
  assert.deepEqual(world.added, []);
});

test('connections that neither give nor take for a minute keep no torrent awake while another is wanted', async () => {
  const world = new World();
  world.mayFail = true;
  const wake = async (hash: string): Promise<LiveTorrent | null> => {
    const answer = world.dormant.wake(hash);
    await settle();
    world.answer(hash, 3_600_000);
    await settle();
    world.torrents.get(hash)?.enter('seeding');
    return answer;
  };
  const [first, second, third, fourth] = HASHES as [string, string, string, string];
  for (const [hash, activeMs] of [
    [first, 5000],
    [second, 4000],
  ] as const) {
    await wake(hash);
    world.torrents.get(hash)!.exchange = { peerCount: 2, peers: [{ activeMs }, { activeMs: 0 }] };
  }
  world.tick(63_000);
  assert.equal(await wake(third), null, 'all were used within the last minute');
  assert.match(world.troubles.join(), /all are busy$/);
  world.tick(64_000 + 10_000);
  world.torrents.get(first)!.exchange!.peers[1]!.activeMs = 70_000;
  assert.notEqual(await wake(third), null);
  assert.ok(world.torrents.get(second)!.isStopping && !world.torrents.get(first)!.isStopping);
  world.torrents.get(third)!.exchange = { peerCount: 1, peers: [{ activeMs: 73_000 }] };
  world.tick(90_000);
  assert.equal(await wake(fourth), null);
});

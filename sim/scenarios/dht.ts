/**
 * A DHT whose nodes come and go: torrents are announced by some and looked for by others. Every lookup is compared with
 * what an all-knowing one would find.
 */
import { compareDistance } from '../../src/dht/node-id.js';
import type { Address } from '../../src/net/address.js';
import { DhtWorld, type Inhabitant } from '../dht-world.js';
import { atLeast, atMost, type Outcome, percentile, type ScenarioOptions } from '../scenario.js';

const JOIN_MS = 120_000;
const SETTLED_MS = 240_000;
/** Half of the nodes that are there are gone after so long; as many others have come. */
const HALF_LIFE_MS = 20 * 60_000;
const STEP_MS = 1_000;
const CLOSEST = 8;
const DELAY_MS = [10, 100] as const;
const LOSS = 0.01;

interface Result {
  readonly isFound: boolean;
  readonly hops: number;
  readonly queries: number;
  readonly seconds: number;
}

function growTo(world: DhtWorld, count: number): void {
  const founder = world.join([]);
  for (let index = 1; index < count; index++) {
    world.events.callAt(world.random() * JOIN_MS, () => {
      world.join([founder.address, world.pick(world.alive).address]);
    });
  }
}

/** Some go and as many come, every second. */
function churn(world: DhtWorld, untilMs: number, count: number): void {
  const perStep = (count * Math.LN2 * STEP_MS) / HALF_LIFE_MS;
  let owed = 0;
  const step = (): void => {
    if (world.events.nowMs >= untilMs) return;
    owed += perStep;
    const alive = world.alive;
    for (; owed >= 1; owed--) {
      const gone = world.pick(alive);
      if (!gone.isAlive) continue;
      world.leave(gone);
      world.join([world.pick(alive).address, world.pick(alive).address]);
    }
    world.events.callAt(world.events.nowMs + STEP_MS, step);
  };
  step();
}

/** Of the closest nodes that live, the share to which it came. */
function recall(world: DhtWorld, target: Buffer, reached: readonly Address[]): number {
  const hosts = new Set(reached.map(({ host }) => host));
  const best = world.alive.sort((a, b) => compareDistance(target, a.node.id, b.node.id)).slice(0, CLOSEST);
  return best.filter(({ address }) => hosts.has(address.host)).length / best.length;
}

/** Somebody announces a torrent; a minute later somebody else looks for it. */
function announceAndFind(world: DhtWorld, atMs: number, results: Result[]): void {
  const infoHash = Buffer.from(world.randomBytes(20));
  const settled = (): Inhabitant[] =>
    world.alive.filter(({ node }) => node.table.size >= Math.min(CLOSEST, world.inhabitants.length - 1));
  world.events.callAt(atMs, () => {
    const { node } = world.pick(settled());
    node.search(
      infoHash,
      6881,
      () => {},
      () => {},
    );
  });
  world.events.callAt(atMs + 60_000, () => {
    const { node } = world.pick(settled());
    const beganMs = world.events.nowMs;
    node.search(
      infoHash,
      null,
      () => {},
      ({ peers, hops, queries }) => {
        const seconds = (world.events.nowMs - beganMs) / 1000;
        results.push({ isFound: peers > 0, hops, queries, seconds });
      },
    );
  });
}

/** And somebody looks for the nodes closest to something. */
function findClosest(world: DhtWorld, atMs: number, recalls: number[]): void {
  const target = Buffer.from(world.randomBytes(20));
  world.events.callAt(atMs, () => {
    const { node } = world.pick(world.alive.filter(({ node: { table } }) => table.size >= CLOSEST));
    node.find(target, (lookup) => {
      recalls.push(
        recall(
          world,
          target,
          lookup.closest.map(({ address }) => address),
        ),
      );
    });
  });
}

function ascending(values: readonly number[]): number[] {
  return [...values].sort((a, b) => a - b);
}

function average(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length);
}

async function run(options: ScenarioOptions, nodes: number, name: string, title: string): Promise<Outcome> {
  const isWide = nodes > 1_000;
  const lookups = options.isSmall ? 20 : isWide ? 200 : 400;
  const endMs = SETTLED_MS + (options.isSmall ? 60_000 : (isWide ? 2 : 10) * 60_000);
  const world = new DhtWorld({ seed: options.seed, delayMs: DELAY_MS, loss: LOSS });
  growTo(world, nodes);
  const results: Result[] = [];
  const recalls: number[] = [];
  for (let index = 0; index < lookups; index++) {
    announceAndFind(world, SETTLED_MS + ((endMs - SETTLED_MS) * index) / lookups, results);
    findClosest(world, SETTLED_MS + ((endMs - SETTLED_MS) * index) / lookups, recalls);
  }
  world.events.callAt(SETTLED_MS, () => churn(world, endMs, nodes));
  for (let minute = 1; minute * 60_000 <= endMs + 120_000; minute++) {
    world.runUntil(minute * 60_000);
    options.onProgress?.(`${nodes} nodes, minute ${minute}`);
  }
  const hops = ascending(results.map((result) => result.hops));
  const queries = ascending(results.map((result) => result.queries));
  const seconds = ascending(results.map((result) => result.seconds));
  return {
    scenario: name,
    seed: options.seed,
    title,
    parameters: {
      nodes: `${nodes}, half of them gone after ${HALF_LIFE_MS / 60_000} min and others come`,
      network: `${DELAY_MS.join('–')} ms one way, ${LOSS * 100} % lost`,
      lookups: `${lookups}, each a minute after the announce`,
    },
    checks: [
      atMost('hops of the longest lookup', hops.at(-1) ?? Number.NaN, 1.5 * Math.log2(nodes), 'hops'),
      atLeast('lookups that find the peer', (100 * results.filter(({ isFound }) => isFound).length) / lookups, 98, '%'),
      atLeast('closest nodes that a lookup reaches', 100 * average(recalls), 90, '%'),
    ],
    figures: {
      hopsMedian: percentile(hops, 0.5),
      queriesMedian: percentile(queries, 0.5),
      queriesMost: queries.at(-1) ?? Number.NaN,
      secondsP95: percentile(seconds, 0.95),
      tableMedian: percentile(ascending(world.alive.map(({ node }) => node.table.size)), 0.5),
      bytesPerNodeAndSecond: world.bytes / nodes / (world.events.nowMs / 1000),
    },
    curves: [{ label: title, seconds }],
    events: world.events.count,
    eventHash: world.events.hash,
    virtualSeconds: world.events.nowMs / 1000,
  };
}

export const dht = {
  title: 'DHT of 200 nodes',
  run: (options: ScenarioOptions) => run(options, options.isSmall ? 50 : 200, 'dht', 'DHT of 200 nodes'),
};

export const dhtWide = {
  title: 'DHT of 5,000 nodes',
  run: (options: ScenarioOptions) => run(options, options.isSmall ? 100 : 5_000, 'dht-wide', 'DHT of 5,000 nodes'),
};

/**
 * A small swarm made of nothing but a seed: hosts of all manners that come late and leave, sizes, caps, delays, faults.
 * Host 0 is good, has everything and stays, so that everybody can finish; or it leaves once the others have all pieces
 * among them.
 */
import { makeRandom } from '../src/random.js';
import type { Priority } from '../src/scheduler/pieces/priority.js';
import type { Canary, HostSpec, Manner, MemorySpec, SwarmSpec } from './spec.js';

const KIB = 1024;
const HOSTS = { least: 2, most: 8 };
const PIECES_MAX = 20;
const LIMIT_MS = 48 * 3_600_000;
/** Shorter than the longest pause between two dials of one address, and then some. */
const STILL_MS = 2 * 3_600_000;

export interface SearchSpec {
  readonly swarm: SwarmSpec;
  /** When these hosts vanish, ms: by host. */
  readonly leaves: ReadonlyMap<number, number>;
  /** Minds that are changed on the way, by time. */
  readonly changes: readonly PriorityChange[];
  /** Host 0 vanishes when good hosts that stay have all pieces among them. */
  readonly isSeedRemoved: boolean;
}

export interface PriorityChange {
  readonly atMs: number;
  readonly host: number;
  readonly piece: number;
  readonly priority: Priority;
}

/** Dice with names for what is thrown. */
class Dice {
  readonly #random: () => number;

  constructor(seed: number) {
    // Not the swarm's own generator: what is thrown here says nothing about what happens there.
    this.#random = makeRandom(seed ^ 0x5eed5eed);
  }

  chance(share: number): boolean {
    return this.#random() < share;
  }

  /** Whole, both ends included. */
  whole(least: number, most: number): number {
    return least + Math.floor(this.#random() * (most - least + 1));
  }

  /** Small values as often as large ones. */
  spread(least: number, most: number): number {
    return Math.round(least * (most / least) ** this.#random());
  }

  of<T>(choices: readonly T[]): T {
    return choices[this.whole(0, choices.length - 1)]!;
  }
}

export function searchSpec(seed: number, canary?: Canary): SearchSpec {
  const dice = new Dice(seed);
  const pieceBytes = dice.of([7_000, 16 * KIB, 32 * KIB, 50_000, 64 * KIB]);
  const pieces = dice.whole(1, PIECES_MAX);
  const hostCount = dice.whole(HOSTS.least, HOSTS.most);
  const hasZones = dice.chance(0.2);
  const hosts: HostSpec[] = [stayingSeed(dice)];
  const leaves = new Map<number, number>();
  while (hosts.length < hostCount) {
    const host = anyHost(dice, pieces, hasZones);
    if (dice.chance(0.2)) leaves.set(hosts.length, (host.joinMs ?? 0) + dice.spread(50, 120_000));
    hosts.push(host);
  }
  const swarm: SwarmSpec = {
    seed,
    imageBytes: pieces * pieceBytes - dice.whole(0, Math.min(pieceBytes, 20_000) - 1),
    pieceBytes,
    hosts,
    latencyMs: dice.of([0, 0.2, 5, 50, 300]),
    ...(hasZones ? { farLatencyMs: dice.of([1, 40, 400]) } : {}),
    openPieceBytes: dice.whole(1, 8) * pieceBytes,
    ...(dice.chance(0.3) ? { windowBytes: dice.spread(1 * KIB, 256 * KIB) } : {}),
    storage: {
      openMs: dice.of([0, 1, 30, 1500]),
      refusals: dice.of([0, 0, 0.1, 0.5]),
      abandons: dice.of([0, 0, 0.05, 0.3]),
    },
    hash: { pieceMs: dice.of([0, 1, 20, 700]) },
    transport: dice.chance(0.4) ? 'wire' : 'direct',
    isChecked: true,
    limitMs: LIMIT_MS,
    stillMs: STILL_MS,
    ...(canary === undefined ? {} : { canary }),
  };
  const isSeedRemoved = dice.chance(0.2);
  someKnowRuns(seed, hosts);
  someAreShortOfMemory(seed, hosts, pieceBytes);
  someGoForward(seed, hosts);
  return { swarm, leaves, changes: someChanges(dice, swarm, pieces), isSeedRemoved };
}

/** Thrown apart, so that all else of a seed stays as it was. */
function someKnowRuns(seed: number, hosts: HostSpec[]): void {
  const dice = new Dice(seed ^ 0x0a11c0de);
  if (dice.chance(0.4)) return;
  for (const [id, host] of hosts.entries()) {
    // Short ones, for small pieces and queues.
    if (dice.chance(0.7)) hosts[id] = { ...host, runBlocks: dice.of([2, 2, 4]) };
  }
}

/** The same. The staying seed is like a web seed then, which says its pieces to all. */
function someGoForward(seed: number, hosts: HostSpec[]): void {
  const dice = new Dice(seed ^ 0x0f02a2d5);
  if (dice.chance(0.6)) return;
  hosts[0] = { ...hosts[0]!, isWebSeed: true, isSuperSeeding: false, runBlocks: dice.of([2, 4]) };
  for (const [id, host] of hosts.entries())
    if (id > 0 && dice.chance(0.7)) hosts[id] = { ...host, isForward: true, runBlocks: dice.of([2, 4]) };
}

/** The same. Memory for two pieces or so, which other torrents of the engine want too. */
function someAreShortOfMemory(seed: number, hosts: HostSpec[], pieceBytes: number): void {
  const dice = new Dice(seed ^ 0x3e3017e5);
  if (dice.chance(0.5)) return;
  for (const [id, host] of hosts.entries())
    if (dice.chance(0.6)) hosts[id] = { ...host, memory: memory(dice, pieceBytes) };
}

function memory(dice: Dice, pieceBytes: number): MemorySpec {
  const neighbours = Array.from({ length: dice.whole(0, 3) }, () => ({
    pieceBytes: dice.of([16 * KIB, 50_000, 128 * KIB]),
    unitBytes: dice.of([16 * KIB, 64 * KIB]),
    mostPieces: dice.whole(0, 6),
    mostUnits: dice.whole(0, 8),
    // Some never give anything back.
    holdMs: dice.of([100, 3_000, 60_000, LIMIT_MS]),
  }));
  return {
    bytes: dice.whole(1, 10) * pieceBytes + dice.whole(0, 100_000),
    // The longest run, of four blocks, lies in three of them at most.
    unitBytes: dice.of([32 * KIB, 64 * KIB]),
    readMs: dice.of([0, 5, 200]),
    loads: dice.of([1, 2, 8]),
    releaseMs: dice.of([0, 10, 1_000]),
    neighbours,
  };
}

/** Hosts that are there from the start, all but host 0. */
function someChanges(dice: Dice, { hosts }: SwarmSpec, pieces: number): PriorityChange[] {
  const changes: PriorityChange[] = [];
  for (const [host, { isSeed, joinMs }] of hosts.entries()) {
    if (isSeed === true || joinMs !== 0 || dice.chance(0.8)) continue;
    for (let count = dice.whole(1, 12); count > 0; count--) {
      const priority = dice.of<Priority>([0, 0, 1, 2, 3]);
      changes.push({ atMs: dice.spread(1, 60_000), host, piece: dice.whole(0, pieces - 1), priority });
    }
  }
  return changes.sort((a, b) => a.atMs - b.atMs);
}

function caps(dice: Dice): Pick<HostSpec, 'upBytesPerSec' | 'downBytesPerSec'> {
  return { upBytesPerSec: dice.spread(5_000, 20e6), downBytesPerSec: dice.spread(5_000, 20e6) };
}

function stayingSeed(dice: Dice): HostSpec {
  return {
    ...caps(dice),
    isSeed: true,
    joinMs: dice.chance(0.3) ? dice.whole(0, 60_000) : 0,
    uploadSlots: dice.of([1, 2, 4, Number.POSITIVE_INFINITY]),
    isSuperSeeding: dice.chance(0.3),
    isFast: dice.chance(0.7),
  };
}

function anyHost(dice: Dice, pieces: number, hasZones: boolean): HostSpec {
  const manner = dice.of<Manner>(['good', 'good', 'good', 'good', 'stall', 'corrupt']);
  const isSeed = dice.chance(0.15);
  const all = Array.from({ length: pieces }, (_, piece) => piece);
  return {
    ...caps(dice),
    manner,
    isSeed,
    joinMs: dice.chance(0.5) ? dice.whole(0, 60_000) : 0,
    uploadSlots: dice.of([0, 1, 2, 4, 4, Number.POSITIVE_INFINITY]),
    isSuperSeeding: isSeed && dice.chance(0.3),
    isSequential: dice.chance(0.2),
    isFast: dice.chance(0.7),
    ...(hasZones ? { zone: dice.of(['a', 'b']) } : {}),
    ...(dice.chance(0.25) ? { priorities: all.map(() => dice.whole(0, 3) as Priority) } : {}),
    // As after a restart.
    ...(dice.chance(0.25) ? { have: all.filter(() => dice.chance(0.4)) } : {}),
  };
}

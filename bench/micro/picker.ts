/**
 * `npm run bench -- picker [--turns 5] [--small]`: CPU nanoseconds per piece picked, by the number of pieces, for a
 * thousand peers that take turns: a tenth of them seeds, the others with random pieces, from a two-hundredth of all to
 * half of them. Included are closing the piece and two HAVEs of random peers. Each round ends when three quarters of
 * the pieces are taken. Without priorities, with all four, and sequential.
 */
import { createHash } from 'node:crypto';
import { makeRandom } from '../../src/random.js';
import { Peers } from '../../src/scheduler/peers/peers.js';
import { Availability } from '../../src/scheduler/pieces/availability.js';
import { Picker } from '../../src/scheduler/pieces/picker.js';
import { cpuNanoseconds, microBench, type Turn } from '../support/micro.js';

const PEERS = 1000;
const SEEDS = PEERS / 10;
const SHARES = [0.005, 0.02, 0.1, 0.5];
const HAVES_PER_PICK = 2;
const SERIES = [
  { series: 'rarest first', hasPriorities: false, isSequential: false },
  { series: 'with priorities', hasPriorities: true, isSequential: false },
  { series: 'sequential', hasPriorities: false, isSequential: true },
  { series: 'sequential with priorities', hasPriorities: true, isSequential: true },
] as const;

interface Swarm {
  readonly peers: Peers;
  readonly availability: Availability;
  readonly picker: Picker;
  readonly random: () => number;
}

function makeSwarm(pieces: number, hasPriorities: boolean, isSequential: boolean): Swarm {
  const random = makeRandom(5);
  const priorities = hasPriorities ? Uint8Array.from({ length: pieces }, () => Math.floor(random() * 4)) : null;
  const peers = new Peers(PEERS, pieces);
  const availability = new Availability(pieces, PEERS, () => true, random, priorities);
  const picker = new Picker(availability, peers, PEERS, 4, random, isSequential);
  const swarm = { peers, availability, picker, random };
  for (let slot = 0; slot < PEERS; slot++) {
    peers.join(slot, 0);
    if (slot < SEEDS) {
      peers.giveAll(slot);
      availability.seedCount++;
      continue;
    }
    const share = SHARES[slot % SHARES.length]!;
    for (let left = Math.ceil(pieces * share); left > 0; left--) have(swarm, slot);
  }
  return swarm;
}

/** A random piece, which the peer may have had before. */
function have({ peers, availability, picker, random }: Swarm, slot: number): void {
  const piece = Math.floor(random() * peers.pieceCount);
  if (!peers.give(slot, piece)) return;
  availability.increment(piece);
  picker.gained(slot, piece);
}

/** Returns how many pieces were picked; they are in `out`. */
function pickRound(swarm: Swarm, out: Int32Array): number {
  const { availability, picker, random } = swarm;
  let picked = 0;
  for (let slot = 0; picked < out.length; slot = (slot + 1) % PEERS) {
    const piece = picker.pick(slot);
    if (piece < 0) continue;
    availability.close(piece);
    out[picked++] = piece;
    for (let count = 0; count < HAVES_PER_PICK; count++) have(swarm, SEEDS + Math.floor(random() * (PEERS - SEEDS)));
  }
  return picked;
}

function measure(pieces: number, goal: number, hasPriorities: boolean, isSequential: boolean): Turn {
  const swarm = makeSwarm(pieces, hasPriorities, isSequential);
  const round = new Int32Array(Math.min(goal, Math.floor((swarm.availability.pickableCount * 3) / 4)));
  const hash = createHash('sha1');
  let picked = 0;
  let ns = 0;
  while (picked < goal) {
    ns += cpuNanoseconds(() => {
      picked += pickRound(swarm, round);
    });
    hash.update(round);
    for (const piece of round) {
      swarm.availability.reopen(piece);
      swarm.picker.offered(piece);
    }
  }
  return { figures: { nsPerPick: ns / picked }, checksum: hash.digest('hex') };
}

export function main(argv: readonly string[]): Promise<void> {
  const sizes = { parameter: 'pieces', small: [2000], full: [1000, 10_000, 100_000, 400_000] };
  return microBench('picker', argv, sizes, (pieces, isSmall) =>
    SERIES.map(({ series, hasPriorities, isSequential }) => ({
      series,
      ...measure(pieces, isSmall ? 2000 : 50_000, hasPriorities, isSequential),
    })),
  );
}

/**
 * `npm run bench -- picker [--turns 5] [--small]`: CPU nanoseconds per piece picked and closed, until the peer has no more, by the number of pieces: for a
 * seed, for a peer with half of the pieces and for one with a hundredth. 100 other peers with a random half each make the rarity.
 */
import { createHash } from 'node:crypto';
import { makeRandom } from '../../src/random.js';
import { Availability } from '../../src/scheduler/availability.js';
import { Peers } from '../../src/scheduler/peers.js';
import { Picker } from '../../src/scheduler/picker.js';
import { cpuNanoseconds, microBench, type Turn } from '../support/micro.js';

const COPIES = 50;
const KINDS = [
  { series: 'seed', share: 1 },
  { series: 'half of the pieces', share: 0.5 },
  { series: 'a hundredth', share: 0.01 },
] as const;

/** Picks every piece of the peer. Returns how many those were. */
function pickAll(picker: Picker, availability: Availability, out: Int32Array): number {
  let picked = 0;
  for (let piece = picker.pick(0); piece >= 0; piece = picker.pick(0)) {
    availability.close(piece);
    out[picked++] = piece;
  }
  return picked;
}

function measureKind(pieces: number, share: number): Turn {
  const random = makeRandom(5);
  const peers = new Peers(1, pieces);
  const availability = new Availability(pieces, 1000, () => true, random);
  const picker = new Picker(availability, peers, 1, 0, random);
  peers.join(0, 0);
  let owned = 0;
  if (share === 1) {
    peers.giveAll(0);
    availability.seedCount = 1;
    owned = pieces;
  }
  for (let piece = 0; piece < pieces; piece++) {
    const copies = Math.round(COPIES * (0.5 + random()));
    for (let copy = 0; copy < copies; copy++) availability.increment(piece);
    if (share === 1 || random() >= share) continue;
    peers.give(0, piece);
    availability.increment(piece);
    owned++;
  }
  const out = new Int32Array(pieces);
  let picked = 0;
  const ns = cpuNanoseconds(() => {
    picked = pickAll(picker, availability, out);
  });
  if (picked !== owned) throw new Error(`picked ${picked} of ${owned} pieces`);
  return { figures: { nsPerPick: ns / Math.max(1, picked) }, checksum: createHash('sha1').update(out).digest('hex') };
}

export function main(argv: readonly string[]): Promise<void> {
  const sizes = { parameter: 'pieces', small: [2000], full: [1000, 10_000, 100_000, 400_000] };
  return microBench('picker', argv, sizes, (pieces) =>
    KINDS.map(({ series, share }) => ({ series, ...measureKind(pieces, share) })),
  );
}

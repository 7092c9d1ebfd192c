/**
 * `npm run bench -- availability [--turns 5] [--small]`: CPU nanoseconds per HAVE, per peer that leaves with a piece,
 * and per piece closed and given back, by the number of pieces. 50 copies of each piece on average; none of it may grow
 * with the number of pieces but for the cache.
 */
import { createHash } from 'node:crypto';
import { makeRandom } from '../../src/random.js';
import { Availability } from '../../src/scheduler/pieces/availability.js';
import { NORMAL } from '../../src/scheduler/pieces/priority.js';
import { cpuNanoseconds, microBench, type Turn } from '../support/micro.js';

const COPIES = 50;

function measure(pieces: number, isSmall: boolean): Turn {
  const rounds = Math.max(1, Math.round((isSmall ? 20_000 : 1_000_000) / pieces));
  const random = makeRandom(11);
  const availability = new Availability(pieces, 1000, () => true, random);
  for (let copy = 0; copy < COPIES * pieces; copy++) availability.increment(Math.floor(random() * pieces));
  const order = Int32Array.from({ length: pieces }, () => Math.floor(random() * pieces));
  let haveNs = 0;
  let leaveNs = 0;
  let closeNs = 0;
  for (let round = 0; round < rounds; round++) {
    haveNs += cpuNanoseconds(() => {
      for (const piece of order) availability.increment(piece);
    });
    leaveNs += cpuNanoseconds(() => {
      for (const piece of order) availability.decrement(piece);
    });
    closeNs += cpuNanoseconds(() => {
      for (const piece of order) {
        if (!availability.isPickable(piece)) continue;
        availability.close(piece);
        availability.reopen(piece);
      }
    });
  }
  const hash = createHash('sha1');
  const rarity = availability.order(NORMAL)!;
  for (let index = rarity.firstIndex(0); index < rarity.end; index++) {
    hash.update(`${rarity.pieceAt(index)} ${availability.copies(rarity.pieceAt(index))}\n`);
  }
  const steps = rounds * pieces;
  return {
    figures: { nsPerHave: haveNs / steps, nsPerLeave: leaveNs / steps, nsPerCloseAndReopen: closeNs / steps },
    checksum: hash.digest('hex'),
  };
}

export function main(argv: readonly string[]): Promise<void> {
  const sizes = { parameter: 'pieces', small: [1000], full: [1000, 10_000, 100_000, 400_000] };
  return microBench('availability', argv, sizes, measure);
}

/**
 * `npm run bench -- rate [--turns 5] [--small]`: CPU nanoseconds per block noted in a rolling rate, and per average
 * read from it, by the number of peers. The clock steps so that every peer turns its ring about once a second.
 */
import { createHash } from 'node:crypto';
import { BLOCK_LENGTH_BYTES } from '../../src/config.js';
import { RollingRates } from '../../src/scheduler/peers/rate.js';
import { cpuNanoseconds, microBench, type Turn } from '../support/micro.js';

/** Reads of 1 MiB. */
const BLOCKS_PER_READ = 64;

function measure(peers: number, isSmall: boolean): Turn {
  const rounds = Math.max(1, Math.round((isSmall ? 100_000 : 5_000_000) / (peers * BLOCKS_PER_READ)));
  const rates = new RollingRates(peers);
  for (let row = 0; row < peers; row++) rates.reset(row, 0);
  let nowMs = 0;
  const addNs = cpuNanoseconds(() => {
    for (let round = 0; round < rounds; round++) {
      nowMs += 250;
      for (let row = 0; row < peers; row++) {
        for (let block = 0; block < BLOCKS_PER_READ; block++) rates.add(row, BLOCK_LENGTH_BYTES, nowMs);
      }
    }
  });
  const averages = new Float64Array(peers);
  const reads = Math.max(1, Math.round((isSmall ? 100_000 : 2_000_000) / peers));
  const averageNs = cpuNanoseconds(() => {
    for (let read = 0; read < reads; read++) {
      nowMs += 50;
      for (let row = 0; row < peers; row++) averages[row] = rates.average(row, nowMs);
    }
  });
  return {
    figures: { nsPerBlock: addNs / (rounds * peers * BLOCKS_PER_READ), nsPerAverage: averageNs / (reads * peers) },
    checksum: createHash('sha1').update(averages).digest('hex'),
  };
}

export function main(argv: readonly string[]): Promise<void> {
  return microBench('rate', argv, { parameter: 'peers', small: [100], full: [10, 100, 1000, 4000] }, measure);
}

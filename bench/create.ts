/**
 * `npm run bench -- create [--size 4G] [--files 16384] [--piece-length 1M] [--input file|tree|both] [--folder DIR]
 *   [--threads N] [--turns 5] [--small]`
 * Making a .torrent of one large file and of a tree of small files, on all cores:
 * our library call (pool already there), our command (start-up included) and mktorrent, in turns on the same bytes in
 * the page cache. Every torrent is read and checked.
 */
import { commandCreate, hashingBench, libraryCreate, mktorrent } from './support/hashing.js';

export function main(argv: readonly string[]): Promise<void> {
  return hashingBench('create', argv, async (bench) => [libraryCreate(bench), commandCreate(bench), mktorrent(bench)]);
}

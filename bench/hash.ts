/**
 * `npm run bench -- hash [the options of create]` SHA-1 of the pieces in our pool, on all cores and on one, from files
 * and from memory, against `node:crypto`, `sha1sum` and `openssl` (one core each; for a tree one `sha1sum` per core),
 * in turns on the same bytes. Every digest is compared with one that was made before.
 */
import { createHash, type Hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createTorrent } from '../src/content/create.js';
import { recheckFiles } from '../src/content/recheck.js';
import { Bitfield } from '../src/metainfo/bitfield.js';
import { parseTorrent } from '../src/metainfo/torrent.js';
import { createWorkPool } from '../src/work/pool.js';
import { type Bench, type Contender, hashingBench } from './support/hashing.js';
import { memoryHashes } from './support/memory-hash.js';
import { timedCommand, timedHere } from './support/timed.js';

async function sha1File(file: string): Promise<string> {
  const hash: Hash = createHash('sha1');
  await pipeline(createReadStream(file, { highWaterMark: 2 ** 20 }), hash);
  return hash.digest('hex');
}

/** A program that prints lines with digests in hex; the digest of all of them, sorted. */
function program(name: string, needs: string, kind: 'file' | 'tree', words: readonly string[], cwd: string): Contender {
  return {
    name,
    needs,
    kinds: [kind],
    async run() {
      const { seconds, cpuSeconds, output } = await timedCommand(words, cwd);
      return { seconds, cpuSeconds, checksum: digestOfLines(output.match(/\b[0-9a-f]{40}\b/g) ?? []) };
    },
  };
}

function digestOfLines(digests: readonly string[]): string {
  return createHash('sha1')
    .update([...digests].sort().join('\n'))
    .digest('hex');
}

async function contenders(bench: Bench): Promise<Contender[]> {
  const { input, threads, pieceLengthBytes } = bench;
  const metainfo = parseTorrent(await createTorrent(input.path, { pieceLengthBytes }, bench.pool));
  const folder = path.dirname(input.path);
  const digests = await Promise.all(metainfo.files.map(({ path: parts }) => sha1File(path.join(folder, ...parts))));
  const checksum = digestOfLines(digests);
  const pooled = (name: string, threadCount: number): Contender => ({
    name,
    needs: null,
    kinds: ['file', 'tree'],
    async run() {
      const pool = threadCount === threads ? bench.pool : createWorkPool({ threads: threadCount });
      try {
        // A new thread loads its code first.
        const first = new Bitfield(metainfo.geometry.pieceCount);
        first.set(0);
        await recheckFiles(metainfo, folder, pool, { only: first });
        const { value, ...timed } = await timedHere(() => recheckFiles(metainfo, folder, pool));
        if (!value.good.isFull) throw new Error('good data is called bad');
        return { ...timed, checksum };
      } finally {
        if (pool !== bench.pool) await pool.close();
      }
    },
  });
  const every = `find . -type f -print0 | xargs -0 -P ${threads} -n 256 sha1sum`;
  return [
    pooled(`pool, ${threads} threads`, threads),
    ...(threads === 1 ? [] : [pooled('pool, 1 thread', 1)]),
    ...(bench.input.kind === 'file' ? memoryHashes(input.path, metainfo, checksum) : []),
    program('sha1sum', 'sha1sum', 'file', ['sha1sum', input.path], folder),
    program('openssl dgst -sha1', 'openssl', 'file', ['openssl', 'dgst', '-sha1', '-r', input.path], folder),
    program(`xargs -P ${threads} sha1sum`, 'xargs', 'tree', ['sh', '-c', every], input.path),
  ];
}

export function main(argv: readonly string[]): Promise<void> {
  return hashingBench('hash', argv, contenders);
}

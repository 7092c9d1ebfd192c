/**
 * `npm run bench -- verify [the options of create]` The hash check of data against its .torrent, on all cores: our
 * library call and our command. mktorrent cannot check: what it is measured with is making the torrent, which is to
 * read and hash the same bytes.
 */
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { createTorrent } from '../src/content/create.js';
import { recheckFiles } from '../src/content/recheck.js';
import { parseTorrent } from '../src/metainfo/torrent.js';
import { type Bench, type Contender, checkTorrent, HAUL, hashingBench, mktorrent } from './support/hashing.js';
import { timedCommand, timedHere } from './support/timed.js';

async function contenders(bench: Bench): Promise<Contender[]> {
  const { input, pool, pieceLengthBytes, workFolder } = bench;
  const torrent = await createTorrent(input.path, { pieceLengthBytes }, pool);
  const torrentPath = path.join(workFolder, 'in.torrent');
  await writeFile(torrentPath, torrent);
  const metainfo = parseTorrent(torrent);
  const checksum = await checkTorrent(torrent, bench);
  const folder = path.dirname(input.path);
  const both = { needs: null, kinds: ['file', 'tree'] } as const;
  return [
    {
      ...both,
      name: 'recheckFiles()',
      async run() {
        const { value, ...timed } = await timedHere(() => recheckFiles(metainfo, folder, pool));
        if (!value.good.isFull) throw new Error('good data is called bad');
        return { ...timed, checksum };
      },
    },
    {
      ...both,
      name: 'haul verify',
      async run() {
        const words = [process.execPath, HAUL, 'verify', torrentPath, '--data', folder, '--json'];
        const { seconds, cpuSeconds, output } = await timedCommand(words);
        if (!/"isGood":true/.test(output)) throw new Error(`haul verify: ${output.slice(-2000)}`);
        return { seconds, cpuSeconds, checksum };
      },
    },
    mktorrent(bench),
  ];
}

export function main(argv: readonly string[]): Promise<void> {
  return hashingBench('verify', argv, contenders);
}

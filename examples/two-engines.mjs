// Two engines in one process: one seeds, one downloads, without a tracker. Useful in tests of your own.
//
//   node examples/two-engines.mjs
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createEngine, createTorrent } from 'swarmhaul';

const folder = await mkdtemp(path.join(tmpdir(), 'two-engines-'));
const source = path.join(folder, 'hello.bin');
const output = path.join(folder, 'copy');
await writeFile(source, Buffer.alloc(5_000_000, 'hello '));

const quiet = { port: 0, host: '127.0.0.1', threads: 1 };
const [seeder, leecher] = await Promise.all([createEngine(quiet), createEngine(quiet)]);
try {
  const { bytes, hashed } = await createTorrent(source);
  await seeder.add(bytes, { output: folder, mode: 'seed', trustData: true, hashed }).done;
  const torrent = leecher.add(bytes, { output, peers: [{ host: '127.0.0.1', port: seeder.port }] });
  torrent.on('peer', (address, change) => console.log(`peer ${address} ${change}`));
  await torrent.done;
  const [a, b] = await Promise.all([readFile(source), readFile(path.join(output, 'hello.bin'))]);
  console.log(a.equals(b) ? 'the copy is the same' : 'the copy differs');
} finally {
  await Promise.all([seeder.close(), leecher.close()]);
  await rm(folder, { recursive: true });
}

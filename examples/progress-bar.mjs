// A progress bar, and what a download waits for when nothing comes.
//
//   node examples/progress-bar.mjs image.iso.torrent /srv/images
import { readFile } from 'node:fs/promises';
import { createEngine } from 'swarmhaul';

const [torrentFile, output] = process.argv.slice(2);
const WIDTH = 40;

const engine = await createEngine({ port: 0 });
const torrent = engine.add(await readFile(torrentFile), { output });
const timer = setInterval(draw, 500);
try {
  await torrent.done;
} finally {
  clearInterval(timer);
  draw();
  process.stderr.write('\n');
  await engine.close();
}

for (const { path, lengthBytes, isComplete } of torrent.files()) {
  console.log(`${isComplete ? 'done' : 'part'} ${path.join('/')} ${lengthBytes}`);
}

function draw() {
  const { state, verifiedBytes, wantedBytes, downloadBytesPerSec, peers, health } = torrent.stats();
  const share = verifiedBytes / wantedBytes;
  const bar = '#'.repeat(Math.floor(share * WIDTH)).padEnd(WIDTH, '.');
  const rate = `${(downloadBytesPerSec / 1e6).toFixed(1)} MB/s from ${peers}`;
  // The first of what is wrong now is the most telling.
  const waiting = health.find(({ isBlocking }) => isBlocking)?.message ?? rate;
  process.stderr.write(`\r\x1b[K${state} [${bar}] ${(share * 100).toFixed(1)}% ${waiting}`);
}

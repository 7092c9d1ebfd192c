// Makes a .torrent of a file or folder, runs a tracker for it and seeds until Ctrl-C.
//
//   node examples/create-and-seed.mjs build/ build.torrent
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { createEngine, createTorrent, startTracker } from 'swarmhaul';

const [source, torrentFile] = process.argv.slice(2);
// Others need an address of this machine here.
const host = process.env.HOST ?? '127.0.0.1';

const tracker = await startTracker({ port: 0, registeredOnly: true });
const engine = await createEngine({ port: 0 });
const created = await createTorrent(source, {
  trackers: [[`${tracker.url(host)}/announce`]],
  onProgress: (doneBytes, totalBytes) => process.stderr.write(`\rhashed ${doneBytes} of ${totalBytes} bytes`),
});
process.stderr.write('\n');
await writeFile(torrentFile, created.bytes);

tracker.register(created.infoHash, { seedPort: engine.port });
const torrent = engine.add(created.bytes, {
  output: path.dirname(path.resolve(source)),
  mode: 'seed',
  // Hashed a moment ago: these very files are served without being hashed again, and no others.
  trustData: true,
  hashed: created.hashed,
});
await torrent.done;
console.log(`seeding ${created.name} on port ${engine.port}`);

process.once('SIGINT', async () => {
  await engine.close();
  await tracker.close();
  console.log(`${torrent.stats().uploadedBytes} bytes sent`);
});

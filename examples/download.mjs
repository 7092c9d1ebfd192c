// Downloads what a .torrent describes, and continues what an earlier run left.
//
//   node examples/download.mjs image.iso.torrent /srv/images
import { readFile } from 'node:fs/promises';
import { createEngine, HaulError } from 'swarmhaul';

const [torrentFile, output] = process.argv.slice(2);
const stop = new AbortController();
process.once('SIGINT', () => stop.abort());

const engine = await createEngine({ port: 0 });
try {
  const torrent = engine.add(await readFile(torrentFile), { output, signal: stop.signal });
  torrent.on('warning', ({ message }) => console.warn(message));
  await torrent.done;
  const { downloadedBytes } = torrent.stats();
  console.log(`${torrent.metainfo.name} is in ${torrent.output}; ${downloadedBytes} bytes came from peers`);
} catch (error) {
  if (!HaulError.is(error)) throw error;
  // One line that says what is wrong and where; `code` and `facts` are for programs.
  console.error(`${error.code}: ${error.message}`);
  process.exitCode = 1;
} finally {
  // What is verified is recorded: the next run goes on there.
  await engine.close();
}

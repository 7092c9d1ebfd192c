/**
 * A program around one engine, for tests that must kill it or look at what reaches its event loop.
 * Arguments: TORRENT OUTPUT PORT [plain | throw | only=NAME [PIECES]]. Prints `verified N` for each piece, `thrown` for
 * each exception of its own log, `done`. After so many PIECES its main thread stands still, so that it can be killed
 * there, however fast it is.
 */
import { readFile } from 'node:fs/promises';
import { createEngine } from '../../src/engine/engine.js';
import { parseTorrent } from '../../src/metainfo/torrent.js';

const [torrentFile, output, port, mode, pieces] = process.argv.slice(2) as [string, string, string, string?, string?];

process.on('uncaughtException', (error) => console.log(error.message === 'from the log' ? 'thrown' : error.stack));

const engine = await createEngine({
  port: 0,
  host: '127.0.0.1',
  threads: 1,
  ...(mode === 'throw' ? { log: fail } : {}),
});
const torrent = engine.add(parseTorrent(await readFile(torrentFile)), {
  output,
  trackers: [],
  ...(mode?.startsWith('only=')
    ? { priorities: (file) => (file.path.at(-1) === mode.slice(5) ? 'normal' : 'skip') }
    : {}),
  // Nobody listens on port 1: a dial that fails is one more thing to log.
  peers: [Number(port), 1].map((each) => ({ host: '127.0.0.1', port: each })),
});
let verified = 0;
torrent.on('verified', (piece) => {
  console.log(`verified ${piece}`);
  if (++verified === Number(pieces)) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
});
await torrent.done;
console.log('done');
await engine.close();
console.log('closed');

function fail(): void {
  throw new Error('from the log');
}

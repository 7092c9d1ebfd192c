/**
 * The engine of one side of the memory bench, alone in its process:
 *   memory-host seed|leech FOLDER TORRENT-COUNT PIECE-COUNT PIECE-LENGTH STORAGE library|command [PORT-OF-THE-SEED]
 * (`command`: with what `haul get` and `haul seed` tell V8, when they do)
 * Says {"event":"ready","port":N} idle; at the line "go" it adds the torrents, and says {"event":"done"} when all are
 * complete. A seed is when it serves. Leaves at the end of standard input.
 */
import path from 'node:path';
import { createInterface } from 'node:readline';
import type { EngineOptions } from '../../src/api.js';
import { tune, tuneSoon } from '../../src/cli/tune.js';
import { createEngine, parseTorrent } from '../../src/index.js';
import { boundHeaps } from '../../src/native/malloc.js';
import { zerosTorrent } from './zeros.js';

const SETTLE_MS = 500;
const [role = '', folder = '', ...words] = process.argv.slice(2);
const [torrentCount, pieceCount, pieceLengthBytes] = words.slice(0, 3).map(Number) as [number, number, number];
const storage = words[3] as NonNullable<EngineOptions['storage']>;
const isCommand = words[4] === 'command';
const seedPort = Number(words[5] ?? 0);

function say(event: string, facts: Record<string, unknown> = {}): void {
  process.stdout.write(`${JSON.stringify({ event, ...facts })}\n`);
}

if (isCommand) boundHeaps();
const engine = await createEngine({ port: 0, host: '127.0.0.1', seed: 1, storage });

async function go(): Promise<void> {
  const peers = seedPort === 0 ? [] : [{ host: '127.0.0.1', port: seedPort }];
  const torrents = Array.from({ length: torrentCount }, (_, number) => {
    const metainfo = parseTorrent(zerosTorrent(`zeros-${number}.bin`, pieceCount, pieceLengthBytes));
    const output = role === 'seed' ? folder : path.join(folder, `leech-${number}`);
    const mode = role === 'seed' ? 'seed' : 'download';
    const torrent = engine.add(metainfo, { output, mode, trustData: true, trackers: [], peers });
    if (isCommand && role === 'seed') torrent.once('peer', tuneSoon);
    else if (isCommand) torrent.once('verified', () => void tune());
    return torrent;
  });
  await Promise.all(torrents.map(({ done }) => done));
  say('done');
}

const input = createInterface({ input: process.stdin });
input.on('line', () => {
  go().catch((error: Error) => say('error', { message: error.message }));
});
input.once('close', () => {
  void engine.close().then(() => process.stdin.destroy());
});
setTimeout(() => say('ready', { port: engine.port }), SETTLE_MS);

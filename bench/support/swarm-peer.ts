/**
 * One process of the swarm bench:
 *   swarm-peer seed|leech TORRENT FOLDER --host ADDRESS --tracker URL [--slots N|unlimited] [--up BYTES --down BYTES]
 * Says {"event":"ready"} when it seeds, or when it could start; a leech starts at the line "start". Then
 *   {"event":"verified","pieces":[…]} a few times a second   {"event":"done"} every piece verified and synced
 * At the line "quit" {"event":"figures",…} with all it sent and used, then it leaves in order: the tracker is told,
 * connections are closed.
 */
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import type { EngineOptions, Torrent } from '../../src/api.js';
import { createEngine, parseTorrent } from '../../src/index.js';

const REPORT_INTERVAL_MS = 100;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    host: { type: 'string', default: '127.0.0.1' },
    tracker: { type: 'string', default: '' },
    slots: { type: 'string', default: '4' },
    up: { type: 'string' },
    down: { type: 'string' },
  },
});
const [role = '', torrentPath = '', folder = ''] = positionals;

function say(event: string, facts: Record<string, unknown> = {}): void {
  process.stdout.write(`${JSON.stringify({ event, ...facts })}\n`);
}

const limits = {
  ...(values.up === undefined ? {} : { uploadBytesPerSec: Number(values.up) }),
  ...(values.down === undefined ? {} : { downloadBytesPerSec: Number(values.down) }),
};
const options: EngineOptions = {
  port: 0,
  host: values.host,
  threads: 1,
  uploadSlots: values.slots === 'unlimited' ? 'unlimited' : Number(values.slots),
  ...limits,
};
const metainfo = parseTorrent(readFileSync(torrentPath));
const engine = await createEngine(options);
let torrent: Torrent | null = null;
let verified: number[] = [];
/** CPU of starting the process is not the swarm's. */
let before = process.cpuUsage();

function report(): void {
  if (verified.length > 0) say('verified', { pieces: verified });
  verified = [];
}

function start(): void {
  before = process.cpuUsage();
  const mode = role === 'seed' ? 'seed' : 'download';
  torrent = engine.add(metainfo, { output: folder, mode, trustData: true, trackers: [[values.tracker]] });
  torrent.on('verified', (piece) => verified.push(piece));
  torrent.once('done', () => {
    report();
    say(role === 'seed' ? 'ready' : 'done');
  });
  torrent.once('failed', (error) => say('error', { message: error.message }));
}

const timer = setInterval(report, REPORT_INTERVAL_MS);
if (role === 'seed') start();
else say('ready');

async function quit(): Promise<void> {
  clearInterval(timer);
  const { uploadedBytes = 0, downloadedBytes = 0, wastedBytes = 0 } = torrent?.stats() ?? {};
  const { user, system } = process.cpuUsage(before);
  const { maxRSS } = process.resourceUsage();
  say('figures', {
    uploadedBytes,
    downloadedBytes,
    wastedBytes,
    cpuSec: (user + system) / 1e6,
    peakMiB: maxRSS / 1024,
  });
  await engine.close();
  process.stdin.destroy();
}

const input = createInterface({ input: process.stdin });
input.on('line', (line) => {
  if (line === 'start') start();
  else if (line === 'quit') input.close();
});
input.once('close', () => void quit());

/**
 * One WebTorrent process of the rivals bench; stays after the download, so that it can be measured:
 *   webtorrent-peer seed|leech TORRENT FOLDER --port N [--host A] [--peer HOST:PORT]...
 * Prints the JSON lines of `engine-peer`; ends at the line "quit".
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';

interface WebTorrentTorrent {
  readonly done: boolean;
  addPeer(address: string): boolean;
  on(event: 'ready' | 'done', listener: () => void): void;
}

interface WebTorrentClient {
  add(torrent: Buffer, options: Record<string, unknown>): WebTorrentTorrent;
  on(event: 'error', listener: (error: Error) => void): void;
  on(event: 'listening', listener: () => void): void;
}

type WebTorrentConstructor = new (options: Record<string, unknown>) => WebTorrentClient;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    peer: { type: 'string', multiple: true, default: [] },
    host: { type: 'string' },
    port: { type: 'string' },
  },
});
const [role = '', torrentPath = '', folder = ''] = positionals;

function say(event: string, facts: Record<string, unknown> = {}): void {
  process.stdout.write(`${JSON.stringify({ event, ...facts })}\n`);
}

// CommonJS without types; the constructor is its only export.
const WebTorrent = createRequire(import.meta.url)('webtorrent') as WebTorrentConstructor;
const torrentPort = Number(values.port);
const client = new WebTorrent({ dht: false, lsd: false, utp: false, webSeeds: false, tracker: false, torrentPort });
client.on('error', (error) => say('error', { message: error.message }));
const listening = new Promise<void>((resolve) => client.on('listening', resolve));
// A seed trusts its data, as the others do.
const torrent = client.add(readFileSync(torrentPath), { path: folder, skipVerify: role === 'seed' });
torrent.on('ready', () => {
  if (role === 'seed') return;
  say('ready', { port: torrentPort });
  for (const peer of values.peer) torrent.addPeer(peer);
});
torrent.on('done', () => {
  if (role === 'leech') say('done');
  else void listening.then(() => say('ready', { port: torrentPort }));
});

createInterface({ input: process.stdin })
  .on('line', (line) => {
    if (line.trim() === 'quit') process.exit(0);
  })
  .once('close', () => process.exit(0));

/**
 * One webtorrent peer as a process of its own, talking JSON lines.
 * argv: seed|get TORRENT-OR-MAGNET FOLDER PORT TRACKER OPTIONS [HOST:PORT]...; OPTIONS are those of its client, as JSON
 * Prints {"event":"ready"} when it listens (as a seed: with all data checked) and {"event":"done"} when complete.
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

interface WebTorrentTorrent {
  readonly progress: number;
  readonly done: boolean;
  addPeer(address: string): boolean;
  on(event: 'ready' | 'done', listener: () => void): void;
  on(event: 'error' | 'warning', listener: (error: Error) => void): void;
}

interface WebTorrentClient {
  add(torrent: Buffer | string, options: Record<string, unknown>): WebTorrentTorrent;
  destroy(done: () => void): void;
  on(event: 'error', listener: (error: Error) => void): void;
  on(event: 'listening', listener: () => void): void;
}

type WebTorrentConstructor = new (options: Record<string, unknown>) => WebTorrentClient;

function say(event: string, facts: Record<string, unknown> = {}): void {
  process.stdout.write(`${JSON.stringify({ event, ...facts })}\n`);
}

function fail(error: Error): never {
  process.stderr.write(`${error.message}\n`);
  process.exit(1);
}

function main(): void {
  const [mode, torrentFile, folder, port, tracker, given, ...peers] = process.argv.slice(2);
  // CommonJS without types; the constructor is its only export.
  const WebTorrent = createRequire(import.meta.url)('webtorrent') as WebTorrentConstructor;
  const alone = { dht: false, lsd: false, webSeeds: false };
  const options = { ...alone, utp: false, ...(JSON.parse(given!) as object), torrentPort: Number(port) };
  const client = new WebTorrent(options);
  client.on('error', fail);
  const source = torrentFile!.startsWith('magnet:') ? torrentFile! : readFileSync(torrentFile!);
  const torrent = client.add(source, { path: folder, announce: [tracker] });
  torrent.on('warning', (error) => process.stderr.write(`${error.message}\n`));
  torrent.on('ready', () => {
    if (mode === 'seed' && !torrent.done) return;
    say('ready', { progress: torrent.progress });
    for (const peer of peers) torrent.addPeer(peer);
  });
  torrent.on('done', () => {
    say(mode === 'seed' ? 'ready' : 'done', { progress: torrent.progress });
    if (mode === 'get') client.destroy(() => process.exit(0));
  });
  process.on('SIGTERM', () => process.exit(0));
}

main();

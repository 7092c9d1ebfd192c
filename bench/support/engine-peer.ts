/**
 * One Swarmhaul process of the pair bench, as a seed or as a leech. Talks the JSON lines of `lt_pair.py`:
 *   engine-peer seed|leech TORRENT FOLDER [--peer HOST:PORT]... [--storage KIND] [--threads N]
 *   {"event":"ready","port":N}  it listens; a leech connects now      {"event":"done",…}  every piece is verified and synced
 * Stays until the line "quit" or the end of standard input, then prints {"event":"figures",…} of its event loop.
 */
import { readFileSync } from 'node:fs';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import type { EngineOptions } from '../../src/api.js';
import { createEngine, parseTorrent } from '../../src/index.js';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    peer: { type: 'string', multiple: true, default: [] },
    storage: { type: 'string', default: 'auto' },
    threads: { type: 'string' },
    verbose: { type: 'boolean', default: false },
  },
});
const [role = '', torrentPath = '', folder = ''] = positionals;

function say(event: string, facts: Record<string, unknown> = {}): void {
  process.stdout.write(`${JSON.stringify({ event, ...facts })}\n`);
}

const metainfo = parseTorrent(readFileSync(torrentPath));
const engine = await createEngine({
  port: 0,
  host: '127.0.0.1',
  storage: values.storage as NonNullable<EngineOptions['storage']>,
  uploadSlots: 'unlimited',
  ...(values.threads === undefined ? {} : { threads: Number(values.threads) }),
  ...(values.verbose ? { log: (level, message, facts) => console.error(level, message, facts ?? '') } : {}),
});
const delay = monitorEventLoopDelay({ resolution: 1 });

const torrent = engine.add(metainfo, {
  output: folder,
  mode: role === 'seed' ? 'seed' : 'download',
  trustData: true,
  trackers: [],
  peers: role === 'seed' ? [] : peers(values.peer),
});
torrent.done.catch((error: unknown) => say('error', { message: String(error) }));
if (role === 'seed') torrent.once('done', ready);
else {
  ready();
  torrent.once('done', () => say('done', { ...torrent.stats() }));
}

function ready(): void {
  delay.enable();
  say('ready', { port: engine.port });
}

function peers(texts: readonly string[]): { host: string; port: number }[] {
  return texts.map((text) => {
    const [host = '', port = ''] = text.split(':');
    return { host, port: Number(port) };
  });
}

const input = createInterface({ input: process.stdin });
input.on('line', (line) => {
  if (line.trim() === 'quit') input.close();
});
input.once('close', () => {
  const ms = (nanoseconds: number): number => nanoseconds / 1e6;
  say('figures', { p50Ms: ms(delay.percentile(50)), p99Ms: ms(delay.percentile(99)), maxMs: ms(delay.max) });
  // The bench keeps its end of standard input open.
  void engine.close().then(() => process.stdin.destroy());
});

/**
 * One Swarmhaul process of a bench, as a seed or as a leech. Talks the JSON lines of `lt_pair.py`:
 *   engine-peer seed|leech TORRENT FOLDER [--peer HOST:PORT]... [--host A] [--port N] [--storage KIND] [--threads N]
 *               [--connections N] [--no-verify] [--tracker URL] [--sample-seconds N]
 *               bytes a second: [--download-limit N] [--upload-limit N]
 *               [--torrent-download-limit N] [--torrent-upload-limit N]
 *   {"event":"ready","port":N,"idleBytes":N}  it listens; a leech connects now
 *   {"event":"verified"}  all verified    {"event":"done",…}  and synced
 *   {"event":"samples","samples":[…]}  what moved in each second, from the first byte on, when N seconds after the
 *                                      first are over
 * The line "begin" begins the figures anew.
 * Stays until the line "quit" or the end of standard input, then prints {"event":"figures",…} of its event loop.
 *
 * `--connections N` holds N connections between two engines. An engine keeps one connection per peer id and one address
 * per host and port, so both sides show a fresh id on each connection, and the leech dials the seed at N addresses of
 * 127.0.0.0/8 (the seed listens on all of them). Everything behind the handshake is as it always is: N sockets, N
 * pipelines, N upload queues.
 */
import { readFileSync } from 'node:fs';
import { monitorEventLoopDelay, PerformanceObserver } from 'node:perf_hooks';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import type { EngineOptions } from '../../src/api.js';
import { tune } from '../../src/cli/tune.js';
import { type EngineInternals, startEngine } from '../../src/engine/engine.js';
import { parseTorrent } from '../../src/index.js';
import { makePeerId } from '../../src/wire/handshake.js';
import type { WorkPool } from '../../src/work/port.js';
import { NullStorage } from './null-storage.js';
import { sampleTraffic } from './traffic-samples.js';

/** The engine's own 30 a second would make the dialling of 1,000 the longest part of the run. */
const DIALS_PER_SEC = 2_000;
/** Worker threads start, the heap settles: what is resident then is the idle engine. */
const SETTLE_MS = 300;

await tune();

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    peer: { type: 'string', multiple: true, default: [] },
    host: { type: 'string', default: '127.0.0.1' },
    port: { type: 'string', default: '0' },
    storage: { type: 'string', default: 'auto' },
    threads: { type: 'string' },
    connections: { type: 'string', default: '1' },
    tracker: { type: 'string' },
    'sample-seconds': { type: 'string' },
    'download-limit': { type: 'string' },
    'upload-limit': { type: 'string' },
    'torrent-download-limit': { type: 'string' },
    'torrent-upload-limit': { type: 'string' },
    'no-verify': { type: 'boolean', default: false },
    verbose: { type: 'boolean', default: false },
  },
});
const [role = '', torrentPath = '', folder = ''] = positionals;
const connections = Number(values.connections);
const isNull = values.storage === 'null';

function say(event: string, facts: Record<string, unknown> = {}): void {
  process.stdout.write(`${JSON.stringify({ event, ...facts })}\n`);
}

/** Every verification comes back good at once; all other work goes to the pool. */
function withoutVerify(pool: WorkPool): WorkPool {
  const good = { ok: true, good: true, bytes: new Uint8Array() } as const;
  return {
    get threadCount() {
      return pool.threadCount;
    },
    get room() {
      return pool.room;
    },
    onceRoom: (listener) => pool.onceRoom(listener),
    submit(job, done) {
      if (job.kind !== 'verify') return pool.submit(job, done);
      setImmediate(done, good);
      return true;
    },
    close: () => pool.close(),
  };
}

function internals(): EngineInternals {
  return {
    ...(values['no-verify'] ? { wrapPool: withoutVerify } : {}),
    ...(isNull ? { openStorage: ({ files }) => Promise.resolve(new NullStorage(files.length)) } : {}),
    ...(connections > 1 ? { makePeerId: () => makePeerId(Math.random), dialsPerSecond: DIALS_PER_SEC } : {}),
  };
}

function rates(down: string | undefined, up: string | undefined) {
  return {
    ...(down === undefined ? {} : { downloadBytesPerSec: Number(down) }),
    ...(up === undefined ? {} : { uploadBytesPerSec: Number(up) }),
  };
}

/** HOST:PORT, or with many connections that many neighbours of 127.0.0.1. */
function peers(texts: readonly string[]): { host: string; port: number }[] {
  return texts.flatMap((text) => {
    const [host = '', port = ''] = text.split(':');
    if (connections === 1) return [{ host, port: Number(port) }];
    return Array.from({ length: connections }, (_, i) => ({
      host: `127.0.${i >> 7}.${(i & 127) + 1}`,
      port: Number(port),
    }));
  });
}

const metainfo = parseTorrent(readFileSync(torrentPath));
const room = connections + 8;
const engine = await startEngine(
  {
    port: Number(values.port),
    host: connections > 1 ? '0.0.0.0' : values.host,
    storage: isNull ? 'auto' : (values.storage as NonNullable<EngineOptions['storage']>),
    uploadSlots: 'unlimited',
    ...rates(values['download-limit'], values['upload-limit']),
    ...(connections > 1 ? { maxConnections: room, maxConnectionsPerTorrent: room } : {}),
    ...(values.threads === undefined ? {} : { threads: Number(values.threads) }),
    ...(values.verbose ? { log: (level, message, facts) => console.error(level, message, facts ?? '') } : {}),
  },
  internals(),
);
const delay = monitorEventLoopDelay({ resolution: 1 });
let gcMs = 0;
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) gcMs += entry.duration;
}).observe({ entryTypes: ['gc'] });

await sleep(SETTLE_MS);
const idleBytes = process.memoryUsage.rss();
const torrent = engine.add(metainfo, {
  output: folder,
  mode: role === 'seed' ? 'seed' : 'download',
  trustData: true,
  trackers: values.tracker === undefined ? [] : [[values.tracker]],
  peers: role === 'seed' ? [] : peers(values.peer),
  ...rates(values['torrent-download-limit'], values['torrent-upload-limit']),
});
let peerCount = 0;
let mostPeers = 0;
// Counted, not asked for with `stats()`, which goes through all peers: that would be a cost of the bench.
torrent.on('peer', (_address, change) => {
  if (change === 'connected') mostPeers = Math.max(mostPeers, ++peerCount);
  else if (change === 'disconnected') peerCount--;
});
torrent.done.catch((error: unknown) => say('error', { message: String(error) }));
const sampleSeconds = values['sample-seconds'];
if (sampleSeconds !== undefined)
  sampleTraffic(
    () => torrent.stats(),
    Number(sampleSeconds),
    (samples) => say('samples', { samples }),
  );
if (role === 'seed') torrent.once('done', ready);
else {
  ready();
  let verifiedPieces = 0;
  torrent.on('verified', () => {
    if (++verifiedPieces === metainfo.geometry.pieceCount) say('verified');
  });
  torrent.once('done', () => say('done', { ...torrent.stats() }));
}

function beginFigures(): void {
  delay.reset();
  gcMs = 0;
}

function ready(): void {
  // It wakes a thousand times a second: more than all else does at a low rate.
  if (sampleSeconds === undefined) delay.enable();
  beginFigures();
  say('ready', { port: engine.port, idleBytes });
}

const input = createInterface({ input: process.stdin });
input.on('line', (line) => {
  if (line.trim() === 'begin') beginFigures();
  if (line.trim() === 'quit') input.close();
});
input.once('close', () => {
  const ms = (nanoseconds: number): number => nanoseconds / 1e6;
  const loop = { p50Ms: ms(delay.percentile(50)), p99Ms: ms(delay.percentile(99)), maxMs: ms(delay.max) };
  say('figures', { ...loop, gcMs, connections: mostPeers });
  // The bench keeps its end of standard input open.
  void engine.close().then(() => process.stdin.destroy());
});

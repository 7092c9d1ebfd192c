/**
 * The engine of one point of the scale bench, alone in its process (with --expose-gc):
 *   scale-host seed|rest|leech FOLDER TORRENT-COUNT PIECE-COUNT PIECE-LENGTH IDLE-MS [CONNECTIONS-MAX]
 * (`rest`: seeds that rest at once and not after a minute)
 * Measures itself idle, adds the torrents, says {"event":"serving",…}; at the line "measure" it measures itself again
 * and says {"event":"figures",…}; leaves at the end of standard input.
 */
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { startEngine } from '../../src/engine/engine.js';
import { parseTorrent, type Torrent } from '../../src/index.js';
import type { TorrentHandle } from '../../src/torrent/handle.js';
import { zerosTorrent } from './zeros.js';

interface Footprint {
  readonly cpuMsPerSec: number;
  readonly rssBytes: number;
  readonly heapBytes: number;
  /** Buffers outside the heap. */
  readonly externalBytes: number;
  readonly timers: number;
  readonly openFiles: number;
}

const [role = '', folder = '', ...numbers] = process.argv.slice(2);
const [torrentCount = 0, pieceCount = 0, pieceLengthBytes = 0, idleMs = 0, connectionsMax] = numbers.map(Number);
const SETTLE_MS = Math.min(300, idleMs / 2);

function say(event: string, facts: Record<string, unknown> = {}): void {
  process.stdout.write(`${JSON.stringify({ event, ...facts })}\n`);
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Garbage first, so that what is counted is held; then nothing but being there. */
async function footprint(): Promise<Footprint> {
  const collect = globalThis.gc;
  if (collect === undefined) throw new Error('run with --expose-gc');
  await sleep(SETTLE_MS);
  collect();
  await sleep(SETTLE_MS);
  collect();
  const { rss, heapUsed, external } = process.memoryUsage();
  const resources = process.getActiveResourcesInfo();
  const before = process.cpuUsage();
  const startMs = performance.now();
  await sleep(idleMs);
  const { user, system } = process.cpuUsage(before);
  const seconds = (performance.now() - startMs) / 1000;
  return {
    cpuMsPerSec: (user + system) / 1000 / seconds,
    rssBytes: rss,
    heapBytes: heapUsed,
    externalBytes: external,
    timers: resources.filter((name) => name === 'Timeout').length,
    openFiles: process.platform === 'linux' ? readdirSync('/proc/self/fd').length : 0,
  };
}

const most =
  connectionsMax === undefined ? {} : { maxConnections: connectionsMax, maxConnectionsPerTorrent: connectionsMax };
const engine = await startEngine(
  { port: 0, host: '127.0.0.1', threads: 1, seed: 1, ...most },
  role === 'rest' ? { restAfterMs: 0 } : {},
);
const isSeed = role !== 'leech';

/** In service: a seed when it is done, a leech when it asks for peers. */
function inService(torrent: Torrent): Promise<void> {
  return new Promise((resolve, reject) => {
    torrent.once('failed', reject);
    const look = (state: string): void => {
      if (state !== (isSeed ? 'seeding' : 'downloading')) return;
      // Our listeners are not the engine's: they must not be counted.
      torrent.off('state', look);
      torrent.off('failed', reject);
      resolve();
    };
    torrent.on('state', look);
  });
}

async function start(): Promise<Record<string, unknown>> {
  // Made before the clock starts: reading it is the engine's work, making it up is not.
  const sources = Array.from({ length: torrentCount }, (_, number) =>
    zerosTorrent(`zeros-${number}.bin`, pieceCount, pieceLengthBytes),
  );
  const startMs = performance.now();
  let parseMs = 0;
  const waiting: Promise<void>[] = [];
  let infoHash = '';
  for (const [number, source] of sources.entries()) {
    const parseStartMs = performance.now();
    const metainfo = parseTorrent(source);
    parseMs += performance.now() - parseStartMs;
    const output = isSeed ? folder : path.join(folder, `leech-${number}`);
    const mode = isSeed ? 'seed' : 'download';
    const torrent = engine.add(metainfo, { output, mode, trustData: true, trackers: [] });
    waiting.push(inService(torrent));
    infoHash = metainfo.infoHashHex;
  }
  const addMs = performance.now() - startMs - parseMs;
  await Promise.all(waiting);
  return { parseMs, addMs, startMs: performance.now() - startMs, infoHash };
}

const idle = await footprint();
say('serving', { port: engine.port, ...(await start()) });

async function allRest(): Promise<void> {
  const isUp = (torrent: Torrent): boolean => !(torrent as TorrentHandle).live?.rest.isResting;
  while (engine.torrents.some(isUp)) await sleep(SETTLE_MS);
}

async function measure(): Promise<void> {
  if (role === 'rest') await allRest();
  say('figures', { idle, loaded: await footprint(), connections: engine.stats().connections });
}

const input = createInterface({ input: process.stdin });
input.on('line', (line) => {
  if (line === 'measure') void measure();
});
input.once('close', () => {
  const startMs = performance.now();
  void engine.close().then(() => {
    say('closed', { closeMs: performance.now() - startMs });
    process.stdin.destroy();
  });
});

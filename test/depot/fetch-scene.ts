/** One fetch of a blob with a torrent: real parts, a depot that lies, a clock that stands until the test moves it. */
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { BlobCache } from '../../src/depot/agent/blob-cache.js';
import { CacheFolder } from '../../src/depot/agent/cache-folder.js';
import { DepotClient } from '../../src/depot/agent/depot-client.js';
import { SwarmFetch } from '../../src/depot/agent/swarm-fetch.js';
import type { ArtifactRow } from '../../src/depot/catalogue/port.js';
import { createEngine, type Engine } from '../../src/index.js';
import { atEnd, folderOf, sha256, untilTrue } from './agent-harness.js';
import { createTorrentBytes } from './agent-torrent.js';
import { type Answers, type Liar, liar, send, sendRange } from './lying-depot.js';

const MIB = 2 ** 20;
/** A stream is thought slow when the clock has moved so far, and silent after as much as that. */
const SLOW_MS = 1_000;
const SILENT_MS = 60_000;

export interface FetchScene {
  readonly depot: Liar;
  readonly fetch: SwarmFetch;
  /** So much of the stream is here, and no more comes: it is silent from now on. */
  fallSilent(hereBytes: number): Promise<void>;
  readonly client: DepotClient;
  readonly engine: Engine;
  /** What it does once a second, so much later. */
  tickAfter(ms: number): void;
  /** So much of it is here, and it is slow from now on. */
  growSlow(hereBytes: number): Promise<void>;
  /** Time goes by, and the fetch is looked at. */
  pass(ms: number): void;
}

export function rowOf(bytes: Uint8Array, infoHash: string | null): ArtifactRow {
  return {
    name: 'artifacts/x',
    sha256: sha256(bytes),
    lengthBytes: bytes.length,
    infoHash,
    contentType: null,
    createdMs: 0,
    expiresMs: null,
    usedMs: 0,
    isPinned: false,
    replicas: null,
  };
}

/**
 * @param good of the blob and of its torrent, whatever the answers are
 * @param others how many of them the tracker knows
 * @param digest that the depot says
 */
export async function fetchScene(
  context: TestContext,
  good: Buffer,
  answers: Answers,
  others: () => number = () => 0,
  digest: string = sha256(good),
): Promise<FetchScene> {
  const { bytes: torrent, infoHash } = createTorrentBytes('x', good);
  const honest = { torrent: send(torrent), bytes: sendRange(good), seed: sendRange(good) };
  const depot = await liar(context, { ...honest, ...answers });
  const folder = await CacheFolder.open(join(await folderOf(context), 'cache'));
  const client = new DepotClient({ url: depot.url, token: null, userAgent: 'test' });
  const engine = await createEngine({ port: 0 });
  const cache = new BlobCache({
    folder,
    cacheBytes: 64 * MIB,
    log: () => {},
    wallClockMs: () => 0,
    onGone: () => {},
    isBusy: () => false,
  });
  const row = { ...rowOf(good, infoHash), sha256: digest };
  let nowMs = 0;
  const fetch = new SwarmFetch({
    row,
    reserved: cache.reserve(row.sha256, row.lengthBytes),
    opened: null,
    cache,
    engine,
    client,
    now: () => nowMs,
    others: async () => others(),
    onWhole: () => {},
    onTrackers: () => {},
  });
  atEnd(context, async () => {
    await fetch.stop();
    fetch.leave();
    await engine.close();
    await client.destroy();
    await folder.close();
  });
  return {
    depot,
    fetch,
    client,
    engine,
    tickAfter: (ms) => {
      nowMs += ms;
      fetch.tick();
    },
    fallSilent: async (hereBytes) => {
      await untilTrue(async () => fetch.bytes.webSeed >= hereBytes);
      nowMs = SILENT_MS;
    },
    growSlow: async (hereBytes) => {
      await untilTrue(async () => fetch.bytes.webSeed >= hereBytes);
      nowMs = SLOW_MS;
    },
    pass: (ms) => {
      nowMs += ms;
      fetch.tick();
    },
  };
}

export interface Read {
  readonly bytes: Buffer;
  /** Null: it came to its end. */
  readonly error: unknown;
}

/** All that a reader gets. */
export async function readAll(slices: AsyncIterable<Uint8Array>): Promise<Read> {
  const parts: Buffer[] = [];
  try {
    for await (const slice of slices) parts.push(Buffer.from(slice));
    return { bytes: Buffer.concat(parts), error: null };
  } catch (error) {
    return { bytes: Buffer.concat(parts), error };
  }
}

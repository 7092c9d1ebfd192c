/**
 * An agent whose cache is far too small: jobs fetch, fetch ranges, go away half way and keep hard links, names get
 * other bytes, cached files are written into, and the agent is started anew, in an order that dice decide. What is
 * delivered is right, what is used is counted to the byte, and nothing is left that nobody knows.
 *
 *   AGENT_ROUNDS=100 node --test dist/test/depot/agent-evict-races.test.js     more of it; AGENT_SEED: another run
 */
import assert from 'node:assert/strict';
import { existsSync, lstatSync, readdirSync, readFileSync } from 'node:fs';
import { link, mkdir, open, readFile } from 'node:fs/promises';
import { request } from 'node:http';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { openScope } from '../../lab/scope.js';
import { openAgent } from '../../src/depot/agent/start.js';
import type { Agent, Depot } from '../../src/index.js';
import { startDepot } from '../../src/index.js';
import { makeRandom } from '../../src/random.js';
import { sha256, untilTrue } from './agent-harness.js';
import { bytesOf } from './depot-kit.js';
import { quickFolder } from './quick-folder.js';

const SEED = Number(process.env.AGENT_SEED ?? 20_261_129);
const ROUNDS = Number(process.env.AGENT_ROUNDS ?? 1);
const CLIENTS = 6;
const DEEDS = 20;
const MIB = 2 ** 20;
const CACHE_BYTES = 20 * MIB;
/** Short ones; long ones without a torrent; and with one. */
const LENGTHS = [1_000, 300_000, 2 * MIB, 4.5 * MIB, 4.6 * MIB, 6 * MIB, 7 * MIB, 8 * MIB];
const TORRENT_FROM_BYTES = 5 * MIB;
const BLOBS = LENGTHS.map((length, index) => bytesOf(length, index + 1));
const DIGESTS = new Map(BLOBS.map((bytes) => [sha256(bytes), bytes]));
const NAMES = ['a', 'b', 'c', 'd', 'e/f'];
/** An agent believes what it was told of a name for a second. */
const BELIEVED_MS = 1_100;
const FOR_EVER = Number.POSITIVE_INFINITY;

/** A time in which a name may have had these bytes. */
interface Era {
  readonly sha: string;
  readonly fromMs: number;
  /** It was published; without end: nobody knows when, or whether. */
  sureMs: number;
  untilMs: number;
}

interface Reply {
  readonly status: number;
  readonly bytes: Buffer;
  /** It broke off, or never came. */
  readonly isCut: boolean;
}

class Scene {
  readonly #random: () => number;
  readonly #folder: string;
  readonly #depot: Depot;
  readonly faults: string[] = [];
  readonly #eras = new Map<string, Era[]>();
  readonly #links = new Map<string, string>();
  agent!: Agent;
  /** Odd while it is being started anew. */
  #turn = 0;
  #links_ = 0;
  delivered = 0;

  constructor(random: () => number, folder: string, depot: Depot) {
    this.#random = random;
    this.#folder = folder;
    this.#depot = depot;
  }

  get cache(): string {
    return join(this.#folder, 'cache');
  }

  pick(count: number): number {
    return Math.floor(this.#random() * count);
  }

  async start(): Promise<void> {
    this.agent = await openAgent({
      depot: this.#depot.url,
      cache: this.cache,
      cacheBytes: CACHE_BYTES,
      httpPort: 0,
      engine: { port: 0 },
    });
  }

  async restart(): Promise<void> {
    if (this.#turn % 2 === 1) return;
    this.#turn++;
    await this.agent.close(0);
    await this.start();
    this.#turn++;
  }

  async publish(name: string): Promise<void> {
    const bytes = BLOBS[this.pick(BLOBS.length)]!;
    const sha = sha256(bytes);
    const eras = this.#eras.get(name) ?? [];
    this.#eras.set(name, eras);
    const era = { sha, fromMs: performance.now(), sureMs: FOR_EVER, untilMs: FOR_EVER };
    eras.push(era);
    const url = this.pick(2) === 0 && this.#turn % 2 === 0 ? this.agent.url : this.#depot.url;
    const turn = this.#turn;
    const { status, isCut } = await ask(`${url}/artifacts/${name}?overwrite=true`, 'PUT', bytes);
    const endMs = performance.now();
    const isOff = isCut && turn !== this.#turn;
    if (status >= 300 && !isOff) this.faults.push(`put ${name}: ${status}`);
    if (isCut) return;
    era.sureMs = endMs;
    // Of two at once either may be the later.
    for (const other of eras) if (other.sureMs < era.fromMs) other.untilMs = Math.min(other.untilMs, endMs);
  }

  async get(name: string, how: 'all' | 'range' | 'part'): Promise<void> {
    const [fromMs, turn] = [performance.now(), this.#turn];
    if (turn % 2 === 1) return;
    const begin = how === 'range' ? this.pick(LENGTHS.at(-1)!) : 0;
    const headers: Record<string, string> =
      how === 'range' ? { range: `bytes=${begin}-${begin + 1 + this.pick(MIB)}` } : {};
    const stopAt = how === 'part' ? this.pick(4 * MIB) : null;
    const { status, bytes, isCut } = await ask(`${this.agent.url}/artifacts/${name}`, 'GET', null, headers, stopAt);
    const text = `get ${name} ${how} ${JSON.stringify(headers)}`;
    const known = (this.#eras.get(name) ?? []).filter((era) => era.untilMs >= fromMs - BELIEVED_MS);
    const isOff = turn !== this.#turn;
    if (status === 0 || status >= 400) {
      const isFine = status === 416 || (isOff && (status === 0 || status === 503));
      if (!isFine) this.faults.push(`${text}: ${status} ${bytes.subarray(0, 200)}`);
      return;
    }
    const wanted = known.map(({ sha }) => DIGESTS.get(sha)!.subarray(begin));
    const isRight = wanted.some((whole) => whole.subarray(0, bytes.length).equals(bytes));
    if (!isRight) this.faults.push(`${text}: ${bytes.length} bytes of nothing that it was`);
    if (!isCut) this.delivered++;
  }

  /** As a job that keeps what is cached by another name. */
  async keep(name: string): Promise<void> {
    if (this.#turn % 2 === 1) return;
    const { status, bytes } = await ask(`${this.agent.url}/local/artifacts/${name}`, 'GET', null);
    if (status !== 200) return;
    const { path, sha256: sha } = JSON.parse(String(bytes)) as { path: string | null; sha256: string };
    if (path === null) return;
    const place = join(this.#folder, 'kept', String(this.#links_++));
    await link(path, place).then(
      () => this.#links.set(place, sha),
      () => {},
    );
  }

  /** Somebody writes into a file that is cached, and was verified. */
  async spoil(): Promise<void> {
    const files = this.wholeFiles();
    const file = files[this.pick(Math.max(1, files.length))];
    // Who keeps a link to it has it spoiled, too.
    if (file === undefined || lstatSync(file.path, { throwIfNoEntry: false })?.nlink !== 1) return;
    const handle = await open(file.path, 'r+').catch(() => null);
    if (handle === null) return;
    await handle.write(Buffer.from('spoiled'), 0, 7, this.pick(900));
    const { nlink } = await handle.stat();
    await handle.close();
    for (const [place, sha] of this.#links) if (nlink > 1 && sha === file.sha) this.#links.delete(place);
    this.spoiled.add(file.sha);
  }

  readonly spoiled = new Set<string>();

  wholeFiles(): { readonly sha: string; readonly path: string }[] {
    const found: { sha: string; path: string }[] = [];
    for (const sha of DIGESTS.keys()) {
      const small = join(this.cache, 'small', sha.slice(0, 2), sha);
      if (existsSync(small)) found.push({ sha, path: small });
      const folder = join(this.cache, 'blobs', sha.slice(0, 2), sha);
      if (!existsSync(join(folder, 'record'))) continue;
      try {
        for (const name of readdirSync(join(folder, 'data')))
          if (!name.startsWith('.')) found.push({ sha, path: join(folder, 'data', name) });
      } catch {
        // It goes just now.
      }
    }
    return found;
  }

  async keptAreRight(): Promise<void> {
    for (const [place, sha] of this.#links)
      if (sha256(await readFile(place)) !== sha) this.faults.push(`what was kept of ${sha.slice(0, 8)} was changed`);
  }

  async status(): Promise<{ fetches: unknown[]; cache: { usedBytes: number; blobs: number } }> {
    return JSON.parse(String((await ask(`${this.agent.url}/status`, 'GET', null)).bytes));
  }
}

function ask(
  url: string,
  method: string,
  body: Uint8Array | null,
  headers: Record<string, string> = {},
  stopAt: number | null = null,
): Promise<Reply> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let status = 0;
    const settle = (isCut: boolean): void => resolve({ status, bytes: Buffer.concat(chunks), isCut });
    const length = body === null ? {} : { 'content-length': String(body.length) };
    const asked = request(url, { method, headers: { ...headers, ...length }, agent: false }, (response) => {
      status = response.statusCode!;
      let bytes = 0;
      response.on('data', (chunk: Buffer) => {
        chunks.push(chunk);
        bytes += chunk.length;
        if (stopAt !== null && bytes > stopAt) asked.destroy();
      });
      response.on('end', () => settle(false));
      response.on('error', () => settle(true));
      response.on('close', () => settle(true));
    });
    asked.on('error', () => settle(true));
    asked.end(body ?? undefined);
  });
}

/** Of all that lies in it, in whole files; others are faults. */
function bytesIn(scene: Scene): number {
  const { cache, faults } = scene;
  let total = 0;
  for (const entry of readdirSync(cache, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name).slice(cache.length + 1);
    const parts = path.split('/');
    const isOurs =
      ['names', 'swarmhaul-cache'].includes(path) ||
      (parts[0] === 'small' && parts.length === 3) ||
      (parts[0] === 'blobs' && (parts.length === 5 || ['record', 'torrent'].includes(parts[3]!)));
    if (!isOurs) faults.push(`stray: ${path}`);
    const status = lstatSync(join(cache, path));
    if (parts[0] === 'small') total += status.size;
    if (parts[0] !== 'blobs' || parts[3] !== 'data') continue;
    const isWhole = existsSync(join(cache, ...parts.slice(0, 3), 'record'));
    total += isWhole ? (entry.name.startsWith('.') ? 0 : status.size) : status.blocks * 512;
  }
  return total;
}

async function round(context: TestContext, seed: number): Promise<number> {
  const scope = openScope(context);
  const folder = await quickFolder(scope);
  await mkdir(join(folder, 'kept'));
  const depot = await startDepot({
    data: join(folder, 'data'),
    httpPort: 0,
    engine: { port: 0 },
    torrentFromBytes: TORRENT_FROM_BYTES,
  });
  const random = makeRandom(seed);
  const scene = new Scene(random, folder, depot);
  try {
    await scene.start();
    for (const name of NAMES) await scene.publish(name);
    const client = async (): Promise<void> => {
      for (let left = DEEDS; left > 0; left--) {
        const name = NAMES[scene.pick(NAMES.length)]!;
        const dice = scene.pick(40);
        if (dice < 12) await scene.get(name, 'all');
        else if (dice < 20) await scene.get(name, 'range');
        else if (dice < 25) await scene.get(name, 'part');
        else if (dice < 29) await scene.keep(name);
        else if (dice < 33) await scene.spoil();
        else if (dice < 39) await scene.publish(name);
        else await scene.restart();
      }
    };
    await Promise.all(Array.from({ length: CLIENTS }, client));
    await scene.keptAreRight();
    let used = { usedBytes: -1, diskBytes: 0 };
    const isExact = async (): Promise<boolean> => {
      const { fetches, cache } = await scene.status();
      const before = scene.faults.length;
      const diskBytes = bytesIn(scene);
      const isQuiet = fetches.length === 0 && scene.faults.length === before;
      scene.faults.length = before;
      used = { usedBytes: cache.usedBytes, diskBytes };
      return isQuiet && cache.usedBytes === diskBytes;
    };
    const until = performance.now() + 5_000;
    await untilTrue(async () => (await isExact()) || performance.now() > until);
    bytesIn(scene);
    if (used.usedBytes !== used.diskBytes) scene.faults.push(`${used.usedBytes} used, ${used.diskBytes} on disk`);
    if (used.usedBytes > CACHE_BYTES) scene.faults.push(`${used.usedBytes} used`);
    await scene.agent.close(0);
    const diskBytes = bytesIn(scene);
    for (const { sha, path } of scene.wholeFiles())
      if (!scene.spoiled.has(sha) && sha256(readFileSync(path)) !== sha) scene.faults.push(`bad bytes at ${path}`);
    await scene.start();
    const { cache } = await scene.status();
    if (cache.usedBytes !== diskBytes) scene.faults.push(`${cache.usedBytes} used at the start, ${diskBytes} on disk`);
    for (const name of NAMES) await scene.get(name, 'all');
    assert.deepEqual(scene.faults, [], `seed ${seed}`);
  } finally {
    await scene.agent.close(0);
    await depot.close(0);
  }
  return scene.delivered;
}

test(`a cache that is too small: ${ROUNDS * CLIENTS * DEEDS} random deeds`, async (context) => {
  let delivered = 0;
  for (let index = 0; index < ROUNDS; index++) delivered += await round(context, SEED + index);
  assert.ok(delivered > ROUNDS, `${delivered}`);
});

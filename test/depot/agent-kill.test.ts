/**
 * The agent as a process that is killed at any moment under load: no bad byte is delivered as complete, nothing stray
 * lies in its cache after the next start, and what is in it is given.
 *
 *   AGENT_KILLS=100 node --test dist/test/depot/agent-kill.test.js     the whole claim; AGENT_KILL_SEED: another run
 */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { request } from 'node:http';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { openScope } from '../../lab/scope.js';
import { makeRandom } from '../../src/random.js';
import { Running } from '../cli/harness.js';
import { agentOf, bytesOf, depotOf, get, put, sha256, untilTrue } from './agent-harness.js';
import { quickFolder } from './quick-folder.js';
import { ThinLine } from './thin-line.js';

const MIB = 2 ** 20;
const SEED = Number(process.env.AGENT_KILL_SEED ?? 20_261_128);
const KILLS = Number(process.env.AGENT_KILLS ?? 5);
const WORKERS = 6;
/** A kill comes after at most so many pieces of answers. */
const EVENTS_MAX = 500;
/** The depot serves through this: streams are slow enough to be left for the torrent that another agent gives. */
const LINE_BYTES_PER_SEC = 60 * MIB;
/** In all more than the cache holds, so that some always come and some always go. */
const LENGTHS = { tiny: 5000, short: 3 * MIB, swarm: 7 * MIB, long: 24 * MIB, longer: 28 * MIB, empty: 0 };
/** Kept by their digest, without a torrent. */
const PLAIN_LENGTHS = [1 * MIB, 9 * MIB, 14 * MIB];

interface Counts {
  whole: number;
  cut: number;
  refused: number;
  ranges: number;
  /** Found in the cache of an agent that was killed. */
  parts: number;
  temporary: number;
}

interface Target {
  readonly path: string;
  readonly bytes: Buffer;
}

class Load {
  readonly counts: Counts = { whole: 0, cut: 0, refused: 0, ranges: 0, parts: 0, temporary: 0 };
  readonly #targets: readonly Target[];
  readonly #random: () => number;
  onEvent: () => void = () => {};
  isStopped = false;

  constructor(targets: readonly Target[], random: () => number) {
    this.#targets = targets;
    this.#random = random;
  }

  /** Until it is stopped, or nobody answers any more. */
  async work(url: string): Promise<void> {
    while (!this.isStopped) {
      const { path, bytes } = this.#targets[Math.floor(this.#random() * this.#targets.length)]!;
      const begin = Math.floor(this.#random() * bytes.length);
      const range =
        bytes.length === 0 || this.#random() < 0.7 ? null : { begin, end: begin + 1 + this.#below(300_000) };
      const expected = range === null ? bytes : bytes.subarray(range.begin, range.end);
      const answer = await this.#ask(`${url}/${path}`, range);
      if (answer === null) return;
      if (answer === 'cut') this.counts.cut++;
      else if (answer === 'refused') this.counts.refused++;
      else {
        assert.ok(answer.equals(expected), `bad bytes of ${path}, ${answer.length} of ${expected.length}`);
        this.counts.whole++;
        if (range !== null) this.counts.ranges++;
      }
    }
  }

  #below(count: number): number {
    return Math.floor(this.#random() * count);
  }

  /** The bytes of a complete answer; null: nobody is there. */
  #ask(url: string, range: { begin: number; end: number } | null): Promise<Buffer | 'cut' | 'refused' | null> {
    const headers = range === null ? {} : { range: `bytes=${range.begin}-${range.end - 1}` };
    return new Promise((resolve) => {
      const asked = request(url, { headers, agent: false }, (response) => {
        const parts: Buffer[] = [];
        response.on('data', (part: Buffer) => {
          parts.push(part);
          this.onEvent();
        });
        response.on('error', () => resolve('cut'));
        response.on('close', () => {
          if (!response.complete) resolve('cut');
          else resolve(response.statusCode! < 300 ? Buffer.concat(parts) : 'refused');
        });
      });
      asked.on('error', () => resolve(null));
      asked.end();
    });
  }
}

async function agentProcess(context: TestContext, depot: string, cache: string): Promise<[Running, string]> {
  const places = ['--depot', depot, '--cache', cache, '--cache-bytes', '64MiB'];
  const running = new Running(['agent', ...places, '--http', '0', '--port', '0', '--json']);
  context.after(async () => {
    running.child.kill('SIGKILL');
    await running.finished;
  });
  const { url } = await running.line(({ type }) => type === 'listening');
  return [running, String(url)];
}

const HEX64 = /^[0-9a-f]{64}$/;
/** Of a whole blob, or of a part that can be gone on with. */
const IN_BLOB = /^(?:record|torrent|data)$/;

/** What lies in a cache that nobody uses yet: everything must be something. */
async function strays(cache: string): Promise<string[]> {
  const found = [];
  const known = new Set(['swarmhaul-cache', 'names', 'small', 'blobs', 'tmp']);
  for (const name of await readdir(cache)) if (!known.has(name)) found.push(name);
  // The folder of the door of the Actions cache, which is empty.
  for (const name of await readdir(join(cache, 'tmp'), { recursive: true }))
    if (name !== 'actions-cache') found.push(`tmp/${name}`);
  for (const kind of ['small', 'blobs'])
    for (const prefix of await readdir(join(cache, kind)))
      for (const sha of await readdir(join(cache, kind, prefix)))
        if (!HEX64.test(sha) || !sha.startsWith(prefix)) found.push(`${kind}/${prefix}/${sha}`);
        else if (kind === 'blobs') found.push(...(await straysOf(join(cache, kind, prefix, sha))));
  return found;
}

async function straysOf(blob: string): Promise<string[]> {
  const inside = await readdir(blob);
  const found = inside.filter((name) => !IN_BLOB.test(name)).map((name) => join(blob, name));
  if (!inside.includes('record') && !inside.includes('torrent')) found.push(blob);
  const data = await readdir(join(blob, 'data')).catch(() => []);
  // Its file, and what the engine notes beside one.
  const others = data.filter((name) => !/^\.[0-9a-f]{16}\.haul-(?:resume|lock|parts)$/.test(name));
  return others.length > 1 ? [...found, `${blob}: ${others.join(' ')}`] : found;
}

/** Whether there was something to lose. */
async function countHalves(cache: string, counts: Counts): Promise<void> {
  const temporary = await readdir(join(cache, 'tmp'));
  counts.temporary += temporary.filter((name) => name !== 'actions-cache').length;
  for (const prefix of await readdir(join(cache, 'blobs')))
    for (const sha of await readdir(join(cache, 'blobs', prefix)))
      if (!existsSync(join(cache, 'blobs', prefix, sha, 'record'))) counts.parts++;
}

async function publishAll(depot: string): Promise<Target[]> {
  const targets: Target[] = [];
  for (const [name, length] of Object.entries(LENGTHS)) {
    const bytes = bytesOf(length);
    await put(depot, name, bytes);
    targets.push({ path: `artifacts/${name}`, bytes });
  }
  for (const length of PLAIN_LENGTHS) {
    const bytes = bytesOf(length);
    const path = `cas/${sha256(bytes)}`;
    const answer = await fetch(`${depot}/${path}`, { method: 'PUT', body: bytes });
    assert.ok(answer.ok, `${answer.status}`);
    targets.push({ path, bytes });
  }
  return targets;
}

/** Resolves with how many pieces of answers came before. */
async function killAfter(running: Running, url: string, load: Load, events: number): Promise<number> {
  let seen = 0;
  const due = new Promise<void>((resolve) => {
    load.onEvent = () => {
      if (++seen === events) resolve();
    };
    if (events === 0) resolve();
  });
  load.isStopped = false;
  const workers = Array.from({ length: WORKERS }, () => load.work(url));
  await Promise.race([due, Promise.all(workers)]);
  running.child.kill('SIGKILL');
  load.isStopped = true;
  await Promise.all(workers);
  await running.finished;
  return seen;
}

test(`an agent that is killed ${KILLS} times gives no bad byte and leaves no stray file`, async (context) => {
  const folder = await quickFolder(openScope(context));
  const cache = join(folder, 'cache');
  const depot = await depotOf(context, join(folder, 'depot'));
  const targets = await publishAll(depot.url);
  // Another agent, which has what has a torrent: streams of the one under test are left for it.
  const other = await agentOf(context, depot.url, join(folder, 'other'), { cacheBytes: 2 ** 30 });
  for (const { path } of targets) await get(other.agent.url, path);
  await untilTrue(async () => other.agent.stats().fetches === 0);
  const line = await ThinLine.open(context, depot.port, LINE_BYTES_PER_SEC);
  const random = makeRandom(SEED);
  const load = new Load(targets, random);
  let events = 0;
  for (let kill = 0; kill < KILLS; kill++) {
    const [running, url] = await agentProcess(context, line.url, cache);
    assert.deepEqual(await strays(cache), [], `before kill ${kill} of seed ${SEED}`);
    events += await killAfter(running, url, load, Math.floor(random() * EVENTS_MAX));
    await countHalves(cache, load.counts);
  }
  const { counts } = load;
  context.diagnostic(`seed ${SEED}: ${KILLS} kills, ${events} pieces of answers, ${JSON.stringify(counts)}`);
  // Else nothing was shown.
  assert.ok(counts.whole >= KILLS && counts.cut >= KILLS && counts.ranges > 0, JSON.stringify(counts));
  assert.ok(counts.parts > 0 && counts.temporary > 0, JSON.stringify(counts));
  const [last, url] = await agentProcess(context, line.url, cache);
  assert.deepEqual(await strays(cache), []);
  for (let turn = 0; turn < 2; turn++)
    for (const { path, bytes } of targets) assert.ok((await get(url, path)).bytes.equals(bytes), path);
  assert.equal((await last.stop('SIGTERM')).exitCode, 0);
});

/**
 * The depot as a process that is killed at any moment under load: nothing that was acknowledged is lost, no bad byte is
 * delivered, nothing stray lies in its folder after the next start.
 *
 *   DEPOT_KILLS=200 node --test dist/test/depot/depot-kill.test.js     the whole claim; DEPOT_KILL_SEED: another run
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { type IncomingMessage, request } from 'node:http';
import { join } from 'node:path';
import { test } from 'node:test';
import { openScope } from '../../lab/scope.js';
import { until } from '../../lab/wait.js';
import { makeRandom } from '../../src/random.js';
import { Running } from '../cli/harness.js';
import { sha256 } from './depot-kit.js';
import { quickFolder } from './quick-folder.js';

const KIB = 1024;
const SEED = Number(process.env.DEPOT_KILL_SEED ?? 20_261_128);
const KILLS = Number(process.env.DEPOT_KILLS ?? 4);
const SETTLE_MS = 5_000;
const WORKERS = 6;
const NAMES_EACH = 6;
/** A kill comes after at most so many chunks and answers. */
const EVENTS_MAX = 200;
const CHUNK_BYTES = 64 * KIB;
const LENGTHS = [0, 1, 5 * KIB, 5 * KIB, 64 * KIB, 64 * KIB + 1, 64 * KIB + 1, 300 * KIB, 1500 * KIB, 5000 * KIB];

interface Answer {
  readonly status: number;
  readonly bytes: Buffer;
}

/** What a name may be: a digest, or null for not there. More than one while a change was not answered. */
type Known = Map<string, Set<string | null>>;

class Load {
  readonly known: Known = new Map();
  /** All that ever had the name. */
  readonly #ever = new Map<string, Set<string>>();
  readonly #random: () => number;
  #nextSeed = 0;
  /** Told of each chunk that was sent and each answer. */
  onEvent: () => void = () => {};
  acknowledged = 0;
  fetched = 0;
  isStopped = false;

  constructor(random: () => number) {
    this.#random = random;
  }

  #pick(count: number): number {
    return Math.floor(this.#random() * count);
  }

  #bytes(): Buffer {
    const seed = createHash('sha256')
      .update(`${this.#nextSeed++}`)
      .digest();
    return Buffer.alloc(LENGTHS[this.#pick(LENGTHS.length)]!, seed);
  }

  /** Until the depot is gone. Each worker has names of its own: there is one change of a name at a time. */
  async work(url: string, worker: number): Promise<void> {
    while (!this.isStopped) {
      const name = `${worker}/${this.#pick(NAMES_EACH)}`;
      const may = this.known.get(name) ?? new Set<string | null>([null]);
      this.known.set(name, may);
      const choice = this.#random();
      try {
        if (choice < 0.55) await this.#put(url, name, may);
        else if (choice < 0.7) await this.#remove(url, name, may);
        else await this.check(url, name);
      } catch (error) {
        if (error instanceof assert.AssertionError) throw error;
        return;
      }
    }
  }

  async #put(url: string, name: string, may: Set<string | null>): Promise<void> {
    const bytes = this.#bytes();
    const digest = sha256(bytes);
    may.add(digest);
    this.#ever.set(name, (this.#ever.get(name) ?? new Set()).add(digest));
    const { status } = await this.#ask('PUT', `${url}/artifacts/${name}?overwrite=true`, bytes);
    assert.ok(status === 200 || status === 201, `PUT ${name}: ${status}`);
    this.#sure(may, digest);
  }

  async #remove(url: string, name: string, may: Set<string | null>): Promise<void> {
    may.add(null);
    const { status } = await this.#ask('DELETE', `${url}/artifacts/${name}`, null);
    assert.ok(status === 204 || status === 404, `DELETE ${name}: ${status}`);
    this.#sure(may, null);
  }

  #sure(may: Set<string | null>, digest: string | null): void {
    may.clear();
    may.add(digest);
    this.acknowledged++;
  }

  /** A whole answer is one of those that may be there now. */
  async check(url: string, name: string): Promise<string | null> {
    const may = this.known.get(name)!;
    const { status, bytes } = await this.#ask('GET', `${url}/artifacts/${name}`, null);
    this.fetched++;
    const found = status === 404 ? null : sha256(bytes);
    if (status !== 404) assert.equal(status, 200, `GET ${name}`);
    const wanted = [...may].map((one) => one?.slice(0, 8) ?? 'nothing').join(' or ');
    const was = found !== null && this.#ever.get(name)?.has(found) === true ? 'an older one' : 'no bytes of it';
    assert.ok(may.has(found), `${name} is ${found?.slice(0, 8) ?? 'gone'} (${was}), and must be ${wanted}`);
    // It can have changed no more.
    may.clear();
    may.add(found);
    return found;
  }

  #ask(method: string, url: string, body: Buffer | null): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const headers = body === null ? {} : { 'content-length': body.length };
      const asking = request(url, { method, agent: false, headers }, (response) => {
        const parts: Buffer[] = [];
        response.on('data', (part: Buffer) => {
          parts.push(part);
          this.onEvent();
        });
        response.on('error', reject);
        response.on('end', () => {
          const isWhole = response.complete;
          if (isWhole) resolve({ status: response.statusCode!, bytes: wholeOf(response, parts) });
          else reject(new Error('it ended early'));
          this.onEvent();
        });
      });
      asking.on('error', reject);
      const send = (at: number): void => {
        if (body === null || at >= body.length) {
          asking.end();
          return;
        }
        asking.write(body.subarray(at, at + CHUNK_BYTES), () => {
          this.onEvent();
          send(at + CHUNK_BYTES);
        });
      };
      send(0);
    });
  }
}

function wholeOf({ headers }: IncomingMessage, parts: readonly Buffer[]): Buffer {
  const bytes = Buffer.concat(parts);
  if (headers['content-length'] !== undefined) assert.equal(bytes.length, Number(headers['content-length']));
  return bytes;
}

/** Whatever lies in the folder that nothing needs. @param digests of all artifacts */
function strays(folder: string, digests: ReadonlySet<string>): string[] {
  const found: string[] = [];
  const known = new Set([
    'depot.json',
    'lock',
    'tmp',
    'blobs',
    'views',
    'catalogue',
    'secret',
    'clock',
    '.swarmhaul-actions-cache',
    '.swarmhaul-p2p',
  ]);
  for (const name of readdirSync(folder)) if (!known.has(name)) found.push(name);
  for (const place of ['tmp', 'views']) for (const name of readdirSync(join(folder, place))) found.push(name);
  for (const prefix of readdirSync(join(folder, 'blobs'))) {
    for (const name of readdirSync(join(folder, 'blobs', prefix))) {
      if (name !== 'names' && !digests.has(name.replace(/\.json$/, ''))) found.push(`blobs/${prefix}/${name}`);
    }
  }
  return found;
}

async function started(folder: string): Promise<[Running, string]> {
  const running = new Running(['depot', '--data', folder, '--http', '127.0.0.1:0', '--port', '0', '--json']);
  const { url } = await running.line(({ type }) => type === 'listening');
  return [running, String(url)];
}

test(`killed at ${KILLS} moments under load: nothing acknowledged is lost, no bad byte, nothing stray`, async (t) => {
  const folder = join(await quickFolder(openScope(t)), 'depot');
  const random = makeRandom(SEED);
  const load = new Load(random);
  let checked = 0;
  for (let kill = 0; kill <= KILLS; kill++) {
    const [running, url] = await started(folder);
    t.after(() => running.child.kill('SIGKILL'));
    const digests = new Set<string>();
    for (const name of load.known.keys()) {
      const found = await load.check(url, name);
      if (found !== null) digests.add(found);
      checked++;
    }
    // What the living one writes just now is no stray: it is gone in a moment.
    await until('no strays', SETTLE_MS, () => strays(folder, digests).length === 0).catch(() => {});
    assert.deepEqual(strays(folder, digests), [], `after kill ${kill}`);
    if (kill === KILLS) {
      running.child.kill('SIGTERM');
      await running.finished;
      break;
    }
    let left = 1 + Math.floor(random() * EVENTS_MAX);
    // Every other one is killed when something was acknowledged: else it might never be there to be lost.
    const before = kill % 2 === 0 ? load.acknowledged : -1;
    load.onEvent = () => {
      if (load.acknowledged > before && --left === 0) running.child.kill('SIGKILL');
    };
    await Promise.all(Array.from({ length: WORKERS }, (_, worker) => load.work(url, worker)));
    await running.finished;
  }
  t.diagnostic(`${load.acknowledged} changes acknowledged, ${load.fetched} artifacts fetched, ${checked} after a kill`);
  assert.ok(load.acknowledged >= KILLS / 2);
  const check = new Running(['depot', 'check', '--data', folder, '--json']);
  const { lines } = await check.finished;
  const { counts } = lines.find(({ type }) => type === 'checked') as unknown as { counts: Record<string, number> };
  assert.deepEqual(counts, { damaged: 0, missing: 0, unnamed: 0, sidecar: 0, catalogue: 0 });
});

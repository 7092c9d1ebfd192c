/**
 * Three depots on S3, PostgreSQL and Redis are stopped and started again in turn while clients put, get, list and
 * announce, at the depots themselves and through nginx: no request is lost that is sent once more.
 *
 *   ROLLS=10 node --test dist/test/depot/rolling.test.js     more of them; ROLLING_SEED: another run
 */
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { startChild } from '../../lab/child.js';
import { NGINX } from '../../lab/nginx.js';
import { accepts, freePort } from '../../lab/ports.js';
import { REDIS } from '../../lab/redis.js';
import { PACKAGE_ROOT } from '../../lab/root.js';
import { S3_KEYS, VERSITYGW } from '../../lab/s3-server.js';
import { openScope, type Scope } from '../../lab/scope.js';
import { tempFolder } from '../../lab/temp.js';
import { until } from '../../lab/wait.js';
import { makeRandom } from '../../src/random.js';
import { haulWith } from '../cli/harness.js';
import { requirePrograms, skipUnlessInstalled, skipWithout } from '../support/requirements.js';
import { type Asked, ask, Cluster } from './cluster.js';
import { bytesOf, KIB, sha256 } from './depot-kit.js';
import { MISSING, postgresKit } from './postgres-kit.js';

const SEED = Number(process.env.ROLLING_SEED ?? 20_261_128);
const ROLLS = Number(process.env.ROLLS ?? 1);
/** Lanes at the depots, and through nginx. */
const LANES = [2, 1] as const;
/** Answers before a depot is stopped, and while it is away. */
const ANSWERS = 25;
const LENGTHS = [0, 5 * KIB, 5 * KIB, 70 * KIB, 70 * KIB, 300 * KIB, 300 * KIB, 5000 * KIB];
const PAGE = 40;
const SOON_MS = 60_000;

const kit = postgresKit();

/** The file of `deploy/scale`, with these depots. */
async function startNginx(scope: Scope, cluster: Cluster): Promise<string> {
  const folder = await tempFolder(scope);
  const port = await freePort('127.0.0.1');
  let server = await readFile(path.join(PACKAGE_ROOT, 'deploy/scale/nginx.conf'), 'utf8');
  server = server.replace('listen 443 ssl', `listen 127.0.0.1:${port}`).replace(/^ *ssl_.*\n/gm, '');
  for (const depot of [0, 1, 2]) server = server.replace(`depot-${depot + 1}:7070`, new URL(cluster.url(depot)).host);
  const places = `client_body_temp_path ${folder}/body; proxy_temp_path ${folder}/proxy;`;
  const head = `daemon off; master_process off; pid ${folder}/pid; error_log stderr error; events {}`;
  await writeFile(`${folder}/nginx.conf`, `${head}\nhttp { access_log off; ${places}\n${server}}\n`);
  startChild(scope, NGINX, ['-p', folder, '-e', 'stderr', '-c', `${folder}/nginx.conf`]);
  await until('nginx listens', SOON_MS, () => accepts('127.0.0.1', port));
  return `http://127.0.0.1:${port}`;
}

/** Where a request goes first, and where when it is sent once more. */
type Doors = () => readonly [first: string, second: string];

class Load {
  readonly acknowledged = new Map<string, string>();
  readonly #pick: (count: number) => number;
  readonly #announce: string;
  #count = 0;
  answers = 0;
  /** Sent once more, and why. */
  readonly again: string[] = [];
  proxied = 0;
  slowestMs = 0;
  isStopped = false;

  constructor(pick: (count: number) => number, announce: string) {
    this.#pick = pick;
    this.#announce = announce;
  }

  /** Until it is stopped. @param announces a tracker is behind these doors */
  async lane(doors: Doors, announces: boolean): Promise<void> {
    while (!this.isStopped) {
      const what = this.#pick(8);
      if (what < 3 || this.acknowledged.size === 0) await this.#put(doors);
      else if (what < 6) await this.#get(doors);
      else if (what === 6 || !announces) await this.#list(doors);
      else await this.#tell(doors);
    }
  }

  async #request(doors: Doors, target: string, init: RequestInit = {}): Promise<Asked> {
    const [first, second] = doors();
    const what = `${init.method ?? 'GET'} ${target}`;
    const beganMs = performance.now();
    const answer = await ask(`${first}${target}`, init);
    this.slowestMs = Math.max(this.slowestMs, performance.now() - beganMs);
    this.answers++;
    if (first === second) this.proxied++;
    if (answer !== null && answer.status < 500) return answer;
    this.again.push(`${first === second ? 'nginx ' : ''}${what}: ${answer?.status ?? 'no answer'}`);
    const last = await ask(`${second}${target}`, init);
    assert.ok(last !== null && last.status < 500, `lost: ${what}: ${last?.status} ${last?.bytes} ${this.again.at(-1)}`);
    return last;
  }

  async #put(doors: Doors): Promise<void> {
    const number = ++this.#count;
    const bytes = bytesOf(LENGTHS[this.#pick(LENGTHS.length)]!, number);
    const answer = await this.#request(doors, `/artifacts/r/${number}`, { method: 'PUT', body: bytes });
    assert.ok(answer.status === 201 || answer.status === 200, `${answer.status} ${answer.bytes}`);
    this.acknowledged.set(`r/${number}`, sha256(bytes));
  }

  async #get(doors: Doors): Promise<void> {
    const names = [...this.acknowledged.keys()];
    await this.check(doors, names[this.#pick(names.length)]!);
  }

  async check(doors: Doors, name: string): Promise<void> {
    const answer = await this.#request(doors, `/artifacts/${name}`);
    assert.equal(answer.status, 200, `${name}: ${answer.bytes}`);
    assert.equal(sha256(answer.bytes), this.acknowledged.get(name), name);
  }

  /** Each page from another one. */
  async #list(doors: Doors): Promise<void> {
    const before = [...this.acknowledged.keys()];
    const listed = new Set<string>();
    for (let cursor: string | null = ''; cursor !== null; ) {
      const from: string = cursor === '' ? '' : `&cursor=${encodeURIComponent(cursor)}`;
      const answer = await this.#request(doors, `/artifacts/r/?limit=${PAGE}${from}`);
      assert.equal(answer.status, 200, String(answer.bytes));
      const page = JSON.parse(String(answer.bytes)) as { items: { name: string }[]; cursor: string | null };
      for (const { name } of page.items) listed.add(name);
      cursor = page.cursor;
    }
    assert.deepEqual(
      before.filter((name) => !listed.has(name)),
      [],
      'names that a list lacks',
    );
  }

  async #tell(doors: Doors): Promise<void> {
    const answer = await this.#request(doors, this.#announce);
    assert.match(answer.bytes.toString('latin1'), /^d8:complete.*8:intervali\d+e/s);
  }
}

async function announceOf(cluster: Cluster): Promise<string> {
  const init = { method: 'PUT', body: bytesOf(5000 * KIB, 7) };
  const answer = await ask(`${cluster.url(0)}/artifacts/image`, init);
  const { infoHash } = JSON.parse(String(answer?.bytes)) as { infoHash: string };
  const hash = infoHash.replace(/../g, '%$&');
  return `/announce?info_hash=${hash}&peer_id=${'p'.repeat(20)}&port=7&uploaded=0&downloaded=0&left=0&compact=1`;
}

test('a rolling restart of three depots under load loses no request that is sent once more', async (t) => {
  if (skipWithout(t, MISSING) || (await requirePrograms(t, [REDIS, NGINX]))) return;
  if (await skipUnlessInstalled(t, [VERSITYGW])) return;
  const random = makeRandom(SEED);
  const pick = (count: number): number => Math.floor(random() * count);
  const scope = openScope(t);
  const cluster = await Cluster.open(scope, kit, ['--torrent-from', '4MiB']);
  const proxy = await startNginx(scope, cluster);
  const load = new Load(pick, await announceOf(cluster));
  let turn = 0;
  const inTurn: Doors = () => {
    turn++;
    return [cluster.url(turn % 3), cluster.url((turn + 1) % 3)];
  };
  const broken = Promise.all([
    ...Array.from({ length: LANES[0] }, () => load.lane(inTurn, true)),
    ...Array.from({ length: LANES[1] }, () => load.lane(() => [proxy, proxy], false)),
  ]);
  let failure: unknown = null;
  broken.catch((error: unknown) => {
    failure = error;
  });
  const answered = async (): Promise<void> => {
    const enough = load.answers + ANSWERS;
    await until('requests are answered', SOON_MS, () => load.answers >= enough || failure !== null);
  };
  for (let k = 0; k < 3 * ROLLS && failure === null; k++) {
    await answered();
    const { code, text } = await cluster.stop(k % 3, 'SIGTERM');
    assert.equal(code, 0, text);
    await answered();
    await cluster.start(k % 3);
    await until('it is ready', SOON_MS, async () => (await ask(`${cluster.url(k % 3)}/readyz`))?.status === 200);
  }
  load.isStopped = true;
  await broken;
  for (const name of load.acknowledged.keys()) await load.check(inTurn, name);
  t.diagnostic(`the slowest took ${Math.round(load.slowestMs)} ms`);
  const viaProxy = load.again.filter((what) => what.startsWith('nginx'));
  t.diagnostic(`${load.answers} requests, ${load.acknowledged.size} acknowledged; ${load.again.length} sent again`);
  t.diagnostic(`${load.proxied} of them through nginx: ${viaProxy.length} sent again: ${viaProxy.join(', ')}`);
  for (const depot of [0, 1, 2]) await cluster.stop(depot, 'SIGTERM');
  const checked = await haulWith(S3_KEYS, 'depot', 'check', ...cluster.words(0));
  assert.equal(checked.exitCode, 0, `${checked.stdout}${checked.stderr}`);
});

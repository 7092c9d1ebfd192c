/**
 * Three depots on S3, PostgreSQL and Redis, as processes, under load: any of them, or of the servers, is killed at any
 * moment. Nothing that was acknowledged is lost, no bad byte is delivered, and all is well soon after it is back.
 *
 *   SEVERAL_KILLS=100 node --test dist/test/depot/several-kill.test.js     more of them; SEVERAL_KILL_SEED: another run
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { REDIS } from '../../lab/redis.js';
import { S3_KEYS, VERSITYGW } from '../../lab/s3-server.js';
import { openScope } from '../../lab/scope.js';
import { until } from '../../lab/wait.js';
import { makeRandom } from '../../src/random.js';
import { haulWith } from '../cli/harness.js';
import { requirePrograms, skipUnlessInstalled, skipWithout } from '../support/requirements.js';
import { ask, Cluster } from './cluster.js';
import { bytesOf, KIB, sha256 } from './depot-kit.js';
import { MISSING, postgresKit } from './postgres-kit.js';

const SEED = Number(process.env.SEVERAL_KILL_SEED ?? 20_261_128);
const KILLS = Number(process.env.SEVERAL_KILLS ?? 4);
const LANES = 4;
/** A kill comes after so many answers at most. */
const ANSWERS_MAX = 60;
const RECOVERY_MS = 5_000;
const LENGTHS = [0, 5 * KIB, 5 * KIB, 70 * KIB, 300 * KIB, 5000 * KIB];

const kit = postgresKit();

class Load {
  readonly acknowledged = new Map<string, string>();
  readonly #cluster: Cluster;
  readonly #pick: (count: number) => number;
  #count = 0;
  fetched = 0;
  refused = 0;
  isStopped = false;
  onAnswer: () => void = () => {};

  constructor(cluster: Cluster, pick: (count: number) => number) {
    this.#cluster = cluster;
    this.#pick = pick;
  }

  /** Until it is stopped. */
  async lane(): Promise<void> {
    while (!this.isStopped) {
      await (this.#pick(3) === 0 && this.acknowledged.size > 0 ? this.#get() : this.#put());
      this.onAnswer();
    }
  }

  async #put(): Promise<void> {
    const number = ++this.#count;
    const bytes = bytesOf(LENGTHS[this.#pick(LENGTHS.length)]!, number);
    const name = `k/${number}`;
    // As a client that asks again, of another one.
    for (let depot = this.#pick(3); !this.isStopped; depot = (depot + 1) % 3) {
      const status = await ask(`${this.#cluster.url(depot)}/artifacts/${name}`, { method: 'PUT', body: bytes });
      if (status?.status === 201 || status?.status === 200) {
        this.acknowledged.set(name, sha256(bytes));
        return;
      }
      this.refused++;
      assert.ok(status === null || status.status === 503, `${name}: ${status?.status} ${status?.bytes.toString()}`);
    }
  }

  async #get(): Promise<void> {
    const names = [...this.acknowledged.keys()];
    await this.check(names[this.#pick(names.length)]!, this.#pick(3));
  }

  /** @returns whether it was answered, with the right bytes */
  async check(name: string, depot: number): Promise<boolean> {
    const answer = await ask(`${this.#cluster.url(depot)}/artifacts/${name}`);
    if (answer === null || answer.status === 503) return false;
    assert.equal(answer.status, 200, `${name}: ${answer.bytes.toString()}`);
    assert.equal(sha256(answer.bytes), this.acknowledged.get(name), name);
    this.fetched++;
    return true;
  }
}

test('three depots and their servers, killed at any moment, lose nothing that was acknowledged', async (t) => {
  if (skipWithout(t, MISSING) || (await requirePrograms(t, [REDIS]))) return;
  if (await skipUnlessInstalled(t, [VERSITYGW])) return;
  const random = makeRandom(SEED);
  const pick = (count: number): number => Math.floor(random() * count);
  const scope = openScope(t);
  const cluster = await Cluster.open(scope, kit);
  const load = new Load(cluster, pick);
  // A failure must not leave it running.
  scope.defer(() => {
    load.isStopped = true;
  });
  const lanes = Array.from({ length: LANES }, () => load.lane());
  const broken = Promise.all(lanes);
  broken.catch(() => {});
  for (let turn = 0; turn < KILLS; turn++) {
    let left = 1 + pick(ANSWERS_MAX);
    const moment = new Promise<void>((resolve) => {
      load.onAnswer = () => {
        if (--left <= 0) resolve();
      };
    });
    await Promise.race([moment, broken]);
    await cluster.kill(turn, pick);
    for (let depot = 0; depot < 3; depot++)
      await until(`depot ${depot} is well after kill ${turn}`, RECOVERY_MS, async () => {
        const answer = await ask(`${cluster.url(depot)}/artifacts/well/${turn}-${depot}`, { method: 'PUT', body: 'x' });
        return answer?.status === 201 || answer?.status === 200;
      });
  }
  load.isStopped = true;
  await broken;
  for (const [index, name] of [...load.acknowledged.keys()].entries())
    await until(`${name} is there`, RECOVERY_MS, () => load.check(name, index % 3));
  t.diagnostic(`${load.acknowledged.size} acknowledged, ${load.fetched} fetched, ${load.refused} refused for a while`);
  // What a kill left without a name is swept when a depot starts.
  for (let depot = 0; depot < 3; depot++) await cluster.stop(depot, 'SIGTERM');
  await cluster.start(0);
  await cluster.stop(0, 'SIGTERM');
  const checked = await haulWith(S3_KEYS, 'depot', 'check', ...cluster.words(0));
  assert.equal(checked.exitCode, 0, `${checked.stdout}${checked.stderr}`);
});

/** Depots whose trackers share their peers by a real Redis, as their clients and those who run them see it. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { Agent } from 'undici';
import { REDIS, startRedis } from '../../lab/redis.js';
import { openScope, type Scope } from '../../lab/scope.js';
import { tempFolder } from '../../lab/temp.js';
import { until } from '../../lab/wait.js';
import { announceHttp, scrapeHttp } from '../../src/discovery/http-tracker.js';
import { type Depot, startDepot } from '../../src/index.js';
import { requirePrograms } from '../support/requirements.js';

const SOON_MS = 10_000;
const SECRET = 's3cret';

interface Running {
  readonly depot: Depot;
  readonly lines: string[];
}

async function running(scope: Scope, peers: string): Promise<Running> {
  const lines: string[] = [];
  const depot = await startDepot({
    data: await tempFolder(scope),
    httpPort: 0,
    torrentFromBytes: 0,
    peers,
    engine: { port: 0 },
    log: (level, message, facts) => lines.push(`${level} ${message} ${JSON.stringify(facts)}`),
  });
  scope.defer(() => depot.close(0));
  return { depot, lines };
}

/** The same bytes in each: the same info-hash. */
async function publish({ depot }: Running): Promise<Buffer> {
  const answer = await fetch(`${depot.url}/artifacts/a.bin`, { method: 'PUT', body: 'the same bytes' });
  const { infoHash } = (await answer.json()) as { infoHash: string };
  return Buffer.from(infoHash, 'hex');
}

class Client {
  readonly #dispatcher = new Agent({ connections: 1 });
  readonly #infoHash: Buffer;

  constructor(t: TestContext, infoHash: Buffer) {
    this.#infoHash = infoHash;
    t.after(() => this.#dispatcher.destroy());
  }

  /** Ports of the peers that are named. */
  async announce({ depot }: Running, port: number, more: { event?: 'stopped' } = {}): Promise<number[]> {
    const peerId = Buffer.from(`-XX0001-${port}`.padEnd(20, 'p'));
    const asked = {
      infoHash: this.#infoHash,
      peerId,
      port,
      numwant: 50,
      uploadedBytes: 0,
      downloadedBytes: 0,
      leftBytes: 1,
    };
    const { peers } = await announceHttp(
      `${depot.url}/announce`,
      { ...asked, ...more },
      { dispatcher: this.#dispatcher },
    );
    return peers.map((peer) => peer.port).filter((named) => named !== port && named !== depot.peerPort);
  }

  async leeches({ depot }: Running): Promise<number> {
    const entries = await scrapeHttp(`${depot.url}/announce`, [this.#infoHash], { dispatcher: this.#dispatcher });
    return entries.get(this.#infoHash.toString('hex'))?.incomplete ?? 0;
  }
}

async function readiness({ depot }: Running): Promise<{ status: number; message: string | undefined }> {
  const answer = await fetch(`${depot.url}/readyz`);
  const { checks } = (await answer.json()) as { checks: { name: string; message: string }[] };
  return { status: answer.status, message: checks.find(({ name }) => name === 'peers')?.message };
}

async function metric({ depot }: Running, name: string): Promise<number> {
  const text = await (await fetch(`${depot.url}/metrics`)).text();
  return Number(new RegExp(`^haul_depot_${name} (\\S+)$`, 'm').exec(text)?.[1]);
}

test('peers of one depot are named by the other, counted once, and gone when they stop', async (t) => {
  if (await requirePrograms(t, [REDIS])) return;
  const scope = openScope(t);
  const { url } = await startRedis(scope);
  const [one, other] = [await running(scope, url), await running(scope, url)];
  const client = new Client(t, await publish(one));
  await publish(other);
  await client.announce(one, 7001);
  await client.announce(other, 7002);
  await until('each names the peer of the other', SOON_MS, async () => {
    const [here, there] = [await client.announce(one, 7001), await client.announce(other, 7002)];
    return here.includes(7002) && there.includes(7001);
  });
  // It goes on with the other depot.
  await client.announce(other, 7001);
  assert.deepEqual([await client.leeches(one), await client.leeches(other)], [2, 2]);
  await client.announce(one, 7001, { event: 'stopped' });
  await until('the other forgets it', SOON_MS, async () => (await client.leeches(other)) === 1);
  assert.deepEqual(await readiness(one), { status: 200, message: '' });
  assert.equal(await metric(one, 'shared_peers_up'), 1);
  assert.ok((await metric(one, 'shared_peers_words_total\\{what="written"\\}')) >= 2);
});

test('Redis absent at the start, and gone later: depots serve, say so, and share again when it is back', async (t) => {
  if (await requirePrograms(t, [REDIS])) return;
  const scope = openScope(t);
  const server = await startRedis(scope, ['--requirepass', SECRET]);
  await server.stop();
  const url = `redis://:${SECRET}@127.0.0.1:${server.port}/1`;
  const [one, other] = [await running(scope, url), await running(scope, url)];
  const client = new Client(t, await publish(one));
  await publish(other);
  const away = 'redis: nobody listens there; only peers that announce here are named';
  for (let round = 0; round < 2; round++) {
    await until('it says so', SOON_MS, async () => (await readiness(one)).message === away);
    assert.equal((await readiness(one)).status, 200);
    assert.equal(await metric(one, 'shared_peers_up'), 0);
    await client.announce(one, 7000 + round);
    assert.deepEqual((await client.announce(one, 7009)).includes(7000 + round), true);
    await server.start();
    const began = performance.now();
    await until('the other names it, though it was said while Redis was away', SOON_MS, async () =>
      (await client.announce(other, 7010)).includes(7000 + round),
    );
    assert.ok(performance.now() - began < 5_000, `${performance.now() - began} ms`);
    assert.equal((await readiness(one)).message, '');
    if (round === 0) await server.stop();
  }
  const shown = await Promise.all(
    ['readyz', 'metrics', 'status', ''].map(async (path) => (await fetch(`${one.depot.url}/${path}`)).text()),
  );
  assert.ok(!`${shown.join()}${one.lines.join()}`.includes(SECRET));
  assert.equal(
    one.lines.filter((line) => line.startsWith('warn peers: redis at 127.0.0.1:')).length,
    2,
    one.lines.join('\n'),
  );
});

test('a wrong password ends the start with one line, which does not hold it', async (t) => {
  if (await requirePrograms(t, [REDIS])) return;
  const scope = openScope(t);
  const server = await startRedis(scope, ['--requirepass', 'right']);
  await assert.rejects(
    running(scope, `redis://:${SECRET}@127.0.0.1:${server.port}`),
    (error: Error & { code: string }) => {
      assert.equal(error.message, `peers: redis at 127.0.0.1:${server.port}: it refuses this user name or password`);
      assert.equal(error.code, 'NO_PERMISSION');
      assert.ok(!`${error.stack}${JSON.stringify(error)}`.includes(SECRET));
      return true;
    },
  );
});

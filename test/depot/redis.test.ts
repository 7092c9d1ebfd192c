/** The shared table of peers on a real Redis, and all that can be wrong with one. */
import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { test } from 'node:test';
import { createClient } from '@redis/client';
import { REDIS, type RedisServer, startRedis } from '../../lab/redis.js';
import { openScope, type Scope } from '../../lab/scope.js';
import { until } from '../../lab/wait.js';
import { parsePeersAddress } from '../../src/depot/peers/address.js';
import { loadRedis } from '../../src/depot/peers/connection.js';
import { RedisTable, type RedisTableOptions } from '../../src/depot/peers/redis.js';
import { requirePrograms } from '../support/requirements.js';
import { testPeerTable } from '../tracker/peer-table-conformance.js';
import { HASH, readAll, testSharedTable, word, write } from '../tracker/shared-conformance.js';
import { Clock, sharedPair } from '../tracker/sharing-scene.js';

const KEY = `haul:peers:1:${Buffer.from(HASH, 'latin1').toString('hex')}`;
const SOON_MS = 10_000;

async function tableAt(scope: Scope, url: string, more: Partial<RedisTableOptions> = {}): Promise<RedisTable> {
  const connect = await loadRedis();
  const options = { address: parsePeersAddress(url), connect, now: () => performance.now(), retryMs: 20, ...more };
  const table = new RedisTable(options);
  scope.defer(() => table.close());
  return table;
}

async function opened(scope: Scope, url: string, more: Partial<RedisTableOptions> = {}): Promise<RedisTable> {
  const table = await tableAt(scope, url, more);
  await table.open();
  return table;
}

/** Somebody else's way to the same server. */
async function stranger(scope: Scope, { url }: RedisServer) {
  const client = createClient({ url, RESP: 2 });
  client.on('error', () => {});
  await client.connect();
  scope.defer(() => client.destroy());
  return client;
}

const ofError = (code: string, text: RegExp) => (error: { code?: string; message: string }) => {
  assert.match(error.message, text);
  assert.equal(error.code, code);
  return true;
};

testSharedTable('Redis', {
  isSkipped: (t) => requirePrograms(t, [REDIS]),
  make: async (scope) => {
    const { url } = await startRedis(scope);
    return [await opened(scope, url), await opened(scope, url)];
  },
});

testPeerTable('that of trackers with Redis', {
  isTimed: false,
  isSkipped: (t) => requirePrograms(t, [REDIS]),
  make: async (scope) => {
    const { url } = await startRedis(scope);
    return sharedPair(new Clock(), [await opened(scope, url), await opened(scope, url)]);
  },
});

test('clocks of depots need not agree', async (t) => {
  if (await requirePrograms(t, [REDIS])) return;
  const scope = openScope(t);
  const { url } = await startRedis(scope);
  const [one, other] = [
    await opened(scope, url),
    await opened(scope, url, { now: () => performance.now() + 7_200_000 }),
  ];
  await one.exchange([write(word(1), { ageMs: 50_000 })], []);
  const { words, agesMs } = await readAll(other);
  assert.deepEqual(words, [word(1)]);
  assert.ok(agesMs[0]! > 49_000 && agesMs[0]! < 60_000, String(agesMs[0]));
});

test("another's data under our keys harms nothing but that key", async (t) => {
  if (await requirePrograms(t, [REDIS])) return;
  const scope = openScope(t);
  const server = await startRedis(scope);
  const [table, client] = [await opened(scope, server.url), await stranger(scope, server)];
  await client.set(KEY, 'mine');
  const other = 'o'.repeat(20);
  const reads = [HASH, other].map((infoHash) => ({ infoHash, cursor: null }));
  const answer = await table.exchange([write(word(1)), write(word(2), { infoHash: other })], reads);
  assert.deepEqual([answer.pages[0], answer.pages[1]?.words], [null, [word(2)]]);
  assert.deepEqual([answer.refusedCount, answer.trouble], [1, null]);
  assert.equal(await client.get(KEY), 'mine');
});

test('words for ever, without end and of the year 30000 are not read, and tidied away', async (t) => {
  if (await requirePrograms(t, [REDIS])) return;
  const scope = openScope(t);
  const server = await startRedis(scope);
  const [table, client] = [await opened(scope, server.url), await stranger(scope, server)];
  const scores = [Number.POSITIVE_INFINITY, 9e14, 1e300, 0, -5, Number.NEGATIVE_INFINITY];
  await client.zAdd(
    KEY,
    scores.map((score, k) => ({ score, value: `${k}` })),
  );
  assert.deepEqual((await readAll(table)).words, []);
  await table.exchange([write(word(1))], []);
  assert.deepEqual(await client.zRange(KEY, 0, -1), [word(1)]);
  const leftS = await client.ttl(KEY);
  assert.ok(leftS > 300 && leftS <= 420, `${leftS} s`);
});

test('a set of a hundred thousand keeps the newest, and is read in pages', async (t) => {
  if (await requirePrograms(t, [REDIS])) return;
  const scope = openScope(t);
  const server = await startRedis(scope);
  const [table, client] = [await opened(scope, server.url), await stranger(scope, server)];
  const endMs = Date.now() + 200_000;
  for (let first = 0; first < 100_500; first += 500) {
    const members = Array.from({ length: 500 }, (_, k) => ({ score: endMs + first + k, value: `m${first + k}` }));
    await client.zAdd(KEY, members);
  }
  await table.exchange([write(word(1))], []);
  assert.equal(await client.zCard(KEY), 100_000);
  const { pages } = await table.exchange([], [{ infoHash: HASH, cursor: null }]);
  assert.ok(pages[0]!.words.length <= 500 && !pages[0]!.isLast);
});

test('a Redis that restarts is used again, and what it lost is no fault', async (t) => {
  if (await requirePrograms(t, [REDIS])) return;
  const scope = openScope(t);
  const server = await startRedis(scope);
  const table = await opened(scope, server.url);
  await table.exchange([write(word(1))], []);
  await server.stop();
  await assert.rejects(
    until('it fails', SOON_MS, () => table.exchange([], []).then(() => false)),
    ofError('NETWORK', /^nobody listens there$|^the connection/),
  );
  await until('nobody listens', SOON_MS, () =>
    table.exchange([], []).then(
      () => false,
      (error: Error) => error.message === 'nobody listens there',
    ),
  );
  await server.start();
  await until('it works again', SOON_MS, () =>
    table.exchange([write(word(2))], []).then(
      () => true,
      () => false,
    ),
  );
  assert.deepEqual((await readAll(table)).words, [word(2)]);
});

test('a wrong password, a missing one and a user without rights are told, without the password', async (t) => {
  if (await requirePrograms(t, [REDIS])) return;
  const scope = openScope(t);
  const server = await startRedis(scope, ['--requirepass', 'right']);
  const at = `127.0.0.1:${server.port}`;
  const refused = async (url: string, text: RegExp) =>
    assert.rejects((await tableAt(scope, url)).open(), (error: { code?: string; message: string; stack?: string }) => {
      assert.ok(!/right|s3cret/.test(`${error.message}${error.stack}`));
      return ofError('NO_PERMISSION', text)(error);
    });
  await refused(`redis://:s3cret@${at}`, /^it refuses this user name or password$/);
  await refused(`redis://who:s3cret@${at}`, /^it refuses this user name or password$/);
  await refused(`redis://${at}`, /^it wants a password$/);
  const client = await stranger(scope, { url: `redis://:right@${at}` } as RedisServer);
  await client.sendCommand(['ACL', 'SETUSER', 'few', 'on', '>s3cret', '~*', '+ping']);
  await refused(`redis://few:s3cret@${at}`, /^this user may not do what is needed there/);
  // As docs/scale.md has it.
  const rights = '+select +time +set +zadd +zrem +zrangebyscore +zremrangebyscore +zremrangebyrank +expire';
  await client.sendCommand(['ACL', 'SETUSER', 'haul', 'on', '>s3cret', '~haul:peers:*', ...rights.split(' ')]);
  const table = await opened(scope, `redis://haul:s3cret@${at}/3`);
  assert.equal((await table.exchange([write(word(1))], [])).trouble, null);
});

test('a full and a read-only server are told while reading goes on', async (t) => {
  if (await requirePrograms(t, [REDIS])) return;
  const scope = openScope(t);
  const server = await startRedis(scope, ['--maxmemory-policy', 'noeviction']);
  const [table, client] = [await opened(scope, server.url), await stranger(scope, server)];
  await table.exchange([write(word(1))], []);
  await client.sendCommand(['CONFIG', 'SET', 'maxmemory', '1']);
  const full = await table.exchange([write(word(2))], [{ infoHash: HASH, cursor: null }]);
  assert.deepEqual([full.trouble, full.refusedCount], ['its memory is full (maxmemory)', 1]);
  assert.deepEqual(full.pages[0]?.words, [word(1)]);
  await client.sendCommand(['CONFIG', 'SET', 'maxmemory', '0']);
  assert.equal((await table.exchange([], [])).trouble, null);
  await client.sendCommand(['REPLICAOF', '127.0.0.1', '1']);
  const replica = await table.exchange([write(word(2))], [{ infoHash: HASH, cursor: null }]);
  assert.deepEqual(
    [replica.trouble, replica.pages[0]?.words],
    ['it is a read-only replica: name its primary', [word(1)]],
  );
});

test('one that evicts loses what it must, and that is no trouble', async (t) => {
  if (await requirePrograms(t, [REDIS])) return;
  const scope = openScope(t);
  const server = await startRedis(scope, ['--maxmemory-policy', 'allkeys-lru']);
  const [table, client] = [await opened(scope, server.url), await stranger(scope, server)];
  await table.exchange([write(word(1))], []);
  const used = /used_memory:(\d+)/.exec(String(await client.sendCommand(['INFO', 'memory'])))![1]!;
  await client.sendCommand(['CONFIG', 'SET', 'maxmemory', String(Number(used) + 300_000)]);
  for (let k = 0; k < 40; k++) {
    const infoHash = String(k).padStart(20, 'e');
    const words = Array.from({ length: 200 }, (_, n) => write(word(n), { infoHash }));
    assert.equal((await table.exchange(words, [])).trouble, null);
  }
  assert.ok((await client.dbSize()) < 41, 'sets were evicted');
  await table.exchange([write(word(1))], []);
  assert.deepEqual((await readAll(table)).words, [word(1)], 'said again, it is there again');
});

test('who does not answer is given up in time, and who speaks otherwise at once', async (t) => {
  if (await requirePrograms(t, [REDIS])) return;
  const scope = openScope(t);
  const server = await startRedis(scope);
  // Long enough to get there on a busy machine.
  const table = await opened(scope, server.url, { exchangeMs: 1_000 });
  process.kill(server.pid, 'SIGSTOP');
  scope.defer(() => void process.kill(server.pid, 'SIGCONT'));
  await assert.rejects(table.exchange([write(word(1))], []), ofError('TIMEOUT', /^it does not answer in time$/));
  await assert.rejects(table.exchange([], []), ofError('TIMEOUT', /./));
  const silent = await tableAt(scope, server.url, { exchangeMs: 100 });
  await assert.rejects(silent.open(), ofError('TIMEOUT', /^it does not answer in time$/));
  const web = createServer((socket) => socket.on('error', () => {}).end('HTTP/1.1 400 Bad Request\r\n\r\n'));
  await new Promise<void>((resolve) => web.listen(0, '127.0.0.1', resolve));
  scope.defer(() => void web.close());
  const { port } = web.address() as { port: number };
  const foreign = await tableAt(scope, `redis://127.0.0.1:${port}`, { exchangeMs: 5_000 });
  await assert.rejects(foreign.open(), ofError('NETWORK', /does not speak as Redis does$/));
});

test('a package that is missing is named, and another failure of it is told as it is', async () => {
  const missing = Object.assign(new Error('Cannot find package'), { code: 'ERR_MODULE_NOT_FOUND' });
  await assert.rejects(
    loadRedis(() => Promise.reject(missing)),
    ofError('NOT_FOUND', /^--peers needs a package that is not installed: npm install @redis\/client$/),
  );
  await assert.rejects(
    loadRedis(() => Promise.reject(new SyntaxError('broken'))),
    SyntaxError,
  );
});

test('URLs are read, and a bad one is not repeated', () => {
  assert.deepEqual(parsePeersAddress('rediss://me:p%40ss@cache.example.org/2'), {
    socket: { host: 'cache.example.org', port: 6379, tls: true },
    username: 'me',
    password: 'p@ss',
    database: 2,
    shown: 'redis at cache.example.org:6379',
  });
  assert.deepEqual(parsePeersAddress('redis://[::1]:7').socket, { host: '::1', port: 7 });
  assert.deepEqual(parsePeersAddress('unix:///run/a%20b.sock').socket, { path: '/run/a b.sock' });
  const bad = ['', 's3cret', 'http://s3cret@a', 'redis://', 'redis://a/s3cret', 'redis://a/-1', 'redis://a?s3cret'];
  for (const url of [...bad, 'redis://s3cret%zz@a', 'unix:s3cret', 'unix://s3cret/x', 'redis://a:s3cret', 'redis:///1'])
    assert.throws(
      () => parsePeersAddress(url),
      (error: Error) => {
        assert.ok(!/s3cret/.test(`${error.message}${error.stack}${JSON.stringify(error)}`), url);
        return ofError('BAD_ARGUMENT', /^--peers: .*; write redis:/)(error);
      },
    );
});

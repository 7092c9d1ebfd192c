/** A restarted tracker knows its peers, and no file can do it harm. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import fc from 'fast-check';
import { openScope } from '../../lab/scope.js';
import { stateFileOf } from '../../src/cli/state-file.js';
import { announceHttp, scrapeHttp } from '../../src/discovery/http-tracker.js';
import { startTracker, type TrackerOptions } from '../../src/tracker/server.js';
import { Swarms } from '../../src/tracker/swarms.js';
import {
  decodeTables,
  encodeTables,
  gathered,
  type RecordedPeer,
  recordTimeS,
} from '../../src/tracker/table-record.js';

const HASH = Buffer.alloc(20, 0xab);
const START_MS = 86_400_000;

async function scene(context: TestContext) {
  const folder = await mkdtemp(join(tmpdir(), 'swarmhaul-tables-'));
  // Before it trackers are closed, which write.
  const scope = openScope(context);
  scope.defer(() => rm(folder, { recursive: true, force: true }));
  const stateFile = join(folder, 'state', 'tables');
  const logs: string[] = [];
  /** Runs a tracker, does something with its URL, and ends it. */
  const run = async <T>(use: (url: string) => Promise<T>, options: Partial<TrackerOptions> = {}): Promise<T> => {
    const log: TrackerOptions['log'] = (level, message) => logs.push(`${level} ${message}`);
    const tracker = await startTracker({ port: 0, host: '127.0.0.1', stateFile, log, now: () => START_MS, ...options });
    try {
      if (options.registeredOnly) tracker.register(HASH);
      return await use(`${tracker.url('127.0.0.1')}/announce`);
    } finally {
      await tracker.close();
    }
  };
  return { folder, stateFile, logs, run, scope };
}

function announce(url: string, last: number, leftBytes = 1, zone?: string) {
  const peerId = Buffer.from(String(last).padStart(20, '-'));
  const bytes = { uploadedBytes: 0, downloadedBytes: 0, leftBytes };
  return announceHttp(url, {
    infoHash: HASH,
    peerId,
    port: 7000 + last,
    numwant: 50,
    ...bytes,
    ...(zone === undefined ? {} : { zone }),
  });
}

test('a new leech hears of the seed at once after a restart', async (context) => {
  const { run, stateFile, logs } = await scene(context);
  await run(async (url) => {
    await announce(url, 1, 0, 'eu/r1');
    await announce(url, 2);
  });
  const { mode } = await stat(stateFile);
  assert.equal(mode & 0o077, 0, 'addresses are for nobody else');
  for (const registeredOnly of [false, true]) {
    await run(
      async (url) => {
        const { peers, complete, intervalMs } = await announce(url, 3);
        assert.deepEqual(peers.map(({ port }) => port).sort(), [7001, 7002]);
        assert.deepEqual([complete, intervalMs], [1, 300_000]);
      },
      { registeredOnly },
    );
  }
  assert.ok(
    logs.some((line) => line.includes('2 peers known from')),
    logs.join(),
  );
});

test('a tracker of one torrent takes nothing else from the file', async (context) => {
  const { run } = await scene(context);
  await run((url) => announceHttp(url, { ...request(5), infoHash: Buffer.alloc(20, 1) }));
  await run(
    async (url) => {
      assert.deepEqual((await announce(url, 3)).peers, []);
      assert.equal((await scrapeHttp(url, [Buffer.alloc(20, 1)])).size, 0);
    },
    { registeredOnly: true },
  );
});

function request(last: number) {
  const peerId = Buffer.from(String(last).padStart(20, '-'));
  return { peerId, port: 7000 + last, uploadedBytes: 0, downloadedBytes: 0, leftBytes: 1, numwant: 50 };
}

test('the file is written while the tracker runs, so that one that is killed loses seconds', async (context) => {
  const { stateFile, logs, scope } = await scene(context);
  const tracker = await startTracker({ port: 0, host: '127.0.0.1', stateFile });
  scope.defer(() => tracker.close());
  await announce(`${tracker.url('127.0.0.1')}/announce`, 1, 0);
  let names: string[] = [];
  while (names.length === 0) {
    await new Promise((resolve) => setTimeout(resolve, 50));
    names = (await readdir(join(stateFile, '..')).catch(() => [])).filter((name) => name === 'tables');
  }
  const copy = `${stateFile}-copy`;
  await writeFile(copy, await readFile(stateFile));
  const next = await startTracker({ port: 0, host: '127.0.0.1', stateFile: copy, log: (_, text) => logs.push(text) });
  scope.defer(() => next.close());
  assert.equal((await announce(`${next.url('127.0.0.1')}/announce`, 2)).peers[0]?.port, 7001);
});

test('peers from before expire as if the tracker had run on', async (context) => {
  const { run, stateFile } = await scene(context);
  await run((url) => announce(url, 1));
  const bytes = await readFile(stateFile);
  const aged = (byS: number): Buffer => {
    const body = Buffer.from(bytes.subarray(0, -20));
    body.writeBigUInt64BE(body.readBigUInt64BE(15) - BigInt(byS), 15);
    return Buffer.concat([body, createHash('sha1').update(body).digest()]);
  };
  let nowMs = START_MS;
  for (const [byS, expected] of [
    [600, 1],
    [700, 0],
    [-1000, 1],
  ] as const) {
    await writeFile(stateFile, aged(byS));
    await run(async (url) => assert.equal((await announce(url, 2)).peers.length, expected, String(byS)));
  }
  await writeFile(stateFile, aged(600));
  await run(
    async (url) => {
      assert.equal((await announce(url, 2)).peers.length, 1);
      nowMs += 62_000;
      for (let k = 0; k < 3; k++) await announce(url, 2);
      assert.equal((await announce(url, 2)).peers.length, 0);
    },
    { now: () => nowMs },
  );
});

test('a damaged file, a foreign one and one that is none are ignored with a line, and replaced', async (context) => {
  const { run, stateFile, logs } = await scene(context);
  await run((url) => announce(url, 1));
  const good = await readFile(stateFile);
  const flipped = Buffer.from(good);
  flipped[40]! ^= 1;
  for (const bytes of [Buffer.alloc(0), Buffer.from('hello'), good.subarray(0, -1), flipped, Buffer.alloc(1000)]) {
    logs.length = 0;
    await writeFile(stateFile, bytes);
    await run(async (url) => assert.deepEqual((await announce(url, 2)).peers, []));
    assert.ok(
      logs.some((line) => /^warn .*is ignored$/.test(line)),
      logs.join(),
    );
    await run(async (url) => assert.equal((await announce(url, 3)).peers.length, 1));
  }
});

test('a place that cannot be written is told once, and the tracker runs', async (context) => {
  const { folder, run, logs } = await scene(context);
  await mkdir(join(folder, 'folder'));
  await run((url) => announce(url, 1), { stateFile: join(folder, 'folder') });
  await writeFile(join(folder, 'file'), '');
  await run((url) => announce(url, 1), { stateFile: join(folder, 'file', 'tables') });
  assert.equal(logs.filter((line) => line.includes('peers are not kept')).length, 2, logs.join('\n'));
  assert.deepEqual((await readdir(folder)).sort(), ['file', 'folder']);
});

const peerOf = fc.record({
  address: fc.uint8Array({ minLength: 16, maxLength: 16 }),
  is4: fc.boolean(),
  port: fc.integer({ min: 1, max: 65_535 }),
  isSeed: fc.boolean(),
  zone: fc.constantFrom('', 'eu', 'eu/r1'),
  ageS: fc.nat(600),
  swarm: fc.nat(3),
});

test('small swarms are written together, not one by one', () => {
  const swarms = new Swarms({ intervalS: 300, registeredOnly: false, random: () => 0.5 });
  for (let n = 0; n < 200; n++) {
    const peer = {
      compact: Uint8Array.of(10, 0, 0, n, 1, 1),
      peerId: 'p'.repeat(20),
      isSeed: false,
      zone: '',
      ageS: 0,
    };
    const infoHash = String.fromCharCode(n).repeat(20);
    swarms.restore({ infoHash, downloaded: 0 }, peer, START_MS, 0);
  }
  const parts = (): Generator<Buffer> => encodeTables(swarms.list, 1e9, () => START_MS / 1000);
  const whole = Buffer.concat([...parts()]);
  assert.equal([...parts()].length, 201);
  const written = [...gathered(parts(), 4096)];
  assert.ok(Buffer.concat(written).equals(whole));
  assert.equal(written.length, Math.ceil(whole.length / 4096));
  assert.ok(written.slice(0, -1).every(({ length }) => length >= 4096));
  assert.deepEqual([...gathered([], 4096)], []);
});

test('whatever the tables hold comes back, and any change of a byte is met', () => {
  const options = { intervalS: 300, registeredOnly: false, random: () => 0.5 };
  fc.assert(
    fc.property(fc.array(peerOf, { maxLength: 40 }), fc.nat(), fc.nat(), (peers, where, bit) => {
      const swarms = new Swarms(options);
      for (const { address, is4, port, isSeed, zone, ageS, swarm } of peers) {
        const compact = Uint8Array.from([...address.subarray(0, is4 ? 4 : 16), port >> 8, port & 255]);
        const peer = { compact, peerId: 'p'.repeat(20), isSeed, zone, ageS };
        swarms.restore({ infoHash: String(swarm).repeat(20), downloaded: 5 }, peer, START_MS, ageS);
      }
      const bytes = Buffer.concat([...encodeTables(swarms.list, 1e9, () => START_MS / 1000)]);
      assert.equal(recordTimeS(bytes), 1e9);
      const again = new Swarms(options);
      const restored: RecordedPeer[] = [];
      const isWhole = decodeTables(bytes, (swarm, peer) => {
        restored.push(peer);
        again.restore(swarm, peer, START_MS, peer.ageS);
      });
      assert.ok(isWhole && restored.length === swarms.peerCount);
      assert.ok(Buffer.concat([...encodeTables(again.list, 1e9, () => START_MS / 1000)]).equals(bytes));
      // Only the digest tells every change; here nothing may be thrown or read beyond the end.
      bytes[where % bytes.length]! ^= 1 << (bit & 7);
      decodeTables(bytes, (swarm, peer) => again.restore(swarm, peer, START_MS, peer.ageS));
      decodeTables(bytes.subarray(0, where % bytes.length), () => {});
    }),
  );
});

test('the file has a place of its own for each port, and none where the port is any', () => {
  const env = { XDG_STATE_HOME: '/s' };
  assert.match(stateFileOf({ port: 6969 }, env)!, /^\/s\/haul\/tracker-.+-all-6969$/);
  assert.match(stateFileOf({ port: 1, host: '::1' }, env)!, /-__1-1$/);
  assert.match(
    stateFileOf({ port: 1, state: true }, { STATE_DIRECTORY: '/var/lib/haul:/x' })!,
    /^\/var\/lib\/haul\/tracker-/,
  );
  assert.match(stateFileOf({ port: 1 }, {})!, /\.local\/state\/haul\/tracker-/);
  const homeless = (): string => {
    throw new Error('ENOENT: no such file or directory, uv_os_homedir');
  };
  assert.equal(stateFileOf({ port: 1 }, {}, homeless), null);
  assert.match(stateFileOf({ port: 1 }, env, homeless)!, /^\/s\/haul\//);
  assert.equal(stateFileOf({ port: 0 }, env), null);
  assert.equal(stateFileOf({ port: 1, state: false }, env), null);
  assert.equal(stateFileOf({ port: 0, state: 'x' }, env), 'x');
});

/** Our clients of HTTP and UDP trackers against Debian's opentracker, which serves the info-hashes of its whitelist. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { Agent } from 'undici';
import { missingTool } from '../../lab/clients/client.js';
import type { AnnounceReply, AnnounceRequest } from '../../src/discovery/announce.js';
import { Announcer } from '../../src/discovery/announcer.js';
import { announceHttp, scrapeHttp } from '../../src/discovery/http-tracker.js';
import { UdpTrackers } from '../../src/discovery/udp-tracker.js';
import { HaulError } from '../../src/errors.js';
import { requirePrograms } from '../support/requirements.js';

const OPENTRACKER = 'opentracker';

// Bytes that must survive the query: zero, percent, ampersand, plus, space, high ones.
const infoHash = Buffer.from('00ff2526203d2b41617e7f80c3283f2f5c0a0d22', 'hex');
const dispatcher = new Agent();
let folder = '';
let url = '';
let udpUrl = '';
const udp = new UdpTrackers();
let opentracker: ChildProcess | null = null;

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Resolves when something accepts connections there; rejects when the child ends first. */
async function listening(child: ChildProcess, port: number): Promise<void> {
  const ended = new Promise<never>((_, reject) => {
    child.once('error', reject);
    child.once('exit', (code) => reject(new Error(`opentracker ended with ${code}`)));
  });
  ended.catch(() => {});
  const accepts = (): Promise<boolean> =>
    new Promise((resolve) => {
      const socket = connect(port, '127.0.0.1', () => resolve(true)).on('error', () => resolve(false));
      socket.once('connect', () => socket.destroy());
    });
  for (let tries = 0; !(await Promise.race([accepts(), ended])); tries++) {
    assert.ok(tries < 500, 'opentracker does not listen');
    await Promise.race([delay(20), ended]);
  }
}

before(async () => {
  // Each test says so.
  if ((await missingTool([OPENTRACKER])) !== null) return;
  folder = await mkdtemp(join(tmpdir(), 'haul-opentracker-'));
  // As root it changes root to its folder and user to nobody, who must be able to read the list.
  await chmod(folder, 0o755);
  await writeFile(join(folder, 'whitelist'), `${infoHash.toString('hex')}\n`);
  const port = await freePort();
  url = `http://127.0.0.1:${port}/announce`;
  udpUrl = `udp://127.0.0.1:${port}/announce`;
  const ports = ['-p', String(port), '-P', String(port)];
  opentracker = spawn(OPENTRACKER, ['-i', '127.0.0.1', ...ports, '-d', folder, '-w', 'whitelist'], {
    stdio: 'ignore',
    cwd: folder,
  });
  await listening(opentracker, port);
});

after(async () => {
  await dispatcher.destroy();
  await udp.close();
  opentracker?.kill('SIGKILL');
  await rm(folder, { recursive: true, force: true });
});

function announce(last: number, overrides: Partial<AnnounceRequest> = {}): Promise<AnnounceReply> {
  const peerId = Buffer.from(`-SH0001-${String(last).padStart(12, '0')}`);
  const plain = {
    infoHash,
    peerId,
    port: 7000 + last,
    uploadedBytes: 0,
    downloadedBytes: 0,
    leftBytes: 1,
    numwant: 50,
  };
  return announceHttp(url, { ...plain, ...overrides }, { dispatcher });
}

test('opentracker tells two of our clients of each other, counts the seed, and forgets who stopped', async (t) => {
  if (await requirePrograms(t, [OPENTRACKER])) return;
  await announce(1, { event: 'started', leftBytes: 0, key: 1 });
  const second = await announce(2, { event: 'started', key: 2 });
  assert.deepEqual([second.complete, second.incomplete], [1, 1]);
  // It lists the asker too.
  assert.deepEqual(second.peers.map(({ port }) => port).sort(), [7001, 7002]);
  assert.ok(second.peers.every(({ host }) => host === '127.0.0.1'));
  assert.ok(second.intervalMs !== null && second.intervalMs >= 60_000);
  assert.ok(second.minIntervalMs !== null && second.minIntervalMs <= second.intervalMs);

  await announce(2, { event: 'completed', leftBytes: 0, key: 2 });
  const scraped = await scrapeHttp(url, [infoHash], { dispatcher });
  assert.deepEqual([...scraped], [[infoHash.toString('hex'), { complete: 2, downloaded: 1, incomplete: 0 }]]);

  await announce(1, { event: 'stopped', leftBytes: 0, key: 1 });
  assert.deepEqual(
    (await announce(2, { leftBytes: 1, key: 2 })).peers.map(({ port }) => port),
    [7002],
  );
});

test("opentracker's refusal arrives as a tracker error with its words", async (t) => {
  if (await requirePrograms(t, [OPENTRACKER])) return;
  await assert.rejects(announce(3, { infoHash: Buffer.alloc(20, 7) }), (error: unknown) => {
    assert.ok(error instanceof HaulError && error.code === 'TRACKER');
    assert.match(error.message, /refused: Requested download is not authorized/);
    return true;
  });
});

test('an announcer starts, completes and stops at opentracker', async (t) => {
  if (await requirePrograms(t, [OPENTRACKER])) return;
  const outcomes: string[] = [];
  const { promise: completed, resolve } = withResolvers();
  const stats = { uploadedBytes: 0, downloadedBytes: 0, leftBytes: 5, port: 7009, numwant: 50 };
  const announcer: Announcer = new Announcer({
    trackers: [[url]],
    infoHash,
    peerId: Buffer.from('-SH0001-announcer009'),
    random: () => 0,
    now: () => 0,
    announce: (to, request, signal) => announceHttp(to, request, { dispatcher, signal }),
    onPeers: () => {},
    onOutcome: (_url, outcome, message) => {
      outcomes.push(`${outcome} ${message.split(',')[0]}`);
      if (message.startsWith('started')) {
        stats.leftBytes = 0;
        announcer.completed(1);
      } else resolve();
    },
  });
  announcer.start(0, () => stats);
  await completed;
  assert.deepEqual(outcomes, ['ok started', 'ok completed']);
  const seeds = async (): Promise<number> =>
    (await scrapeHttp(url, [infoHash], { dispatcher })).get(infoHash.toString('hex'))!.complete;
  assert.equal(await seeds(), 1);
  await announcer.stop(2);
  assert.equal(await seeds(), 0);
});

test('over UDP opentracker knows the same peers, scrapes, refuses and forgets', async (t) => {
  if (await requirePrograms(t, [OPENTRACKER])) return;
  const plain = { infoHash, uploadedBytes: 0, downloadedBytes: 0, leftBytes: 1, numwant: 50 };
  const peer = (last: number) => ({ ...plain, peerId: Buffer.from(`-SH0001-udp-client-${last}`), port: 7100 + last });
  await udp.announce(udpUrl, { ...peer(1), event: 'started', leftBytes: 0, key: 1 });
  const second = await udp.announce(udpUrl, { ...peer(2), event: 'started', key: 2 });
  assert.deepEqual(
    second.peers
      .map(({ port }) => port)
      .sort()
      .slice(-2),
    [7101, 7102],
  );
  assert.ok(second.intervalMs !== null && second.intervalMs >= 60_000);
  const counts = async () => (await udp.scrape(udpUrl, [infoHash])).get(infoHash.toString('hex'))!;
  const before = await counts();
  const byHttp = (await scrapeHttp(url, [infoHash], { dispatcher })).get(infoHash.toString('hex'));
  assert.deepEqual(byHttp, before);
  await udp.announce(udpUrl, { ...peer(1), event: 'stopped', leftBytes: 0, key: 1 });
  assert.equal((await counts()).complete, before.complete - 1);
  const other = { ...peer(3), infoHash: Buffer.alloc(20, 7) };
  await assert.rejects(udp.announce(udpUrl, other), (error: unknown) => {
    assert.ok(error instanceof HaulError && error.code === 'TRACKER', String(error));
    return true;
  });
});

function withResolvers(): { promise: Promise<void>; resolve: () => void } {
  let resolve = (): void => {};
  const promise = new Promise<void>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}

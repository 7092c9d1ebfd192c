/** An agent whose disk is full half way through a fetch: who is served goes on, nothing unverified comes to its end. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { rmSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { openScope } from '../../lab/scope.js';
import { until } from '../../lab/wait.js';
import { restOf } from '../../src/depot/agent/go-on.js';
import type { ReadThroughOptions } from '../../src/depot/agent/read-through.js';
import { loopDisk } from '../support/loop-disk.js';
import { fill, smallDisk } from '../support/small-disk.js';
import { agentOf, bytesOf, get, sha256, type TestAgent } from './agent-harness.js';
import { createTorrentBytes } from './agent-torrent.js';
import { type Answer, type Answers, info, liar, send, sendRange, type Taken, taken } from './lying-depot.js';

const MIB = 2 ** 20;
/** What the stream brings before the disk is full. */
const BEGIN = 9 * MIB;
const SHORT = bytesOf(20 * MIB + 11);
/** Hashed by a thread, which reads the file. */
const LONG = bytesOf(33 * MIB + 7);

interface Gate {
  readonly answer: Answer;
  /** The begin has been sent. */
  readonly isWaiting: () => boolean;
  open(): void;
}

/** Sends so many bytes, and the others when it is told to; later requests get what they ask for. */
function gate(bytes: Buffer, beginBytes = BEGIN): Gate {
  let goOn: (() => void) | null = null;
  let isOpen = false;
  return {
    answer: (request, response) => {
      if (isOpen) {
        sendRange(bytes)(request, response);
        return;
      }
      response.writeHead(200, { 'content-length': bytes.length });
      response.write(bytes.subarray(0, beginBytes), () => {
        goOn = () => response.end(bytes.subarray(beginBytes));
      });
    },
    isWaiting: () => goOn !== null,
    open: () => {
      isOpen = true;
      goOn?.();
    },
  };
}

interface Scene extends TestAgent {
  readonly disk: string;
  readonly url: string;
}

async function sceneOf(t: TestContext, good: Buffer, answers: Answers, hasTorrent: boolean): Promise<Scene | null> {
  return sceneOn(t, await smallDisk(t, openScope(t), 'size=64m'), good, answers, hasTorrent);
}

async function sceneOn(
  t: TestContext,
  disk: string | null,
  good: Buffer,
  answers: Answers,
  hasTorrent: boolean,
): Promise<Scene | null> {
  if (disk === null) return null;
  const { bytes: torrent, infoHash } = createTorrentBytes('x', good);
  const facts = { sha256: sha256(good), lengthBytes: good.length, infoHash: hasTorrent ? infoHash : null };
  const { url } = await liar(t, { info: info(facts), torrent: send(torrent), ...answers });
  const made = await agentOf(t, url, join(disk, 'cache'));
  return { ...made, disk, url: `${made.agent.url}/artifacts/x` };
}

/** Whoever asks before the disk is full, and what it gets. */
async function throughFullDisk(scene: Scene, coming: Gate, ask: () => Promise<Taken>[]): Promise<Taken[]> {
  const asking = ask();
  await until('the begin is here', 20_000, () => coming.isWaiting() && scene.agent.stats().usedBytes > 0);
  await until('so much has left', 20_000, async () => {
    const { fetches } = JSON.parse(String((await get(scene.agent.url, 'status')).bytes)) as {
      fetches: { webSeedBytes: number; readers: number }[];
    };
    return fetches.some(({ webSeedBytes, readers }) => webSeedBytes >= BEGIN && readers === asking.length);
  });
  fill(scene.disk);
  coming.open();
  return Promise.all(asking);
}

describe('the disk is full half way', () => {
  for (const [what, good, hasTorrent, clients] of [
    // More than can be passed through at once: some wait for their turn.
    ['a blob with a torrent', SHORT, true, 10],
    ['a long blob with a torrent', LONG, true, 1],
    ['a long blob without one', LONG, false, 1],
  ] as const) {
    test(`${what}: all who are served get all of it, and the next one, too`, async (t) => {
      const coming = gate(good);
      const scene = await sceneOf(t, good, { bytes: coming.answer }, hasTorrent);
      if (scene === null) return;
      const range = { range: `bytes=5-${BEGIN + 3 * MIB}` };
      const answers = await throughFullDisk(scene, coming, () => [
        ...Array.from({ length: clients }, () => taken(scene.url)),
        taken(scene.url, range),
        taken(scene.url, { range: 'bytes=100-' }),
      ]);
      const wholes = answers.splice(0, clients);
      for (const whole of wholes) assert.deepEqual([whole.isWhole, whole.sha256], [true, sha256(good)]);
      const [part, tail] = answers as [Taken, Taken];
      assert.deepEqual([part.isWhole, part.sha256], [true, sha256(good.subarray(5, BEGIN + 3 * MIB + 1))]);
      assert.deepEqual([tail.isWhole, tail.sha256], [true, sha256(good.subarray(100))]);
      const next = await taken(scene.url);
      assert.deepEqual([next.isWhole, next.sha256], [true, sha256(good)]);
      // What was begun has left the disk to others.
      assert.equal(scene.agent.stats().usedBytes, 0);
      assert.deepEqual(await readdir(join(scene.disk, 'cache/tmp')), ['actions-cache']);
      assert.ok(
        scene.warnings.some((line) => /is not kept/.test(line)),
        `${scene.warnings}`,
      );
      assert.ok(scene.receipts.every(({ outcome, webSeedBytes }) => outcome === 'done' && webSeedBytes > 0));
      rmSync(join(scene.disk, 'others'));
      await until('it is kept again', 20_000, async () => {
        assert.equal((await taken(scene.url)).sha256, sha256(good));
        return scene.receipts.some(({ localBytes }) => localBytes === good.length);
      });
    });

    test(`${what} whose begin was bad never comes to its end`, async (t) => {
      const bad = Buffer.from(good);
      bad[3 * MIB]! ^= 1;
      const coming = gate(bad);
      // What is asked for from now on is right.
      const bytes: Answer = (request, response) => {
        const answer = coming.isWaiting() ? sendRange(good) : coming.answer;
        answer(request, response);
      };
      const scene = await sceneOf(t, good, { bytes }, hasTorrent);
      if (scene === null) return;
      const [whole] = (await throughFullDisk(scene, coming, () => [taken(scene.url)])) as [Taken];
      assert.equal(whole.isWhole, false);
      assert.ok(whole.bytes > 3 * MIB && whole.bytes < good.length);
      assert.equal((await taken(scene.url)).sha256, sha256(good));
    });
  }

  for (const [what, spareBytes, fullAtSeed, isBad] of [
    ['what a stream had begun', 0, 6, false],
    // Whether the begin of a piece is right is known when the piece is here, which it never is.
    ['what a stream had begun within a piece', 5, 1, false],
    ['what a stream had begun with a bad byte', 5, 6, true],
    ['what a stream had begun with a bad byte within a piece', 5, 1, true],
  ] as const) {
    test(`as a torrent, ${what}: ${isBad ? 'it breaks off' : 'it goes on'}`, async (t) => {
      const begin = Buffer.from(SHORT.subarray(0, 3 * MIB + spareBytes));
      if (isBad) begin[begin.length - 1]! ^= 1;
      let disk: string | null = null;
      let isFull = false;
      let seeds = 0;
      const scene = await sceneOn(
        t,
        await loopDisk(t, openScope(t), 'ext2'),
        SHORT,
        {
          bytes: (request, response) => {
            if (isFull) sendRange(SHORT)(request, response);
            else if (request.headers.range !== undefined) response.writeHead(503).end();
            else {
              response.writeHead(200, { 'content-length': SHORT.length });
              response.write(begin, () => setImmediate(() => response.destroy()));
            }
          },
          seed: (request, response) => {
            if (++seeds === fullAtSeed) {
              fill(disk!);
              isFull = true;
            }
            sendRange(SHORT)(request, response);
          },
        },
        true,
      );
      if (scene === null) return;
      disk = scene.disk;
      const whole = await taken(scene.url);
      assert.ok(isFull, 'the torrent was under way');
      assert.equal(whole.isWhole, !isBad);
      if (!isBad) assert.equal(whole.sha256, sha256(SHORT));
      assert.equal((await taken(scene.url)).sha256, sha256(SHORT));
    });
  }
});

test('a reader that is not as far as what is known of it misses nothing: it breaks off', async () => {
  const options = { row: { infoHash: null, lengthBytes: 10 } } as ReadThroughOptions;
  const given = async () => ({ lengthBytes: 5, hash: createHash('sha256') });
  assert.equal(await restOf(options, { begin: 0, end: 10 }, 4, given), null);
  assert.notEqual(await restOf(options, { begin: 0, end: 10 }, 5, given), null);
});

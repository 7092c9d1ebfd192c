/** From the stream to the torrent, and parts of a blob: what a client takes for complete is what the digest says. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { DepotLies } from '../../src/depot/agent/depot-trouble.js';
import { GONE_MS, GoneWatch } from '../../src/depot/gone-watch.js';
import { HaulError } from '../../src/errors.js';
import type { Agent } from '../../src/index.js';
import { agentOf, bytesOf, folderOf, get, sha256, untilTrue } from './agent-harness.js';
import { createTorrentBytes } from './agent-torrent.js';
import { fetchScene, readAll } from './fetch-scene.js';
import { type Answers, info, type Liar, liar, send, sendBegin, sendRange, taken } from './lying-depot.js';

const MIB = 2 ** 20;
const GOOD = bytesOf(6 * MIB);
const DIGEST = sha256(GOOD);
const { bytes: TORRENT, infoHash } = createTorrentBytes('x', GOOD);
/** So many bytes come by the stream: whole pieces of 256 KiB, and a part of one. */
const HEAD_BYTES = 2 * MIB + 100_000;
const REST = sha256(GOOD.subarray(HEAD_BYTES));
const FACTS = { sha256: DIGEST, lengthBytes: GOOD.length };
const HONEST: Answers = {
  info: info({ ...FACTS, infoHash }),
  torrent: send(TORRENT),
  bytes: sendRange(GOOD),
  seed: sendRange(GOOD),
};

function damaged(at: number): Buffer {
  const bytes = Buffer.from(GOOD);
  bytes[at]! ^= 1;
  return bytes;
}

async function sceneOf(context: TestContext, answers: Answers): Promise<Agent> {
  const folder = await folderOf(context);
  const depot = await liar(context, { ...HONEST, ...answers });
  const { agent } = await agentOf(context, depot.url, join(folder, 'cache'));
  return agent;
}

const ALL = { begin: 0, end: GOOD.length };
const signal = new AbortController().signal;

/** The stream fell silent, and the torrent has brought the rest. */
function assertHandedOver({ seen }: Liar): void {
  assert.ok(
    seen.some(({ url }) => url!.startsWith('/blobs/')),
    'the torrent was never reached',
  );
}

test('a good stream that falls silent is gone on with as a torrent, and nothing is missing', async (context) => {
  const { fetch, depot, fallSilent } = await fetchScene(context, GOOD, { bytes: sendBegin(GOOD, HEAD_BYTES) });
  const reading = readAll(fetch.read(ALL, signal));
  await fallSilent(HEAD_BYTES);
  const { bytes, error } = await reading;
  assert.deepEqual([error, sha256(bytes)], [null, DIGEST]);
  assertHandedOver(depot);
});

test('the torrent of before is still about to go, when a stream becomes one', async (context) => {
  const scene = await fetchScene(context, GOOD, { bytes: sendBegin(GOOD, HEAD_BYTES) });
  const before = scene.engine.add(createTorrentBytes('x', GOOD).bytes, { output: await folderOf(context) });
  before.done.catch(() => {});
  const reading = readAll(scene.fetch.read(ALL, signal));
  await scene.fallSilent(HEAD_BYTES);
  const { bytes, error } = await reading;
  assert.deepEqual([error, sha256(bytes)], [null, DIGEST]);
  assertHandedOver(scene.depot);
});

test('a slow stream is left for a torrent when somebody else has or wants the blob, not before', async (context) => {
  for (const isAlone of [true, false]) {
    let goOn: () => void = () => {};
    const bytes: Answers['bytes'] = (_request, response) => {
      response.writeHead(200, { 'content-length': GOOD.length });
      response.write(GOOD.subarray(0, HEAD_BYTES));
      goOn = () => response.end(GOOD.subarray(HEAD_BYTES));
    };
    let looks = 0;
    const scene = await fetchScene(context, GOOD, { bytes }, () => (++looks >= 2 && !isAlone ? 1 : 0));
    const reading = readAll(scene.fetch.read(ALL, signal));
    await scene.growSlow(HEAD_BYTES);
    await untilTrue(async () => looks >= 2);
    if (isAlone) goOn();
    const read = await reading;
    assert.deepEqual([read.error, sha256(read.bytes)], [null, DIGEST]);
    const isTorrent = scene.depot.seen.some(({ url }) => url!.startsWith('/blobs/'));
    assert.equal(isTorrent, !isAlone);
  }
});

for (const [where, at] of Object.entries({
  'a whole piece': 300_000,
  'the last piece, of which a part came,': HEAD_BYTES - 1,
})) {
  test(`a stream with a bad byte in ${where} never comes to its end through the torrent`, async (context) => {
    const scene = await fetchScene(context, GOOD, { bytes: sendBegin(damaged(at), HEAD_BYTES) });
    const { fetch, depot } = scene;
    const [whole, rest] = [readAll(fetch.read(ALL, signal)), readAll(fetch.read({ ...ALL, begin: 200_000 }, signal))];
    await scene.fallSilent(HEAD_BYTES);
    for (const { bytes, error } of [await whole, await rest]) {
      assert.ok(error instanceof DepotLies, `it came to its end, after ${bytes.length} bytes`);
      assert.ok(bytes.length >= HEAD_BYTES - 200_000, `only ${bytes.length} bytes came`);
    }
    // The torrent has brought the right ones, and those are kept.
    await fetch.done;
    assert.equal(sha256((await readAll(fetch.read({ begin: HEAD_BYTES, end: GOOD.length }, signal))).bytes), REST);
    assertHandedOver(depot);
  });
}

test('a torrent that leads to bytes of another digest never brings a stream to its end', async (context) => {
  const answers = { bytes: sendBegin(GOOD, HEAD_BYTES) };
  const scene = await fetchScene(context, GOOD, answers, undefined, 'ab'.repeat(32));
  const reading = readAll(scene.fetch.read(ALL, signal));
  await scene.fallSilent(HEAD_BYTES);
  const { bytes, error } = await reading;
  assert.ok(error instanceof DepotLies && bytes.length < GOOD.length, `${error} after ${bytes.length} bytes`);
  await assert.rejects(scene.fetch.done, DepotLies);
  assertHandedOver(scene.depot);
});

test('a range of a stream that falls silent waits for the rest of its piece', async (context) => {
  const scene = await fetchScene(context, GOOD, { bytes: sendBegin(damaged(HEAD_BYTES - 1), HEAD_BYTES) });
  const reading = readAll(scene.fetch.read({ begin: 100_000, end: HEAD_BYTES }, signal));
  await scene.fallSilent(HEAD_BYTES);
  const { bytes, error } = await reading;
  assert.equal(error, null);
  assert.ok(bytes.equals(GOOD.subarray(100_000, HEAD_BYTES)));
  assertHandedOver(scene.depot);
});

test('a stream whose connections break is gone on with as a torrent', async (context) => {
  const { fetch, depot } = await fetchScene(context, GOOD, {
    bytes: (request, response) => {
      const isFirst = request.headers.range === undefined;
      response.writeHead(isFirst ? 200 : 206, { 'content-length': GOOD.length - (isFirst ? 0 : HEAD_BYTES) });
      response.write(GOOD.subarray(0, isFirst ? HEAD_BYTES : 0), () => void response.destroy());
    },
  });
  const { bytes, error } = await readAll(fetch.read(ALL, signal));
  assert.deepEqual([error, sha256(bytes)], [null, DIGEST]);
  assertHandedOver(depot);
});

const RANGE = { range: 'bytes=250000-350000' };
const PART = sha256(GOOD.subarray(250_000, 350_001));

test('a range is given as soon as its pieces are here and right', async (context) => {
  // The rest of the stream never comes.
  const agent = await sceneOf(context, { bytes: sendBegin(GOOD, HEAD_BYTES), seed: sendBegin(GOOD, 0) });
  const { status, isWhole, sha256: digest } = await taken(`${agent.url}/artifacts/x`, RANGE);
  assert.deepEqual([status, isWhole, digest], [206, true, PART]);
});

for (const [what, answers] of Object.entries({
  'of a blob with a torrent': { bytes: send(damaged(300_000)) },
  'of a blob with a torrent, at the begin of a long stream': { bytes: sendBegin(damaged(300_000), HEAD_BYTES) },
  'of a long blob without a torrent': { info: info(FACTS), bytes: send(damaged(300_000)) },
  'of a short blob': {
    info: info({ sha256: sha256(GOOD.subarray(0, MIB)), lengthBytes: MIB }),
    bytes: send(damaged(300_000).subarray(0, MIB)),
  },
} satisfies Record<string, Answers>)) {
  test(`a range ${what} with a bad byte is never complete`, async (context) => {
    const agent = await sceneOf(context, answers);
    const { status, isWhole, sha256: digest } = await taken(`${agent.url}/artifacts/x`, RANGE);
    assert.ok(status >= 500 || !isWhole || digest === PART, `${status}, whole: ${isWhole}`);
  });
}

test('a range of a long blob without a torrent comes when all of it is right', async (context) => {
  const agent = await sceneOf(context, { info: info(FACTS) });
  const answer = await get(agent.url, 'artifacts/x', RANGE);
  assert.equal(answer.status, 206);
  assert.equal(sha256(answer.bytes), PART);
});

test('a fetch of what the depot has not any more ends soon; what it has is waited for', async (context) => {
  for (const isThere of [true, false]) {
    const said = isThere ? info({ sha256: sha256(GOOD), lengthBytes: GOOD.length }) : undefined;
    const { fetch, depot, fallSilent, pass } = await fetchScene(context, GOOD, {
      bytes: sendBegin(GOOD, HEAD_BYTES),
      // It has a place for it, and nothing comes.
      seed: () => {},
      ...(said === undefined ? {} : { info: said }),
    });
    const reading = readAll(fetch.read({ begin: 0, end: GOOD.length }, new AbortController().signal));
    await fallSilent(HEAD_BYTES);
    await untilTrue(async () => depot.seen.some(({ url }) => url!.startsWith('/blobs/')));
    // Of what is there it is asked again.
    await untilTrue(async () => {
      pass(GONE_MS);
      return depot.seen.filter(({ url }) => url!.endsWith('?info')).length >= (isThere ? 2 : 1);
    });
    if (isThere) continue;
    const { bytes, error } = await reading;
    assert.ok(HaulError.is(error) && error.code === 'NOT_FOUND', String(error));
    assert.ok(GOOD.subarray(0, bytes.length).equals(bytes));
  }
});

test('what comes while the depot is asked, or is being looked at here, is not given up', async () => {
  const answers: ((isGone: boolean) => void)[] = [];
  let ends = 0;
  const asked = (): Promise<boolean> => new Promise((resolve) => answers.push(resolve));
  const watch = new GoneWatch(0, asked, () => ends++);
  watch.look(GONE_MS - 1, 0, false);
  watch.look(GONE_MS * 2, 0, true);
  assert.equal(answers.length, 0);
  watch.look(GONE_MS * 3, 0, false);
  watch.look(GONE_MS * 4, 1, false);
  answers[0]!(true);
  await setImmediate();
  assert.deepEqual([answers.length, ends], [1, 0]);
  watch.look(GONE_MS * 5, 1, false);
  answers[1]!(true);
  await setImmediate();
  assert.deepEqual([answers.length, ends], [2, 1]);
});

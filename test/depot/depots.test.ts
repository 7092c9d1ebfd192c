/** Several depots as one: real ones behind gates, a clock that stands until the test moves it. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, type TestContext, test } from 'node:test';
import { CHOICE } from '../../src/depot/agent/depot-choice.js';
import type { OpenedBytes } from '../../src/depot/agent/depot-port.js';
import { DepotAway, DepotBroke, DepotFailed } from '../../src/depot/agent/depot-trouble.js';
import { Depots } from '../../src/depot/agent/depots.js';
import { HttpStream } from '../../src/depot/agent/http-stream.js';
import { readThrough } from '../../src/depot/agent/read-through.js';
import { WATCH } from '../../src/depot/agent/watched-body.js';
import type { ArtifactRow } from '../../src/depot/catalogue/port.js';
import { type Depot, startDepot } from '../../src/index.js';
import { bytesOf, put, untilTrue } from './agent-harness.js';
import { rowOf } from './fetch-scene.js';
import { Gate } from './gate.js';
import { liar } from './lying-depot.js';

const LENGTH = 3_000_000;
const HALF = LENGTH / 2;
const STEP_MS = 50;
const BYTES = bytesOf(LENGTH);

interface World {
  /** The depot that is first, and the other one. */
  readonly gates: [Gate, Gate];
  readonly depots: Depots;
  readonly row: ArtifactRow;
  readonly isAway: (gate: Gate) => boolean | null;
  nowMs: number;
  /** The clock moves on, tick by tick, until it holds. Resolves with how far it has moved. */
  until(holds: () => boolean): Promise<number>;
  /** How long it takes until another depot is first; only the clock decides that. */
  untilOther(): Promise<number>;
  /** Questions that let us wait have done so for long enough. */
  late(): void;
}

/** Two depots with the same bytes. */
const pair: Depot[] = [];
let folder = '';

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'haul-depots-'));
  for (const name of ['a', 'b']) {
    const depot = await startDepot({ data: join(folder, name), httpPort: 0, engine: { port: 0 } });
    for (const path of ['x', 'removed']) await put(depot.url, path, BYTES);
    pair.push(depot);
  }
});

after(async () => {
  for (const depot of pair) await depot.close(0);
  await rm(folder, { recursive: true, force: true });
});

/** Both behind gates; nothing ticks but by the test. */
async function worldOf(context: TestContext): Promise<World> {
  const gates: Gate[] = [];
  for (const { url } of pair) gates.push(await Gate.open(context, url));
  const lates = new Set<() => void>();
  const depots = new Depots({
    urls: gates.map(({ url }) => url),
    token: null,
    userAgent: 'test',
    now: () => world.nowMs,
    random: () => 0.5,
    every: () => () => {},
    delay: (_ms, signal) =>
      new Promise((resolve) => {
        lates.add(resolve);
        signal.addEventListener('abort', () => resolve());
      }),
  });
  context.after(() => depots.destroy());
  const world: World = {
    gates: gates as [Gate, Gate],
    isAway: ({ url }) => depots.states.find((depot) => depot.url === url)!.isAway,
    depots,
    row: rowOf(BYTES, null),
    nowMs: 0,
    until: async (holds) => {
      const begunMs = world.nowMs;
      while (!holds()) {
        world.nowMs += STEP_MS;
        depots.tick();
        // A look at one that can answer is answered before the clock moves on.
        const canAnswer = (url: string): boolean => gates.some((gate) => gate.url === url && !gate.isFrozen);
        await untilTrue(async () => !depots.lookedAt.some(canAnswer));
      }
      return world.nowMs - begunMs;
    },
    untilOther: async () => {
      const { changes } = depots;
      return world.until(() => depots.changes > changes);
    },
    late: () => {
      for (const late of lates) late();
      lates.clear();
    },
  };
  depots.warmUp();
  await untilTrue(async () => depots.states.every(({ isAway }) => isAway === false));
  if (depots.url !== world.gates[0].url) world.gates.reverse();
  return world;
}

function streamOf({ depots, row }: Pick<World, 'depots' | 'row'>): HttpStream {
  const stream = new HttpStream({ row, client: depots, path: null });
  stream.whole.promise.catch(() => {});
  return stream;
}

test('a depot that is killed in the middle of a body: another one goes on where it was, without a pause', async (t) => {
  const world = await worldOf(t);
  const [first, second] = world.gates;
  first.passBytes = HALF;
  const stream = streamOf(world);
  await untilTrue(async () => stream.hereBytes === HALF);
  await first.shut();
  await stream.whole.promise;
  assert.equal(stream.memory!.compare(BYTES), 0);
  // No clock had to move for that.
  assert.equal(world.nowMs, 0);
  assert.equal(world.depots.url, second.url);
  assert.equal(world.isAway(world.gates[0]), true);
  assert.equal(world.depots.isAway, false);
});

test('a depot that says nothing any more in the middle of a body is left within two seconds', async (t) => {
  const world = await worldOf(t);
  const [first] = world.gates;
  first.passBytes = HALF;
  const stream = streamOf(world);
  await untilTrue(async () => stream.hereBytes === HALF);
  first.isFrozen = true;
  const silentMs = await world.untilOther();
  await stream.whole.promise;
  assert.ok(silentMs <= 2_000, `${silentMs} ms`);
  assert.equal(stream.memory!.compare(BYTES), 0);
  assert.equal(world.isAway(world.gates[0]), true);
});

test('one that is there, and sends nothing, is left when its time is over; the next time it has longer', async (t) => {
  const world = await worldOf(t);
  const [first, second] = world.gates;
  first.passBytes = HALF;
  const stream = streamOf(world);
  await untilTrue(async () => stream.hereBytes === HALF);
  const silentMs = await world.untilOther();
  await stream.whole.promise;
  assert.ok(silentMs >= WATCH.patienceMs - STEP_MS && silentMs <= WATCH.patienceMs + STEP_MS, `${silentMs} ms`);
  assert.equal(stream.memory!.compare(BYTES), 0);
  assert.equal(world.isAway(world.gates[0]), false);
  second.passBytes = HALF;
  first.passBytes = Number.POSITIVE_INFINITY;
  const other = streamOf(world);
  await untilTrue(async () => other.hereBytes === HALF);
  const longerMs = await world.untilOther();
  await other.whole.promise;
  assert.ok(longerMs > WATCH.patienceMs + STEP_MS, `${longerMs} ms`);
});

test('a reader that takes nothing is no silence of the depot', async (t) => {
  const world = await worldOf(t);
  const opened = (await world.depots.open(world.row, null, new AbortController().signal)) as OpenedBytes;
  let here = 0;
  const room = Buffer.alloc(64 * 1024);
  const pouring = opened.body.pour({
    room: () => room,
    came: (bytes) => {
      here += bytes;
      return false;
    },
  });
  await untilTrue(async () => here > 0);
  for (let step = 0; step < 100; step++) {
    world.nowMs += 100;
    world.depots.tick();
  }
  while (here < LENGTH) {
    opened.body.resume();
    await new Promise((resolve) => setImmediate(resolve));
  }
  await pouring;
  assert.equal(opened.from, world.gates[0].url);
});

test('a depot that accepts and says nothing: a question goes to the next, too, and it is found away', async (t) => {
  const world = await worldOf(t);
  const [first, second] = world.gates;
  first.isFrozen = true;
  const asking = world.depots.resolve('artifacts/x', 30_000);
  await new Promise((resolve) => setImmediate(resolve));
  world.late();
  assert.equal((await asking)?.sha256, world.row.sha256);
  const awayMs = await world.until(() => world.isAway(world.gates[0]) === true);
  assert.ok(awayMs <= CHOICE.closeLookMs + CHOICE.lateMs + STEP_MS, `${awayMs} ms`);
  assert.equal(world.depots.url, second.url);
  // From now on nobody waits for it.
  assert.equal((await world.depots.resolve('artifacts/x', 30_000))?.sha256, world.row.sha256);
});

test('where nobody answers it is said so; one that comes back is asked again', async (t) => {
  const world = await worldOf(t);
  for (const gate of world.gates) await gate.shut();
  await assert.rejects(world.depots.resolve('artifacts/x', 30_000), (error) => {
    assert.ok(error instanceof DepotAway);
    assert.match(error.message, /^none of 2: /);
    return true;
  });
  assert.equal(world.depots.isAway, true);
  const told: string[] = [];
  world.depots.onDepot = (url, isAway) => told.push(`${url} ${isAway}`);
  await world.gates[1].reopen();
  await world.until(() => world.depots.isAway === false);
  assert.deepEqual(told, [`${world.gates[1].url} false`]);
  assert.equal((await world.depots.resolve('artifacts/x', 30_000))?.sha256, world.row.sha256);
});

test('a name that one does not know, and a refusal, are answers: no other is asked', async (t) => {
  const world = await worldOf(t);
  const before = world.gates[1].accepted;
  assert.equal(await world.depots.resolve('artifacts/none', 30_000), null);
  assert.equal(world.gates[1].accepted, before);
});

test('one that fails at it, one that is no depot and one that is full of work are passed over', async (t) => {
  for (const status of [500, 503, 502, 301, 200]) {
    const headers = status === 503 ? { 'retry-after': '2' } : {};
    const bad = await liar(t, {
      info: (_request, response) => void response.writeHead(status, headers).end('<html>'),
      bytes: (_request, response) => void response.writeHead(status, headers).end('<html>'),
    });
    const good = pair[0]!;
    const depots = new Depots({ urls: [bad.url, good.url], token: null, userAgent: 'test', every: () => () => {} });
    t.after(() => depots.destroy());
    assert.equal((await depots.resolve('artifacts/x', 30_000))?.sha256, rowOf(BYTES, null).sha256, `${status}`);
    assert.equal(depots.url, good.url, `${status}`);
    const { whole } = streamOf({ depots, row: rowOf(BYTES, null) });
    await whole.promise;
  }
});

test('where all are busy the answer says so, and when to come again', async (t) => {
  const busy = (seconds: string) =>
    liar(t, { info: (_request, response) => void response.writeHead(503, { 'retry-after': seconds }).end() });
  const depots = new Depots({
    urls: [(await busy('3')).url, (await busy('4')).url],
    token: null,
    userAgent: 'test',
    every: () => () => {},
  });
  t.after(() => depots.destroy());
  await assert.rejects(depots.resolve('artifacts/x', 30_000), (error) => error instanceof DepotFailed);
});

test('what has no room is passed through, and goes on at another depot, too', async (t) => {
  const world = await worldOf(t);
  const [first] = world.gates;
  first.passBytes = HALF;
  const { depots: client, row } = world;
  const { signal } = new AbortController();
  const parts: Buffer[] = [];
  const all = (async () => {
    for await (const slice of readThrough({ row, client, signal, onBytes: () => {} }, { begin: 0, end: LENGTH }))
      parts.push(Buffer.from(slice));
  })();
  await first.held();
  await first.shut();
  await all;
  assert.equal(Buffer.concat(parts).compare(BYTES), 0);
});

// ---- what changes something ----

async function* uploadOf(chunks: readonly Buffer[], before: (chunk: number) => Promise<void>): AsyncGenerator<Buffer> {
  for (const [at, chunk] of chunks.entries()) {
    await before(at);
    yield chunk;
  }
}

function putting(world: World, name: string, body: AsyncIterable<Uint8Array>, lengthBytes: number) {
  return world.depots.ask(`/artifacts/${name}`, {
    method: 'PUT',
    lane: 'upload',
    headers: { 'content-length': String(lengthBytes) },
    body,
    timeoutMs: 60_000,
  });
}

test('an upload goes to another depot where nobody listens, or little of it had left', async (t) => {
  const world = await worldOf(t);
  const [first] = world.gates;
  const chunks = [BYTES.subarray(0, 1_000), BYTES.subarray(1_000, 2_000)];
  const cut = uploadOf(chunks, async (at) => {
    if (at === 1) await first.shut();
  });
  assert.equal((await putting(world, 'short', cut, 2_000)).status, 201);
  assert.equal(world.depots.url, world.gates[1].url);
  const answer = await putting(
    world,
    'short',
    uploadOf([BYTES.subarray(0, 500)], async () => {}),
    500,
  );
  assert.equal(answer.status, 409);
});

test('an upload of which much had left when its depot went away fails, and can be sent again', async (t) => {
  const world = await worldOf(t);
  const [first] = world.gates;
  const chunks = [BYTES.subarray(0, HALF), BYTES.subarray(HALF)];
  const cut = uploadOf(chunks, async (at) => {
    if (at === 1) await first.shut();
  });
  await assert.rejects(putting(world, 'long', cut, LENGTH), DepotBroke);
  assert.equal(
    (
      await putting(
        world,
        'long',
        uploadOf(chunks, async () => {}),
        LENGTH,
      )
    ).status,
    201,
  );
});

test('an upload whose depot has stopped without a word is given up, though its connection stays', async (t) => {
  const world = await worldOf(t);
  const [first] = world.gates;
  const chunks = [BYTES.subarray(0, HALF), BYTES.subarray(HALF)];
  let failed: unknown = null;
  const stopped = uploadOf(chunks, async (at) => {
    if (at === 1) first.isFrozen = true;
  });
  putting(world, 'stopped', stopped, LENGTH).catch((error: unknown) => {
    failed = error;
  });
  await untilTrue(async () => first.isFrozen);
  const tookMs = await world.until(() => failed !== null);
  assert.ok(failed instanceof DepotBroke, `${failed}`);
  assert.ok(tookMs < 20_000, `${tookMs} ms`);
});

test('what may have been done is not asked of another depot; a removal where nobody listens is', async (t) => {
  const world = await worldOf(t);
  await world.gates[0].shut();
  const answer = await world.depots.ask('/artifacts/removed', { method: 'DELETE', timeoutMs: 30_000 });
  assert.equal(answer.status, 204);
  const again = await worldOf(t);
  again.gates[0].isFrozen = true;
  const { asked } = again.gates[0];
  const removing = again.depots.ask('/artifacts/x', { method: 'DELETE', timeoutMs: 30_000 });
  await untilTrue(async () => again.gates[0].asked > asked);
  await again.gates[0].shut();
  await assert.rejects(removing, DepotBroke);
});

/** One web seed as it is asked and as it answers: real servers, a clock of our own. */
import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import { test } from 'node:test';
import { openScope, type Scope } from '../../lab/scope.js';
import { until } from '../../lab/wait.js';
import { LIMITS } from '../../src/config.js';
import { RateLimit, Throttle } from '../../src/peer/throttle.js';
import { Turns } from '../../src/peer/turns.js';
import { rangeOf, type WebServer } from '../support/web-server.js';
import { startSceneServer, startWebScene, type WebScene, type WebSceneOptions } from './scene.js';

const KIB = 1024;
const MIB = 1024 * KIB;
const DEADLINE_MS = 10_000;
/** Asked for at once it takes four requests. */
const LENGTH_BYTES = 8 * MIB;
const IMAGE = [{ path: 'image.bin', lengthBytes: LENGTH_BYTES }];

async function start(
  scope: Scope,
  options: Partial<WebSceneOptions> = {},
): Promise<{ server: WebServer; scene: WebScene }> {
  const server = await startSceneServer(scope, IMAGE);
  return { server, scene: startWebScene(scope, { files: IMAGE, named: [`${server.url}/image.bin`], ...options }) };
}

const reportOf = (scene: WebScene) => scene.seeds.reports(null)[0]!;

test('a request that is refused beside others ends nothing; so many at once are asked no more', async (t) => {
  const scope = openScope(t);
  const { server, scene } = await start(scope);
  let underWay = 0;
  let most = 0;
  let refused = 0;
  let waiting: (() => void)[] = [];
  server.hook = (request, response) => {
    if (underWay === 2) {
      // Heard while the others are under way.
      const others = waiting;
      waiting = [];
      response.once('finish', () => setTimeout(() => others.map((end) => end()), 50));
      return Boolean(response.writeHead(503, { 'retry-after': '5', 'x-refused': ++refused }).end());
    }
    most = Math.max(most, ++underWay);
    response.once('close', () => underWay--);
    const [begin, end] = rangeOf(request.headers.range, LENGTH_BYTES)!;
    response.writeHead(206, { 'content-range': `bytes ${begin}-${end - 1}/${LENGTH_BYTES}` });
    response.write(scene.data.bytes.subarray(begin, begin + 100));
    const finish = (): void => void response.end(scene.data.bytes.subarray(begin + 100, end));
    if (refused > 0) finish();
    else waiting.push(finish);
    return true;
  };
  scene.use();
  scene.ask();
  await until('all came', DEADLINE_MS, () => scene.came.length === 512);
  assert.deepEqual([scene.remotes.length, most, scene.bad], [1, 2, []]);
  assert.ok(refused >= 1 && refused <= 6, `${refused} refused`);
});

test('a limit is passed by no transfer', async (t) => {
  const scope = openScope(t);
  const limit = new RateLimit(640 * KIB, 0);
  const turns = new Turns(true);
  const { scene } = await start(scope, { downloads: new Throttle([limit], turns) });
  let least = 0;
  scene.use();
  scene.ask();
  await until('all came', DEADLINE_MS, () => {
    for (let refills = 0; refills < 16 && scene.downloads.isDry; refills++) {
      least = Math.min(least, limit.tokens);
      scene.nowMs += 100;
      limit.refill(scene.nowMs);
      turns.serve(scene.downloads.readBytes, () => scene.downloads.isDry);
    }
    return scene.came.length === 512;
  });
  assert.deepEqual(scene.bad, []);
  assert.ok(least >= -512 * KIB, `${-least} bytes of debt`);
});

test('who sends byte by byte is given up after a minute without a block', async (t) => {
  const scope = openScope(t);
  const { server, scene } = await start(scope);
  const answers: ServerResponse[] = [];
  server.hook = (request, response) => {
    const [begin, end] = rangeOf(request.headers.range, LENGTH_BYTES)!;
    response.writeHead(206, { 'content-range': `bytes ${begin}-${end - 1}/${LENGTH_BYTES}` });
    response.write('x');
    return Boolean(answers.push(response));
  };
  scene.use();
  scene.tick(10 * LIMITS.webSeedBlockMs);
  scene.ask();
  await until('it answers', DEADLINE_MS, () => answers.length === LIMITS.webSeedRequests);
  const remote = scene.remote!;
  for (let ms = 0; ms < LIMITS.webSeedBlockMs - 1000; ms += 1000) {
    for (const answer of answers) answer.write('x');
    scene.tick();
  }
  assert.equal(remote.isClosing, false);
  scene.tick();
  await until('it has left', DEADLINE_MS, () => reportOf(scene).state === 'failing');
  assert.equal(reportOf(scene).message, 'no block in 60 s');
});

test('what is found to be bad later bans the web seed that has come again meanwhile', async (t) => {
  const scope = openScope(t);
  const { scene } = await start(scope);
  scene.use();
  const first = scene.remote!;
  first.close('went away');
  await until('it has left', DEADLINE_MS, () => reportOf(scene).state === 'failing');
  assert.equal(reportOf(scene).message, 'went away');
  scene.tick(LIMITS.webSeedRetryMs);
  scene.use();
  assert.deepEqual([reportOf(scene).state, reportOf(scene).message], ['in-use', '']);
  scene.seeds.ban(first, 'corrupt data');
  assert.equal(scene.remote, undefined);
  await until('it has left', DEADLINE_MS, () => reportOf(scene).state === 'banned');
  scene.tick(LIMITS.webSeedRetryMaxMs);
  scene.use();
  assert.equal(scene.remotes.length, 2);
});

test('what was cancelled is not asked for again when its request fails', async (t) => {
  const scope = openScope(t);
  const { server, scene } = await start(scope);
  const asked: (string | null)[] = [];
  server.hook = (request, response) => {
    if (asked.push(request.headers.range ?? null) > 1) return false;
    scene.remote!.cancel(1 as never, 0, 16 * KIB);
    scene.remote!.cancel(1 as never, 16 * KIB, 16 * KIB);
    scene.ask(undefined, 2, 3);
    response.destroy();
    return true;
  };
  scene.use();
  scene.ask(undefined, 0, 2);
  await until('the rest came', DEADLINE_MS, () => scene.came.length === 10);
  assert.deepEqual([...scene.came].sort((a, b) => a - b).slice(4, 6), [96 * KIB, 112 * KIB]);
});

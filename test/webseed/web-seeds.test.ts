/** Which web seeds are used, where they lead, and what becomes of those that fail: real servers, a clock of our own. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openScope } from '../../lab/scope.js';
import { until } from '../../lab/wait.js';
import { LIMITS } from '../../src/config.js';
import { rangeOf } from '../support/web-server.js';
import { startSceneServer, startWebScene } from './scene.js';

const KIB = 1024;
const DEADLINE_MS = 10_000;
const IMAGE = [{ path: 'image.bin', lengthBytes: 256 * KIB }];

test('a place to which a file had moved is forgotten when it refuses, and the URL itself is asked again', async (t) => {
  const scope = openScope(t);
  const server = await startSceneServer(scope, IMAGE);
  let isExpired = false;
  server.hook = (request, response) => {
    if (request.url === '/image.bin') {
      return Boolean(response.writeHead(302, { location: `/signed?n=${server.asked.length}` }).end());
    }
    if (isExpired) {
      isExpired = false;
      return Boolean(response.writeHead(403).end());
    }
    request.url = '/image.bin';
    return false;
  };
  const scene = startWebScene(scope, { files: IMAGE, named: [`${server.url}/image.bin`] });
  scene.use();
  scene.ask(undefined, 0, 1);
  await until('a piece came', DEADLINE_MS, () => scene.came.length === 4);
  isExpired = true;
  scene.ask(undefined, 1, 2);
  await until('it has refused', DEADLINE_MS, () => scene.remote === undefined);
  const asked = server.asked.length;
  await until('it has left', DEADLINE_MS, () => scene.seeds.reports(null)[0]!.state === 'failing');
  scene.tick(LIMITS.webSeedRetryMs);
  scene.use();
  scene.ask(undefined, 1);
  await until('all came', DEADLINE_MS, () => scene.came.length === 16);
  assert.equal(server.asked[asked]!.path, '/image.bin');
  assert.deepEqual(scene.bad, []);
});

test('a server that answers with a byte at a time is asked three times', async (t) => {
  const scope = openScope(t);
  const server = await startSceneServer(scope, IMAGE);
  server.hook = (request, response) => {
    const [begin] = rangeOf(request.headers.range, 256 * KIB)!;
    response.writeHead(206, { 'content-range': `bytes ${begin}-${begin}/${256 * KIB}` });
    return Boolean(response.end('x'));
  };
  const scene = startWebScene(scope, { files: IMAGE, named: [`${server.url}/image.bin`] });
  scene.use();
  scene.ask();
  await until('it is given up', DEADLINE_MS, () => scene.remote === undefined);
  await until('it has left', DEADLINE_MS, () => scene.seeds.reports(null)[0]!.state === 'failing');
  assert.equal(server.asked.length, 3);
  assert.match(scene.seeds.reports(null)[0]!.message, /sent bytes 0-0 only of the 262144 that were asked for/);
});

test('a server that answers in parts of its own size is used', async (t) => {
  const scope = openScope(t);
  const server = await startSceneServer(scope, IMAGE);
  server.hook = (request, response) => {
    const [begin, end] = rangeOf(request.headers.range, 256 * KIB)!;
    request.headers.range = `bytes=${begin}-${Math.min(end, begin + 20_000) - 1}`;
    server.serve(request, response);
    return true;
  };
  const scene = startWebScene(scope, { files: IMAGE, named: [`${server.url}/image.bin`] });
  scene.use();
  scene.ask();
  await until('all came', DEADLINE_MS, () => scene.came.length === 16);
  assert.deepEqual([scene.bad, server.asked.length], [[], 14]);
});

/** Of a server without ranges all comes from the first byte on, and what is not wanted is dropped. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openScope } from '../../lab/scope.js';
import { until } from '../../lab/wait.js';
import { LIMITS } from '../../src/config.js';
import type { PieceIndex } from '../../src/metainfo/geometry.js';
import type { Hook } from '../support/web-server.js';
import { startSceneServer, startWebScene, type WebScene } from './scene.js';

const KIB = 1024;
const DEADLINE_MS = 10_000;

const withoutRanges: Hook = (request) => {
  delete request.headers.range;
  return false;
};

/** It has been found to know no ranges, and is used again. @param piece part of a file */
async function untilWhole(scene: WebScene, piece: number): Promise<void> {
  scene.use();
  scene.ask(undefined, piece, piece + 1);
  await until('it is known to have no ranges', DEADLINE_MS, () => scene.remote === undefined);
  await until('it is used again', DEADLINE_MS, () => {
    scene.use();
    return scene.remote !== undefined;
  });
}

test('padding waits for who asks late, as what a server sends does', async (t) => {
  const scope = openScope(t);
  const files = [
    { path: 'tree/a.bin', lengthBytes: 32 * KIB },
    { path: 'tree/.pad/1', lengthBytes: 224 * KIB, isPad: true },
    { path: 'tree/b.bin', lengthBytes: 256 * KIB },
  ];
  const server = await startSceneServer(scope, files);
  server.hook = withoutRanges;
  const scene = startWebScene(scope, { files, named: [`${server.url}/`] });
  await untilWhole(scene, 4);
  let asked = 0;
  scene.onRoom = (remote) => {
    if (asked < 8 && scene.came.length === 4 * asked) scene.ask(remote, asked, ++asked);
  };
  scene.onRoom(scene.remote!);
  await until('all came', DEADLINE_MS, () => scene.came.length === 32);
  assert.deepEqual([scene.bad, [...scene.came].sort((a, b) => a - b)], [[], scene.came]);
});

test('who always breaks off before what is asked for is left alone, however much is dropped before', async (t) => {
  const scope = openScope(t);
  const files = [{ path: 'image.bin', lengthBytes: 512 * KIB }];
  const server = await startSceneServer(scope, files);
  const scene = startWebScene(scope, { files, named: [`${server.url}/image.bin`] });
  server.hook = withoutRanges;
  await untilWhole(scene, 1);
  server.hook = (_request, response) => {
    response.writeHead(200, { 'content-length': 512 * KIB });
    response.write(scene.data.bytes.subarray(0, 256 * KIB), () => response.destroy());
    return true;
  };
  for (let piece = 0; piece < 4; piece++) scene.has.add(piece as PieceIndex);
  const asked = server.asked.length;
  scene.ask(undefined, 6, 7);
  await until('it is given up', DEADLINE_MS, () => scene.remote === undefined);
  assert.equal(server.asked.length - asked, 3);
});

const TREE = [
  { path: 'tree/a.bin', lengthBytes: 100_000 },
  { path: 'tree/b.bin', lengthBytes: 300_000 },
];

test('files before the first that is wanted are not asked for, wherever their borders are', async (t) => {
  const scope = openScope(t);
  const server = await startSceneServer(scope, TREE);
  server.hook = withoutRanges;
  const scene = startWebScene(scope, { files: TREE, named: [`${server.url}/`] });
  await untilWhole(scene, 3);
  const asked = server.asked.length;
  const pathsAsked = () => server.asked.slice(asked).map(({ path }) => path);
  scene.has.add(0 as PieceIndex).add(1 as PieceIndex);
  scene.ask(undefined, 2);
  await until('pieces within b came', DEADLINE_MS, () => scene.came.length === 17);
  assert.deepEqual([pathsAsked(), scene.bad], [['/tree/b.bin'], []]);
  await until('it is over', DEADLINE_MS, () => scene.remote!.silentMs(1) === 0);
  // Its third block begins in a.
  scene.has.delete(1 as PieceIndex);
  scene.ask(undefined, 1, 2);
  await until('the piece of both came', DEADLINE_MS, () => scene.came.length === 21);
  assert.deepEqual([pathsAsked(), scene.bad], [['/tree/b.bin', '/tree/a.bin', '/tree/b.bin'], []]);
});

test('a server that failed without ranges is asked for one again', async (t) => {
  const scope = openScope(t);
  const server = await startSceneServer(scope, TREE);
  server.hook = withoutRanges;
  const scene = startWebScene(scope, { files: TREE, named: [`${server.url}/`] });
  await untilWhole(scene, 3);
  server.hook = (_request, response) => Boolean(response.writeHead(503).end());
  scene.ask(undefined, 2);
  await until('it is given up', DEADLINE_MS, () => scene.seeds.reports(null)[0]!.state === 'failing');
  server.hook = null;
  scene.tick(LIMITS.webSeedRetryMaxMs);
  scene.use();
  scene.ask(undefined, 3, 4);
  await until('a piece came', DEADLINE_MS, () => scene.came.length === 4);
  assert.equal(server.asked.at(-1)!.range, `bytes=${3 * 65_536 - 100_000}-${4 * 65_536 - 100_000 - 1}`);
});

const THREE = [
  { path: 'tree/a.bin', lengthBytes: 128 * KIB },
  { path: 'tree/b.bin', lengthBytes: 128 * KIB },
  { path: 'tree/c.bin', lengthBytes: 128 * KIB },
  { path: 'tree/d.bin', lengthBytes: 128 * KIB },
];

test('files of which nothing is wanted are not asked for, between others and behind the last', async (t) => {
  const scope = openScope(t);
  const server = await startSceneServer(scope, THREE);
  server.hook = withoutRanges;
  const scene = startWebScene(scope, { files: THREE, named: [`${server.url}/`] });
  await untilWhole(scene, 1);
  const asked = server.asked.length;
  scene.ask(undefined, 0, 2);
  scene.ask(undefined, 4, 6);
  await until('both came', DEADLINE_MS, () => scene.came.length === 16);
  await until('it is over', DEADLINE_MS, () => scene.remote!.silentMs(1) === 0);
  scene.tick(2_000);
  await new Promise((resolve) => setImmediate(resolve));
  const paths = server.asked.slice(asked).map(({ path }) => path);
  assert.deepEqual([paths, scene.bad], [['/tree/a.bin', '/tree/c.bin'], []]);
});

test('a server that gave whole files for ten minutes is asked for parts again', async (t) => {
  const scope = openScope(t);
  const server = await startSceneServer(scope, THREE);
  server.hook = withoutRanges;
  const scene = startWebScene(scope, { files: THREE, named: [`${server.url}/`] });
  await untilWhole(scene, 1);
  scene.ask(undefined, 0, 2);
  await until('a came', DEADLINE_MS, () => scene.came.length === 8);
  server.hook = null;
  scene.tick(LIMITS.webSeedRetryMaxMs);
  const asked = server.asked.length;
  scene.ask(undefined, 5, 6);
  await until('it is used again', DEADLINE_MS, () => {
    scene.use();
    return scene.remotes.length === 3;
  });
  scene.ask(undefined, 5, 6);
  await until('a part came', DEADLINE_MS, () => scene.came.length === 12);
  assert.deepEqual(
    server.asked.slice(asked).map(({ range }) => range),
    [`bytes=${64 * KIB}-${128 * KIB - 1}`],
  );
});

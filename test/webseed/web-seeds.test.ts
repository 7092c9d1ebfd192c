/** Which web seeds are used, where they lead, and what becomes of those that fail: real servers, a clock of our own. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Dispatcher } from 'undici';
import { openScope, type Scope } from '../../lab/scope.js';
import { until } from '../../lab/wait.js';
import { LIMITS } from '../../src/config.js';
import type { Dispatches } from '../../src/net/http-client.js';
import { isPrivateAddress } from '../../src/net/private-address.js';
import type { WebClients, WebSeedsOptions } from '../../src/webseed/web-seeds.js';
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

/** How those of a torrent's URLs and of its redirects are asked, by name of the connections; and why they are not. */
async function asked(scope: Scope, location: string | null, options: Partial<WebSeedsOptions>): Promise<string[]> {
  const heard: string[] = [];
  const client = (name: string): Dispatches => ({
    dispatch: ({ origin, path }, handler) => {
      heard.push(`${name} ${String(origin)}${path}`);
      const controller = {
        abort: () => {},
        pause: () => {},
        resume: () => {},
      } as unknown as Dispatcher.DispatchController;
      const isMoved = heard.length === 1 && location !== null;
      const headers = isMoved ? { location } : {};
      setImmediate(() => {
        handler.onResponseStart?.(controller, isMoved ? 302 : 404, headers, '');
        handler.onResponseEnd?.(controller, {});
      });
      return true;
    },
  });
  const isInside = (address: string): boolean => address === '203.0.113.9' || isPrivateAddress(address);
  const clients: WebClients = {
    any: client('any'),
    ofTrackers: client('ofTrackers'),
    publicOnly: client('publicOnly'),
    isInside,
  };
  const scene = startWebScene(scope, { files: IMAGE, clients, ...options });
  scene.use();
  scene.nowMs = LIMITS.ownWebSeedMs;
  scene.use();
  scene.ask();
  await until('it is given up', DEADLINE_MS, () => scene.seeds.reports(null)[0]!.state === 'failing');
  const { message } = scene.seeds.reports(null)[0]!;
  return message === 'answered 404' ? heard : [...heard, message];
}

const PRIVATE =
  /^(?:203\.0\.113\.9|10\.0\.0\.1|127\.0\.0\.1|169\.254\.169\.254|localhost|\[?::1\]?) is of a private network/;
const NO_WEB = /^port \d+ is none of the web/;

/** Where a tracker and a web seed are, where that one leads, and how it is asked. */
const PLACES: readonly [what: string, Partial<WebSeedsOptions>, location: string | null, ...(string | RegExp)[]][] = [
  ['a public URL', { urls: ['http://a/x'] }, null, 'publicOnly http://a/x'],
  ['a private URL', { urls: ['http://10.0.0.1/x'] }, null, PRIVATE],
  ['a URL of this machine', { urls: ['http://localhost/x'] }, null, PRIVATE],
  ['a public address of this machine', { urls: ['http://203.0.113.9/x'] }, null, PRIVATE],
  ['a port of mail', { urls: ['http://a:25/x'] }, null, NO_WEB],
  ['what the user names', { named: ['http://127.0.0.1:25/x'] }, null, 'any http://127.0.0.1:25/x'],
  ['the tracker itself', { urls: ['http://a:70/x'], trackers: ['http://a:70/announce'] }, null, NO_WEB],
  [
    'the place of a tracker with a name',
    { urls: ['http://a:7000/x'], trackers: ['http://a:7000/announce'] },
    null,
    'ofTrackers http://a:7000/x',
  ],
  [
    'the place of a tracker with an address',
    { urls: ['http://10.0.0.1:7000/x'], trackers: ['http://10.0.0.1:7000/announce'] },
    null,
    'any http://10.0.0.1:7000/x',
  ],
  [
    'the place of a tracker of this machine',
    { urls: ['http://localhost:7000/x'], trackers: ['http://localhost:7000/announce'] },
    null,
    'any http://localhost:7000/x',
  ],
  [
    'another port of a tracker',
    { urls: ['http://10.0.0.1:2375/x'], trackers: ['http://10.0.0.1/announce'] },
    null,
    NO_WEB,
  ],
  ['the same', { urls: ['http://10.0.0.1:8080/x'], trackers: ['http://10.0.0.1/announce'] }, null, PRIVATE],
  [
    'a tracker of one link',
    { urls: ['http://169.254.169.254/x'], trackers: ['http://169.254.169.254/announce'] },
    null,
    PRIVATE,
  ],
  ['public to private', { urls: ['http://a/x'] }, 'http://[::1]/y', 'publicOnly http://a/x', PRIVATE],
  ['public to public', { urls: ['http://a/x'] }, 'https://b/y?z', 'publicOnly http://a/x', 'publicOnly https://b/y?z'],
  ['public to mail', { urls: ['http://a/x'] }, 'http://b:25/', 'publicOnly http://a/x', NO_WEB],
  [
    'public to the place of a tracker',
    { urls: ['http://a/x'], trackers: ['http://10.0.0.1:7000/announce'] },
    'http://10.0.0.1:7000/restart',
    'publicOnly http://a/x',
    PRIVATE,
  ],
  [
    'the place of a tracker to that of another',
    { urls: ['http://a:7000/x'], trackers: ['http://a:7000/announce', 'http://10.0.0.1/announce'] },
    'http://10.0.0.1/restart',
    'ofTrackers http://a:7000/x',
    PRIVATE,
  ],
  [
    'what the user names to another port there',
    { named: ['http://10.0.0.1/x'] },
    'http://10.0.0.1:9000/y',
    'any http://10.0.0.1/x',
    'any http://10.0.0.1:9000/y',
  ],
  [
    'what the user names to elsewhere',
    { named: ['http://10.0.0.1/x'] },
    'http://127.0.0.1/y',
    'any http://10.0.0.1/x',
    PRIVATE,
  ],
];

for (const [what, options, location, ...expected] of PLACES) {
  test(`where a web seed may lead: ${what}`, async (t) => {
    const heard = await asked(openScope(t), location, options);
    assert.equal(heard.length, expected.length, heard.join(', '));
    for (const [index, text] of expected.entries()) {
      if (typeof text === 'string') assert.equal(heard[index], text);
      else assert.match(heard[index]!, text);
    }
  });
}

test('one that is not named any more is left at once, and is used again when it is named again', async (t) => {
  const scope = openScope(t);
  const [first, second] = [await startSceneServer(scope, IMAGE), await startSceneServer(scope, IMAGE)];
  const silent = new Promise<void>((resolve) => {
    first.hook = () => {
      resolve();
      return true;
    };
  });
  const [one, other] = [`${first.url}/image.bin`, `${second.url}/image.bin`];
  const scene = startWebScene(scope, { files: IMAGE, named: [one] });
  scene.use();
  scene.ask();
  await silent;
  scene.seeds.name([other]);
  assert.equal(scene.remote, undefined);
  await until('it has left', DEADLINE_MS, () => scene.remotes.length === 1 && scene.remotes[0]!.isClosing);
  scene.use();
  scene.ask();
  await until('all came', DEADLINE_MS, () => scene.came.length === 16);
  assert.deepEqual(
    scene.seeds.reports(null).map(({ url }) => url),
    [other],
  );
  // It was left, which says nothing of it.
  scene.seeds.name([one]);
  await until('the other has left', DEADLINE_MS, () => scene.remote === undefined);
  scene.use();
  assert.equal(scene.remotes.at(-1)?.address, one);
});

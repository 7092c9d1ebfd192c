/** A download from web servers (BEP 19): alone, beside others, and from some that are no good. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { openScope, type Scope } from '../../lab/scope.js';
import { tempFolder } from '../../lab/temp.js';
import { until, withDeadline } from '../../lab/wait.js';
import type { AddOptions, Torrent } from '../../src/api.js';
import { type DataSet, fileSet, startEngine, startSeed, treeSet } from '../support/engines.js';
import { type Hook, rangeOf, startWebServer, type WebServer } from '../support/web-server.js';

const KIB = 1024;
const MIB = 1024 * KIB;
const DEADLINE_MS = 30_000;

interface Download {
  readonly torrent: Torrent;
  readonly output: string;
}

async function download(scope: Scope, set: DataSet, options: Partial<AddOptions>): Promise<Download> {
  const engine = await startEngine(scope);
  const output = await tempFolder(scope);
  return { torrent: engine.add(set.metainfo, { output, trackers: [], ...options }), output };
}

async function assertSame(set: DataSet, output: string): Promise<void> {
  for (const { path: parts, isPad, lengthBytes } of set.metainfo.files) {
    if (isPad || lengthBytes === 0) continue;
    const [ours, theirs] = await Promise.all([
      readFile(path.join(output, ...parts)),
      readFile(path.join(set.folder, ...parts)),
    ]);
    assert.ok(ours.equals(theirs), `${parts.join('/')} is the same`);
  }
}

test('a web seed that is let go because all is here is not told of as failing', async (t) => {
  const scope = openScope(t);
  const set = await fileSet(scope, 100_000, { pieceLengthBytes: 32 * KIB });
  const server = await startWebServer(scope, { '/image.bin': await readFile(set.path) });
  const { torrent } = await download(scope, set, { webSeeds: [`${server.url}/image.bin`] });
  await withDeadline(torrent.done, 'it is complete', DEADLINE_MS);
  const report = (): { state: string; message: string } => torrent.sources().webSeeds[0]!;
  await until('it is let go', DEADLINE_MS, () => report().state !== 'in-use');
  assert.deepEqual([report().state, report().message], ['waiting', '']);
});

test('a file comes from a web server alone, over kept connections, in long ranges', async (t) => {
  const scope = openScope(t);
  const set = await fileSet(scope, 24 * MIB + 12_345, { pieceLengthBytes: 256 * KIB });
  const server = await startWebServer(scope, { '/image.bin': await readFile(set.path) });
  const { torrent, output } = await download(scope, set, { webSeeds: [`${server.url}/image.bin`] });
  await withDeadline(torrent.done, 'it is complete', DEADLINE_MS);
  await assertSame(set, output);
  const { downloadedBytes, webSeedBytes, wastedBytes, peers } = torrent.stats();
  assert.equal(webSeedBytes, 24 * MIB + 12_345);
  assert.deepEqual([downloadedBytes, wastedBytes, peers], [webSeedBytes, 0, 0]);
  const [report] = torrent.sources().webSeeds;
  assert.equal(report!.url, `${server.url}/image.bin`);
  assert.equal(report!.downloadedBytes, webSeedBytes);
  assert.ok(server.connections <= 8, `${server.connections} connections`);
  assert.ok(server.asked.every(({ headers }) => headers['accept-encoding'] === 'identity'));
  const ranges = server.asked.map(({ range }) => /^bytes=(\d+)-(\d+)$/.exec(range!)!.slice(1).map(Number));
  assert.ok(
    ranges.every(([first]) => first! % (16 * KIB) === 0),
    'each begins with a block',
  );
  // A request for each piece would be 97.
  assert.ok(ranges.length <= 64, `${ranges.length} requests for 24 MiB`);
  assert.ok(ranges.some(([first, last]) => last! - first! >= 4 * 256 * KIB));
});

test('a private torrent is fetched from its web seeds: it names them itself', async (t) => {
  const scope = openScope(t);
  const plain = await fileSet(scope, 2 * MIB + 5, { pieceLengthBytes: 64 * KIB, isPrivate: true });
  const server = await serverOf(scope, plain, null);
  const { torrent, output } = await download(scope, plain, { webSeeds: [`${server.url}/image.bin`] });
  assert.equal(torrent.metainfo.isPrivate, true);
  await withDeadline(torrent.done, 'it is complete', DEADLINE_MS);
  await assertSame(plain, output);
  assert.equal(torrent.stats().webSeedBytes, 2 * MIB + 5);
});

test('the files of a folder come, across their borders and with names that need escaping', async (t) => {
  const scope = openScope(t);
  const set = await treeSet(
    scope,
    [
      { path: 'a b/ü#1?.bin', lengthBytes: 700_001 },
      { path: 'empty', lengthBytes: 0 },
      { path: "it's (100%).txt", lengthBytes: 5 },
      { path: 'z.bin', lengthBytes: 300_000 },
    ],
    { pieceLengthBytes: 64 * KIB },
  );
  const files: Record<string, Buffer> = {};
  for (const { path: parts } of set.metainfo.files) {
    const escaped = parts.map((part) =>
      encodeURIComponent(part).replace('(', '%28').replace(')', '%29').replace("'", '%27'),
    );
    files[`/pub/${escaped.join('/')}`] = await readFile(path.join(set.folder, ...parts));
  }
  const server = await startWebServer(scope, files);
  const { torrent, output } = await download(scope, set, { webSeeds: [`${server.url}/pub`] });
  await withDeadline(torrent.done, 'it is complete', DEADLINE_MS);
  await assertSame(set, output);
  assert.equal(torrent.stats().webSeedBytes, 1_000_006);
});

const PIECE = 64 * KIB;

async function smallSet(scope: Scope): Promise<DataSet> {
  return fileSet(scope, 2 * MIB + 5, { pieceLengthBytes: PIECE });
}

async function serverOf(scope: Scope, set: DataSet, hook: Hook | null = null): Promise<WebServer> {
  const server = await startWebServer(scope, { '/image.bin': await readFile(set.path) });
  server.hook = hook;
  return server;
}

const stateOf = (torrent: Torrent, url: string) =>
  torrent.sources().webSeeds.find((report) => report.url.startsWith(url))!;

test('a server that knows no ranges gives the file whole, once', async (t) => {
  const scope = openScope(t);
  const set = await smallSet(scope);
  const server = await serverOf(scope, set, (request, response, own) => {
    delete request.headers.range;
    own.serve(request, response);
    return true;
  });
  const { torrent, output } = await download(scope, set, { webSeeds: [`${server.url}/image.bin`] });
  await withDeadline(torrent.done, 'it is complete', DEADLINE_MS);
  await assertSame(set, output);
  assert.equal(torrent.stats().webSeedBytes, set.metainfo.geometry.lengthBytes);
});

/** What a server does wrong, and for how long it is left alone then. */
const LIARS: Readonly<Record<string, { hook: Hook; message: RegExp }>> = {
  'another length': {
    hook: (request, response) => {
      const [begin, end] = rangeOf(request.headers.range, 10 ** 9)!;
      response.writeHead(206, { 'content-range': `bytes ${begin}-${end - 1}/999999999` });
      return Boolean(response.end());
    },
    message: /has 999999999 bytes/,
  },
  'another place': {
    hook: (_request, response) => {
      response.writeHead(206, { 'content-range': 'bytes 7-8/2097157' });
      return Boolean(response.end('xy'));
    },
    message: /sent bytes 7-8/,
  },
  'a part without a place': {
    hook: (_request, response) => Boolean(response.writeHead(206).end('xy')),
    message: /a part without a place/,
  },
  'gzip that nobody asked for': {
    hook: (request, response) => {
      const [begin, end] = rangeOf(request.headers.range, 2097157)!;
      response.writeHead(206, {
        'content-encoding': 'gzip',
        'content-range': `bytes ${begin}-${end - 1}/2097157`,
      });
      return Boolean(response.end());
    },
    message: /encoded \("gzip"\)/,
  },
  'a shorter file (416)': {
    hook: (_request, response) => Boolean(response.writeHead(416, { 'content-range': 'bytes */1000' }).end()),
    message: /has 1000 bytes/,
  },
  'bad data': {
    hook: (request, response) => {
      const [begin, end] = rangeOf(request.headers.range, 2097157)!;
      response.writeHead(206, { 'content-range': `bytes ${begin}-${end - 1}/2097157` });
      return Boolean(response.end(Buffer.alloc(end - begin, 7)));
    },
    message: /corrupt data/,
  },
  'an endless body': {
    hook: (request, response) => {
      const [begin, end] = rangeOf(request.headers.range, 2097157)!;
      response.writeHead(206, { 'content-range': `bytes ${begin}-${end - 1}/2097157` });
      return Boolean(response.end(Buffer.alloc(end - begin + 100_000, 7)));
    },
    message: /more than it had said|corrupt data/,
  },
};

for (const [what, { hook, message }] of Object.entries(LIARS)) {
  test(`a web seed with ${what} is banned, and the rest comes from an honest one`, async (t) => {
    const scope = openScope(t);
    const set = await smallSet(scope);
    const liar = await serverOf(scope, set, hook);
    const { torrent, output } = await download(scope, set, { webSeeds: [`${liar.url}/image.bin`] });
    await until('it is banned', DEADLINE_MS, () => stateOf(torrent, liar.url)?.state === 'banned');
    assert.match(stateOf(torrent, liar.url).message, message);
    const asked = liar.asked.length;
    const peer = await startSeed(scope, set);
    torrent.addPeer('127.0.0.1', peer.port!);
    await withDeadline(torrent.done, 'it is complete', DEADLINE_MS);
    await assertSame(set, output);
    assert.equal(liar.asked.length, asked);
    assert.equal(torrent.stats().webSeedBytes - torrent.stats().corruptBytes <= 0, true);
  });
}

const TROUBLES: Readonly<Record<string, { hook: Hook; message: RegExp }>> = {
  'a page in its place': {
    hook: (_request, response) => {
      response.writeHead(200, { 'content-type': 'text/html', 'content-length': 12 });
      return Boolean(response.end('<p>Later</p>'));
    },
    message: /has 12 bytes/,
  },
  'a page behind a redirect': {
    hook: ({ url }, response) =>
      Boolean(
        url === '/login'
          ? response.setHeader('content-length', 4).end('Who?')
          : response.writeHead(302, { location: '/login' }).end(),
      ),
    message: /has 4 bytes/,
  },
  'an encoded page': {
    hook: (_request, response) => Boolean(response.writeHead(200, { 'content-encoding': 'gzip' }).end('?')),
    message: /encoded \("gzip"\)/,
  },
  '416 and no length': {
    hook: (_request, response) => Boolean(response.writeHead(416).end()),
    message: /answered 416/,
  },
  'a redirect loop': {
    hook: (_request, response) => Boolean(response.writeHead(302, { location: '/image.bin' }).end('here')),
    message: /redirected more than 5 times/,
  },
  'a redirect to nowhere': {
    hook: (_request, response) => Boolean(response.writeHead(302, { location: 'file:///etc/passwd' }).end()),
    message: /redirected to file:/,
  },
  'a short body': {
    hook: (request, response) => {
      const [begin, end] = rangeOf(request.headers.range, 2097157)!;
      response.writeHead(206, {
        'content-range': `bytes ${begin}-${end - 1}/2097157`,
        'content-length': end - begin,
      });
      response.write('x');
      setImmediate(() => response.destroy());
      return true;
    },
    message: /connection broke|ended early/,
  },
  'a reset': {
    hook: (request) => Boolean(request.socket.resetAndDestroy()),
    message: /connection (?:broke|reset)/,
  },
  'a wall of 503': {
    hook: (_request, response) => Boolean(response.writeHead(503, { 'retry-after': '120' }).end()),
    message: /answered 503/,
  },
  'no file': { hook: (_request, response) => Boolean(response.writeHead(404).end()), message: /answered 404/ },
  'no HTTP': { hook: (request) => Boolean(request.socket.end('SSH-2.0-x\r\n')), message: /not HTTP|HPE_/ },
};

for (const [what, { hook, message }] of Object.entries(TROUBLES)) {
  test(`a web seed with ${what} is left alone for a while, and the rest comes from elsewhere`, async (t) => {
    const scope = openScope(t);
    const set = await smallSet(scope);
    const bad = await serverOf(scope, set, hook);
    const { torrent, output } = await download(scope, set, { webSeeds: [`${bad.url}/image.bin`] });
    await until('it is left alone', DEADLINE_MS, () => stateOf(torrent, bad.url)?.state === 'failing');
    assert.match(stateOf(torrent, bad.url).message, message);
    assert.ok(bad.asked.length <= 40, `${bad.asked.length} requests`);
    const peer = await startSeed(scope, set);
    torrent.addPeer('127.0.0.1', peer.port!);
    await withDeadline(torrent.done, 'it is complete', DEADLINE_MS);
    await assertSame(set, output);
  });
}

for (const [what, hook] of Object.entries({
  'never answers': () => true,
  'sends a byte at a time': (request, response) => {
    const [begin, end] = rangeOf(request.headers.range, 2097157)!;
    response.writeHead(206, { 'content-range': `bytes ${begin}-${end - 1}/2097157`, 'content-length': end - begin });
    const timer = setInterval(() => response.write('x'), 50);
    response.once('close', () => clearInterval(timer));
    return true;
  },
} satisfies Record<string, Hook>)) {
  test(`a web seed that ${what} does not delay the end`, async (t) => {
    const scope = openScope(t);
    const set = await smallSet(scope);
    const slow = await serverOf(scope, set, hook);
    const { torrent, output } = await download(scope, set, { webSeeds: [`${slow.url}/image.bin`] });
    await until('it is asked', DEADLINE_MS, () => slow.asked.length > 0);
    const peer = await startSeed(scope, set);
    const began = performance.now();
    torrent.addPeer('127.0.0.1', peer.port!);
    await withDeadline(torrent.done, 'it is complete', DEADLINE_MS);
    const ms = performance.now() - began;
    await assertSame(set, output);
    assert.equal(torrent.stats().webSeedBytes, 0);
    assert.ok(ms < 10_000, `the end came after ${Math.round(ms)} ms`);
  });
}

test('a URL of the torrent leads to no private address, unless a tracker or the user names that host', async (t) => {
  const scope = openScope(t);
  const folder = await tempFolder(scope);
  const plain = await smallSet(scope);
  const server = await serverOf(scope, plain);
  const url = `${server.url}/image.bin`;
  const set = await fileSet(scope, 2 * MIB + 5, { pieceLengthBytes: PIECE, webSeeds: [url] });
  const engine = await startEngine(scope);
  const torrent = engine.add(set.metainfo, { output: folder, trackers: [] });
  await until('it is refused', DEADLINE_MS, () => stateOf(torrent, server.url)?.state === 'failing');
  assert.match(stateOf(torrent, server.url).message, /private network/);
  assert.equal(server.asked.length, 0);
  await torrent.stop();
  const named = engine.add(set.metainfo, { output: folder, trackers: [], webSeeds: [url] });
  await withDeadline(named.done, 'it is complete', DEADLINE_MS);
});

test('a redirect leads to no private address; its body is not the file', async (t) => {
  const scope = openScope(t);
  const set = await smallSet(scope);
  const inside = await serverOf(scope, set);
  const moved = await serverOf(scope, set, (_request, response) => {
    const location = inside.url.replace('127.0.0.1', '127.0.0.2');
    return Boolean(response.writeHead(302, { location: `${location}/image.bin` }).end());
  });
  const { torrent } = await download(scope, set, { webSeeds: [`${moved.url}/image.bin`] });
  await until('it is refused', DEADLINE_MS, () => stateOf(torrent, moved.url)?.state === 'failing');
  assert.match(stateOf(torrent, moved.url).message, /127\.0\.0\.2 is of a private network/);
  assert.equal(inside.asked.length, 0);
});

test('user and password of the URL go to its own origin only, and are shown nowhere', async (t) => {
  const scope = openScope(t);
  const set = await smallSet(scope);
  const other = await serverOf(scope, set);
  const first = await serverOf(scope, set, (_request, response) => {
    return Boolean(response.writeHead(302, { location: `${other.url}/image.bin` }).end());
  });
  const url = `${first.url.replace('//', '//me:s%20ecret@')}/image.bin`;
  const { torrent } = await download(scope, set, { webSeeds: [url] });
  await withDeadline(torrent.done, 'it is complete', DEADLINE_MS);
  const basic = `Basic ${Buffer.from('me:s ecret').toString('base64')}`;
  assert.equal(first.asked[0]!.headers.authorization, basic);
  assert.ok(other.asked.every(({ headers }) => headers.authorization === undefined));
  assert.ok(!JSON.stringify(torrent.sources()).includes('ecret'));
});

test('a rate limit holds for a web seed too', async (t) => {
  const scope = openScope(t);
  const set = await smallSet(scope);
  const server = await serverOf(scope, set);
  const began = performance.now();
  const options = { webSeeds: [`${server.url}/image.bin`], downloadBytesPerSec: MIB };
  const { torrent } = await download(scope, set, options);
  await withDeadline(torrent.done, 'it is complete', DEADLINE_MS);
  const seconds = (performance.now() - began) / 1000;
  assert.ok(seconds > 1.5, `2 MiB at 1 MiB/s took ${seconds.toFixed(2)} s`);
});

test('pausing, checking and other priorities neither pardon a web seed nor speak against it', async (t) => {
  const scope = openScope(t);
  const set = await smallSet(scope);
  const liar = await serverOf(scope, set, LIARS['a shorter file (416)']!.hook);
  const absent = await serverOf(scope, set, TROUBLES['no file']!.hook);
  const good = await serverOf(scope, set, null);
  const urls = [liar, absent, good].map(({ url }) => `${url}/image.bin`);
  const { torrent } = await download(scope, set, { webSeeds: urls, downloadBytesPerSec: 300_000 });
  const states = () => [liar, absent, good].map(({ url }) => stateOf(torrent, url)?.state);
  await until('all were asked', DEADLINE_MS, () => states().join() === 'banned,failing,in-use');
  const asked = [liar.asked.length, absent.asked.length];
  const goodAsked = good.asked.length;
  await torrent.pause();
  torrent.resume();
  await until('it goes on', DEADLINE_MS, () => good.asked.length > goodAsked);
  assert.deepEqual(states(), ['banned', 'failing', 'in-use']);
  await torrent.recheck();
  torrent.setLimits({ downloadBytesPerSec: null });
  await withDeadline(torrent.done, 'it is complete', DEADLINE_MS);
  assert.deepEqual([liar.asked.length, absent.asked.length], asked);
});

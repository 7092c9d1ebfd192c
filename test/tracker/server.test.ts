import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { networkInterfaces } from 'node:os';
import { type TestContext, test } from 'node:test';
import { Agent } from 'undici';
import type { AnnounceRequest } from '../../src/discovery/announce.js';
import { announceHttp, scrapeHttp } from '../../src/discovery/http-tracker.js';
import { percentBytes } from '../../src/discovery/tracker-url.js';
import { HaulError } from '../../src/errors.js';
import { decodeChecked } from '../../src/metainfo/bencode.js';
import { startTracker, type TrackerOptions, type TrackerServer } from '../../src/tracker/server.js';
import { baseUrl } from '../../src/tracker/torrent-shelf.js';

const infoHash = Buffer.from('00ff2526203d2b41617e7f80c3283f2f5c0a0d22', 'hex');

function requestOf(last: number, overrides: Partial<AnnounceRequest> = {}): AnnounceRequest {
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
  return { ...plain, ...overrides };
}

async function scene(context: TestContext, options: Partial<TrackerOptions> = {}) {
  const tracker = await startTracker({ port: 0, host: '127.0.0.1', ...options });
  const dispatcher = new Agent();
  context.after(async () => {
    await dispatcher.destroy();
    await tracker.close();
  });
  const url = `${tracker.url('127.0.0.1')}/announce`;
  const announce = (request: AnnounceRequest, at = url) => announceHttp(at, request, { dispatcher });
  return { tracker, dispatcher, url, announce };
}

/** Sends raw bytes and returns everything until the server ends the connection. */
function raw(tracker: TrackerServer, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let answer = '';
    const socket = connect(tracker.port, '127.0.0.1', () => socket.write(text, 'latin1'));
    socket.setEncoding('latin1');
    socket.on('data', (chunk) => {
      answer += chunk;
    });
    socket.on('end', () => resolve(answer));
    socket.on('error', reject);
  });
}

const get = (tracker: TrackerServer, path: string, headers = '') =>
  raw(tracker, `GET ${path} HTTP/1.1\r\nhost: tracker.test:99\r\nconnection: close\r\n${headers}\r\n`);
const bodyOf = (answer: string): string => answer.slice(answer.indexOf('\r\n\r\n') + 4);

test('a request with a body is refused, whatever its kind, and its connection ends', async (context) => {
  const { tracker } = await scene(context);
  const chunked = `transfer-encoding: chunked\r\n\r\n${'1\r\nx\r\n'.repeat(1_000)}`;
  for (const start of ['POST /stats.json', 'GET /stats.json', 'GET /announce?a', 'PUT /x'])
    for (const rest of [chunked, 'content-length: 3\r\n\r\nabc']) {
      const answer = await raw(tracker, `${start} HTTP/1.1\r\nhost: tracker.test\r\n${rest}`);
      assert.match(answer, /^HTTP\/1\.1 413 /, start);
      assert.equal(answer.split('HTTP/1.1').length, 2);
    }
  assert.match(await get(tracker, '/stats.json', 'content-length: 0\r\n'), /^HTTP\/1\.1 200 /);
});

test('our client and our tracker understand each other', async (context) => {
  const { tracker, dispatcher, url, announce } = await scene(context, { intervalSeconds: 120 });
  const first = await announce(requestOf(1, { event: 'started' }));
  assert.deepEqual([first.intervalMs, first.minIntervalMs, first.peers], [60_000, 15_000, []]);
  const second = await announce(requestOf(2, { leftBytes: 0 }));
  assert.deepEqual(second.peers, [{ host: '127.0.0.1', port: 7001 }]);
  assert.deepEqual([second.complete, second.incomplete], [1, 1]);
  await announce(requestOf(1, { leftBytes: 0, event: 'completed' }));
  const scraped = await scrapeHttp(url, [infoHash, Buffer.alloc(20)], { dispatcher });
  assert.deepEqual([...scraped], [[infoHash.toString('hex'), { complete: 2, downloaded: 1, incomplete: 0 }]]);
  await announce(requestOf(2, { event: 'stopped' }));
  assert.deepEqual((await announce(requestOf(3))).peers, [{ host: '127.0.0.1', port: 7001 }]);
  assert.match(bodyOf(await get(tracker, '/')), /torrents {2}1\npeers {5}2\n/);
  assert.deepEqual(JSON.parse(bodyOf(await get(tracker, '/stats.json'))).announces, 5);
});

test('a zone that our client says brings the neighbours first', async (context) => {
  const { announce } = await scene(context);
  for (let last = 1; last <= 60; last++) {
    await announce(requestOf(last, { numwant: 0, zone: last <= 20 ? 'eu-1/rack7' : 'eu-2' }));
  }
  const { peers } = await announce(requestOf(1, { zone: 'eu-1/rack7' }));
  const near = peers.filter(({ port }) => port <= 7020);
  assert.deepEqual([near.length, peers.length], [19, 22]);
  assert.equal((await announce(requestOf(1))).peers.length, 50);
  await assert.rejects(announce(requestOf(1, { zone: 'no zone' })), /refused: zone must be 1 to 64 letters/);
});

test('one port serves IPv4 and IPv6, and gives each the peers of both', async (context) => {
  const { tracker, announce } = await scene(context, { host: '::' });
  await announce(requestOf(1), `${tracker.url('127.0.0.1')}/announce`);
  const six = await announce(requestOf(2), `${tracker.url('::1')}/announce`);
  assert.deepEqual(six.peers, [{ host: '127.0.0.1', port: 7001 }]);
  const four = await announce(requestOf(1), `${tracker.url('127.0.0.1')}/announce`);
  assert.deepEqual(four.peers, [{ host: '::1', port: 7002 }]);
});

test('by default every local address is listened on', async (context) => {
  const tracker = await startTracker({ port: 0 });
  context.after(() => tracker.close());
  assert.match(await get(tracker, '/'), /^HTTP\/1\.1 200 /);
});

test('the seed of this process is named at the address the client reached us by, to leeches only', async (context) => {
  const { tracker, announce } = await scene(context, { host: '::', registeredOnly: true });
  tracker.register(infoHash, { seedPort: 6881 });
  const reached = [
    ...new Set([
      '127.0.0.1',
      '::1',
      ...Object.values(networkInterfaces())
        .flat()
        .flatMap((item) => (item?.family === 'IPv4' ? [item.address] : [])),
    ]),
  ];
  for (const host of reached) {
    const reply = await announce(requestOf(1), `${tracker.url(host)}/announce`);
    assert.deepEqual(
      reply.peers.filter(({ port }) => port === 6881),
      [{ host, port: 6881 }],
    );
    assert.equal(reply.complete, 1);
  }
  const seed = await announce(requestOf(2, { leftBytes: 0 }));
  assert.ok(seed.peers.every(({ port }) => port !== 6881));
  const list = bodyOf(
    await get(
      tracker,
      `/announce?info_hash=${percentBytes(infoHash)}&peer_id=${'p'.repeat(20)}&port=1&left=1&compact=0`,
    ),
  );
  assert.ok(list.includes('d2:ip9:127.0.0.14:porti6881ee'), list);
});

test('a tracker of registered torrents refuses others with a reason', async (context) => {
  const { announce } = await scene(context, { registeredOnly: true });
  await assert.rejects(announce(requestOf(1)), (error: unknown) => {
    assert.ok(error instanceof HaulError && error.code === 'TRACKER');
    assert.match(error.message, /refused: this tracker does not serve this torrent$/);
    return true;
  });
});

test('replies are canonical bencode; compact=0 gives dictionaries, with peer ids unless unwanted', async (context) => {
  const { tracker, announce } = await scene(context);
  await announce(requestOf(1));
  const query = `/announce?info_hash=${percentBytes(infoHash)}&peer_id=${'p'.repeat(20)}&port=9&left=1`;
  const peersOf = async (more: string) => {
    const reply = decodeChecked(Buffer.from(bodyOf(await get(tracker, query + more)), 'latin1'));
    assert.ok(reply instanceof Map);
    return reply.get('peers');
  };
  assert.deepEqual(await peersOf(''), new Uint8Array([127, 0, 0, 1, 7001 >> 8, 7001 & 255]));
  const peer = new Map<string, unknown>([
    ['ip', new Uint8Array(Buffer.from('127.0.0.1'))],
    ['peer id', new Uint8Array(requestOf(1).peerId)],
    ['port', 7001],
  ]);
  assert.deepEqual(await peersOf('&compact=0'), [peer]);
  peer.delete('peer id');
  assert.deepEqual(await peersOf('&compact=0&no_peer_id=1'), [peer]);
});

test('bad parameters are answered with status 200 and a failure reason', async (context) => {
  const { tracker } = await scene(context);
  for (const path of [
    '/announce',
    '/announce?',
    '/announce?info_hash=%zz',
    '/announce?port=1&port=99999',
    '/scrape',
    '/scrape?info_hash=x',
  ]) {
    const answer = await get(tracker, path);
    assert.match(answer, /^HTTP\/1\.1 200 /, path);
    const reply = decodeChecked(Buffer.from(bodyOf(answer), 'latin1'));
    assert.ok(reply instanceof Map && reply.has('failure reason'), path);
  }
});

test('a peer cannot announce another address than its own', async (context) => {
  const { tracker, announce } = await scene(context);
  await get(
    tracker,
    `/announce?info_hash=${percentBytes(infoHash)}&peer_id=${'p'.repeat(20)}&port=9&ip=10.9.9.9&left=1`,
    'x-forwarded-for: 10.8.8.8\r\n',
  );
  assert.deepEqual((await announce(requestOf(1))).peers, [{ host: '127.0.0.1', port: 9 }]);
});

test('garbage gets a short refusal and the server lives on', async (context) => {
  const { tracker, announce } = await scene(context);
  assert.match(await raw(tracker, '\x13BitTorrent protocol\r\n\r\n'), /^HTTP\/1\.1 400 /);
  assert.match(await raw(tracker, 'GET /announce?\xff=\xfe HTTP/1.1\r\n\r\n'), /^HTTP\/1\.1 400 /);
  assert.match(await raw(tracker, 'GET /announce HTTP/9.9\r\n\r\n'), /^HTTP\/1\.1 400 /);
  assert.match(await raw(tracker, `GET /announce?x=${'a'.repeat(40_000)} HTTP/1.1\r\n`), /^HTTP\/1\.1 431 /);
  assert.match(await get(tracker, '/%zz'), /^HTTP\/1\.1 400 /);
  assert.match(await get(tracker, '/..%2f..%2fetc%2fpasswd'), /^HTTP\/1\.1 404 /);
  assert.match(await get(tracker, `/${'a'.repeat(3000)}`), /^HTTP\/1\.1 4\d\d /);
  assert.match(
    await raw(tracker, 'POST /announce?x HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 3\r\n\r\nabc'),
    /^HTTP\/1\.1 413 /,
  );
  assert.match(await raw(tracker, 'GET /announce?x HTTP/1.0\r\n\r\n'), /^HTTP\/1\.1 200 /);
  assert.equal((await announce(requestOf(1))).incomplete, 1);
});

test('a .torrent is rendered for the address by which the client reached us', async (context) => {
  const { tracker } = await scene(context);
  const seen: string[] = [];
  tracker.serveTorrent('my image ü', (base) => {
    seen.push(base);
    return Buffer.from(`torrent for ${base}`);
  });
  const answer = await get(tracker, '/my%20image%20%C3%BC.torrent');
  assert.match(answer, /^HTTP\/1\.1 200 /);
  assert.match(answer, /content-type: application\/x-bittorrent\r\n/i);
  assert.match(answer, /content-length: 34\r\n/i);
  assert.equal(bodyOf(answer), 'torrent for http://tracker.test:99');
  const etag = /etag: (\S+)/i.exec(answer)![1]!;
  assert.match(await get(tracker, '/my%20image%20%C3%BC.torrent', `if-none-match: ${etag}\r\n`), /^HTTP\/1\.1 304 /);
  const local = await raw(tracker, 'GET /my%20image%20%C3%BC.torrent HTTP/1.0\r\n\r\n');
  assert.equal(bodyOf(local), `torrent for http://127.0.0.1:${tracker.port}`);
  assert.deepEqual(seen, ['http://tracker.test:99', `http://127.0.0.1:${tracker.port}`]);
  assert.match(await get(tracker, '/other.torrent'), /^HTTP\/1\.1 404 /);
});

test('many Host headers do not fill the memory, and every one is answered', async (context) => {
  const { tracker } = await scene(context);
  let rendered = 0;
  tracker.serveTorrent('a.torrent', (base) => Buffer.from(`${base}${++rendered}`));
  for (let i = 0; i < 20; i++) {
    const answer = await raw(tracker, `GET /a.torrent HTTP/1.1\r\nhost: h${i % 10}\r\nconnection: close\r\n\r\n`);
    assert.ok(bodyOf(answer).startsWith(`http://h${i % 10}`));
  }
  assert.equal(rendered, 20);
});

test('a Host header that is no plain host and port is not believed', () => {
  const local = { address: '::ffff:10.0.0.5', port: 6969 };
  assert.equal(baseUrl('Seed.example', local), 'http://seed.example');
  assert.equal(baseUrl('[2001:DB8::1]:6969', local), 'http://[2001:db8::1]:6969');
  for (const header of [
    undefined,
    '',
    'a b',
    'a/b',
    'u@h',
    'h:0',
    'h:70000',
    'h:x',
    '[1.2.3.4]x',
    '[::g]',
    '1.2.3.999',
    'h\u00ff',
  ]) {
    assert.equal(baseUrl(header, local), 'http://10.0.0.5:6969', header);
  }
  assert.equal(baseUrl(undefined, { address: 'fe80::1%eth0', port: 1 }), 'http://[fe80::1]:1');
});

test('a port in use, and an address that is not ours, are named', async (context) => {
  const { tracker } = await scene(context);
  await assert.rejects(startTracker({ port: tracker.port, host: '127.0.0.1' }), (error: unknown) => {
    assert.ok(error instanceof HaulError && error.code === 'PORT_IN_USE');
    assert.ok(error.message.includes(String(tracker.port)), error.message);
    return true;
  });
  await assert.rejects(
    startTracker({ port: 0, host: '203.0.113.1' }),
    (error: unknown) => error instanceof HaulError && error.code === 'IO',
  );
});

test('close ends idle and half-sent connections at once, and can be called twice', async () => {
  const tracker = await startTracker({ port: 0, host: '127.0.0.1' });
  const sockets = ['', 'GET / HTTP/1.1\r\nhost: x\r\n\r\n', 'GET / HTT'].map((text) => {
    const socket = connect(tracker.port, '127.0.0.1');
    socket.write(text);
    return socket;
  });
  await Promise.all(sockets.map((socket) => new Promise((resolve) => socket.once('connect', resolve))));
  await new Promise((resolve) => sockets[1]!.once('data', resolve));
  const closed = sockets.map((socket) => new Promise((resolve) => socket.on('error', () => {}).once('close', resolve)));
  await Promise.all([tracker.close(), tracker.close()]);
  await Promise.all(closed);
});

test('a connection serves many announces', async (context) => {
  const { tracker } = await scene(context);
  const query = `info_hash=${percentBytes(infoHash)}&peer_id=${'p'.repeat(20)}&port=9&left=1`;
  const line = `GET /announce?${query} HTTP/1.1\r\nhost: x\r\n`;
  const answer = await raw(tracker, `${`${line}\r\n`.repeat(5)}${line}connection: close\r\n\r\n`);
  assert.equal(answer.match(/HTTP\/1\.1 200 OK/g)?.length, 6);
});

test('who pipelines over HTTP without reading is closed, and the others are served', async (context) => {
  const { tracker, announce } = await scene(context);
  const query = `info_hash=${percentBytes(infoHash)}&peer_id=${'p'.repeat(20)}&port=9&left=1`;
  const line = `GET /announce?${query} HTTP/1.1\r\nhost: x\r\nx: y\r\n\r\n`;
  const socket = connect(tracker.port, '127.0.0.1').on('error', () => {});
  const closed = new Promise((resolve) => socket.once('close', resolve));
  socket.resume().write(line.repeat(200));
  await closed;
  assert.ok(JSON.parse(bodyOf(await get(tracker, '/stats.json'))).announces <= 8);
  await announce(requestOf(1));
});

test('a few requests in a row over HTTP are answered in order', async (context) => {
  const { tracker } = await scene(context);
  const paths = ['/stats.json', '/', '/none', '/stats.json'];
  const lines = paths.map((path) => `GET ${path} HTTP/1.1\r\nhost: x\r\nx: y\r\n\r\n`).join('');
  const answer = await raw(tracker, `${lines}GET /last HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n`);
  assert.deepEqual(answer.match(/(?<=HTTP\/1\.1 )\d+/g), ['200', '200', '404', '200', '404']);
});

test('a large .torrent arrives whole, whatever the address by which it is asked for', async (context) => {
  const { tracker } = await scene(context);
  const rest = 'r'.repeat(100_000);
  tracker.serveTorrent('a.torrent', (base) => Buffer.from(`${base}${rest}`));
  for (const host of ['x', 'longer.example', 'x']) {
    const answer = await raw(tracker, `GET /a.torrent HTTP/1.1\r\nhost: ${host}\r\nconnection: close\r\n\r\n`);
    assert.equal(bodyOf(answer), `http://${host}${rest}`);
    assert.match(answer, new RegExp(`content-length: ${bodyOf(answer).length}\r\n`));
  }
});

test('a tracker that knows nobody asks for announces sooner, for five minutes', async (context) => {
  let nowMs = 1e9;
  const { announce } = await scene(context, { now: () => nowMs });
  const intervals = async () => {
    const { intervalMs, minIntervalMs } = await announce(requestOf(1));
    return [intervalMs, minIntervalMs];
  };
  assert.deepEqual(await intervals(), [60_000, 15_000]);
  nowMs += 5 * 60_000;
  assert.deepEqual(await intervals(), [300_000, 60_000]);
});

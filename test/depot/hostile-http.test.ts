/** The depot's door before those who do not mean well: framing, names, hosts, sites, slow and vanishing clients. */
import assert from 'node:assert/strict';
import net from 'node:net';
import { describe, test } from 'node:test';
import { until } from '../../lab/wait.js';
import { ask, openTestDoor, statusOf, talk } from './door-harness.js';

/** A PUT with these headers and this body. */
function rawPut(headers: string, body: string): string {
  return `PUT /artifacts/a HTTP/1.1\r\nHost: localhost\r\n${headers}\r\n\r\n${body}`;
}

describe('requests that two readers could take for two things are refused', () => {
  const framings: [title: string, bytes: string, status: number][] = [
    ['both lengths', rawPut('Content-Length: 4\r\nTransfer-Encoding: chunked', '0\r\n\r\n'), 400],
    ['two lengths', rawPut('Content-Length: 4\r\nContent-Length: 5', 'abcd'), 400],
    ['a length that is no number', rawPut('Content-Length: +4', 'abcd'), 400],
    ['a coding before chunked', rawPut('Transfer-Encoding: gzip, chunked', '0\r\n\r\n'), 501],
    ['a coding of HTTP/1.0', rawPut('Transfer-Encoding: chunked', '0\r\n\r\n').replace('/1.1', '/1.0'), 400],
    ['a coding that is not chunked', rawPut('Transfer-Encoding: xchunked', '0\r\n\r\n'), 400],
    ['a chunk length that is no number', rawPut('Transfer-Encoding: chunked', 'zz\r\n'), 400],
    ['a space before the colon', 'GET / HTTP/1.1\r\nHost : localhost\r\n\r\n', 400],
    ['a folded header', 'GET / HTTP/1.1\r\nHost: localhost\r\nA: b\r\n c\r\n\r\n', 400],
    ['two hosts', 'GET / HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n', 400],
    ['no host', 'GET / HTTP/1.1\r\n\r\n', 400],
    ['no HTTP', 'HELLO\r\n\r\n', 400],
    ['large headers', `GET / HTTP/1.1\r\nHost: localhost\r\nA: ${'a'.repeat(20_000)}\r\n\r\n`, 431],
    ['a long target', `GET /artifacts/${'a'.repeat(20_000)} HTTP/1.1\r\nHost: localhost\r\n\r\n`, 431],
    ['an expectation that nobody knows', rawPut('Expect: x', ''), 417],
  ];
  for (const [title, bytes, status] of framings) {
    test(title, async (context) => {
      const door = await openTestDoor(context);
      const answer = await talk(door.port, bytes, (text) => text.endsWith('}\n') || text.includes('\r\n\r\n'));
      assert.equal(statusOf(answer), status, answer);
      assert.equal(door.depository.rows.size, 0);
    });
  }
});

describe('names', () => {
  const refused = [
    '..',
    '%2e%2e',
    '.%2E/x',
    'a/../b',
    'a%2Fb',
    'a%5cb',
    'a%00b',
    'a%0d%0ab',
    '%ff',
    '%c3%28',
    'a//b',
    '%',
    '%zz',
    'C:x',
  ];
  for (const name of refused) {
    test(`${name} is refused with a problem`, async (context) => {
      const { port, depository } = await openTestDoor(context);
      const answer = await ask(port, `PUT /artifacts/${name}\nContent-Length: 1`, 'x');
      assert.equal(statusOf(answer), 400, answer);
      assert.match(answer, /application\/problem\+json/);
      assert.equal(depository.rows.size, 0);
    });
  }

  test('too long, too deep, or with a slash at the end', async (context) => {
    const { port, depository } = await openTestDoor(context);
    for (const name of ['a'.repeat(256), `${'a/'.repeat(32)}a`, `${`${'é'.repeat(127)}/`.repeat(5)}a`])
      assert.equal(statusOf(await ask(port, `PUT /artifacts/${encodeURI(name)}\nContent-Length: 1`, 'x')), 400);
    assert.equal(statusOf(await ask(port, 'PUT /artifacts/a/\nContent-Length: 1', 'x')), 405);
    assert.equal(depository.rows.size, 0);
  });

  test('what is encoded twice is decoded once, and bytes that are not encoded are refused', async (context) => {
    const { port, depository } = await openTestDoor(context);
    assert.equal(statusOf(await ask(port, 'PUT /artifacts/%252e%252e\nContent-Length: 1', 'x')), 201);
    const raw = Buffer.from('é').toString('latin1');
    assert.equal(statusOf(await ask(port, `PUT /artifacts/${raw}\nContent-Length: 1`, 'x')), 400);
    assert.deepEqual([...depository.rows.keys()], ['artifacts/%2e%2e']);
  });

  test('an absolute target is taken by its own host', async (context) => {
    const { port } = await openTestDoor(context);
    assert.equal(statusOf(await ask(port, `GET http://127.0.0.1:${port}/version`)), 200);
    assert.equal(statusOf(await ask(port, 'GET http://evil.example/version')), 421);
    assert.equal(statusOf(await ask(port, 'GET ftp://127.0.0.1/version')), 400);
    assert.equal(statusOf(await ask(port, 'OPTIONS *')), 400);
  });
});

test('a name that is not ours is not answered, addresses and those that are allowed are', async (context) => {
  const { port } = await openTestDoor(context, { door: { allowHosts: ['Depot.Example'] } });
  const get = async (host: string): Promise<number> => statusOf(await ask(port, `GET /version\nHost: ${host}`));
  for (const host of [
    'evil.example',
    'localhost.evil.example',
    '127.0.0.1.evil.example',
    'xn--localhost',
    `evil.example:${port}`,
  ])
    assert.equal(await get(host), 421, host);
  for (const host of ['', 'a b', 'user@localhost', 'localhost:99999', '[::1', 'local/host'])
    assert.equal(await get(host), 400, host);
  for (const host of ['localhost', 'a.localhost:1', '192.0.2.1', '[::1]:80', 'depot.example', 'DEPOT.example.'])
    assert.equal(await get(host), 200, host);
});

test('pages of other sites change nothing, and read nothing unless they are allowed', async (context) => {
  const { port, depository } = await openTestDoor(context, { door: { corsOrigins: ['https://ci.example'] } });
  const put = async (...headers: string[]): Promise<number> =>
    statusOf(await ask(port, ['PUT /artifacts/a', 'Content-Length: 1', ...headers].join('\n'), 'x'));
  assert.equal(await put('Origin: https://evil.example'), 403);
  assert.equal(await put('Origin: null'), 403);
  assert.equal(await put(`Origin: http://127.0.0.1:${port + 1}`), 403);
  assert.equal(await put('Sec-Fetch-Site: cross-site'), 403);
  assert.equal(await put('Sec-Fetch-Site: same-site'), 403);
  assert.equal(await put('Sec-Fetch-Site: cross-site', `Origin: http://127.0.0.1:${port}`), 403);
  assert.equal(depository.rows.size, 0);
  assert.equal(await put(`Origin: http://127.0.0.1:${port}`, 'Sec-Fetch-Site: same-origin'), 201);
  assert.equal(await put('Origin: https://ci.example', 'Sec-Fetch-Site: cross-site'), 200);
  const read = await ask(port, 'GET /artifacts/a\nOrigin: https://evil.example');
  assert.doesNotMatch(read, /access-control-allow-origin/i);
  assert.match(
    await ask(port, 'GET /artifacts/a\nOrigin: https://ci.example'),
    /access-control-allow-origin: https:\/\/ci\.example\r/i,
  );
  const form = await ask(
    port,
    'POST /artifacts/a\nContent-Length: 3\nContent-Type: application/x-www-form-urlencoded',
    'a=b',
  );
  assert.equal(statusOf(form), 405);
  assert.match(form, /allow: GET, HEAD, PUT, DELETE, OPTIONS\r/i);
});

test('bytes of strangers run nowhere, whatever they are called', async (context) => {
  const { url } = await openTestDoor(context);
  const put = (name: string, type: string): Promise<Response> =>
    fetch(`${url}/artifacts/${name}`, { method: 'PUT', body: '<script>1</script>', headers: { 'content-type': type } });
  for (const type of ['text/html', 'image/svg+xml', 'application/xhtml+xml', 'text/xml', 'application/javascript'])
    assert.ok((await put(`x-${type.replace('/', '-')}`, type)).ok);
  for (const type of ['text/html', 'image/svg+xml', 'application/xhtml+xml', 'text/xml', 'application/javascript']) {
    const { headers } = await fetch(`${url}/artifacts/x-${type.replace('/', '-')}`);
    assert.match(headers.get('content-disposition')!, /^attachment;/);
    assert.match(headers.get('content-security-policy')!, /^sandbox;/);
    assert.equal(headers.get('x-content-type-options'), 'nosniff');
  }
  await put('n%22%3B%20filename=evil.html', 'text/plain; charset=utf-8; a="b\\"c"');
  const named = await fetch(`${url}/artifacts/n%22%3B%20filename=evil.html`);
  assert.match(
    named.headers.get('content-disposition')!,
    /^attachment; filename="n__ filename_evil.html"; filename\*=UTF-8''n%22%3B%20/,
  );
  assert.equal(named.headers.get('content-type'), 'application/octet-stream');
});

test('a client that vanishes frees what it had, in PUT and in GET', async (context) => {
  const { port, depository, records, troubles, url } = await openTestDoor(context);
  const socket = net.connect(port, '127.0.0.1');
  socket.write(rawPut('Content-Length: 100', 'abc'));
  await until('it is being published', 10_000, () => depository.publishing === 1);
  socket.destroy();
  await until('it is given up', 10_000, () => depository.publishing === 0 && records.length === 1);
  assert.deepEqual([depository.rows.size, records[0]!.isAborted], [0, true]);
  await fetch(`${url}/artifacts/big`, { method: 'PUT', body: Buffer.alloc(30_000_000) });
  const reader = net.connect(port, '127.0.0.1');
  reader.write('GET /artifacts/big HTTP/1.1\r\nHost: localhost\r\n\r\n');
  reader.pause();
  await until('it is being read', 10_000, () => depository.reading === 1);
  reader.destroy();
  await until('nobody reads', 10_000, () => depository.reading === 0);
  assert.deepEqual(troubles, []);
});

test('who takes nothing is let go of, and holds one slice until then', async (context) => {
  let nowMs = 0;
  const { port, depository, url } = await openTestDoor(context, { door: { now: () => nowMs } });
  await fetch(`${url}/artifacts/big`, { method: 'PUT', body: Buffer.alloc(60_000_000) });
  const socket = net.connect(port, '127.0.0.1');
  socket.on('error', () => {});
  socket.pause();
  socket.write('GET /artifacts/big HTTP/1.1\r\nHost: localhost\r\n\r\n');
  await until('it is being read', 10_000, () => depository.reading === 1);
  nowMs = 61_000;
  await until('it is let go of', 10_000, () => depository.reading === 0);
  socket.destroy();
});

test('who is gone while there is nothing for it yet is let go of after a while', async (context) => {
  context.mock.timers.enable({ apis: ['setInterval'] });
  let asked = 0;
  const metrics = (): Promise<never> => {
    asked++;
    return new Promise(() => {});
  };
  const { port, records } = await openTestDoor(context, { inside: { metrics } });
  const socket = net.connect(port, '127.0.0.1');
  socket.write('GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n');
  await until('it is asked for', 10_000, () => asked === 1);
  socket.destroy();
  await until('it is let go of', 10_000, () => {
    context.mock.timers.tick(5_000);
    return records.length === 1;
  });
  assert.deepEqual([records[0]!.status, records[0]!.isAborted], [0, true]);
});

test('who does not take a long answer that is no artifact is let go of, too', async (context) => {
  let nowMs = 0;
  const text = 'x'.repeat(40_000_000);
  let asked = 0;
  const metrics = async () => {
    asked++;
    return { type: 'text/plain', text };
  };
  const { port, records, url } = await openTestDoor(context, { door: { now: () => nowMs }, inside: { metrics } });
  assert.equal((await (await fetch(`${url}/metrics`)).text()).length, text.length);
  const socket = net.connect(port, '127.0.0.1');
  socket.on('error', () => {});
  socket.pause();
  socket.write('GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n');
  await until('it is asked for', 10_000, () => asked === 2);
  nowMs = 61_000;
  await until('it is let go of', 10_000, () => records.length === 2);
  assert.deepEqual([records[1]!.isAborted, records[1]!.sentBytes < text.length], [true, true]);
  socket.destroy();
});

test('requests in a row are answered in their order; of who reads none of it no more are read', async (context) => {
  const { port, url, depository, records } = await openTestDoor(context);
  for (const name of ['a', 'b', 'c'])
    await fetch(`${url}/artifacts/${name}`, { method: 'PUT', body: name.repeat(200_000) });
  const get = (name: string, more = ''): string => `GET /artifacts/${name} HTTP/1.1\r\nHost: localhost\r\n${more}\r\n`;
  const answer = await talk(port, get('a') + get('b') + get('c', 'Connection: close\r\n'));
  assert.deepEqual(
    answer.match(/(?<=\r\n\r\n)[abc]{200000}/g)?.map(([first]) => first),
    ['a', 'b', 'c'],
  );
  const flood = await talk(port, get('none').repeat(1000) + get('c', 'Connection: close\r\n'));
  assert.equal(flood.match(/HTTP\/1\.1 404 /g)?.length, 1000);
  assert.match(flood, /\r\n\r\nc{200000}$/);
  const done = records.length;
  await fetch(`${url}/artifacts/long`, { method: 'PUT', body: Buffer.alloc(30_000_000) });
  const socket = net.connect(port, '127.0.0.1').on('error', () => {});
  socket.pause();
  socket.write(get('long').repeat(1000));
  await until('the first is read', 10_000, () => depository.reading === 1);
  assert.equal((await fetch(`${url}/artifacts/a`)).status, 200);
  assert.deepEqual([depository.reading, records.length], [1, done + 2]);
  socket.destroy();
  // What waited for its turn is over with the connection, too, and costs no line in a log.
  await until('nobody reads', 10_000, () => depository.reading === 0 && records.length === done + 3);
});

test('a thousand requests in a row hold up nobody else', async (context) => {
  const { port, url, records } = await openTestDoor(context);
  const ask = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`;
  const sockets = [net.connect(port, '127.0.0.1'), net.connect(port, '127.0.0.1')] as const;
  await Promise.all(sockets.map((socket) => new Promise((resolve) => socket.once('connect', resolve))));
  await (await fetch(`${url}/version`)).text();
  sockets[0].write(ask('/version').repeat(1000));
  sockets[1].write(ask('/readyz'));
  await until('all have their answers', 20_000, () => records.length === 1002);
  const at = records.findIndex(({ path }) => path === '/readyz');
  assert.ok(at < 100, `after ${at} others`);
  for (const socket of sockets) socket.destroy();
});

test('a body that nobody wants is read for a moment, and the answer arrives', async (context) => {
  const { port } = await openTestDoor(context, { inside: { artifactBytesMax: 1000 } });
  const answer = await talk(
    port,
    Buffer.concat([Buffer.from(rawPut('Content-Length: 5000000', '')), Buffer.alloc(3_000_000)]),
  );
  assert.equal(statusOf(answer), 413);
  assert.match(answer, /connection: close/i);
});

test('what fails inside tells the operator, and strangers nothing of folders', async (context) => {
  const { url, depository, troubles } = await openTestDoor(context);
  await fetch(`${url}/artifacts/a`, { method: 'PUT', body: 'x' });
  depository.blobs.clear();
  const answer = await fetch(`${url}/artifacts/a`);
  assert.equal(answer.status, 500);
  assert.doesNotMatch(await answer.text(), /secret/);
  assert.match(String(troubles[0]), /secret/);
});

test('of many that put one name at once, one has it', async (context) => {
  const { url, depository } = await openTestDoor(context);
  const bodies = Array.from({ length: 20 }, (_, k) => `body ${k}`);
  const answers = await Promise.all(bodies.map((body) => fetch(`${url}/artifacts/a`, { method: 'PUT', body })));
  const statuses = answers.map(({ status }) => status).sort();
  assert.deepEqual(statuses, [201, ...Array.from({ length: 19 }, () => 409)]);
  assert.equal(depository.rows.size, 1);
});

test('patterns of strangers cost no time', async (context) => {
  const { url, depository } = await openTestDoor(context);
  await fetch(`${url}/artifacts/${'a'.repeat(250)}`, { method: 'PUT', body: 'x' });
  assert.equal(depository.rows.size, 1);
  const began = performance.now();
  const answer = await fetch(`${url}/artifacts/?pattern=${encodeURIComponent(`${'*a'.repeat(127)}b`)}`);
  assert.equal(answer.status, 200);
  assert.ok(performance.now() - began < 2000);
  const many = await fetch(`${url}/artifacts/?pattern=${encodeURIComponent('{a,b}'.repeat(40))}`);
  assert.equal(many.status, 400);
});

test('a pattern that is much work gets short pages with a cursor, and nobody waits for it', async (context) => {
  const { url, depository } = await openTestDoor(context);
  await fetch(`${url}/artifacts/a`, { method: 'PUT', body: 'x' });
  const row = depository.rows.get('artifacts/a')!;
  for (let k = 0; k < 300; k++) {
    const name = `artifacts/${`${'a'.repeat(250)}/`.repeat(3)}${k}`;
    depository.rows.set(name, { ...row, name, expiresMs: row.createdMs + k });
  }
  const last = `artifacts/z/${'a'.repeat(200)}b`;
  depository.rows.set(last, { ...row, name: last, expiresMs: row.createdMs + 9_000 });
  const pattern = encodeURIComponent(`**${'a*'.repeat(100)}b`);
  const names: string[] = [];
  let cursor: string | null = '';
  let pages = 0;
  for (; cursor !== null; pages++) {
    const at: string = cursor === '' ? '' : `&cursor=${cursor}`;
    const answer = await fetch(`${url}/artifacts/?pattern=${pattern}${at}`);
    const page = (await answer.json()) as { items: { name: string }[]; cursor: string | null };
    names.push(...page.items.map(({ name }) => name));
    cursor = page.cursor;
  }
  assert.deepEqual(names, [last.slice('artifacts/'.length)]);
  assert.ok(pages > 10, `${pages}`);
  // Without a cursor it goes on, and others are served meanwhile.
  let isThere = false;
  const listing = fetch(`${url}/artifacts/?order=expiring&pattern=${pattern}`).then(async (answer) => {
    const { items } = (await answer.json()) as { items: unknown[] };
    isThere = true;
    return items.length;
  });
  let others = 0;
  while (!isThere) {
    await (await fetch(`${url}/version`)).text();
    others++;
  }
  assert.equal(await listing, 1);
  assert.ok(others > 1, `${others}`);
});

test('listeners hear of what happens, so many of them, and the slow ones are let go of', async (context) => {
  const { url, listeners } = await openTestDoor(context);
  const abort = new AbortController();
  const heard = await fetch(`${url}/events`, { signal: abort.signal });
  const reader = heard.body!.getReader();
  listeners.tell({ type: 'publish', name: 'artifacts/a', data: { name: 'a' } });
  let text = '';
  while (!text.includes('event: publish\ndata: {"name":"a"}'))
    text += Buffer.from((await reader.read()).value!).toString();
  const more = await Promise.all(Array.from({ length: 20 }, () => fetch(`${url}/events`, { signal: abort.signal })));
  assert.deepEqual([...new Set(more.map(({ status }) => status))].sort(), [200, 503]);
  for (let k = 0; k < 2000; k++) listeners.tell({ type: 'figures', name: null, data: { text: 'x'.repeat(10_000) } });
  await until('nobody who does not read is left', 10_000, () => listeners.count === 0);
  abort.abort();
  await reader.cancel().catch(() => {});
});

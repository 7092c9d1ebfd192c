import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { createServer, type RequestListener } from 'node:http';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { loadTorrent } from '../../src/cli/torrent-file.js';
import { LIMITS } from '../../src/config.js';
import { HaulError } from '../../src/errors.js';
import { makeFolder } from './harness.js';

/** One file `a` of 3 bytes in one piece. */
const TORRENT = Buffer.from(
  `d4:infod6:lengthi3e4:name1:a12:piece lengthi16384e6:pieces20:${'x'.repeat(20)}ee`,
  'latin1',
);

async function serve(context: TestContext, listener: RequestListener): Promise<string> {
  const server = createServer(listener).listen(0, '127.0.0.1');
  await once(server, 'listening');
  context.after(async () => {
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const never = new AbortController().signal;

async function failure(source: string, signal = never): Promise<HaulError> {
  const error = await loadTorrent(source, signal).then(
    () => null,
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof HaulError, `a HaulError was expected, not ${error}`);
  return error;
}

describe('loading a torrent', () => {
  it('reads a file', async (context) => {
    const path = join(await makeFolder(context), 'a.torrent');
    await writeFile(path, TORRENT);
    assert.equal((await loadTorrent(path, never)).name, 'a');
  });

  it('names the file that is missing, a folder, no torrent, or far too large', async (context) => {
    const folder = await makeFolder(context);
    const missing = await failure(join(folder, 'none.torrent'));
    assert.equal(missing.code, 'NOT_FOUND');
    assert.match(missing.message, /none\.torrent: no such file/);
    await mkdir(join(folder, 'd'));
    assert.match((await failure(join(folder, 'd'))).message, /is a folder/);
    await writeFile(join(folder, 'noise'), 'hello');
    const noise = await failure(join(folder, 'noise'));
    assert.equal(noise.code, 'BAD_BENCODE');
    assert.ok(noise.message.startsWith(join(folder, 'noise')));
    await writeFile(join(folder, 'huge'), Buffer.alloc(LIMITS.torrentFileBytes + 1));
    assert.equal((await failure(join(folder, 'huge'))).code, 'LIMIT');
  });

  it('fetches a URL and follows redirects', async (context) => {
    const base = await serve(context, (request, response) => {
      if (request.url === '/a?x=1') response.writeHead(302, { location: '/b' }).end('elsewhere');
      else response.end(TORRENT);
    });
    assert.equal((await loadTorrent(`${base}/a?x=1`, never)).name, 'a');
  });

  it('gives up after five redirects', async (context) => {
    let requests = 0;
    const base = await serve(context, (_, response) => {
      requests++;
      response.writeHead(301, { location: `/${requests}` }).end();
    });
    const error = await failure(`${base}/0`);
    assert.equal(error.code, 'HTTP');
    assert.match(error.message, /more than 5 redirects/);
    assert.equal(requests, 6);
  });

  it('does not follow a redirect to another kind of URL', async (context) => {
    const base = await serve(context, (_, response) => {
      response.writeHead(302, { location: 'file:///etc/passwd' }).end();
    });
    assert.match((await failure(base)).message, /not http\(s\)/);
  });

  it('says which status the server answered', async (context) => {
    const base = await serve(context, (_, response) => void response.writeHead(404).end('none'));
    const error = await failure(`${base}/x.torrent`);
    assert.equal(error.code, 'HTTP');
    assert.equal(error.facts.statusCode, 404);
    assert.match(error.message, /x\.torrent: the server answered 404 \(not found\)/);
  });

  it('recognises a web page', async (context) => {
    const base = await serve(context, (_, response) => void response.end('\n<!doctype html><p>Log in</p>'));
    assert.match((await failure(base)).message, /this is a web page, not a \.torrent file/);
  });

  it('stops reading a body at the limit', async (context) => {
    let onClosed = (): void => {};
    const closed = new Promise<void>((resolve) => {
      onClosed = resolve;
    });
    const base = await serve(context, (_, response) => {
      response.once('close', onClosed);
      const part = Buffer.alloc(1 << 20);
      const more = (): void => {
        while (response.write(part));
      };
      response.on('drain', more);
      more();
    });
    assert.equal((await failure(base)).code, 'LIMIT');
    await closed;
  });

  it('says that nobody listens at the port', async () => {
    const server = createTcpServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    server.close();
    await once(server, 'close');
    const error = await failure(`http://127.0.0.1:${port}/x.torrent`);
    assert.equal(error.code, 'NETWORK');
    assert.match(error.message, /connection refused/);
  });

  it('says that a server which breaks the answer off closed the connection', async (context) => {
    const base = await serve(context, (_, response) => {
      response.writeHead(200, { 'content-length': 1000 });
      response.write('d4:info', () => response.destroy());
    });
    const error = await failure(base);
    assert.equal(error.code, 'NETWORK');
    assert.match(error.message, /closed the connection/);
  });

  it('ends at once when interrupted while a server does not answer', async (context) => {
    const controller = new AbortController();
    const base = await serve(context, () => controller.abort());
    assert.equal((await failure(base, controller.signal)).code, 'ABORTED');
  });

  it('sends credentials of the URL to their own server only and never shows them', async (context) => {
    const seen: (string | undefined)[] = [];
    const other = await serve(context, (request, response) => {
      seen.push(request.headers.authorization);
      response.writeHead(500).end();
    });
    const base = await serve(context, (request, response) => {
      seen.push(request.headers.authorization);
      response.writeHead(302, { location: `${other}/x` }).end();
    });
    const error = await failure(base.replace('//', '//me:s%20cret@'));
    assert.deepEqual(seen, [`Basic ${Buffer.from('me:s cret').toString('base64')}`, undefined]);
    assert.doesNotMatch(error.message, /s%20cret|s cret/);
  });

  it('refuses magnet links with a word about what works', async () => {
    const error = await failure('magnet:?xt=urn:btih:0000000000000000000000000000000000000000');
    assert.match(error.message, /does not say what is in the torrent; give a \.torrent file/);
  });
});

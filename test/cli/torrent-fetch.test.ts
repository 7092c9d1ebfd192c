/** Fetching a .torrent from servers that are late, slow, overloaded or gone. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import net, { type AddressInfo } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import { isTransient, pauseMs, retryAfterMs } from '../../src/cli/retry.js';
import { type FetchOptions, fetchTorrent } from '../../src/cli/torrent-fetch.js';
import { HaulError } from '../../src/errors.js';
import { haul, start } from './harness.js';

/** One file `a` of 3 bytes in one piece. */
const TORRENT = Buffer.from(
  `d4:infod6:lengthi3e4:name1:a12:piece lengthi16384e6:pieces20:${'x'.repeat(20)}ee`,
  'latin1',
);
const never = new AbortController().signal;

async function serve(context: TestContext, listener: RequestListener, port = 0): Promise<string> {
  const server = createServer(listener).listen(port, '127.0.0.1');
  await once(server, 'listening');
  context.after(async () => {
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function failure(source: string, options: FetchOptions): Promise<HaulError> {
  const error = await fetchTorrent(source, never, options).then(
    () => null,
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof HaulError, `a HaulError was expected, not ${error}`);
  return error;
}

describe('the pauses between attempts', () => {
  it('double up to a limit, with a random quarter, and grow to what the server asks for', () => {
    assert.deepEqual(
      [1, 2, 3, 9].map((failures) => pauseMs(failures, 0.5)),
      [500, 1000, 2000, 8000],
    );
    assert.equal(pauseMs(1, 0), 375);
    assert.equal(pauseMs(1, 1), 625);
    assert.equal(pauseMs(1, 0.5, 3000), 3000);
    assert.equal(pauseMs(1, 0.5, 3_600_000), 30_000);
  });

  it('read Retry-After in seconds or as a date', () => {
    const now = Date.parse('Fri, 27 Nov 2026 12:00:00 GMT');
    assert.equal(retryAfterMs('7', now), 7000);
    assert.equal(retryAfterMs('Fri, 27 Nov 2026 12:00:09 GMT', now), 9000);
    for (const header of [undefined, 'soon', '-1', 'Fri, 27 Nov 2026 11:00:00 GMT'])
      assert.equal(retryAfterMs(header, now), 0);
  });

  it('are made for what may pass', () => {
    const http = (statusCode: number) => isTransient(new HaulError('HTTP', '', { statusCode }));
    const network = (errno: string) => isTransient(new HaulError('NETWORK', '', { errno }));
    assert.deepEqual([408, 429, 500, 502, 503, 504].map(http), Array(6).fill(true));
    assert.deepEqual([301, 400, 401, 403, 404, 410, 501, 505].map(http), Array(8).fill(false));
    assert.deepEqual(['ECONNREFUSED', 'ECONNRESET', 'UND_ERR_SOCKET', 'EAI_AGAIN'].map(network), Array(4).fill(true));
    assert.deepEqual(['ENOTFOUND', 'CERT_HAS_EXPIRED', 'HPE_INVALID_CONSTANT', ''].map(network), Array(4).fill(false));
    assert.equal(isTransient(new HaulError('LIMIT', '')), false);
  });
});

describe('fetching a torrent', () => {
  it('asks again after 503, 429, a reset and a broken answer', async (context) => {
    const answers: RequestListener[] = [
      (_, response) => void response.writeHead(503, { 'retry-after': '1' }).end(),
      (_, response) => void response.writeHead(429).end(),
      (request) => void request.socket.resetAndDestroy(),
      (_, response) => {
        response.writeHead(200, { 'content-length': 1000 });
        response.write('d4:info', () => response.destroy());
      },
      (_, response) => void response.end(TORRENT),
    ];
    let requests = 0;
    const base = await serve(context, (request, response) => answers[requests++]!(request, response));
    const said: string[] = [];
    const pauses: number[] = [];
    const bytes = await fetchTorrent(base, never, {
      retryForMs: 60_000,
      random: () => 0,
      onRetry: (error, pause) => {
        said.push(error.message);
        pauses.push(pause);
      },
    });
    assert.deepEqual(bytes, TORRENT);
    assert.equal(requests, 5);
    assert.match(said[0]!, /the server answered 503 \(unavailable for now\)$/);
    assert.match(said[1]!, /answered 429/);
    assert.match(said[3]!, /closed the connection/);
    assert.deepEqual(pauses, [1000, 750, 1500, 3000]);
  });

  it('does not ask again what was refused for good', async (context) => {
    let requests = 0;
    const base = await serve(context, (_, response) => {
      requests++;
      response.writeHead(404).end();
    });
    const error = await failure(base, { retryForMs: 60_000 });
    assert.equal(error.facts.statusCode, 404);
    assert.equal(requests, 1);
  });

  it('gives up after its time, with the last reason', async () => {
    const server = net.createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    server.close();
    await once(server, 'close');
    const error = await failure(`http://127.0.0.1:${port}/x`, { retryForMs: 1000, random: () => 0 });
    assert.equal(error.code, 'NETWORK');
    assert.match(error.message, /connection refused; .* \(tried 2 times\)$/);
  });

  it('ends an attempt in which bytes trickle, or which never ends', async (context) => {
    const base = await serve(context, (_, response) => {
      response.writeHead(200, { 'content-length': 1_000_000 });
      const timer = setInterval(() => response.write('d'), 20);
      response.on('close', () => clearInterval(timer));
    });
    const slow = await failure(base, { limits: { slowMs: 200 } });
    assert.equal(slow.code, 'TIMEOUT');
    assert.match(slow.message, /less than 1024 bytes came in 0\.2 s$/);
    const endless = await failure(base, { limits: { leastBytes: 1, wholeMs: 300 } });
    assert.match(endless.message, /not complete after 0\.3 s$/);
    const silent = await failure(await serve(context, () => {}), { limits: { wholeMs: 300 } });
    assert.equal(silent.code, 'TIMEOUT');
  });
});

describe('haul get with a server that is late', () => {
  it('says that it tries again, and goes on when the server is there', async (context) => {
    let requests = 0;
    const base = await serve(context, (_, response) => {
      if (requests++ === 0) response.writeHead(503).end();
      else response.end('no torrent');
    });
    const { exitCode, lines } = await haul('get', `${base}/x.torrent`, '--port', '0', '--json');
    assert.equal(exitCode, 1);
    assert.equal(requests, 2);
    const [warning, error] = lines;
    assert.equal(warning!.type, 'warning');
    assert.match(String(warning!.message), /answered 503 \(unavailable for now\); trying again$/);
    assert.equal(warning!.code, 'HTTP');
    assert.equal((warning!.facts as { statusCode: number }).statusCode, 503);
    assert.equal(error!.code, 'BAD_BENCODE');
  });

  it('names the last failure when its own time is up, and ends at once at Ctrl-C', async (context) => {
    const base = await serve(context, (_, response) => void response.writeHead(503).end());
    const { exitCode, stderr } = await haul('get', `${base}/x.torrent`, '--port', '0', '--timeout', '6s');
    assert.equal(exitCode, 3, stderr);
    assert.match(
      stderr,
      /^haul: nothing was verified for 6\.0 s \(--timeout\): fetch .* 503 \(unavailable for now\)\n$/m,
    );
    const getter = start(context, 'get', `${base}/x.torrent`, '--port', '0', '--json');
    await getter.line(({ type }) => type === 'warning');
    assert.equal((await getter.stop()).exitCode, 130);
  });
});

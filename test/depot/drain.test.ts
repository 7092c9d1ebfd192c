/** A depot that is told to stop: not ready first, what is under way ends whole, and its connections end politely. */
import assert from 'node:assert/strict';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { accepts } from '../../lab/ports.js';
import { openScope } from '../../lab/scope.js';
import { until } from '../../lab/wait.js';
import { startDepot } from '../../src/depot/depot.js';
import { type Running, start } from '../cli/harness.js';
import { bytesOf, MIB } from './depot-kit.js';
import { quickFolder } from './quick-folder.js';

const SOON_MS = 30_000;

/** A connection, as it is on the wire. */
class Line {
  readonly socket: Socket;
  readonly #parts: Buffer[] = [];
  hasEnded = false;

  constructor(t: TestContext, url: string) {
    const { hostname, port } = new URL(url);
    this.socket = connect(Number(port), hostname);
    this.socket.on('data', (part) => this.#parts.push(part)).on('error', () => {});
    this.socket.on('close', () => {
      this.hasEnded = true;
    });
    t.after(() => void this.socket.destroy());
  }

  get text(): string {
    return Buffer.concat(this.#parts).toString('latin1');
  }

  /** Of an answer: the bytes behind its head. */
  get body(): Buffer {
    const all = Buffer.concat(this.#parts);
    return all.subarray(all.indexOf('\r\n\r\n') + 4);
  }

  /** On a connection that is kept. */
  async ask(target: string, wanted: RegExp): Promise<void> {
    this.#parts.length = 0;
    this.socket.write(`GET ${target} HTTP/1.1\r\nhost: localhost\r\n\r\n`);
    await until(`${target} is answered`, SOON_MS, () => wanted.test(this.text) || this.hasEnded);
    assert.match(this.text, wanted);
  }

  async ended(): Promise<void> {
    await until('the connection ends', SOON_MS, () => this.hasEnded);
  }
}

async function startProcess(t: TestContext, ...more: string[]): Promise<[running: Running, url: string]> {
  const data = join(await quickFolder(openScope(t)), 'data');
  const running = start(t, 'depot', '--data', data, '--http', '0', '--port', '0', '--json', ...more);
  const { url } = await running.line(({ type }) => type === 'listening');
  return [running, String(url)];
}

function put(url: string, name: string, body: Buffer | string): Promise<Response> {
  return fetch(`${url}/artifacts/${name}`, { method: 'PUT', body });
}

test('a depot that drains is not ready, answers what is asked, and ends connections with its answers', async (t) => {
  const data = join(await quickFolder(openScope(t)), 'data');
  const depot = await startDepot({ data, httpPort: 0, engine: { port: 0 } });
  t.after(() => depot.close(0));
  const { infoHash } = (await (await put(depot.url, 'image', bytesOf(5 * MIB))).json()) as { infoHash: string };
  const hash = infoHash.replace(/../g, '%$&');
  const announce = `/announce?info_hash=${hash}&peer_id=${'p'.repeat(20)}&port=7&uploaded=0&downloaded=0&left=0`;
  const [kept, announcing] = [new Line(t, depot.url), new Line(t, depot.url)];
  await kept.ask('/readyz', /^HTTP\/1\.1 200 [\s\S]*"ready":true/);
  await announcing.ask(announce, /^HTTP\/1\.1 200 [\s\S]*8:interval/);
  assert.doesNotMatch(`${kept.text}${announcing.text}`, /connection: close/i);

  depot.drain();
  const unready = await fetch(`${depot.url}/readyz`);
  assert.equal(unready.status, 503);
  const stopping = { name: 'depot', ready: false, message: 'it is being stopped' };
  assert.deepEqual(((await unready.json()) as { checks: unknown[] }).checks.at(-1), stopping);
  for (const line of [kept, new Line(t, depot.url)]) {
    await line.ask('/artifacts/?limit=1', /^HTTP\/1\.1 200 [\s\S]*connection: close[\s\S]*"image"/i);
    await line.ended();
  }
  for (const line of [announcing, new Line(t, depot.url)]) {
    await line.ask(announce, /^HTTP\/1\.1 200 [\s\S]*connection: close[\s\S]*8:interval/);
    await line.ended();
  }
  assert.equal((await put(depot.url, 'late', 'x')).status, 201);
  assert.equal(await (await fetch(`${depot.url}/artifacts/late`)).text(), 'x');
});

test('at SIGTERM uploads and downloads that are under way end whole, and idle connections are closed', async (t) => {
  const [running, url] = await startProcess(t, '--grace', 'forever');
  const bytes = bytesOf(24 * MIB);
  assert.equal((await put(url, 'long', bytes)).status, 201);
  const [idle, upload, download] = [new Line(t, url), new Line(t, url), new Line(t, url)];
  await idle.ask('/healthz', /^HTTP\/1\.1 200 [\s\S]*ok\n$/);
  // As a page does: nobody waits for it, and it is no request under way.
  const listening = new Line(t, url);
  await listening.ask('/events', /^HTTP\/1\.1 200 [\s\S]*retry/);
  upload.socket.write('PUT /artifacts/half HTTP/1.1\r\nhost: localhost\r\nexpect: 100-continue\r\n');
  upload.socket.write('content-length: 10\r\n\r\n');
  await until('the upload began', SOON_MS, () => upload.text.includes('100 Continue'));
  upload.socket.write('01234');
  download.socket.write('GET /artifacts/long HTTP/1.1\r\nhost: localhost\r\n\r\n');
  await until('the download began', SOON_MS, () => download.body.length > 0);
  download.socket.pause();
  const { requests } = (await (await fetch(`${url}/status`)).json()) as { requests: number };
  assert.equal(requests, 3, 'upload, download and this one');

  running.child.kill('SIGTERM');
  await idle.ended();
  await until('nobody listens', SOON_MS, async () => !(await accepts('127.0.0.1', Number(new URL(url).port))));
  upload.socket.write('56789');
  await until('the upload is answered', SOON_MS, () => /HTTP\/1\.1 201 [\s\S]*\n\}?$/.test(upload.text));
  assert.match(upload.text, /connection: close/i);
  await upload.ended();
  assert.equal(running.child.exitCode, null);
  download.socket.resume();
  await download.ended();
  assert.equal(download.body.compare(bytes), 0);
  await listening.ended();
  const { exitCode, stderr } = await running.finished;
  assert.equal(exitCode, 0, stderr);
});

test('--drain goes on before nobody listens, and --grace ends what never ends', async (t) => {
  const [patient, url] = await startProcess(t, '--drain', '1h');
  patient.child.kill('SIGTERM');
  await until('it is not ready', SOON_MS, async () => (await fetch(`${url}/readyz`)).status === 503);
  assert.equal((await put(url, 'late', 'x')).status, 201);

  const [bounded, other] = await startProcess(t, '--drain', '0.01s', '--grace', '0.05s');
  const upload = new Line(t, other);
  upload.socket.write('PUT /artifacts/half HTTP/1.1\r\nhost: localhost\r\nexpect: 100-continue\r\n');
  upload.socket.write('content-length: 10\r\n\r\n');
  await until('the upload began', SOON_MS, () => upload.text.includes('100 Continue'));
  const { exitCode, lines } = await bounded.stop('SIGTERM');
  assert.equal(exitCode, 0);
  assert.equal(lines.at(-1)?.outcome, 'stopped');
});

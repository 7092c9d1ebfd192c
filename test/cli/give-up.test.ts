/** `haul get` that gets nothing: it says what it waits for, gives up when told to, and keeps what is verified. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import net, { type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { haul, type Line, makeFolder, start } from './harness.js';

const PIECE_BYTES = 16 * 1024;

async function torrentOf(folder: string, bytes: Buffer, ...args: string[]): Promise<string> {
  await writeFile(join(folder, 'a'), bytes);
  const torrent = join(folder, 'a.torrent');
  const created = await haul('create', join(folder, 'a'), '-o', torrent, '--piece-length', '16KiB', ...args);
  assert.equal(created.exitCode, 0, created.stderr);
  return torrent;
}

async function closedPort(): Promise<number> {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

/** Takes connections and never says a word. */
async function silentServer(context: TestContext): Promise<number> {
  const server = net.createServer(() => {}).listen(0, '127.0.0.1');
  await once(server, 'listening');
  context.after(() => void server.close());
  server.unref();
  return (server.address() as AddressInfo).port;
}

function resultOf(lines: readonly Line[]): Line {
  return lines.find(({ type }) => type === 'result')!;
}

describe('a download that gets nothing', () => {
  it('says what it waits for within ten seconds, and gives up with the reason of each source', async (context) => {
    const folder = await makeFolder(context);
    const port = await closedPort();
    const url = `http://127.0.0.1:${port}/announce`;
    const trackers = ['--tracker', url, '--tracker', `udp://127.0.0.1:${port}/announce`];
    const torrent = await torrentOf(folder, Buffer.alloc(PIECE_BYTES, 1), ...trackers);
    const args = ['get', torrent, '--output', join(folder, 'copy'), '--port', '0', '--peer', `127.0.0.1:${port}`];
    const started = performance.now();
    const { exitCode, stderr, stdout } = await haul(...args, '--timeout', '7s');
    assert.ok(performance.now() - started > 6_900);
    assert.equal(exitCode, 3, stderr);
    assert.equal(stdout, '');
    const reason = `the one known peer cannot be reached (127.0.0.1:${port}: connection refused)`;
    const at = (text: string): number => stderr.indexOf(text);
    assert.ok(at(`haul: waiting: ${reason}; tracker ${url}: connection refused`) >= 0, stderr);
    const end = stderr.slice(at('haul: nothing was verified for 7.0 s (--timeout): '));
    assert.match(end, /^haul: nothing [^\n]*--timeout\): the one known peer cannot be reached [^\n]*\n/);
    assert.match(end, new RegExp(`^haul: {3}tracker ${url}: connection refused`, 'm'));
    assert.match(end, new RegExp(`^haul: {3}tracker udp://127.0.0.1:${port}/announce: nobody listens there`, 'm'));
    assert.match(end, /^haul: {3}peers: 1 known, \d+ dials?, 0 connections: 1 connection refused \(127/m);
    assert.match(end, /\nhaul: stopped with 0\.0% here; run the same command again to continue\n$/);
  });

  it('tells machines the same: a field of progress, an outcome, an error and the sources', async (context) => {
    const folder = await makeFolder(context);
    const torrent = await torrentOf(folder, Buffer.alloc(PIECE_BYTES, 1));
    const args = ['get', torrent, '--output', join(folder, 'copy'), '--port', '0', '--json'];
    const getter = start(context, ...args, '--progress-interval', '50', '--deadline', '20s');
    const progress = await getter.line(({ type, waitingFor }) => type === 'progress' && typeof waitingFor === 'string');
    assert.equal(progress.waitingFor, 'no peers: none is known; the torrent names no tracker');
    assert.deepEqual(
      (progress.health as { code: string }[]).map(({ code }) => code),
      ['no-peers', 'no-trackers'],
    );
    const { exitCode, lines, stderr } = await getter.finished;
    assert.equal(exitCode, 4, stderr);
    const result = resultOf(lines);
    assert.equal(result.outcome, 'deadline');
    assert.equal(result.verifiedBytes, 0);
    const { trackers, addresses } = result.sources as { trackers: unknown[]; addresses: Record<string, unknown> };
    assert.deepEqual(trackers, []);
    assert.equal(addresses.known, 0);
    const error = lines.at(-1)!;
    assert.equal(error.type, 'error');
    assert.equal(error.code, 'TIMEOUT');
    assert.deepEqual(error.facts, { option: '--deadline', limitMs: 20_000 });
  });

  it('keeps what is verified, and the same command continues', async (context) => {
    const folder = await makeFolder(context);
    // Two thirds are there, and the seed that could give the rest is not.
    const bytes = Buffer.concat([Buffer.alloc(2 * PIECE_BYTES, 1), Buffer.alloc(PIECE_BYTES, 2)]);
    const torrent = await torrentOf(folder, bytes);
    const output = await makeFolder(context);
    await writeFile(join(output, 'a'), bytes.subarray(0, 2 * PIECE_BYTES));
    const get = ['get', torrent, '--output', output, '--port', '0', '--json', '--progress-interval', '50'];
    const first = await haul(...get, '--timeout', '1s');
    assert.equal(first.exitCode, 3, first.stderr);
    assert.equal(resultOf(first.lines).verifiedBytes, 2 * PIECE_BYTES);
    const seed = start(context, 'seed', torrent, '--data', folder, '--port', '0', '--json');
    const { port } = await seed.line(({ type }) => type === 'listening');
    const second = await haul(...get, '--timeout', '30s', '--peer', `127.0.0.1:${port}`);
    assert.equal(second.exitCode, 0, second.stderr);
    assert.equal(resultOf(second.lines).downloadedBytes, PIECE_BYTES);
    // A seed that no tracker tells of says so.
    assert.equal((await seed.line(({ code }) => code === 'no-trackers')).type, 'warning');
  });
});

describe('a .torrent that does not come', () => {
  it('is waited for within the limits', async (context) => {
    const port = await silentServer(context);
    const url = `http://127.0.0.1:${port}/a.torrent`;
    const { exitCode, stderr, lines } = await haul('get', url, '--port', '0', '--deadline', '4s', '--json');
    assert.equal(exitCode, 4, stderr);
    assert.match(String(lines[0]!.message), /^the \.torrent has not come yet, still waiting/);
    assert.match(stderr, /^haul: not complete after 4\.0 s \(--deadline\): the \.torrent has not come[^\n]*\n$/);
    assert.equal(lines.at(-1)!.code, 'TIMEOUT');
  });
});

describe('limits that are none', () => {
  it('are refused', async () => {
    for (const args of [
      ['--timeout', '0'],
      ['--deadline', '0s'],
      ['--timeout', 'soon'],
    ]) {
      assert.equal((await haul('get', 'x.torrent', ...args)).exitCode, 2, args.join(' '));
    }
  });
});

/** The way of a real file: one process shares, others get it. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, readdir, readFile, truncate, writeFile } from 'node:fs/promises';
import { type AddressInfo, createConnection, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { haul, type Line, makeFolder, type Running, start } from './harness.js';

const MIB = 1 << 20;

async function digestTree(root: string): Promise<Record<string, string>> {
  const digests: Record<string, string> = {};
  const entries = await readdir(root, { recursive: true, withFileTypes: true });
  for (const entry of entries.filter((found) => found.isFile())) {
    const path = join(entry.parentPath, entry.name);
    digests[path.slice(root.length)] = createHash('sha256')
      .update(await readFile(path))
      .digest('hex');
  }
  return digests;
}

async function share(context: TestContext, path: string): Promise<{ running: Running; listening: Line }> {
  const running = start(context, 'share', path, '--http', '0', '--port', '0', '--json');
  return { running, listening: await running.line((line) => line.type === 'listening') };
}

/** Between a getter and a seed: lets `limitBytes` of the seed's bytes through, then holds the rest back for ever. */
async function startValve(context: TestContext, seedPort: number, limitBytes: number): Promise<number> {
  const sockets = new Set<Socket>();
  const server = createServer((near) => {
    const far = createConnection(seedPort, '127.0.0.1');
    let left = limitBytes;
    for (const socket of [near, far]) sockets.add(socket.on('error', () => {}));
    near.pipe(far);
    far.on('data', (bytes) => {
      if (left > 0) near.write(bytes.subarray(0, left));
      left -= bytes.length;
      if (left <= 0) far.pause();
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  context.after(async () => {
    for (const socket of sockets) socket.destroy();
    server.close();
    await once(server, 'close');
  });
  return (server.address() as AddressInfo).port;
}

describe('haul share and haul get', () => {
  it('bring a file to two getters at once', async (context) => {
    const folder = await makeFolder(context);
    await mkdir(join(folder, 'from'));
    await writeFile(join(folder, 'from', 'my image.bin'), randomBytes(8 * MIB + 12_345));
    const { running, listening } = await share(context, join(folder, 'from', 'my image.bin'));
    const getters = ['one', 'two'].map((name) =>
      start(context, 'get', String(listening.loopbackUrl), '--output', join(folder, name), '--port', '0', '--json'),
    );
    for (const getter of getters) {
      const { exitCode, lines, stderr } = await getter.finished;
      assert.equal(exitCode, 0, stderr);
      const result = lines.find((line) => line.type === 'result')!;
      assert.equal(result.outcome, 'done');
      assert.equal(result.infoHash, listening.infoHash);
      assert.equal(result.verifiedBytes, 8 * MIB + 12_345);
    }
    const wanted = (await digestTree(join(folder, 'from')))['/my image.bin'];
    for (const name of ['one', 'two']) {
      assert.equal((await digestTree(join(folder, name)))['/my image.bin'], wanted);
    }
    const ended = await running.stop();
    assert.equal(ended.exitCode, 0, ended.stderr);
    assert.equal(ended.lines.at(-1)!.type, 'result');
    assert.equal(ended.lines.at(-1)!.outcome, 'stopped');
  });

  it('bring a tree with empty files to a getter that then seeds, and exits with 0 when stopped', async (context) => {
    const folder = await makeFolder(context);
    const root = join(folder, 'tree');
    await mkdir(join(root, 'deep', 'deeper'), { recursive: true });
    await writeFile(join(root, 'big.bin'), randomBytes(3 * MIB + 1));
    await writeFile(join(root, 'empty'), '');
    for (let i = 0; i < 50; i++) await writeFile(join(root, 'deep', `f${i}`), randomBytes(i * 777));
    await writeFile(join(root, 'deep', 'deeper', 'größe.txt'), 'x');
    const { listening } = await share(context, root);
    const output = join(folder, 'copy');
    const getter = start(
      context,
      ...['get', String(listening.loopbackUrl), '--output', output, '--port', '0', '--seed-for', 'forever', '--json'],
    );
    await getter.line((line) => line.type === 'result');
    const { exitCode, lines, stderr } = await getter.stop();
    assert.equal(exitCode, 0, stderr);
    assert.equal(lines.at(-1)!.type, 'stopped');
    assert.deepEqual(await digestTree(join(output, 'tree')), await digestTree(root));
  });

  it('continue after Ctrl-C with what was verified', async (context) => {
    const folder = await makeFolder(context);
    const source = join(folder, 'image.bin');
    await writeFile(source, randomBytes(16 * MIB));
    const torrent = join(folder, 'image.torrent');
    const created = await haul('create', source, '-o', torrent, '--piece-length', '256KiB');
    assert.equal(created.exitCode, 0, created.stderr);
    const seed = start(context, 'seed', torrent, '--data', folder, '--port', '0', '--json');
    const seedPort = Number((await seed.line((line) => line.type === 'listening')).port);
    const output = join(folder, 'copy');
    const get = ['get', torrent, '--output', output, '--port', '0', '--json', '--progress-interval', '20'];

    // Eight of sixteen MiB pass: the download cannot end, but some piece is surely verified.
    const valvePort = await startValve(context, seedPort, 8 * MIB);
    const first = start(context, ...get, '--peer', `127.0.0.1:${valvePort}`);
    await first.line((line) => line.type === 'progress' && Number(line.verifiedBytes) > 0);
    const stopped = await first.stop();
    assert.equal(stopped.exitCode, 130, stopped.stderr);
    assert.doesNotMatch(stopped.stderr, /\n {4}at /);
    const left = stopped.lines.findLast((line) => line.type === 'result')!;
    assert.equal(left.outcome, 'interrupted');
    const kept = Number(left.verifiedBytes);
    assert.ok(kept > 0 && kept < 16 * MIB, `kept ${kept}`);

    const second = await start(context, ...get, '--peer', `127.0.0.1:${seedPort}`).finished;
    assert.equal(second.exitCode, 0, second.stderr);
    const done = second.lines.find((line) => line.type === 'result')!;
    assert.equal(done.verifiedBytes, 16 * MIB);
    const fetched = Number(done.downloadedBytes) - Number(done.wastedBytes);
    assert.ok(fetched <= 16 * MIB - kept, `fetched ${fetched} with ${kept} there`);
    assert.deepEqual(await readFile(join(output, 'image.bin')), await readFile(source));

    const third = await start(context, ...get).finished;
    assert.equal(third.exitCode, 0, third.stderr);
    assert.equal(third.lines.find((line) => line.type === 'result')!.downloadedBytes, 0);
  });

  it('stop with 143 on SIGTERM, also when nobody has the data', async (context) => {
    const folder = await makeFolder(context);
    await writeFile(join(folder, 'a'), randomBytes(100_000));
    assert.equal((await haul('create', join(folder, 'a'), '-o', join(folder, 'a.torrent'))).exitCode, 0);
    const output = join(folder, 'copy');
    const getter = start(
      context,
      ...['get', join(folder, 'a.torrent'), '--output', output, '--port', '0', '--json', '--progress-interval', '20'],
    );
    await getter.line((line) => line.type === 'progress' && line.phase === 'downloading');
    // npm passes on a signal that the terminal has sent as well: the pair must not count as "exit at once".
    getter.child.kill('SIGTERM');
    const { exitCode, lines } = await getter.stop('SIGTERM');
    assert.equal(exitCode, 143);
    assert.equal(lines.at(-1)!.outcome, 'interrupted');
    assert.match(String(lines.find((line) => line.type === 'warning')?.message), /no --peer is given/);
  });

  it('say in one line that a port is in use, and which option chooses another', async (context) => {
    const folder = await makeFolder(context);
    await writeFile(join(folder, 'a'), 'abc');
    const server = createServer().listen(0);
    await once(server, 'listening');
    context.after(() => void server.close());
    const port = String((server.address() as AddressInfo).port);
    const http = await haul('share', join(folder, 'a'), '--http', port, '--port', '0');
    assert.equal(http.exitCode, 1);
    assert.match(http.stderr, /^haul: [^\n]*in use[^\n]*--http N; 0 takes any free port\)\n$/);
    const peers = await haul('share', join(folder, 'a'), '--http', '0', '--port', port);
    assert.equal(peers.exitCode, 1);
    assert.match(peers.stderr, /^haul: [^\n]*in use[^\n]*--port N; 0 takes any free port\)\n$/);
    const track = await haul('track', '--port', port, '--json');
    assert.equal(track.exitCode, 1);
    assert.equal(track.lines.at(-1)!.code, 'PORT_IN_USE');
  });

  it('refuse an output that is a file, and data that is bad', async (context) => {
    const folder = await makeFolder(context);
    await writeFile(join(folder, 'a'), randomBytes(100_000));
    const torrent = join(folder, 'a.torrent');
    await haul('create', join(folder, 'a'), '-o', torrent);
    const onFile = await haul('get', torrent, '--output', join(folder, 'a'), '--port', '0');
    assert.equal(onFile.exitCode, 1);
    assert.match(onFile.stderr, /^haul: --output [^\n]* is a file; name a folder\n$/);
    await writeFile(join(folder, 'a'), randomBytes(100_000));
    const seed = await haul('seed', torrent, '--data', folder, '--port', '0', '--json');
    assert.equal(seed.exitCode, 1);
    assert.equal(seed.lines.at(-1)!.code, 'BAD_DATA');
  });
});

describe('haul track', () => {
  it('says where it listens and ends with 0 on Ctrl-C', async (context) => {
    const tracker = start(context, 'track', '--host', '127.0.0.1', '--port', '0', '--json');
    const listening = await tracker.line((line) => line.type === 'listening');
    assert.match(String(listening.announceUrl), /^http:\/\/127\.0\.0\.1:\d+\/announce$/);
    assert.equal((await tracker.stop()).exitCode, 0);
  });
});

describe('a service that is stopped', () => {
  /** Until the folder below has been hashed, which lasts. */
  async function holeOf(context: TestContext): Promise<string> {
    const hole = join(await makeFolder(context), 'hole');
    await writeFile(hole, '');
    await truncate(hole, 64 * 2 ** 30);
    return hole;
  }

  it('ends with 0 on SIGTERM, as init systems expect, also before it is ready', async (context) => {
    const folder = await makeFolder(context);
    await writeFile(join(folder, 'a'), randomBytes(100_000));
    const torrent = join(folder, 'a.torrent');
    await haul('create', join(folder, 'a'), '-o', torrent);
    const services = [
      start(context, 'track', '--host', '127.0.0.1', '--port', '0', '--json'),
      start(context, 'seed', torrent, '--data', folder, '--port', '0', '--json'),
      start(context, 'share', join(folder, 'a'), '--http', '0', '--port', '0', '--json'),
    ];
    for (const service of services) {
      await service.line((line) => line.type === 'listening');
      const { exitCode, lines, stderr } = await service.stop('SIGTERM');
      assert.equal(exitCode, 0, stderr);
      assert.equal(lines.at(-1)!.outcome, 'stopped');
    }
    const hashing = start(context, 'share', await holeOf(context), '--http', '0', '--port', '0', '--json');
    await hashing.line((line) => line.type === 'progress');
    assert.equal((await hashing.stop('SIGTERM')).exitCode, 0);
  });

  it('ends with 129 when its terminal is gone', async (context) => {
    const tracker = start(context, 'track', '--host', '127.0.0.1', '--port', '0', '--json');
    await tracker.line((line) => line.type === 'listening');
    assert.equal((await tracker.stop('SIGHUP')).exitCode, 129);
  });
});

/** Several paths, several sharers, and the addresses that are listened on and told. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { until } from '../../lab/wait.js';
import { createEngine, share } from '../../src/index.js';
import { parseTorrent } from '../../src/metainfo/torrent.js';
import { advertisedUrl, parseAdvertised } from '../../src/net/advertised.js';
import { TrackerService } from '../../src/tracker/service.js';
import { haul, type Line, makeFolder, start } from './harness.js';

async function torrentAt(url: unknown) {
  return parseTorrent(Buffer.from(await (await fetch(String(url))).arrayBuffer()));
}

/** Two sources of other names. */
async function sources(context: TestContext): Promise<{ folder: string; first: string; second: string }> {
  const folder = await makeFolder(context);
  const [first, second] = [join(folder, 'first'), join(folder, 'second')] as const;
  await writeFile(first, Buffer.alloc(100_000, 1));
  await mkdir(second);
  await writeFile(join(second, 'file'), Buffer.alloc(50_000, 2));
  return { folder, first, second };
}

describe('haul share', () => {
  it('makes a torrent of each path, and serves them all from one process', async (context) => {
    const { folder, first, second } = await sources(context);
    const sharer = start(context, 'share', first, second, '--http', '0', '--port', '0', '--json');
    await sharer.line((line) => line.type === 'listening' && line.name === 'second');
    const listening = sharer.lines.filter((line) => line.type === 'listening');
    assert.deepEqual(
      listening.map(({ name }) => name),
      ['first', 'second'],
    );
    const output = join(folder, 'copy');
    for (const { loopbackUrl } of listening) {
      const got = await haul('get', String(loopbackUrl), '-o', output, '--port', '0', '--json');
      assert.equal(got.exitCode, 0, got.stderr);
    }
    assert.deepEqual(await readFile(join(output, 'second/file')), await readFile(join(second, 'file')));
    assert.deepEqual(await readFile(join(output, 'first')), await readFile(first));
    const { exitCode, lines } = await sharer.stop();
    assert.equal(exitCode, 0);
    const result = lines.at(-1) as Line & { lengthBytes: number };
    assert.equal(result.lengthBytes, 150_000);
    assert.equal(result.uploadedBytes, 150_000);
  });

  it('refuses two paths of one name', async (context) => {
    const { folder, first } = await sources(context);
    await mkdir(join(folder, 'other'));
    await writeFile(join(folder, 'other/first'), 'x');
    const refused = await haul('share', first, join(folder, 'other/first'), '--http', '0', '--port', '0');
    assert.equal(refused.exitCode, 1);
    assert.match(refused.stderr, /^haul: \S+first and \S+other\/first have the same name, [^\n]+; share them apart\n$/);
  });

  it('takes the next free port beside another sharer, and says so once', async (context) => {
    const { first, second } = await sources(context);
    // The usual port is taken by us, or by somebody else on this machine.
    const taken = createServer().listen(6969);
    await once(taken, 'listening').catch(() => {});
    context.after(() => void taken.close());
    const start2 = (path: string) => start(context, 'share', path, '--port', '0', '--no-state', '--verbose');
    const sharers = [start2(first), start2(second)];
    const ports: string[] = [];
    // Both are there before one ends and gives its port back.
    for (const sharer of sharers) await sharer.text(/Ctrl-C ends it/);
    for (const sharer of sharers) {
      const { exitCode, stdout, stderr } = await sharer.stop();
      assert.equal(exitCode, 0, stderr);
      const said = [...stderr.matchAll(/^haul: port 6969 is in use: the \.torrent is served at port (\d+)$/gm)];
      assert.equal(said.length, 1, stderr);
      ports.push(said[0]![1]!);
      assert.match(stdout, new RegExp(`haul get http://\\S+:${said[0]![1]}/`));
    }
    assert.notEqual(ports[0], '6969');
    assert.notEqual(ports[0], ports[1]);
    const named = await haul('share', first, '--http', '6969', '--port', '0', '--no-state');
    assert.equal(named.exitCode, 1);
    assert.match(named.stderr, /in use[^\n]*--http N; 0 takes any free port\)\n$/);
  });
});

describe('--host and --advertise', () => {
  it('takes a host, a host and a port, or a URL', () => {
    const told = (text: string) => {
      const advertised = parseAdvertised(text);
      return advertised === null ? null : [advertised.host, advertised.port, advertisedUrl(advertised, 6969)];
    };
    assert.deepEqual(told('files.example'), ['files.example', null, 'http://files.example:6969']);
    assert.deepEqual(told('192.0.2.7:80'), ['192.0.2.7', 80, 'http://192.0.2.7:80']);
    assert.deepEqual(told('2001:db8::7'), ['2001:db8::7', null, 'http://[2001:db8::7]:6969']);
    assert.deepEqual(told('[2001:db8::7]:80'), ['2001:db8::7', 80, 'http://[2001:db8::7]:80']);
    assert.deepEqual(told('https://[2001:db8::7]/t/'), ['2001:db8::7', null, 'https://[2001:db8::7]/t']);
    for (const text of [
      '',
      'a b',
      'a:0',
      'a:65536',
      '[a]:1',
      'a/b',
      'ftp://a',
      'http://',
      'http://a/?x',
      'http://u@a/',
    ]) {
      assert.equal(parseAdvertised(text), null, text);
    }
  });

  it('of share: its tracker names the seed by it, but to who is on the same machine', () => {
    const latin1 = (hex: string): string => Buffer.from(hex, 'hex').toString('latin1');
    const reply = (remote: string, addresses = ['192.0.2.7'], isForAll = false): string => {
      const clock = { intervalS: 300, random: () => 0.5, now: () => 1e8 };
      const seedHosts = { addresses, isForAll };
      const service = new TrackerService({ ...clock, registeredOnly: true, seedHosts });
      service.register(Buffer.alloc(20, 1), 7001);
      const who = `info_hash=${'%01'.repeat(20)}&peer_id=${'a'.repeat(20)}`;
      const query = `${who}&port=1&uploaded=0&downloaded=0&left=1&compact=1`;
      return service.announce(query, remote, () => '127.0.0.1').toString('latin1');
    };
    assert.ok(reply('198.51.100.1').includes(`5:peers6:${latin1('c00002071b59')}`));
    assert.ok(reply('::ffff:127.0.0.1').includes(`5:peers6:${latin1('7f0000011b59')}`));
    // A proxy on this machine.
    assert.ok(reply('127.0.0.1', ['192.0.2.7'], true).includes(`5:peers6:${latin1('c00002071b59')}`));
    const both = ['2001:db8::1', '192.0.2.7'];
    assert.ok(reply('::ffff:198.51.100.1', both).includes(`5:peers6:${latin1('c00002071b59')}`));
    assert.ok(reply('2001:db8::9', both).includes(`6:peers618:${latin1('20010db8000000000000000000000001')}`));
  });

  it('of the library: announceAs is an object of a host and a port', async () => {
    for (const announceAs of ['host', { host: 'a:1' }, { port: 0 }, { host: 'a', other: 1 }, null]) {
      await assert.rejects(createEngine({ announceAs } as object), { code: 'BAD_ARGUMENT' });
    }
    await (await createEngine({ port: 0, announceAs: { host: '192.0.2.7' } })).close();
    await assert.rejects(share('x', { advertise: 'a b' }), { code: 'BAD_ARGUMENT' });
  });

  it('of share: where it listens, and what the others are told', async (context) => {
    const { first } = await sources(context);
    const words = ['share', first, '--http', '0', '--port', '0', '--no-state', '--json', '--host', '127.0.0.1'];
    const local = start(context, ...words);
    const listening = await local.line((line) => line.type === 'listening');
    assert.match(String(listening.torrentUrl), /^http:\/\/127\.0\.0\.1:\d+\/first\.torrent$/);
    assert.equal((await local.stop()).exitCode, 0);

    for (const [advertised, base] of [
      ['files.example', /^http:\/\/files\.example:\d+\//],
      ['files.example:8080', /^http:\/\/files\.example:8080\//],
      ['2001:db8::7', /^http:\/\/\[2001:db8::7\]:\d+\//],
      ['https://files.example/torrents/', /^https:\/\/files\.example\/torrents\/(?=first|announce)/],
    ] as const) {
      const sharer = start(context, ...words, '--advertise', advertised);
      const { torrentUrl, announceUrl, getCommand, loopbackUrl } = await sharer.line(
        ({ type }) => type === 'listening',
      );
      assert.match(String(torrentUrl), base);
      assert.match(String(announceUrl), base);
      assert.ok(String(getCommand).includes(String(torrentUrl)));
      assert.deepEqual((await torrentAt(loopbackUrl)).trackers, [[announceUrl]]);
      assert.equal((await sharer.stop()).exitCode, 0);
    }
  });

  it('of share: a name that this machine knows as its own loopback is told to no peer as that', async (context) => {
    const { first } = await sources(context);
    const asked: URLSearchParams[] = [];
    const server = createServer((request, response) => {
      asked.push(new URL(request.url!, 'http://x').searchParams);
      response.end('d8:intervali1800e5:peers0:e');
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    context.after(() => void server.close());
    const { port: otherPort } = server.address() as { port: number };
    const shared = await share(first, {
      host: '127.0.0.2',
      httpPort: 0,
      engine: { port: 0 },
      advertise: 'http://localhost:8080/files',
      trackers: [[`http://127.0.0.1:${otherPort}/announce`]],
    });
    context.after(() => shared.close());
    assert.equal(shared.announceUrl(), 'http://localhost:8080/files/announce');
    const hash = [...shared.created.infoHash].map((byte) => `%${byte.toString(16).padStart(2, '0')}`).join('');
    const who = `info_hash=${hash}&peer_id=${'a'.repeat(20)}&port=1&uploaded=0&downloaded=0&left=1&compact=1`;
    const reply = await fetch(`http://127.0.0.2:${shared.tracker.port}/announce?${who}`);
    const peer = Buffer.from([127, 0, 0, 2, shared.engine.port! >> 8, shared.engine.port! & 0xff]);
    const told = Buffer.from(await reply.arrayBuffer());
    assert.ok(told.includes(Buffer.concat([Buffer.from('5:peers6:'), peer])), told.toString('latin1'));
    await until('an announce', 10_000, () => asked.length > 0);
    // Other trackers hear the name, and the port where peers are met: the one that was named is of HTTP.
    await shared.close();
    assert.equal(asked[0]!.get('ip'), 'localhost');
    assert.equal(asked[0]!.get('port'), String(shared.engine.port));
  });

  it('of share: a port that others are told is not exchanged for the next free one', async (context) => {
    const { first } = await sources(context);
    const taken = createServer().listen(6969);
    await once(taken, 'listening').catch(() => {});
    context.after(() => void taken.close());
    for (const advertise of ['files.example:8080', 'https://files.example/']) {
      await assert.rejects(share(first, { advertise, engine: { port: 0 } }), { code: 'PORT_IN_USE' });
    }
  });

  it('of track: the announce URL that is printed', async (context) => {
    const words = ['track', '--host', '127.0.0.1', '--port', '0', '--json'];
    const tracker = start(context, ...words, '--advertise', 'https://tracker.example');
    const { announceUrl } = await tracker.line(({ type }) => type === 'listening');
    assert.equal(announceUrl, 'https://tracker.example/announce');
    assert.equal((await tracker.stop()).exitCode, 0);
  });

  it('of seed: the address and the port that trackers hear', async (context) => {
    const { folder, first } = await sources(context);
    const asked: string[] = [];
    const server = createServer((request, response) => {
      asked.push(request.url!);
      response.end('d8:intervali1800e5:peers0:e');
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    context.after(() => void server.close());
    const { port } = server.address() as { port: number };
    const torrent = join(folder, 'first.torrent');
    await haul('create', first, '-o', torrent, '--tracker', `http://127.0.0.1:${port}/announce`);
    const words = ['seed', torrent, '--data', folder, '--port', '0', '--json', '--host', '127.0.0.1'];
    for (const [advertised, ip, told] of [
      ['192.0.2.7:7001', '192.0.2.7', '7001'],
      ['seed.example', 'seed.example', null],
    ] as const) {
      asked.length = 0;
      const seed = start(context, ...words, '--advertise', advertised);
      const listening = await seed.line(({ type }) => type === 'listening');
      await seed.stop();
      const query = new URL(asked[0]!, 'http://x').searchParams;
      assert.equal(query.get('ip'), ip);
      assert.equal(query.get('port'), told ?? String(listening.port));
    }
    const refused = await haul(...words, '--advertise', 'https://seed.example/');
    assert.equal(refused.exitCode, 2);
  });
});

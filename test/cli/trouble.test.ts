/** What a person runs into: each gives one line that says what, where and what to do, and the right exit code. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { type AddressInfo, createServer as createPeer } from 'node:net';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { withPortHint } from '../../src/cli/engine-door.js';
import { HaulError } from '../../src/errors.js';
import { lockPath } from '../../src/storage/owner-lock.js';
import { haul, MAIN, makeFolder, start } from './harness.js';

const ONE_LINE = /^haul: [^\n]+\n$/;

async function torrentOf(folder: string, name: string, bytes: Buffer, ...args: string[]): Promise<string> {
  await writeFile(join(folder, name), bytes);
  const torrent = join(folder, `${name}.torrent`);
  const created = await haul('create', join(folder, name), '-o', torrent, ...args);
  assert.equal(created.exitCode, 0, created.stderr);
  return torrent;
}

async function serve(context: TestContext, server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  context.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

describe('the torrent argument', () => {
  it('that cannot be a torrent is refused in one line', async (context) => {
    const folder = await makeFolder(context);
    await writeFile(join(folder, 'empty.torrent'), '');
    await writeFile(join(folder, 'text.torrent'), 'root:x:0:0');
    const cases: [source: string, says: RegExp][] = [
      ['http://', /"http:\/\/": not a valid URL/],
      ['http://[::1', /not a valid URL/],
      ['http://127.0.0.1:99999/x.torrent', /not a valid URL/],
      ['ftp://host/x.torrent', /only http:\/\/ and https:\/\/ URLs can be fetched/],
      ['', /name a \.torrent file/],
      [join(folder, 'text.torrent'), /text\.torrent: this is no \.torrent file: not valid bencode: .* at byte 0\n$/],
      [join(folder, 'empty.torrent'), /empty\.torrent: this is empty, not a \.torrent file/],
    ];
    const outcomes = await Promise.all(cases.map(([source]) => haul('inspect', source)));
    outcomes.forEach(({ exitCode, stderr }, index) => {
      assert.equal(exitCode, 1, cases[index]![0]);
      assert.match(stderr, ONE_LINE);
      assert.match(stderr, cases[index]![1]);
    });
  });
});

describe('an address that is not ours', () => {
  it('is named, with why it cannot be listened on', async () => {
    const foreign = await haul('track', '--host', '203.0.113.77', '--port', '0');
    assert.equal(foreign.exitCode, 1);
    assert.equal(foreign.stderr, 'haul: tracker: listen on 203.0.113.77 port 0: this machine has no such address\n');
    const unknown = await haul('track', '--host', 'no-such-host.invalid', '--port', '0');
    assert.equal(unknown.exitCode, 1);
    assert.match(unknown.stderr, /^haul: tracker: listen on no-such-host\.invalid port 0: [^\n]+\n$/);
  });

  it('leaves one way to choose a port in the message', async () => {
    const busy = (message: string) =>
      withPortHint('--port', () => Promise.reject(new HaulError('PORT_IN_USE', message)));
    await assert.rejects(busy('all ports are in use; choose one with --port'), { message: /with --port$/ });
    await assert.rejects(busy('the port is in use'), {
      message: 'the port is in use (--port N; 0 takes any free port)',
    });
  });
});

describe('haul create', () => {
  it('looks at where the torrent shall go before it hashes', async (context) => {
    const folder = await makeFolder(context);
    await writeFile(join(folder, 'a'), 'abc');
    for (const [target, says] of [
      [folder, /-o .* is a folder; name the \.torrent file to write/],
      [join(folder, 'none', 'x.torrent'), /write torrent .*none\/x\.torrent: no such file or folder/],
    ] as const) {
      const { exitCode, stderr, lines } = await haul('create', join(folder, 'a'), '-o', target, '--force', '--json');
      assert.equal(exitCode, 1);
      assert.match(stderr, ONE_LINE);
      assert.match(stderr, says);
      assert.deepEqual(
        lines.map(({ type }) => type),
        ['error'],
      );
    }
  });

  it('says why a folder or link cannot be shared', async (context) => {
    const folder = await makeFolder(context);
    await mkdir(join(folder, 'none'));
    await mkdir(join(folder, 'self'));
    await writeFile(join(folder, 'self', 'a'), 'abc');
    await symlink('.', join(folder, 'self', 'me'));
    await symlink('loop', join(folder, 'loop'));
    for (const [name, says] of [
      ['none', /none: it holds no data \(there is no file in it\)\n$/],
      ['self', /self\/me: a symbolic link to the shared folder itself; remove it\n$/],
      ['loop', /open .*loop: too many symbolic links encountered\n$/],
    ] as const) {
      const { exitCode, stderr } = await haul('create', join(folder, name), '-o', join(folder, 'x.torrent'));
      assert.equal(exitCode, 1);
      assert.match(stderr, ONE_LINE);
      assert.match(stderr, says);
    }
  });
});

describe('output that does not arrive', { skip: !existsSync('/dev/full') && 'there is no /dev/full' }, () => {
  it('is a failure, for results, help and a download that goes on', async (context) => {
    const folder = await makeFolder(context);
    const torrent = await torrentOf(folder, 'a', Buffer.from('abc'));
    const get = `get ${torrent} --output ${folder}/copy --port 0 --json --progress-interval 20`;
    for (const args of [`inspect ${torrent}`, `inspect ${torrent} --json`, '--help', get]) {
      const words = [process.execPath, MAIN, ...args.split(' ')].map((word) => `'${word}'`).join(' ');
      const { status, stderr } = spawnSync('sh', ['-c', `${words} > /dev/full`], { encoding: 'utf8', timeout: 20_000 });
      assert.equal(status, 1, args);
      assert.match(stderr, /^haul: write to standard output: no space left on the device[^\n]*\n$/m, args);
      assert.doesNotMatch(stderr, /\n {4}at /);
    }
  });
});

describe('a terminal that goes away', () => {
  it('ends a download with 129 and a clean record', async (context) => {
    const folder = await makeFolder(context);
    const torrent = await torrentOf(folder, 'a', Buffer.alloc(100_000, 1));
    const output = join(folder, 'copy');
    const getter = start(
      context,
      ...['get', torrent, '--output', output, '--port', '0', '--json', '--progress-interval', '20'],
    );
    await getter.line((line) => line.type === 'progress' && line.phase === 'downloading');
    const { exitCode, lines } = await getter.stop('SIGHUP');
    assert.equal(exitCode, 129);
    assert.equal(lines.at(-1)!.outcome, 'interrupted');
    assert.deepEqual(
      (await readdir(output)).filter((name) => name.endsWith('.haul-lock')),
      [],
    );
  });
});

describe('trackers in trouble', () => {
  it('are named once in the warning', async (context) => {
    const folder = await makeFolder(context);
    const port = await serve(
      context,
      createServer((_request, response) => response.end('<html>')),
    );
    const url = `http://127.0.0.1:${port}/announce`;
    const torrent = await torrentOf(folder, 'a', Buffer.from('abc'), '--tracker', url);
    const getter = start(context, 'get', torrent, '--output', join(folder, 'copy'), '--port', '0', '--json');
    const warning = await getter.line((line) => line.type === 'warning');
    assert.equal(warning.message, `tracker ${url}: answered HTML, not a tracker reply`);
    assert.equal((await getter.stop()).exitCode, 130);
  });
});

describe('two downloads into one place', () => {
  it('are refused while the first runs, and work one after the other', async (context) => {
    const folder = await makeFolder(context);
    const torrent = await torrentOf(folder, 'a', Buffer.alloc(100_000, 1));
    const output = join(folder, 'copy');
    const get = ['get', torrent, '--output', output, '--port', '0', '--json', '--progress-interval', '20'];
    const first = start(context, ...get);
    await first.line((line) => line.type === 'progress' && line.phase === 'downloading');
    const second = await haul(...get);
    assert.equal(second.exitCode, 1);
    assert.equal(second.lines.at(-1)!.code, 'IN_USE');
    assert.match(second.stderr, ONE_LINE);
    const { infoHash } = (await haul('inspect', torrent, '--json')).lines.at(-1)!;
    assert.equal(
      second.stderr,
      `haul: another haul (process ${first.child.pid}) is downloading a (info-hash ${infoHash}) in ${output}; ` +
        'wait for it, or choose another --output\n',
    );
    assert.equal((second.lines.at(-1)!.facts as { pid?: number }).pid, first.child.pid);

    // The kernel gives the lock of a killed process back.
    await first.stop('SIGKILL');
    const third = start(context, ...get);
    await third.line((line) => line.type === 'progress' && line.phase === 'downloading');
    const lock = lockPath(join(output, 'a'));
    assert.equal(await readFile(lock, 'utf8'), `${third.child.pid} ${infoHash} download "a"\n`);
    assert.equal((await third.stop()).exitCode, 130);
    assert.equal(existsSync(lock), false);
  });
});

describe('seeds and downloads in one place', () => {
  it('shut each other out, and seeds do not', async (context) => {
    const folder = await makeFolder(context);
    const torrent = await torrentOf(folder, 'a', Buffer.alloc(100_000, 1));
    const seed = ['seed', torrent, '--data', folder, '--port', '0', '--json'];
    const first = start(context, ...seed);
    await first.line((line) => line.type === 'listening');
    const second = start(context, ...seed);
    const sharer = start(context, 'share', join(folder, 'a'), '--http', '0', '--port', '0', '--json');
    await Promise.all([second, sharer].map((other) => other.line((line) => line.type === 'listening')));
    const get = ['get', torrent, '--output', folder, '--port', '0', '--json', '--progress-interval', '20'];
    const refused = await haul(...get);
    assert.equal(refused.exitCode, 1);
    assert.match(refused.stderr, /^haul: another haul \(process \d+\) is seeding a \(info-hash [0-9a-f]{40}\) in /);
    assert.match(refused.stderr, /; stop it first, or choose another --output\n$/);
    await Promise.all([first, second, sharer].map((seeder) => seeder.stop()));
    assert.deepEqual((await readdir(folder)).sort(), ['a', 'a.torrent']);

    const output = join(folder, 'copy');
    const getter = start(
      context,
      'get',
      torrent,
      '--output',
      output,
      '--port',
      '0',
      '--json',
      '--progress-interval',
      '20',
    );
    await getter.line((line) => line.type === 'progress' && line.phase === 'downloading');
    const late = await haul('seed', torrent, '--data', output, '--port', '0', '--no-verify');
    assert.equal(late.exitCode, 1);
    assert.match(
      late.stderr,
      /^haul: another haul \(process \d+\) is downloading a \([^)]+\) in [^;]+; wait for it\n$/,
    );
    assert.equal((await getter.stop()).exitCode, 130);
  });
});

describe('haul get', () => {
  it('says that nobody knows the name of a peer', async (context) => {
    const folder = await makeFolder(context);
    const torrent = await torrentOf(folder, 'a', Buffer.from('abc'));
    const args = [
      'get',
      torrent,
      '--output',
      join(folder, 'copy'),
      '--port',
      '0',
      '--peer',
      'no-such-host.invalid:6881',
    ];
    const getter = start(context, ...args, '--json');
    const warning = await getter.line((line) => line.type === 'warning');
    assert.match(String(warning.message), /^peer no-such-host\.invalid:6881: /);
    assert.equal((await getter.stop()).exitCode, 130);
  });

  it('fails at once where the file system makes no folders', { skip: !existsSync('/proc') }, async (context) => {
    const folder = await makeFolder(context);
    const torrent = await torrentOf(folder, 'a', Buffer.from('abc'));
    const words = [MAIN, 'get', torrent, '--output', '/proc/none', '--port', '0'];
    const { status, stderr } = spawnSync(process.execPath, words, { encoding: 'utf8', timeout: 20_000 });
    assert.equal(status, 1);
    assert.match(stderr, /^haul: create folder \/proc\/none: [^\n]+\n$/);
  });

  it('shows nothing but the line about what is wrong', async (context) => {
    const folder = await makeFolder(context);
    const torrent = await torrentOf(folder, 'a', Buffer.from('abc'));
    await mkdir(join(folder, 'copy', 'a'), { recursive: true });
    // It is dialled meanwhile, and one that refuses is worth a line of its own.
    const peer = createPeer().listen(0, '127.0.0.1');
    context.after(() => peer.close());
    await once(peer, 'listening');
    const { port } = peer.address() as AddressInfo;
    const args = ['get', torrent, '--output', join(folder, 'copy'), '--port', '0', '--peer', `127.0.0.1:${port}`];
    const { exitCode, stderr, stdout } = await haul(...args);
    assert.equal(exitCode, 1);
    assert.equal(stdout, '');
    assert.match(stderr, /^haul: .*copy\/a is a folder where the torrent has a file\n$/);
    execFileSync('rmdir', [join(folder, 'copy', 'a')]);
  });
});

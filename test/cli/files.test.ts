/** create, inspect and verify as a person runs them. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { mkdir, open, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { createTorrent } from '../../src/content/create.js';
import { encodeBencode } from '../../src/metainfo/bencode.js';
import { parseTorrent } from '../../src/metainfo/torrent.js';
import { createWorkPool } from '../../src/work/pool.js';
import { haul, haulWith, makeFolder, type Running, start } from './harness.js';

/** A tree `set` with two files of four pieces each, a short one and an empty one. Returns the torrent's path. */
async function makeTree(folder: string): Promise<string> {
  const root = join(folder, 'set');
  await mkdir(join(root, 'sub'), { recursive: true });
  await writeFile(join(root, 'a.bin'), randomBytes(65_536));
  await writeFile(join(root, 'b.bin'), randomBytes(65_536));
  await writeFile(join(root, 'sub', 'c.txt'), 'short');
  await writeFile(join(root, 'sub', 'empty'), '');
  const torrent = join(folder, 'set.torrent');
  const pool = createWorkPool({ threads: 1 });
  try {
    await writeFile(torrent, await createTorrent(root, { pieceLengthBytes: 16_384 }, pool));
  } finally {
    await pool.close();
  }
  return torrent;
}

describe('haul create', () => {
  it('writes what it was told into the torrent', async (context) => {
    const folder = await makeFolder(context);
    await writeFile(join(folder, 'a.bin'), randomBytes(100_000));
    const torrent = join(folder, 'x.torrent');
    const { exitCode, lines, stderr } = await haul(
      ...['create', join(folder, 'a.bin'), '-o', torrent, '--piece-length', '32KiB', '--private', '--json'],
      ...['--tracker', 'http://a.example/announce', '--tracker', 'udp://b.example:1', '--comment', 'a comment'],
      ...['--web-seed', 'https://s.example/a.bin'],
    );
    assert.equal(exitCode, 0, stderr);
    const metainfo = parseTorrent(await readFile(torrent));
    const result = lines.at(-1)!;
    assert.equal(result.type, 'result');
    assert.equal(result.infoHash, metainfo.infoHashHex);
    assert.equal(result.torrentFile, torrent);
    assert.equal(result.lengthBytes, 100_000);
    assert.equal(typeof result.cpuUserSec, 'number');
    assert.deepEqual(metainfo.trackers, [['http://a.example/announce'], ['udp://b.example:1']]);
    assert.deepEqual(metainfo.webSeeds, ['https://s.example/a.bin']);
    assert.equal(metainfo.comment, 'a comment');
    assert.equal(metainfo.isPrivate, true);
    assert.equal(metainfo.geometry.pieceLengthBytes, 32_768);
    assert.deepEqual(
      lines.filter((line) => line.type === 'warning'),
      [],
    );
    assert.ok(lines.some((line) => line.type === 'progress' && line.phase === 'hashing'));
  });

  it('overwrites a torrent only when told to', async (context) => {
    const folder = await makeFolder(context);
    await writeFile(join(folder, 'a'), 'abc');
    const torrent = join(folder, 'a.torrent');
    await writeFile(torrent, 'precious');
    const refused = await haul('create', join(folder, 'a'), '-o', torrent);
    assert.equal(refused.exitCode, 1);
    assert.match(refused.stderr, /^haul: .*a\.torrent is already there; .*--force/);
    assert.equal(await readFile(torrent, 'utf8'), 'precious');
    assert.equal((await haul('create', join(folder, 'a'), '-o', torrent, '--force')).exitCode, 0);
    assert.equal(parseTorrent(await readFile(torrent)).name, 'a');
  });

  it('says in one line what is missing or where it cannot write', async (context) => {
    const folder = await makeFolder(context);
    const missing = await haul('create', join(folder, 'none'));
    assert.equal(missing.exitCode, 1);
    assert.match(missing.stderr, /^haul: open .*none: no such file or folder\n$/);
    await writeFile(join(folder, 'a'), 'abc');
    const noFolder = await haul('create', join(folder, 'a'), '-o', join(folder, 'no', 'x.torrent'));
    assert.equal(noFolder.exitCode, 1);
    assert.match(noFolder.stderr, /haul: write torrent .*x\.torrent: no such file or folder\n$/);
  });
});

describe('haul create, interrupted', () => {
  it('exits with 130 and leaves no torrent behind', async (context) => {
    const folder = await makeFolder(context);
    const source = join(folder, 'sparse');
    // A hole of 64 GiB: takes no space and far longer to hash than it takes to press Ctrl-C.
    await writeFile(source, '');
    await truncate(source, 64 * 2 ** 30);
    const torrent = join(folder, 'x.torrent');
    const running = start(context, 'create', source, '-o', torrent, '--json');
    await running.line((line) => line.type === 'progress');
    const { exitCode, stderr } = await running.stop();
    assert.equal(exitCode, 130, stderr);
    assert.equal(stderr, '');
    await assert.rejects(readFile(torrent), { code: 'ENOENT' });
  });
});

describe('haul inspect', () => {
  it('shows the same info-hash, files and sizes to people and to machines', async (context) => {
    const torrent = await makeTree(await makeFolder(context));
    const { infoHashHex } = parseTorrent(await readFile(torrent));
    const people = await haul('inspect', torrent);
    assert.equal(people.exitCode, 0);
    assert.match(people.stdout, new RegExp(`^info-hash +${infoHashHex}$`, 'm'));
    assert.match(people.stdout, /^ +5 {2}set\/sub\/c\.txt$/m);
    assert.match(people.stdout, /^pieces +9 of 16 KiB$/m);
    const { lines } = await haul('inspect', torrent, '--json');
    assert.equal(lines.length, 1);
    const [result] = lines;
    assert.equal(result!.infoHash, infoHashHex);
    assert.equal(result!.isMultiFile, true);
    const files = result!.files as { path: string; lengthBytes: number }[];
    assert.deepEqual(
      files.map(({ path, lengthBytes }) => [path, lengthBytes]),
      [
        ['set/a.bin', 65_536],
        ['set/b.bin', 65_536],
        ['set/sub/c.txt', 5],
        ['set/sub/empty', 0],
      ],
    );
  });

  it('shows no passkey of a tracker and no password of a web seed to people', async (context) => {
    const path = join(await makeFolder(context), 'secret.torrent');
    const urls = ['http://t.example/0123456789abcdef/announce?key=hidden', 'http://me:hidden@w.example/a?b=c'];
    const info = { name: 'a', length: 1, 'piece length': 16_384, pieces: Buffer.alloc(20) };
    await writeFile(path, encodeBencode({ info, announce: urls[0], 'url-list': urls[1] }));
    const { stdout } = await haul('inspect', path);
    assert.match(stdout, /^trackers +http:\/\/t\.example\/…\/announce\?…$/m);
    assert.match(stdout, /^web seeds +http:\/\/w\.example\/a\?…$/m);
    const [result] = (await haul('inspect', path, '--json')).lines;
    assert.deepEqual([result!.trackers, result!.webSeeds], [[[urls[0]]], [urls[1]]]);
  });

  it('notes each file that is stored under another name than the torrent gives it', async (context) => {
    const path = join(await makeFolder(context), 'odd.torrent');
    const files = ['a.txt', 'b\\c', 'a.txt', 'd//e'].map((name) => ({ path: name.split('/'), length: 5 }));
    const pieces = createHash('sha1').update('firstothertwicedepth').digest();
    const info = { name: 'odd', files, 'piece length': 16_384, pieces };
    await writeFile(path, Buffer.concat([encodeBencode({ info }), Buffer.from('\n')]));
    const { stdout } = await haul('inspect', path);
    for (const line of [
      'warning    it has bytes after its end, which are ignored: 1',
      'warning    renamed to "a (2).txt": "a.txt" is taken',
      '             5  odd/a.txt',
      '             5  odd/b_c  (in the torrent: b\\c)',
      '             5  odd/a (2).txt  (in the torrent: a.txt)',
      '             5  odd/d/e  (in the torrent: d//e)',
    ]) {
      assert.ok(stdout.split('\n').includes(line), `${line}\n${stdout}`);
    }
    const [result] = (await haul('inspect', path, '--json')).lines;
    assert.equal((result!.warnings as string[]).length, 4);
    assert.deepEqual(result!.files, [
      { path: 'odd/a.txt', lengthBytes: 5 },
      { path: 'odd/b_c', pathInTorrent: 'b\\c', lengthBytes: 5 },
      { path: 'odd/a (2).txt', pathInTorrent: 'a.txt', lengthBytes: 5 },
      { path: 'odd/d/e', pathInTorrent: 'd//e', lengthBytes: 5 },
    ]);

    const data = await makeFolder(context);
    await mkdir(join(data, 'odd', 'd'), { recursive: true });
    const contents = { 'a.txt': 'first', b_c: 'other', 'a (2).txt': 'twice', 'd/e': 'depth' };
    for (const [name, content] of Object.entries(contents)) await writeFile(join(data, 'odd', name), content);
    const { stderr, exitCode } = await haul('verify', path, '--data', data);
    assert.equal(exitCode, 0);
    assert.match(stderr, /warning: renamed to "b_c"/);
  });

  it('fails with one line for what is no torrent, and a stack trace only in debug mode', async (context) => {
    const path = join(await makeFolder(context), 'noise');
    await writeFile(path, 'not a torrent');
    const quiet = await haul('inspect', path);
    assert.equal(quiet.exitCode, 1);
    assert.equal(quiet.stdout, '');
    assert.match(quiet.stderr, /^haul: [^\n]*noise: [^\n]*\n$/);
    const debug = await haulWith({ HAUL_DEBUG: '1' }, 'inspect', path);
    assert.match(debug.stderr, /\n {4}at /);
  });

  it('ends without a word when its reader has gone', async (context) => {
    const torrent = await makeTree(await makeFolder(context));
    const running: Running = start(context, 'inspect', torrent);
    running.child.stdout?.destroy();
    const { stderr, exitCode } = await running.finished;
    assert.equal(stderr, '');
    assert.ok(exitCode === 0 || exitCode === 141, `exit code ${exitCode}`);
  });
});

describe('haul verify', () => {
  it('exits with 0 when all data is good', async (context) => {
    const folder = await makeFolder(context);
    const torrent = await makeTree(folder);
    const { exitCode, stdout } = await haul('verify', torrent, '--data', folder);
    assert.equal(exitCode, 0);
    assert.match(stdout, /^set: all 9 pieces are good/);
    const one = join(folder, 'one.torrent');
    assert.equal((await haul('create', join(folder, 'set', 'a.bin'), '-o', one)).exitCode, 0);
    const only = await haul('verify', one, '--data', join(folder, 'set'));
    assert.match(only.stdout, /^a\.bin: its only piece is good/);
  });

  it('names bad pieces and the bad, short and missing files, and exits with 1', async (context) => {
    const folder = await makeFolder(context);
    const torrent = await makeTree(folder);
    const file = await open(join(folder, 'set', 'a.bin'), 'r+');
    // Inside piece 1: a byte that certainly differs.
    const { buffer } = await file.read(Buffer.alloc(1), 0, 1, 20_000);
    await file.write(Buffer.from([buffer[0]! ^ 0xff]), 0, 1, 20_000);
    await file.close();
    await truncate(join(folder, 'set', 'b.bin'), 40_000);
    await rm(join(folder, 'set', 'sub', 'c.txt'));
    const { exitCode, lines } = await haul('verify', torrent, '--data', folder, '--json');
    assert.equal(exitCode, 1);
    const result = lines.at(-1)!;
    assert.equal(result.type, 'result');
    assert.equal(result.isGood, false);
    assert.deepEqual(result.badPieces, [1, 6, 7, 8]);
    const files = result.files as { path: string; state: string }[];
    const states = Object.fromEntries(files.map(({ path, state }) => [path, state]));
    assert.deepEqual(states, {
      'set/a.bin': 'bad',
      'set/b.bin': 'wrong-length',
      'set/sub/c.txt': 'missing',
      'set/sub/empty': 'ok',
    });
    const people = await haul('verify', torrent, '--data', folder);
    assert.equal(people.exitCode, 1);
    assert.match(people.stdout, /^bad pieces: 1, 6-8$/m);
    assert.match(people.stdout, /^set\/sub\/c\.txt is missing$/m);
    assert.match(people.stdout, /^set: 4 of 9 pieces are bad$/m);
  });

  it('tells someone who names the data itself to name the folder it is in', async (context) => {
    const folder = await makeFolder(context);
    const torrent = await makeTree(folder);
    const inside = await haul('verify', torrent, '--data', join(folder, 'set'));
    assert.equal(inside.exitCode, 1);
    assert.match(inside.stderr, /^haul: set is not in .*; --data is the folder that holds it\n$/);
    const file = await haul('verify', torrent, '--data', join(folder, 'set', 'a.bin'));
    assert.match(file.stderr, /is a file; name the folder it is in\n$/);
  });
});

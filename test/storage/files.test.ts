import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { openScope } from '../../lab/scope.js';
import { HaulError } from '../../src/errors.js';
import { DataFiles, type PrepareOptions } from '../../src/storage/files.js';
import { skipWithout } from '../support/requirements.js';
import { smallDisk } from '../support/small-disk.js';
import * as scenes from './scene.js';

const folder = scenes.makeFolder();
after(() => fs.rmSync(folder, { recursive: true }));
const outside = join(folder, 'outside');
fs.mkdirSync(outside);
let count = 0;
const fresh = (): string => join(folder, `${++count}`);

const TREE: scenes.FileScene[] = [
  { path: 't/a', lengthBytes: 10_000 },
  { path: 't/sub/b', lengthBytes: 20_000 },
  { path: 't/sub/deep/c', lengthBytes: 0 },
];

async function prepare(files: readonly scenes.FileScene[], output: string, forWriting: boolean): Promise<void> {
  const data = new DataFiles(scenes.metainfoOf(files, 64 * 1024 * 1024), output);
  try {
    await data.prepare({ forWriting });
  } finally {
    await data.close();
  }
}

function refuses(code: string, path: string): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof HaulError, String(error));
    assert.equal(error.code, code, error.message);
    assert.ok(error.message.includes(path), `"${error.message}" does not name ${path}`);
    assert.ok(!error.message.includes('\n'));
    return true;
  };
}

/** Everything below a folder: path, kind and content. */
function snapshot(path: string): string[] {
  if (!fs.existsSync(path)) return [];
  const names = fs.readdirSync(path, { recursive: true, withFileTypes: true });
  return names.map((entry) => {
    const full = join(entry.parentPath, entry.name);
    return `${full} ${entry.isFile() ? fs.readFileSync(full, 'latin1') : 'folder'}`;
  });
}

test('files get their full length and their space before the first byte', async () => {
  const output = join(fresh(), 'made', 'as needed');
  await prepare(TREE, output, true);
  const a = fs.statSync(join(output, 't/a'));
  assert.equal(a.size, 10_000);
  assert.ok(a.blocks * 512 >= 10_000);
  assert.equal(fs.statSync(join(output, 't/sub/deep/c')).size, 0);
  await prepare(TREE, output, false);
});

test('what a shorter file holds is kept, and preparing again changes no mtime', async () => {
  const output = fresh();
  fs.mkdirSync(join(output, 't'), { recursive: true });
  fs.writeFileSync(join(output, 't/a'), 'kept');
  await prepare(TREE, output, true);
  const path = join(output, 't/a');
  assert.equal(fs.readFileSync(path, 'latin1'), `kept${'\0'.repeat(9996)}`);
  const { mtimeNs } = fs.statSync(path, { bigint: true });
  await prepare(TREE, output, true);
  assert.equal(fs.statSync(path, { bigint: true }).mtimeNs, mtimeNs);
});

const obstacles: [string, string, string, (output: string) => void][] = [
  ['a file in the way of a folder', 'NOT_A_DIRECTORY', 't/sub', (o) => fs.writeFileSync(join(o, 't/sub'), 'mine')],
  ['a folder in the way of a file', 'NOT_A_DIRECTORY', 't/a', (o) => fs.mkdirSync(join(o, 't/a'))],
  [
    'a link that leads out for a file',
    'NOT_A_DIRECTORY',
    't/a',
    (o) => fs.symlinkSync('/etc/hostname', join(o, 't/a')),
  ],
  ['a link that leads out for a folder', 'NOT_A_DIRECTORY', 't/sub', (o) => fs.symlinkSync(outside, join(o, 't/sub'))],
  [
    'a link that leads nowhere',
    'NOT_FOUND',
    't/a is a link to gone, wh',
    (o) => fs.symlinkSync('gone', join(o, 't/a')),
  ],
  [
    'a link in a circle',
    'BAD_DATA',
    't/a is a link that leads back to itself',
    (o) => fs.symlinkSync('a', join(o, 't/a')),
  ],
  [
    'a link to no folder',
    'NOT_FOUND',
    't/sub is a link to gone, which is not there; remove the link',
    (o) => fs.symlinkSync('gone', join(o, 't/sub')),
  ],
  [
    'a named pipe',
    'BAD_DATA',
    't/a is a named pipe (FIFO) where the torrent has a file; move it away',
    (o) => execFileSync('mkfifo', [join(o, 't/a')]),
  ],
];
for (const [what, code, path, make] of obstacles) {
  test(`${what} is refused by name, before anything is made`, async () => {
    const output = fresh();
    fs.mkdirSync(join(output, 't'), { recursive: true });
    make(output);
    const before = fs.readdirSync(output, { recursive: true });
    await assert.rejects(prepare(TREE, output, true), refuses(code, join(output, path)));
    assert.deepEqual(fs.readdirSync(output, { recursive: true }), before);
  });
}

test('files that are not ours are refused by name before anything is made; a longer one of ours is cut', async () => {
  const output = fresh();
  fs.mkdirSync(join(output, 't/sub'), { recursive: true });
  fs.writeFileSync(join(output, 't/a'), Buffer.alloc(10_001, 1));
  fs.writeFileSync(join(output, 't/sub/b'), 'mine');
  const before = snapshot(output);
  const data = new DataFiles(scenes.metainfoOf(TREE, 64 * 1024 * 1024), output);
  await assert.rejects(data.prepare({ forWriting: true, isOurs: () => false }), refuses('FILE_EXISTS', 't/a, t/sub/b'));
  await assert.rejects(
    data.prepare({ forWriting: true, isOurs: (file) => file === 0 }),
    refuses('FILE_EXISTS', join(output, 't/sub/b')),
  );
  assert.deepEqual(snapshot(output), before);
  await data.prepare({ forWriting: true, isOurs: () => true });
  await data.close();
  assert.equal(fs.statSync(join(output, 't/a')).size, 10_000);
  assert.equal(fs.readFileSync(join(output, 't/sub/b'), 'latin1').slice(0, 5), 'mine\0');
  await prepare(TREE, output, false);
});

for (const [what, makeLink] of [
  ['a hard link', (output: string) => fs.linkSync(join(output, 't/a'), join(output, 't/sub/b'))],
  ['a link', (output: string) => fs.symlinkSync('../a', join(output, 't/sub/b'))],
] as const) {
  test(`two files of a torrent, one on disk through ${what}, are not written, unless both are finished`, async () => {
    const output = fresh();
    fs.mkdirSync(join(output, 't/sub'), { recursive: true });
    fs.writeFileSync(join(output, 't/a'), Buffer.alloc(5000, 1));
    makeLink(output);
    const before = snapshot(output);
    const data = new DataFiles(scenes.metainfoOf(TREE, 64 * 1024 * 1024), output);
    const refusal = refuses('BAD_DATA', `${join(output, 't/a')} and t/sub/b are one file on disk`);
    await assert.rejects(data.prepare({ forWriting: true }), refusal);
    await assert.rejects(data.prepare({ forWriting: true, isFinished: (file) => file === 0 }), refusal);
    assert.deepEqual(snapshot(output), before);
    await data.prepare({ forWriting: true, isFinished: () => true });
    await data.close();
  });
}

test('a file with a name elsewhere is not written through, unless it is finished or that is asked for', async () => {
  const output = fresh();
  const isFinished = (file: number): boolean => file === 0;
  fs.mkdirSync(join(output, 't/sub'), { recursive: true });
  fs.writeFileSync(join(output, 't/a'), Buffer.alloc(10_000, 1));
  fs.writeFileSync(join(output, 't/sub/b'), 'mine');
  fs.linkSync(join(output, 't/a'), join(output, 'snap-a'));
  const write = async (options: Partial<PrepareOptions> = {}): Promise<void> => {
    const data = new DataFiles(scenes.metainfoOf(TREE, 64 * 1024 * 1024), output);
    await data.prepare({ forWriting: true, ...options }).finally(() => data.close());
  };
  const refused = async (text: string, options: Partial<PrepareOptions> = {}): Promise<void> => {
    const before = snapshot(output);
    await assert.rejects(write(options), refuses('FILE_EXISTS', `${join(output, 't/a')} ${text}`));
    assert.deepEqual(snapshot(output), before);
  };
  await refused('has another name on this disk (a hard link)');
  fs.appendFileSync(join(output, 't/a'), 'to be cut off');
  await refused('has another name on this disk (a hard link)', { isFinished });
  fs.linkSync(join(output, 't/sub/b'), join(output, 'snap-b'));
  await refused('and 1 more have other names on this disk (hard links)');
  fs.truncateSync(join(output, 't/a'), 10_000);
  fs.rmSync(join(output, 'snap-b'));
  await write({ isFinished });
  fs.truncateSync(join(output, 't/a'), 9_000);
  await refused('has another name on this disk (a hard link)');
  const { mode } = fs.statSync(join(output, 't/a'));
  await write({ isOverwriting: true });
  const [own, other] = [fs.statSync(join(output, 't/a')), fs.statSync(join(output, 'snap-a'))];
  assert.deepEqual([own.size, own.nlink, own.mode], [10_000, 1, mode]);
  assert.deepEqual([other.size, other.nlink], [9_000, 1]);
  assert.deepEqual(fs.readdirSync(join(output, 't')).sort(), ['a', 'sub']);
});

test('an output folder that is a file is refused by name', async () => {
  const output = fresh();
  fs.writeFileSync(output, 'mine');
  await assert.rejects(prepare(TREE, output, true), refuses('NOT_A_DIRECTORY', output));
  await assert.rejects(prepare(TREE, output, false), refuses('NOT_A_DIRECTORY', output));
  await assert.rejects(prepare(TREE, join(output, 'below'), true), refuses('NOT_A_DIRECTORY', output));
  assert.equal(fs.readFileSync(output, 'latin1'), 'mine');
});

test('a link that stays inside the output folder is followed', async () => {
  const output = fresh();
  fs.mkdirSync(join(output, 't'), { recursive: true });
  fs.mkdirSync(join(output, 'elsewhere'));
  fs.symlinkSync(join(output, 'elsewhere'), join(output, 't/sub'));
  await prepare(TREE, output, true);
  assert.equal(fs.statSync(join(output, 'elsewhere/b')).size, 20_000);
});

test('a reader wants every file, whole, and makes nothing', async () => {
  const output = fresh();
  await assert.rejects(prepare(TREE, output, false), refuses('NOT_FOUND', output));
  assert.equal(fs.existsSync(output), false);
  await prepare(TREE, output, true);
  fs.truncateSync(join(output, 't/sub/b'), 19_999);
  await assert.rejects(prepare(TREE, output, false), refuses('BAD_DATA', join(output, 't/sub/b')));
  fs.rmSync(join(output, 't/sub/b'));
  await assert.rejects(prepare(TREE, output, false), refuses('NOT_FOUND', join(output, 't/sub/b')));
});

test('executables may be executed and links lead to their file inside the torrent', async () => {
  const output = fresh();
  const files: scenes.FileScene[] = [
    { path: 't/bin/run', lengthBytes: 100, isExecutable: true },
    { path: 't/bin/now', lengthBytes: 0, symlinkPath: ['data', 'x'] },
    { path: 't/data/x', lengthBytes: 50 },
  ];
  await prepare(files, output, true);
  assert.equal(fs.statSync(join(output, 't/bin/run')).mode & 0o100, 0o100);
  assert.equal(fs.statSync(join(output, 't/data/x')).mode & 0o111, 0);
  assert.equal(fs.readlinkSync(join(output, 't/bin/now')), '../data/x');
  await prepare(files, output, true);
  fs.rmSync(join(output, 't/bin/now'));
  fs.writeFileSync(join(output, 't/bin/now'), 'mine');
  await assert.rejects(prepare(files, output, true), refuses('BAD_DATA', join(output, 't/bin/now')));
  await prepare(files, output, false);
});

test('a link out of the torrent is never made', async () => {
  const output = fresh();
  const files: scenes.FileScene[] = [
    { path: 't/x', lengthBytes: 50 },
    { path: 't/out', lengthBytes: 0, symlinkPath: ['..', '..', 'etc'] },
  ];
  await assert.rejects(prepare(files, output, true), refuses('BAD_TORRENT', join(output, 't/out')));
  assert.deepEqual(fs.readdirSync(output), []);
});

/** The torrents of the attack: the first brings a link where the second has a folder. */
const TRAP: scenes.FileScene[] = [
  { path: 't/a', lengthBytes: 10 },
  { path: 't/d1/d2/d3', lengthBytes: 0, symlinkPath: ['z'] },
  { path: 't/z/b', lengthBytes: 10 },
];

for (const [what, springing] of [
  ['in it', { path: 't/d1/d2/d3/l', lengthBytes: 0, symlinkPath: ['x'] }],
  ['in a folder to be made in it', { path: 't/d1/d2/d3/new/er/l', lengthBytes: 0, symlinkPath: ['x'] }],
] as const) {
  test(`a link of one torrent cannot make the link of another lead out: ${what}`, async () => {
    const output = fresh();
    await prepare(TRAP, output, true);
    const before = snapshot(output);
    const second: scenes.FileScene[] = [{ path: 't/c', lengthBytes: 10 }, springing];
    await assert.rejects(prepare(second, output, true), refuses('BAD_DATA', join(output, springing.path)));
    assert.deepEqual(snapshot(output), before, 'nothing was made');
    // As an older version of us left it: now it is in the way.
    fs.mkdirSync(join(output, springing.path, '..'), { recursive: true });
    fs.symlinkSync('../../../x', join(output, springing.path));
    await assert.rejects(prepare(second, output, true), refuses('BAD_DATA', join(output, springing.path)));
    // Files may pass through such links: they stay inside.
    await prepare([...TRAP, { path: 't/d1/d2/d3/file', lengthBytes: 5 }].slice(2), output, true);
    assert.equal(fs.statSync(join(output, 't/z/file')).size, 5);
  });
}

test('links of one torrent may pass through each other, wherever its folder really is', async () => {
  const output = fresh();
  fs.mkdirSync(join(output, 'elsewhere/deep'), { recursive: true });
  fs.symlinkSync('elsewhere/deep', join(output, 't'));
  const files: scenes.FileScene[] = [
    { path: 't/x/data', lengthBytes: 50 },
    { path: 't/one', lengthBytes: 0, symlinkPath: ['x'] },
    { path: 't/y/two', lengthBytes: 0, symlinkPath: ['one', 'data'] },
    { path: 't/three', lengthBytes: 0, symlinkPath: ['y'] },
  ];
  await prepare(files, output, true);
  await prepare(files, output, true);
  const root = fs.realpathSync(output);
  assert.equal(fs.realpathSync(join(output, 't/three/two')), join(root, 'elsewhere/deep/x/data'));
});

test('more than the file system has is refused before anything is made', async () => {
  const output = fresh();
  const files = [...TREE, { path: 't/huge', lengthBytes: 2 ** 42 }];
  await assert.rejects(prepare(files, output, true), (error) => {
    refuses('NO_SPACE', output)(error);
    assert.ok((error as HaulError).message.includes(String(2 ** 42 + 30_000)), (error as HaulError).message);
    return true;
  });
  assert.deepEqual(fs.readdirSync(output), []);
});

test('a disk that fills up while space is reserved loses nothing that was there', async (t) => {
  // Few inodes: the free space looks sufficient, and the disk is full all the same.
  const mount = await smallDisk(t, openScope(t), 'size=8m,nr_inodes=9');
  if (mount === null) return;
  fs.mkdirSync(join(mount, 'out/t'), { recursive: true });
  fs.writeFileSync(join(mount, 'out/t/0'), 'mine');
  const before = snapshot(mount);
  const files = Array.from({ length: 20 }, (_, index) => ({ path: `t/${index}`, lengthBytes: 1000 }));
  await assert.rejects(prepare(files, join(mount, 'out'), true), refuses('NO_SPACE', join(mount, 'out/t/')));
  assert.deepEqual(snapshot(mount), before);
  const large = [{ path: 't/0', lengthBytes: 9 * 1024 * 1024 }];
  await assert.rejects(prepare(large, join(mount, 'out'), true), refuses('NO_SPACE', join(mount, 'out')));
  assert.deepEqual(snapshot(mount), before);
});

test('an output that is a link to nothing is told as that', async () => {
  const output = fresh();
  fs.symlinkSync('gone', output);
  const text = `${output} is a link to gone, which is no folder; remove the link`;
  await assert.rejects(prepare(TREE, output, true), refuses('NOT_A_DIRECTORY', text));
});

test('an immutable file is told as that', async (t) => {
  const output = fresh();
  fs.mkdirSync(join(output, 't'), { recursive: true });
  const path = join(output, 't/a');
  fs.writeFileSync(path, 'ours');
  try {
    execFileSync('chattr', ['+i', path], { stdio: 'ignore' });
  } catch {
    skipWithout(t, 'this user may not make files immutable');
    return;
  }
  try {
    await assert.rejects(
      prepare(TREE, output, true),
      refuses('NO_PERMISSION', `${path}: not permitted; if it or its folder is immutable`),
    );
  } finally {
    execFileSync('chattr', ['-i', path]);
  }
});

test('a thousand files need no more than the bounded number of descriptors', async () => {
  const output = fresh();
  const files = Array.from({ length: 1000 }, (_, index) => ({ path: `t/${index % 10}/${index}`, lengthBytes: index }));
  const data = new DataFiles(scenes.metainfoOf(files, 16384), output);
  await data.prepare({ forWriting: true });
  const { descriptors } = data;
  const held = await descriptors.acquire([1, 2, 3]);
  assert.equal(new Set(held).size, 3);
  let isBlocked = true;
  const many = descriptors.acquire(Array.from({ length: 255 }, (_, index) => index + 10)).then(() => {
    assert.equal(isBlocked, false);
  });
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
  isBlocked = false;
  descriptors.release([1, 2, 3]);
  await many;
  descriptors.release(Array.from({ length: 255 }, (_, index) => index + 10));
  for (let at = 300; at < 1000; at += 50) {
    const group = Array.from({ length: 50 }, (_, index) => at + index);
    await descriptors.acquire(group);
    descriptors.release(group);
    assert.ok(descriptors.openCount <= 256);
  }
  fs.rmSync(join(output, 't/9/9'));
  await assert.rejects(descriptors.acquire([8, 9]), refuses('NOT_FOUND', join(output, 't/9/9')));
  await descriptors.acquire([8]);
  descriptors.release([8]);
  await data.close();
});

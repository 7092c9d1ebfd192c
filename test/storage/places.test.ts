/** Who may use a place on disk: in this thread, and between processes by a lock beside the data. */
import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { HaulError } from '../../src/errors.js';
import type { Metainfo } from '../../src/metainfo/metainfo.js';
import { findOwner, lockPath, lockRoot, type OwnerLock, shareLock } from '../../src/storage/owner-lock.js';
import { claimPlace } from '../../src/storage/places.js';
import * as scenes from './scene.js';

/** Where locks are kept by a mapping. */
const MAPPED = fs.existsSync('/dev/shm') ? '/dev/shm' : undefined;

function folderOf(t: TestContext): string {
  const folder = scenes.makeFolder();
  t.after(() => fs.rmSync(folder, { recursive: true }));
  return folder;
}

/** Another length is another torrent. */
const torrent = (path: string, lengthBytes = 10): Metainfo => scenes.metainfoOf([{ path, lengthBytes }], 16384);

function isInUse(text: RegExp, owner?: Metainfo): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof HaulError && error.code === 'IN_USE', String(error));
    assert.match(error.message, text);
    assert.doesNotMatch(error.message, /\n/);
    if (owner !== undefined) assert.equal(error.facts.infoHash, owner.infoHashHex);
    return true;
  };
}

const owner = (isWriting: boolean, pid = process.pid) => ({
  pid,
  isWriting,
  name: 'an "x"',
  infoHashHex: 'ab'.repeat(20),
});

async function take(root: string, isWriting: boolean): Promise<OwnerLock> {
  const outcome = await lockRoot(root, owner(isWriting));
  assert.ok(outcome?.isTaken, 'the lock is free');
  return outcome.lock;
}

test('a lock is one writer’s or any number of readers’, names an owner, and leaves no file', async (t) => {
  const root = join(folderOf(t), 'data');
  const writer = await take(root, true);
  for (const isWriting of [true, false]) {
    assert.deepEqual(await lockRoot(root, owner(isWriting, 1)), { isTaken: false, owner: owner(true) });
  }
  await writer.share();
  const readers = [await take(root, false), await take(root, false)];
  const refused = await lockRoot(root, owner(true, 1));
  assert.deepEqual(refused, { isTaken: false, owner: owner(false) });
  await Promise.all([writer.release(), ...readers.map((reader) => reader.release())]);
  await writer.release();
  assert.equal(fs.existsSync(lockPath(root)), false);
  await (await take(root, true)).release();
});

test('a writer that becomes a reader knows when somebody else was quicker', async () => {
  const answers = (list: readonly ('busy' | 'locked' | 'unknown')[]) => {
    let at = 0;
    return () => list[at++] ?? 'busy';
  };
  assert.equal(await shareLock(answers(['locked'])), true);
  assert.equal(await shareLock(answers(['busy', 'busy', 'locked'])), true, 'who only looks is gone at once');
  assert.equal(await shareLock(answers(['unknown'])), true);
  assert.equal(await shareLock(answers([])), false);
});

test('many readers that come and go at once never leave the file or shut each other out', async (t) => {
  const root = join(folderOf(t), 'data');
  await Promise.all(
    Array.from({ length: 20 }, async () => {
      for (let turn = 0; turn < 10; turn++) await (await take(root, false)).release();
    }),
  );
  assert.equal(fs.existsSync(lockPath(root)), false);
});

test('a line in the lock that nobody of us wrote is not repeated, what is no plain file is left alone', async (t) => {
  const folder = folderOf(t);
  const root = join(folder, 'data');
  const reader = await take(root, false);
  fs.writeFileSync(lockPath(root), `${process.pid} ${'0'.repeat(40)} seed "\x1b[2J"\nrm -rf /\n`);
  const refused = await lockRoot(root, owner(true));
  assert.deepEqual(refused, { isTaken: false, owner: null });
  await reader.release();

  const precious = join(folder, 'precious');
  fs.writeFileSync(precious, 'mine');
  for (const make of [fs.symlinkSync, fs.linkSync]) {
    make(precious, lockPath(root));
    assert.equal(await lockRoot(root, owner(true)), null);
    assert.equal(fs.readFileSync(precious, 'utf8'), 'mine');
    fs.rmSync(lockPath(root));
  }
});

test('a lock that is released while it becomes a mapping is gone, and so are its file and the mapping', async (t) => {
  const folder = scenes.makeFolder(MAPPED);
  t.after(() => fs.rmSync(folder, { recursive: true }));
  const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  for (let turns = 0; turns < 40; turns++) {
    const steps = turns % 8;
    const root = join(folder, `data${turns}`);
    const lock = await take(root, true);
    const sharing = lock.share();
    // Signed as a reader's it is shared next.
    while (!fs.readFileSync(lockPath(root), 'latin1').includes(' seed ')) await turn();
    for (let step = 0; step < steps; step++) await turn();
    await lock.release();
    await sharing;
    assert.equal(await findOwner(lockPath(root), true, 1), null, `after ${steps} steps`);
    assert.equal(fs.existsSync(lockPath(root)), false, `after ${steps} steps`);
  }
  assert.ok(!fs.readFileSync('/proc/self/maps', 'latin1').includes(folder));
});

test('no lock is needed where none can be had', async () => {
  assert.equal(await lockRoot('/proc/data', owner(true)), null);
});

test('a second writer is refused whatever torrent it has, and may come when the first has gone', async (t) => {
  const output = join(folderOf(t), 'made');
  const [file, tree] = [torrent('x'), torrent('x/a')];
  const first = await claimPlace(file, output, true);
  for (const isWriting of [true, false]) {
    await assert.rejects(claimPlace(tree, output, isWriting), isInUse(/^this program is downloading x \(info-/, file));
  }
  const beside = await claimPlace(torrent('y'), output, true);
  await first.share();
  const reader = await claimPlace(tree, output, false);
  await first.release();
  await first.release();
  await assert.rejects(claimPlace(file, output, true), isInUse(/seeding x .*; stop it first, or choose/, tree));
  await reader.release();
  await (await claimPlace(file, output, true)).release();
  await beside.release();
  assert.deepEqual(fs.readdirSync(output), []);
});

test('links, hard links and nested folders are no way around', async (t) => {
  const folder = folderOf(t);
  const real = join(folder, 'real');
  fs.mkdirSync(join(real, 't'), { recursive: true });
  fs.writeFileSync(join(real, 'image'), 'bytes');
  fs.symlinkSync('real', join(folder, 'link'));
  fs.mkdirSync(join(folder, 'other'));
  fs.symlinkSync('../real/t', join(folder, 'other/t'));
  fs.linkSync(join(real, 'image'), join(folder, 'other/image'));
  const isWriting = true;

  const image = await claimPlace(torrent('image'), real, isWriting);
  await assert.rejects(claimPlace(torrent('image', 11), join(folder, 'link'), isWriting), isInUse(/downloading image/));
  await assert.rejects(
    claimPlace(torrent('image', 11), join(folder, 'other'), isWriting),
    isInUse(/downloading image/),
  );
  await image.release();

  const tree = await claimPlace(torrent('t/sub/a'), real, isWriting);
  await assert.rejects(claimPlace(torrent('t/b'), join(folder, 'other'), isWriting), isInUse(/downloading t/));
  await assert.rejects(claimPlace(torrent('sub/b'), join(real, 't'), isWriting), isInUse(/downloading t/));
  await assert.rejects(claimPlace(torrent('a'), join(real, 't/sub'), isWriting), isInUse(/downloading t/));
  await (await claimPlace(torrent('else'), join(real, 't'), isWriting)).release();
  await tree.release();
});

test('a place inside another process’s, or around it, is refused while that one writes', async (t) => {
  const folder = folderOf(t);
  const dir = join(folder, 'dir');
  fs.mkdirSync(join(dir, 'sub/deep'), { recursive: true });
  const around = await take(dir, true);
  for (const isWriting of [true, false]) {
    for (const [path, output] of [
      ['sub/x', dir],
      ['new', dir],
      ['x', join(dir, 'sub/deep')],
    ] as const) {
      const text = new RegExp(
        `^another haul \\(process ${process.pid}\\) is downloading "an .* in ${folder}; wait for it`,
      );
      await assert.rejects(claimPlace(torrent(path), output, isWriting), isInUse(text));
    }
  }
  await (await claimPlace(torrent('beside'), folder, true)).release();
  await around.release();
  await (await claimPlace(torrent('sub/x'), dir, true)).release();

  const inside = await take(join(dir, 'sub/x'), true);
  for (const isWriting of [true, false]) {
    for (const path of ['dir/sub/x', 'dir/sub/x/a']) {
      await assert.rejects(
        claimPlace(torrent(path), folder, isWriting),
        isInUse(/another haul .* in \S+\/dir\/sub; wait/),
      );
    }
    await (await claimPlace(torrent('dir/sub/y'), folder, isWriting)).release();
  }
  await inside.release();
  await (await claimPlace(torrent('dir/sub/x'), folder, true)).release();
  assert.deepEqual(fs.readdirSync(folder, { recursive: true }).sort(), ['dir', 'dir/sub', 'dir/sub/deep']);
});

test('seeds of nested places go together; a writer comes to a seed only where the seed has nothing', async (t) => {
  const folder = folderOf(t);
  const dir = join(folder, 'dir');
  fs.mkdirSync(join(dir, 'sub'), { recursive: true });
  const around = await take(dir, false);
  await (await claimPlace(torrent('sub/x'), dir, false)).release();
  await assert.rejects(claimPlace(torrent('sub/x'), dir, true), isInUse(/is seeding .*; stop it first, or choose/));
  await (await claimPlace(torrent('new'), dir, true)).release();
  await around.release();
  const inside = await take(join(dir, 'sub'), false);
  await (await claimPlace(torrent('dir/sub/x'), folder, false)).release();
  await assert.rejects(claimPlace(torrent('dir/sub/x'), folder, true), isInUse(/is seeding .*; stop it first/));
  await inside.release();
});

test('a lock that its owner left behind, or that a torrent brought, is in nobody’s way', async (t) => {
  const folder = folderOf(t);
  const dir = join(folder, 'dir');
  fs.mkdirSync(dir);
  for (const root of [dir, join(dir, 'x')]) fs.writeFileSync(lockPath(root), `1 ${'ab'.repeat(20)} download "x"\n`);
  const places = [await claimPlace(torrent('y/a'), dir, true), await claimPlace(torrent('dir/x'), folder, true)];
  for (const place of places) await place.release();
});

test('a place inside that is given up while it is looked at is in nobody’s way', async (t) => {
  const folder = folderOf(t);
  const dir = join(folder, 'dir');
  fs.mkdirSync(dir);
  const inside = await take(join(dir, 'x'), true);
  const claim = claimPlace(torrent('dir/x'), folder, true);
  await findOwner(lockPath(join(dir, 'x')), true, 2);
  await inside.release();
  await (await claim).release();
});

test('where nothing can be locked the list of this thread holds all the same', async (t) => {
  if (process.getuid?.() === 0) {
    const first = await claimPlace(torrent('self'), '/proc', false);
    await assert.rejects(claimPlace(torrent('self/a'), '/proc', true), isInUse(/seeding self/));
    await first.release();
  } else {
    const output = folderOf(t);
    fs.chmodSync(output, 0o555);
    const first = await claimPlace(torrent('x'), output, true);
    await assert.rejects(claimPlace(torrent('x', 11), output, true), isInUse(/downloading x/));
    await first.release();
  }
});

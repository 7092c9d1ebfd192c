/** Data on its way to another folder: nothing is lost wherever it ends, and what stands in its way is refused. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { openScope } from '../../lab/scope.js';
import { tempFolder } from '../../lab/temp.js';
import { Bitfield } from '../../src/metainfo/bitfield.js';
import { keptTorrentPath } from '../../src/storage/kept-torrent.js';
import type { MoveStep } from '../../src/storage/move-data.js';
import { claimPlace } from '../../src/storage/places.js';
import { loadResume, partFilePath } from '../../src/storage/resume.js';
import { smallDisk } from '../support/small-disk.js';
import { contentOf, FOREIGN, layOut, MOVE_SCENE, type MoveKind, move, selectionOf } from './move-scene.js';
import * as scenes from './scene.js';

const CHILD = fileURLToPath(new URL('move-child.js', import.meta.url));
const { metainfo } = MOVE_SCENE;
const HAS_SHM = fs.existsSync('/dev/shm') && fs.statSync('/dev/shm').dev !== fs.statSync('/tmp').dev;
const KINDS: readonly MoveKind[] = ['alone', 'shared', 'seed', ...(HAS_SHM ? (['far'] as const) : [])];

const STAGE = `.${metainfo.infoHashHex.slice(0, 16)}.haul-moving`;
/** Steps before the rename. */
const STOPS: Readonly<Record<MoveKind, readonly MoveStep[]>> = {
  alone: ['begun', 'part', 'recorded'],
  seed: ['begun'],
  shared: ['begun', 'copied', 'built', 'part', 'recorded'],
  far: ['begun', 'copied', 'built', 'part', 'recorded'],
};

async function places(t: TestContext, kind: MoveKind): Promise<{ from: string; to: string; good: Bitfield }> {
  const scope = openScope(t);
  const [from, above] = [await tempFolder(scope), await tempFolder(scope, kind === 'far' ? '/dev/shm' : undefined)];
  return { from, to: join(above, 'new', 'place'), good: await layOut(from, kind) };
}

/** What the torrent has, the user's file left out. */
function ownContent(folder: string): Record<string, string> {
  const { [FOREIGN]: _, ...own } = fs.existsSync(folder) ? contentOf(folder) : {};
  return own;
}

async function trusted(folder: string, kind: MoveKind): Promise<Bitfield> {
  if (kind === 'seed') return new Bitfield(metainfo.geometry.pieceCount);
  const verdict = await loadResume(metainfo, folder, selectionOf(kind));
  return verdict.trusted;
}

const drawn = (field: Bitfield): string => [...field.bytes].join();

for (const kind of KINDS) {
  test(`all of a torrent goes, and nothing else: ${kind}`, async (t) => {
    const { from, to, good } = await places(t, kind);
    const before = ownContent(from);
    const steps: MoveStep[] = [];
    const progress: number[] = [];
    const moved = await move(from, to, kind, {
      onStep: (step) => steps.push(step),
      onProgress: (done, total) => progress.push(done, total),
    });
    assert.deepEqual(ownContent(to), before);
    assert.deepEqual(contentOf(from), kind === 'shared' ? { [FOREIGN]: 'mine' } : {});
    assert.deepEqual(moved!.kept, []);
    assert.equal(drawn(await trusted(to, kind)), drawn(good), 'its record holds at the new place');
    assert.equal(fs.statSync(join(to, 't/a/half')).mode & 0o777, 0o750);
    const total = Object.values(before).reduce((sum, text) => sum + (text.startsWith('-> ') ? 0 : text.length), 0);
    assert.deepEqual(progress.slice(-2), [total, total]);
    assert.equal(steps.includes('copied'), kind === 'shared' || kind === 'far');
    const left = fs.readdirSync(from).filter((name) => name !== 't');
    assert.deepEqual(left, [], 'no state of ours is left');
    assert.equal(fs.existsSync(join(from, 't')), kind === 'shared');
    const state = fs.readdirSync(to).filter((name) => !/^t$|haul-(resume|parts)$/.test(name));
    assert.deepEqual(state, []);
    if (kind !== 'seed') assert.equal((await loadResume(metainfo, to, selectionOf(kind))).recheck.count, 0);
  });

  test(`killed after any step it is whole in one place, and a second try ends it: ${kind}`, async (t) => {
    const killed: string[] = [];
    for (let count = 1; ; count++) {
      const { from, to, good } = await places(t, kind);
      const before = ownContent(from);
      const child = spawnSync(process.execPath, [CHILD, from, to, kind, String(count)], { encoding: 'utf8' });
      if (child.status === 0) break;
      assert.equal(child.signal, 'SIGKILL', child.stderr);
      const at = `${kind} after ${child.stdout.trim().split('\n').join(' ')}`;
      killed.push(at);
      const isThere = fs.existsSync(join(to, 't'));
      const whole = isThere ? to : from;
      const { [STAGE]: _, ...found } = ownContent(whole);
      for (const [name, text] of Object.entries(before)) assert.equal(found[name], text, `${at}: ${name}`);
      assert.equal(drawn(await trusted(whole, kind)), drawn(good), at);
      if (isThere) {
        await assert.rejects(move(from, to, kind), { code: 'FILE_EXISTS' }, at);
        continue;
      }
      const moved = await move(from, to, kind);
      assert.deepEqual(moved!.kept, [], at);
      assert.deepEqual(ownContent(to), before, at);
      assert.equal(drawn(await trusted(to, kind)), drawn(good), at);
    }
    assert.ok(killed.length >= 3, killed.join('\n'));
  });

  test(`stopped or failing before the end, all is as it was and nothing is left there: ${kind}`, async (t) => {
    const { from, to } = await places(t, kind);
    const before = fs.readdirSync(from, { recursive: true }).sort();
    const content = contentOf(from);
    for (const step of STOPS[kind]) {
      for (const how of ['stop', 'throw'] as const) {
        const stopping = new AbortController();
        let isReached = false;
        const outcome = move(from, to, kind, {
          signal: stopping.signal,
          onStep: (reached) => {
            if (reached !== step || isReached) return;
            isReached = true;
            if (how === 'throw') throw Object.assign(new Error('EIO: i/o error'), { code: 'EIO' });
            stopping.abort();
          },
        });
        const error = await outcome.then(
          () => null,
          (thrown) => thrown,
        );
        assert.ok(isReached, step);
        assert.equal(error?.code, how === 'stop' ? 'ABORTED' : 'IO', `${step}: ${error}`);
        assert.deepEqual(fs.readdirSync(from, { recursive: true }).sort(), before);
        assert.deepEqual(contentOf(from), content);
        assert.equal(fs.existsSync(join(to, '..')), false, 'not even the folders');
      }
    }
  });
}

test('places that make no sense are refused before anything is done', async (t) => {
  const { from, to } = await places(t, 'alone');
  const before = contentOf(from);
  const refused = async (where: string, code: string): Promise<void> => {
    await assert.rejects(move(from, where, 'alone'), { code }, where);
    assert.deepEqual(contentOf(from), before, where);
  };
  assert.equal(await move(from, from, 'alone'), null);
  const linked = join(to, '../../link');
  fs.symlinkSync(from, linked);
  assert.equal(await move(from, linked, 'alone'), null, 'the same by another name');
  await refused(join(from, 't/a'), 'BAD_ARGUMENT');
  await refused(join(linked, 't/new'), 'BAD_ARGUMENT');
  assert.equal(fs.existsSync(join(from, 't/new')), false);
  fs.mkdirSync(to, { recursive: true });
  for (const taken of ['file', 'folder', 'link'] as const) {
    const root = join(to, 't');
    if (taken === 'file') fs.writeFileSync(root, 'mine');
    else if (taken === 'folder') fs.mkdirSync(root);
    else fs.symlinkSync('/nowhere', root);
    await refused(to, 'FILE_EXISTS');
    fs.rmSync(root, { recursive: true });
  }
  fs.writeFileSync(partFilePath(metainfo, to), 'of an earlier time');
  await refused(to, 'FILE_EXISTS');
  assert.equal(fs.readFileSync(partFilePath(metainfo, to), 'utf8'), 'of an earlier time');
  fs.rmSync(partFilePath(metainfo, to));
  fs.writeFileSync(join(to, 'file'), '');
  await refused(join(to, 'file'), 'NOT_A_DIRECTORY');
  assert.deepEqual(fs.readdirSync(to), ['file']);
});

test('it goes neither into the place of another torrent nor around one, nor away from a reader', async (t) => {
  const { from, to } = await places(t, 'alone');
  const other = scenes.sceneOf([{ path: 'other/x', lengthBytes: 5000 }], 1000);
  const folder = join(to, 'o');
  fs.mkdirSync(folder, { recursive: true });
  scenes.writeScene(other, folder);
  for (const isWriting of [true, false]) {
    const place = await claimPlace(other.metainfo, folder, isWriting);
    await assert.rejects(move(from, join(folder, 'other/sub'), 'alone'), { code: 'IN_USE' });
    assert.equal(fs.existsSync(join(folder, 'other/sub')), false);
    await place.release();
  }
  const own = await claimPlace(metainfo, from, false);
  await assert.rejects(move(from, to, 'seed'), { code: 'IN_USE' });
  await own.release();
  assert.deepEqual((await move(from, to, 'alone'))!.kept, []);
});

test('too little space is told before anything is copied', async (t) => {
  const scope = openScope(t);
  const small = await smallDisk(t, scope, 'size=100k');
  if (small === null) return;
  const { from } = await places(t, 'alone');
  const before = contentOf(from);
  await assert.rejects(move(from, small, 'alone'), (error: { code: string; facts: { neededBytes: number } }) => {
    assert.equal(error.code, 'NO_SPACE');
    assert.ok(error.facts.neededBytes > 140_000, String(error.facts.neededBytes));
    return true;
  });
  assert.deepEqual(contentOf(from), before);
  assert.deepEqual(fs.readdirSync(small), []);
});

test('what is not known for its own stays, and so does what was written meanwhile', async (t) => {
  const { from, to } = await places(t, 'shared');
  const last = join(from, 't/z/last');
  fs.renameSync(last, `${last}.mine`);
  fs.writeFileSync(last, 'of the user');
  const skipped = join(from, 't/skipped');
  fs.writeFileSync(skipped, 'begun once');
  const whole = join(from, 't/whole');
  const moved = await move(from, to, 'shared', {
    onStep: (step) => {
      if (step === 'renamed') fs.appendFileSync(join(from, 't/a/half'), 'more');
    },
  });
  assert.deepEqual(moved!.kept, [join(from, 't/a/half'), skipped, last].sort());
  assert.equal(fs.readFileSync(last, 'utf8'), 'of the user');
  assert.equal(fs.existsSync(join(to, 't/z')), false);
  assert.equal(fs.existsSync(whole), false);
  assert.equal(fs.readFileSync(skipped, 'utf8'), 'begun once');
});

test('a seed of which a file is gone is not moved; through a link its files are, and the link stays', async (t) => {
  const { from, to } = await places(t, 'seed');
  const whole = join(from, 't/whole');
  fs.renameSync(whole, `${whole}.away`);
  await assert.rejects(move(from, to, 'seed'), { code: 'NOT_FOUND' });
  fs.renameSync(`${whole}.away`, whole);
  fs.renameSync(join(from, 't'), join(from, 'elsewhere'));
  fs.symlinkSync('elsewhere', join(from, 't'));
  const before = contentOf(join(from, 'elsewhere'));
  await move(from, to, 'seed');
  assert.deepEqual(contentOf(join(to, 't')), before);
  assert.ok(fs.lstatSync(join(from, 't')).isSymbolicLink());
  assert.ok(fs.statSync(join(to, 't')).isDirectory() && !fs.lstatSync(join(to, 't')).isSymbolicLink());
});

test('a copy of a file that is written meanwhile is given up', { skip: !HAS_SHM }, async (t) => {
  const { from, to } = await places(t, 'far');
  const before = Object.keys(contentOf(from));
  let isWritten = false;
  const moving = move(from, to, 'far', {
    onProgress: () => {
      if (!isWritten) fs.appendFileSync(join(from, 't/whole'), 'more');
      isWritten = true;
    },
  });
  await assert.rejects(moving, { code: 'BAD_DATA' });
  assert.deepEqual(Object.keys(contentOf(from)), before);
  assert.equal(fs.existsSync(to), false);
});

test('what the peers of a magnet said that the torrent is goes along', async (t) => {
  const { from, to } = await places(t, 'alone');
  const [before, after] = [from, to].map((folder) => keptTorrentPath(metainfo.infoHashHex, folder));
  fs.writeFileSync(before!, 'a torrent');
  await move(from, to, 'alone');
  assert.deepEqual([fs.existsSync(before!), fs.existsSync(after!)], [false, true]);
});

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { appendFile, mkdir, open, rename, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { after, afterEach, before, describe, test } from 'node:test';
import { AWKWARD_FILES, seededBytes, writeTree } from '../../lab/data.js';
import { openScope, Scope } from '../../lab/scope.js';
import { tempFolder } from '../../lab/temp.js';
import { createTorrent } from '../../src/content/create.js';
import { type RecheckResult, recheckFiles } from '../../src/content/recheck.js';
import { HaulError } from '../../src/errors.js';
import { encodeBencode } from '../../src/metainfo/bencode.js';
import { Bitfield } from '../../src/metainfo/bitfield.js';
import type { Metainfo } from '../../src/metainfo/metainfo.js';
import { parseTorrent } from '../../src/metainfo/torrent.js';
import { createWorkPool } from '../../src/work/pool.js';
import { ProbePool } from '../support/probe-pool.js';

const KIB = 1024;
const suite = new Scope();
let pool: ProbePool;

before(() => {
  const real = createWorkPool({ threads: 2 });
  suite.defer(() => real.close());
  pool = new ProbePool(real);
});
afterEach(() => {
  pool.fault = () => null;
});
after(() => suite.close());

interface Scene {
  readonly output: string;
  readonly metainfo: Metainfo;
  at(file: string): string;
}

/** The awkward tree with a link in it, as data in place and as a torrent of 16 KiB pieces. */
async function scene(test: { after(hook: () => Promise<void>): void }, pieceLengthBytes = 16 * KIB): Promise<Scene> {
  const output = await tempFolder(openScope(test));
  const root = path.join(output, 'tree');
  await writeTree(root, AWKWARD_FILES, 'recheck');
  await symlink('../block', path.join(root, 'bin', 'link'));
  const metainfo = parseTorrent(await createTorrent(root, { pieceLengthBytes }, pool));
  return { output, metainfo, at: (file) => path.join(root, file) };
}

/** One character per piece: '+' good, '-' not. */
function draw(good: Bitfield): string {
  return Array.from({ length: good.bitCount }, (_, piece) => (good.has(piece) ? '+' : '-')).join('');
}

/** The drawing expected when only the pieces of these torrent ranges are bad. */
function drawBad(metainfo: Metainfo, ranges: readonly (readonly [begin: number, length: number])[]): string {
  const { pieceCount, pieceLengthBytes } = metainfo.geometry;
  const touches = (piece: number) =>
    ranges.some(
      ([begin, length]) => piece * pieceLengthBytes < begin + length && begin < (piece + 1) * pieceLengthBytes,
    );
  return Array.from({ length: pieceCount }, (_, piece) => (touches(piece) ? '-' : '+')).join('');
}

function entryOf(metainfo: Metainfo, file: string) {
  const entry = metainfo.files.find(({ path: components }) => components.slice(1).join('/') === file);
  assert.ok(entry !== undefined, file);
  return entry;
}

function notOk(result: RecheckResult): string[] {
  return result.files.filter(({ state }) => state !== 'ok').map(({ path: file, state }) => `${file} ${state}`);
}

async function flip(file: string, at: number): Promise<void> {
  const handle = await open(file, 'r+');
  const byte = Buffer.alloc(1);
  await handle.read(byte, 0, 1, at);
  byte[0]! ^= 1;
  await handle.write(byte, 0, 1, at);
  await handle.close();
}

describe('the hash check', () => {
  for (const pieceLength of [16 * KIB, 256 * KIB]) {
    test(`finds a whole tree good in pieces of ${pieceLength / KIB} KiB, through a link to it too`, async (t) => {
      const { output, metainfo } = await scene(t, pieceLength);
      const progress: number[] = [];
      const onProgress = (checked: number, total: number) => {
        assert.equal(total, metainfo.geometry.pieceCount);
        progress.push(checked);
      };
      const result = await recheckFiles(metainfo, output, pool, { onProgress });
      assert.ok(result.good.isFull);
      assert.deepEqual(notOk(result), []);
      assert.equal(result.files.length, AWKWARD_FILES.length + 1);
      assert.equal(progress.at(-1), metainfo.geometry.pieceCount);
      const alias = path.join(output, 'alias');
      await symlink('.', alias);
      assert.ok((await recheckFiles(metainfo, alias, pool)).good.isFull);
    });
  }

  test('finds exactly the piece of a flipped byte, and the files that share in it', async (t) => {
    const { output, metainfo, at } = await scene(t);
    const entry = entryOf(metainfo, 'with space/.hidden');
    await flip(at('with space/.hidden'), 150_000);
    const result = await recheckFiles(metainfo, output, pool);
    assert.equal(draw(result.good), drawBad(metainfo, [[entry.beginBytes + 150_000, 1]]));
    assert.deepEqual(notOk(result), ['tree/with space/.hidden bad']);

    const one = entryOf(metainfo, 'one');
    await flip(at('with space/.hidden'), 150_000);
    await flip(at('one'), 0);
    const shared = await recheckFiles(metainfo, output, pool);
    assert.equal(draw(shared.good), drawBad(metainfo, [[one.beginBytes, 1]]));
    assert.ok(notOk(shared).includes('tree/one bad'));
    assert.ok(notOk(shared).length >= 2, 'a neighbour shares the piece');
  });

  test('finds bad only the pieces that touch missing, short and wrong things', async (t) => {
    const { output, metainfo, at } = await scene(t);
    const hidden = entryOf(metainfo, 'with space/.hidden');
    const block = entryOf(metainfo, 'block');
    const deep = entryOf(metainfo, 'deep/er/and/deeper/still/leaf.txt');
    await truncate(at('with space/.hidden'), 200_000);
    await rm(at('block'));
    await rename(at('deep'), at('shallow'));
    await writeFile(at('z-empty'), 'not empty');
    await appendFile(at('grüße/日本語/файл.bin'), 'tail');
    await rm(at('bin/link'));
    await symlink('../one', at('bin/link'));
    const result = await recheckFiles(metainfo, output, pool);
    const ranges: [number, number][] = [
      [hidden.beginBytes + 200_000, hidden.lengthBytes - 200_000],
      [block.beginBytes, block.lengthBytes],
      [deep.beginBytes, deep.lengthBytes],
    ];
    assert.equal(draw(result.good), drawBad(metainfo, ranges));
    const states = new Map(result.files.map((file) => [file.path.slice('tree/'.length), file.state]));
    assert.equal(states.get('with space/.hidden'), 'wrong-length');
    assert.equal(states.get('block'), 'missing');
    assert.equal(states.get('deep/er/and/deeper/still/leaf.txt'), 'missing');
    assert.equal(states.get('deep/er/empty'), 'missing');
    assert.equal(states.get('z-empty'), 'wrong-length');
    assert.equal(states.get('grüße/日本語/файл.bin'), 'wrong-length');
    assert.equal(states.get('bin/link'), 'bad');
    assert.equal(states.get('a-empty'), 'ok');
  });

  test('finds everything missing in a folder that is not there', async (t) => {
    const { output, metainfo } = await scene(t);
    const result = await recheckFiles(metainfo, path.join(output, 'elsewhere'), pool);
    assert.equal(result.good.count, 0);
    assert.ok(result.files.every(({ state }) => state === 'missing'));
  });

  test('takes a folder or a FIFO in the place of a file as missing, and does not wait for a writer', async (t) => {
    const { output, metainfo, at } = await scene(t);
    await rm(at('one'));
    await mkdir(at('one'));
    await rm(at('block'));
    execFileSync('mkfifo', [at('block')]);
    const result = await recheckFiles(metainfo, output, pool);
    assert.ok(notOk(result).includes('tree/one missing'));
    assert.ok(notOk(result).includes('tree/block missing'));
  });

  test('checks only the pieces it is asked for', async (t) => {
    const { output, metainfo, at } = await scene(t);
    const only = new Bitfield(metainfo.geometry.pieceCount);
    for (const piece of [0, 3, 4, 20]) only.set(piece);
    await flip(at('with space/.hidden'), 290_000);
    const calls: string[] = [];
    const onProgress = (checked: number, total: number) => calls.push(`${checked}/${total}`);
    const result = await recheckFiles(metainfo, output, pool, { only, onProgress });
    assert.deepEqual(result.good.bytes, only.bytes);
    assert.equal(calls.at(-1), '4/4');
    // The flipped byte is in a piece that was not asked for.
    assert.deepEqual(notOk(result), []);
    const none = await recheckFiles(metainfo, output, pool, { only: new Bitfield(metainfo.geometry.pieceCount) });
    assert.equal(none.good.count, 0);
  });

  test('looks only at the files of the pieces it is asked for', async (t) => {
    const { output, metainfo, at } = await scene(t);
    const hidden = entryOf(metainfo, 'with space/.hidden');
    const only = new Bitfield(metainfo.geometry.pieceCount);
    only.set(Math.ceil(hidden.beginBytes / metainfo.geometry.pieceLengthBytes));
    await rm(at('block'));
    const before = pool.looks;
    const result = await recheckFiles(metainfo, output, pool, { only });
    assert.equal(pool.looks - before, 1);
    assert.deepEqual(result.good.bytes, only.bytes);
    assert.deepEqual(result.files, [{ path: 'tree/with space/.hidden', state: 'ok' }]);
  });

  test('reads padding as zeros', async (t) => {
    const output = await tempFolder(openScope(t));
    const [a, b] = [seededBytes('a', 10_000), seededBytes('b', 30_000)];
    const whole = Buffer.concat([a, Buffer.alloc(6384), b]);
    const pieces = [0, 1, 2].map((i) =>
      createHash('sha1')
        .update(whole.subarray(i * 16384, (i + 1) * 16384))
        .digest(),
    );
    const files = [
      { path: ['a'], length: 10_000 },
      { path: ['.pad', '6384'], length: 6384, attr: 'p' },
      { path: ['b'], length: 30_000 },
    ];
    const info = { name: 'padded', 'piece length': 16384, pieces: Buffer.concat(pieces), files };
    const metainfo = parseTorrent(encodeBencode({ info }));
    await mkdir(path.join(output, 'padded'));
    await writeFile(path.join(output, 'padded', 'a'), a);
    await writeFile(path.join(output, 'padded', 'b'), b);
    const result = await recheckFiles(metainfo, output, pool);
    assert.equal(draw(result.good), '+++');
    assert.deepEqual(result.files, [
      { path: 'padded/a', state: 'ok' },
      { path: 'padded/b', state: 'ok' },
    ]);
  });

  test('never takes missing bytes for good, not even when the torrent asks for digests of zeros', async (t) => {
    const output = await tempFolder(openScope(t));
    const info = { name: 'f', 'piece length': 16384, pieces: Buffer.alloc(40), length: 20_000 };
    const metainfo = parseTorrent(encodeBencode({ info }));
    await writeFile(path.join(output, 'f'), seededBytes(1, 20_000));
    pool.fault = () => {
      truncate(path.join(output, 'f'), 0).catch(() => {});
      return null;
    };
    assert.equal((await recheckFiles(metainfo, output, pool)).good.count, 0);
    pool.fault = () => null;
    assert.equal((await recheckFiles(metainfo, output, pool)).good.count, 0);
  });

  test('gives up only the piece that cannot be read', async (t) => {
    const { output, metainfo } = await scene(t);
    const hidden = entryOf(metainfo, 'with space/.hidden');
    const spot = 100_000;
    // A bad sector: every job that reads this byte of the large file fails.
    pool.fault = (job) => {
      if (job.kind !== 'digest-pieces') return null;
      const hits = job.files.some(
        ({ beginBytes, lengthBytes }) => beginBytes <= spot && spot < beginBytes + lengthBytes,
      );
      return hits ? 'EIO' : null;
    };
    const result = await recheckFiles(metainfo, output, pool);
    pool.fault = () => null;
    assert.equal(draw(result.good), drawBad(metainfo, [[hidden.beginBytes + spot, 1]]));
  });

  test('says nothing of a piece that cannot be read, where that is asked; one that is gone is bad', async (t) => {
    const { output, metainfo, at } = await scene(t);
    for (const errno of ['EIO', 'ESTALE']) {
      pool.fault = (job) => (job.kind === 'digest-pieces' ? errno : null);
      const strict = recheckFiles(metainfo, output, pool, { isStrict: true });
      await assert.rejects(strict, { code: 'IO', message: new RegExp(errno) });
    }
    pool.fault = () => null;
    await rm(at('block'));
    const block = entryOf(metainfo, 'block');
    const result = await recheckFiles(metainfo, output, pool, { isStrict: true });
    assert.equal(draw(result.good), drawBad(metainfo, [[block.beginBytes, block.lengthBytes]]));
  });

  test('fails as a whole, naming the file, when descriptors run out or access is denied; stops if asked', async (t) => {
    const { output, metainfo } = await scene(t);
    const descriptors = readdirSync('/proc/self/fd').length;
    pool.fault = () => 'EMFILE';
    await assert.rejects(recheckFiles(metainfo, output, pool), (error) => {
      assert.ok(error instanceof HaulError);
      assert.match(error.message, /^read .*tree\/.*too many open files/);
      return true;
    });
    pool.fault = () => 'EACCES';
    await assert.rejects(recheckFiles(metainfo, output, pool), { code: 'NO_PERMISSION', message: /tree\// });
    pool.fault = () => null;
    await assert.rejects(recheckFiles(metainfo, output, pool, { signal: AbortSignal.abort() }), { code: 'ABORTED' });
    assert.equal(readdirSync('/proc/self/fd').length, descriptors);
  });
});

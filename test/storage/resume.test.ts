import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import fc from 'fast-check';
import { Bitfield } from '../../src/metainfo/bitfield.js';
import type { Metainfo } from '../../src/metainfo/metainfo.js';
import { loadResume, resumePath, saveResume } from '../../src/storage/resume.js';
import { decodeResume, longestRecordBytes } from '../../src/storage/resume-record.js';
import { stampFiles } from '../../src/storage/stamp-files.js';
import { spoiled } from '../../src/work/file-stamp.js';
import * as scenes from './scene.js';

const folder = scenes.makeFolder();
after(() => fs.rmSync(folder, { recursive: true }));
let count = 0;

/** Pieces 0-2 lie in a, 3 in a and b, 4-6 in b, 7 in b and c. */
const SCENE = scenes.sceneOf(
  [
    { path: 't/a', lengthBytes: 3500 },
    { path: 't/b', lengthBytes: 4000 },
    { path: 't/empty', lengthBytes: 0 },
    { path: 't/c', lengthBytes: 400 },
  ],
  1000,
);
const { metainfo } = SCENE;

function bits(text: string): Bitfield {
  const field = new Bitfield(text.length);
  for (let index = 0; index < text.length; index++) if (text[index] === '1') field.set(index);
  return field;
}

function drawn(field: Bitfield): string {
  return Array.from({ length: field.bitCount }, (_, index) => (field.has(index) ? '1' : '0')).join('');
}

async function load(output: string, of: Metainfo = metainfo): Promise<string> {
  const { trusted, recheck, problem } = await loadResume(of, output);
  return `${drawn(trusted)} ${drawn(recheck)} ${problem === null ? '' : 'problem'}`;
}

function scene(): string {
  const output = join(folder, `${++count}`);
  scenes.writeScene(SCENE, output);
  return output;
}

/** Another mtime, without waiting for the clock. */
function touch(path: string): void {
  fs.utimesSync(path, 1_000_000, 1_000_000);
}

test('after a clean end recorded pieces are trusted and the rest is missing', async () => {
  const output = scene();
  await scenes.record(metainfo, output, bits('10110101'), true);
  assert.equal(await load(output), '10110101 00000000 ');
  assert.deepEqual(fs.readdirSync(output).sort(), [`.${metainfo.infoHashHex.slice(0, 16)}.haul-resume`, 't']);
});

test('after an unclean end everything that is not recorded is checked', async () => {
  const output = scene();
  await scenes.record(metainfo, output, bits('10110101'), false);
  assert.equal(await load(output), '10110101 01001010 ');
});

test('pieces of a file that changed are checked, recorded or not, those of its neighbours trusted', async () => {
  const output = scene();
  await scenes.record(metainfo, output, bits('11011111'), true);
  touch(join(output, 't/b'));
  assert.equal(await load(output), '11000000 00011111 ');
  touch(join(output, 't/a'));
  assert.equal(await load(output), '00000000 11111111 ');
});

test('a file that grew shorter with its old mtime is not trusted', async () => {
  const output = scene();
  await scenes.record(metainfo, output, bits('11111111'), true);
  const path = join(output, 't/a');
  const { atime, mtime } = fs.statSync(path);
  fs.truncateSync(path, 3000);
  fs.utimesSync(path, atime, mtime);
  assert.equal(await load(output), '00001111 11110000 ');
});

test('another file that was given the inode number of a deleted one is neither trusted nor ours', async (t) => {
  const output = scene();
  await scenes.record(metainfo, output, bits('11111111'), true);
  assert.ok((await loadResume(metainfo, output)).ours.has(0));
  if (!scenes.rebear(join(output, 't/a'), Buffer.alloc(3500, 'precious'))) {
    t.skip('inode numbers are not given out again here');
    return;
  }
  assert.equal(await load(output), '00001111 11110000 ');
  assert.ok(!(await loadResume(metainfo, output)).ours.has(0));
});

test('without a record everything that has data is checked, and nothing in an empty folder', async () => {
  const output = scene();
  assert.equal(await load(output), '00000000 11111111 ');
  fs.rmSync(join(output, 't/a'));
  assert.equal(await load(output), '00000000 00011111 ');
  assert.equal(await load(join(output, 'nowhere')), '00000000 00000000 ');
  assert.equal(await load(join(output, 't/b')), '00000000 00000000 ');
});

test('a record of another torrent, a folder or a link in its place are problems, not trusted', async () => {
  const output = scene();
  const other = scenes.metainfoOf([{ path: 't/a', lengthBytes: 3500 }], 1000);
  await scenes.record(other, output, bits('1111'), true);
  fs.renameSync(resumePath(other, output), resumePath(metainfo, output));
  assert.equal(await load(output), '00000000 11111111 problem');
  fs.rmSync(resumePath(metainfo, output));
  fs.mkdirSync(resumePath(metainfo, output));
  assert.equal(await load(output), '00000000 11111111 problem');
  fs.rmdirSync(resumePath(metainfo, output));
  const real = join(output, 'real');
  await scenes.record(metainfo, output, bits('11111111'), true);
  fs.renameSync(resumePath(metainfo, output), real);
  fs.symlinkSync(real, resumePath(metainfo, output));
  assert.equal(await load(output), '00000000 11111111 problem');
});

test('any damage to a record makes it unusable and never throws', async () => {
  const output = scene();
  await scenes.record(metainfo, output, bits('10110101'), true);
  const whole = fs.readFileSync(resumePath(metainfo, output));
  assert.equal(typeof decodeResume(metainfo, whole), 'object');
  fc.assert(
    fc.property(fc.nat(whole.length - 1), fc.integer({ min: 1, max: 255 }), (at, flip) => {
      const damaged = Buffer.from(whole);
      damaged[at]! ^= flip;
      assert.equal(typeof decodeResume(metainfo, damaged), 'string');
    }),
  );
  fc.assert(
    fc.property(fc.nat(whole.length - 1), (length) => {
      assert.equal(typeof decodeResume(metainfo, whole.subarray(0, length)), 'string');
    }),
  );
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 300 }),
      (bytes) => typeof decodeResume(metainfo, Buffer.from(bytes)) === 'string',
    ),
  );
  fs.writeFileSync(resumePath(metainfo, output), whole.subarray(0, 50));
  assert.equal(await load(output), '00000000 11111111 problem');
});

test('a record that could not be finished leaves the old one, and does not stop the next', async () => {
  const output = scene();
  await scenes.record(metainfo, output, bits('10000000'), true);
  // What a process that was killed while writing leaves behind.
  fs.writeFileSync(`${resumePath(metainfo, output)}.tmp`, 'half a rec');
  assert.equal(await load(output), '10000000 00000000 ');
  await scenes.record(metainfo, output, bits('11000000'), true);
  assert.equal(await load(output), '11000000 00000000 ');
  assert.equal(fs.existsSync(`${resumePath(metainfo, output)}.tmp`), false);
});

test('a record after an unclean end keeps the room of the next one, and a clean one gives it back', async () => {
  const output = scene();
  const spare = `${resumePath(metainfo, output)}.tmp`;
  const longest = longestRecordBytes(metainfo);
  await scenes.record(metainfo, output, bits('10000000'), false);
  assert.equal(fs.statSync(spare).size, longest);
  assert.equal(fs.statSync(resumePath(metainfo, output)).size, longest);
  const { ino } = fs.statSync(spare);
  await scenes.record(metainfo, output, bits('11000000'), false);
  assert.equal(fs.statSync(resumePath(metainfo, output)).ino, ino, 'the spare has become the record');
  assert.equal(fs.statSync(spare).size, longest);
  assert.equal(await load(output), '11000000 00111111 ');
  await scenes.record(metainfo, output, bits('11100000'), true);
  assert.equal(fs.existsSync(spare), false);
  assert.equal(await load(output), '11100000 00000000 ');
  // After a clean end the record is short, and has less room than the next one needs.
  await scenes.record(metainfo, output, bits('11110000'), false);
  await scenes.record(metainfo, output, bits('11111000'), false);
  assert.equal(fs.statSync(spare).size, longest);
  assert.equal(await load(output), '11111000 00000111 ');
});

test('what lies in the place of the spare is not written through', async () => {
  const output = scene();
  const spare = `${resumePath(metainfo, output)}.tmp`;
  const victim = join(output, 'victim');
  fs.writeFileSync(victim, 'mine');
  const put: [string, () => void][] = [
    ['hard link', () => fs.linkSync(victim, spare)],
    ['link', () => fs.symlinkSync(victim, spare)],
    ['FIFO', () => execFileSync('mkfifo', [spare])],
    ['socket or other bytes', () => fs.writeFileSync(spare, Buffer.alloc(100_000, 'x'))],
  ];
  for (const [what, make] of put) {
    fs.rmSync(spare, { force: true });
    make();
    await scenes.record(metainfo, output, bits('11000000'), false);
    assert.equal(await load(output), '11000000 00111111 ', what);
    assert.equal(fs.readFileSync(victim, 'latin1'), 'mine', what);
    assert.equal(fs.statSync(victim).nlink, 1, what);
  }
});

test('a folder in the place of the record, or of its spare, is named', async () => {
  for (const suffix of ['', '.tmp']) {
    for (const isClean of [true, false]) {
      const output = scene();
      const path = resumePath(metainfo, output) + suffix;
      fs.mkdirSync(path);
      fs.writeFileSync(join(path, 'mine'), 'mine');
      await assert.rejects(scenes.record(metainfo, output, bits('11000000'), isClean), {
        code: 'NOT_A_DIRECTORY',
        message: `${path} is a folder where the record of this download goes; move it away`,
      });
      assert.equal(fs.readFileSync(join(path, 'mine'), 'latin1'), 'mine');
      assert.deepEqual(fs.readdirSync(output).length, 2, 'nothing else is left behind');
    }
  }
});

test('a record without inode numbers is believed only where the file system makes them up', async () => {
  const output = scene();
  const stamps = await stampFiles(metainfo, output, null);
  const crafted = stamps.map((stamp) => ({ ...stamp, device: 0n, inode: 0n, birthNs: 0n }));
  await saveResume(metainfo, output, { synced: bits('11111111'), isClean: true, stamps: crafted });
  assert.equal(await load(output), '00000000 11111111 ');
  assert.equal((await loadResume(metainfo, output)).ours.count, 0);
});

test('a link where the temporary record goes is not followed', async () => {
  const output = scene();
  const victim = join(output, 'victim');
  fs.writeFileSync(victim, 'mine');
  fs.symlinkSync(victim, `${resumePath(metainfo, output)}.tmp`);
  await scenes.record(metainfo, output, bits('11111111'), true);
  assert.equal(fs.readFileSync(victim, 'latin1'), 'mine');
});

test('a folder that is gone is an error with one line', async () => {
  const output = join(folder, 'gone');
  await assert.rejects(scenes.record(metainfo, output, bits('11111111'), true), {
    name: 'HaulError',
    code: 'NOT_FOUND',
  });
});

test('more files than are looked at one by one are all looked at', async () => {
  const many = scenes.sceneOf(
    Array.from({ length: 900 }, (_, index) => ({ path: `m/${index}`, lengthBytes: 10 })),
    100,
  );
  const output = join(folder, 'many');
  scenes.writeScene(many, output);
  const all = new Bitfield(90);
  all.setAll();
  await scenes.record(many.metainfo, output, all, true);
  touch(join(output, 'm/455'));
  const verdict = await loadResume(many.metainfo, output);
  assert.equal(verdict.trusted.count, 89);
  assert.equal(drawn(verdict.recheck).indexOf('1'), 45);
  assert.equal(verdict.recheck.count, 1);
});

test('a file that is gone is trusted for nothing, also when it was gone when the record was written', async () => {
  const output = scene();
  fs.rmSync(join(output, 't/b'));
  await scenes.record(metainfo, output, bits('11111111'), true);
  // Pieces 3 and 7 hold bytes of neighbours; 4 to 6 have nothing at all to be checked.
  assert.equal(await load(output), '11100000 00010001 ');
  fs.rmSync(join(output, 't'), { recursive: true });
  assert.equal(await load(output), '00000000 11100000 ', 'asked for again by the hash check, which finds nothing');
});

test('a file that took the place of another is not trusted, though it is as long and as old', async () => {
  const output = scene();
  const path = join(output, 't/a');
  touch(path);
  await scenes.record(metainfo, output, bits('11111111'), true);
  fs.writeFileSync(`${path}2`, Buffer.alloc(3500));
  touch(`${path}2`);
  fs.renameSync(`${path}2`, path);
  const verdict = await loadResume(metainfo, output);
  assert.equal(drawn(verdict.trusted), '00001111');
  assert.equal(verdict.ours.has(0), false, 'it is somebody’s own');
  assert.equal(verdict.ours.has(1), true);
});

test('pieces in a file that is not whole when the record is written are not in it', async () => {
  const output = scene();
  const stamps = await stampFiles(metainfo, output, null);
  stamps[1] = spoiled(stamps[1]!);
  await saveResume(metainfo, output, { synced: bits('11111111'), isClean: true, stamps });
  assert.equal(await load(output), '11100000 00011111 ');
  assert.equal((await loadResume(metainfo, output)).ours.has(1), true, 'it is still known as ours');
});

test('a record of an earlier version is said to be one, and everything with data is checked', async () => {
  const output = scene();
  for (const version of ['1', '2']) {
    fs.writeFileSync(resumePath(metainfo, output), `haul-resume ${version}\n${'x'.repeat(150)}`);
    assert.equal(await load(output), '00000000 11111111 problem');
    const { problem } = await loadResume(metainfo, output);
    assert.match(problem ?? '', /haul-resume: it was written by another version of this program/);
  }
});

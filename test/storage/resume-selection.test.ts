/** The record of a selection, and what of it counts under another one. Scenes: one character per piece. */
import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import fc from 'fast-check';
import { Bitfield } from '../../src/metainfo/bitfield.js';
import { type FilePriority, Selection } from '../../src/metainfo/selection.js';
import { loadResume, partFilePath, resumePath } from '../../src/storage/resume.js';
import { decodeResume } from '../../src/storage/resume-record.js';
import * as scenes from './scene.js';

const folder = scenes.makeFolder();
after(() => fs.rmSync(folder, { recursive: true }));
let count = 0;

/** Pieces 0-2 lie in a, 3 in a and b, 4-6 in b, 7 in b and c, 8 in c, 9 in c and d. */
const SCENE = scenes.sceneOf(
  [
    { path: 't/a', lengthBytes: 3500 },
    { path: 't/b', lengthBytes: 4000 },
    { path: 't/c', lengthBytes: 1600 },
    { path: 't/d', lengthBytes: 300 },
  ],
  1000,
);
const { metainfo } = SCENE;

/** `only('ac')` skips the others. */
function only(names: string): Selection {
  return Selection.of(
    metainfo,
    metainfo.files.map(({ path }): FilePriority => (names.includes(path.at(-1)!) ? 'normal' : 'skip')),
  );
}

function bits(text: string): Bitfield {
  const field = new Bitfield(text.length);
  for (let index = 0; index < text.length; index++) if (text[index] === '1') field.set(index);
  return field;
}

const drawn = (field: Bitfield): string =>
  Array.from({ length: field.bitCount }, (_, index) => (field.has(index) ? '1' : '0')).join('');

async function load(output: string, selection: Selection | null): Promise<string> {
  const { trusted, recheck, problem } = await loadResume(metainfo, output, selection);
  return `${drawn(trusted)} ${drawn(recheck)} ${problem === null ? '' : 'problem'}`;
}

/** A finished download of these files, with its part file and record. */
async function finished(names: string): Promise<string> {
  const output = join(folder, `${++count}`);
  const selection = only(names);
  scenes.writeScene(SCENE, output);
  for (const { path } of metainfo.files) if (!names.includes(path.at(-1)!)) fs.unlinkSync(join(output, ...path));
  if (!selection.isWhole) fs.writeFileSync(partFilePath(metainfo, output), 'borders');
  const all = new Bitfield(metainfo.geometry.pieceCount);
  for (let piece = 0; piece < all.bitCount; piece++) if (selection.isWanted(piece)) all.set(piece);
  await scenes.record(metainfo, output, all, true, selection);
  return output;
}

test('the same selection trusts what it recorded, borders included', async () => {
  const output = await finished('b');
  assert.equal(await load(output, only('b')), '0001111100 0000000000 ');
});

test('with everything wanted again only the pieces that lay in the part file are looked at', async () => {
  const output = await finished('b');
  assert.equal(await load(output, null), '0000111000 0001000100 ');
  assert.equal(await load(output, only('abcd')), '0000111000 0001000100 ');
});

test('another selection keeps the pieces whose place is the same, in the part file too', async () => {
  const output = await finished('b');
  // The border of a stays where it was, that of c moves into c.
  assert.equal(await load(output, only('bc')), '0001111000 0000000100 ');
  // The border of a goes, so that of c moves up in the part file.
  assert.equal(await load(output, only('ab')), '0000111000 0001000100 ');
});

test('fewer files than before: what is not wanted does not count, and borders are looked at', async () => {
  const output = await finished('abcd');
  assert.equal(await load(output, null), '1111111111 0000000000 ');
  assert.equal(await load(output, only('b')), '0000111000 0001000100 ');
  assert.equal(await load(output, only('a')), '1110000000 0001000000 ');
});

test('a file that was skipped and is there is checked, not trusted and not fetched unseen', async () => {
  const output = await finished('a');
  fs.writeFileSync(join(output, 't/b'), 'somebody put it there');
  assert.equal(await load(output, only('ab')), '1110000000 0001111100 ');
});

test('a part file that was touched or removed puts the borders in doubt and nothing else', async () => {
  const output = await finished('b');
  fs.utimesSync(partFilePath(metainfo, output), 1_000_000, 1_000_000);
  assert.equal(await load(output, only('b')), '0000111000 0001000100 ');
  fs.unlinkSync(partFilePath(metainfo, output));
  assert.equal(await load(output, only('b')), '0000111000 0001000100 ');
});

test('after an unclean end every wanted piece with data is checked, and none that is skipped', async () => {
  const output = await finished('b');
  await scenes.record(metainfo, output, bits('0000010000'), false, only('b'));
  assert.equal(await load(output, only('b')), '0000010000 0001101100 ');
  fs.unlinkSync(resumePath(metainfo, output));
  assert.equal(await load(output, only('b')), '0000000000 0001111100 ');
});

test('a record that claims pieces of files it says were skipped is not believed there', async () => {
  const output = await finished('b');
  await scenes.record(metainfo, output, bits('1111111111'), true, only('b'));
  assert.equal(await load(output, null), '0000111000 1111000111 ');
});

test('a record without skipped files has no place for them', async () => {
  const output = await finished('abcd');
  const record = fs.readFileSync(resumePath(metainfo, output));
  assert.equal(record.toString('latin1', 0, 14), 'haul-resume 4\n');
  await scenes.record(metainfo, output, bits('1111111111'), true);
  assert.ok(fs.readFileSync(resumePath(metainfo, output)).equals(record));
});

test('any damage to a record of a selection makes it unusable and never throws', async () => {
  const output = await finished('b');
  const whole = fs.readFileSync(resumePath(metainfo, output));
  assert.equal(typeof decodeResume(metainfo, whole), 'object');
  fc.assert(
    fc.property(fc.nat(whole.length - 1), fc.integer({ min: 1, max: 255 }), (at, flip) => {
      const damaged = Buffer.from(whole);
      damaged[at]! ^= flip;
      assert.equal(typeof decodeResume(metainfo, damaged), 'string');
      assert.equal(typeof decodeResume(metainfo, whole.subarray(0, at)), 'string');
    }),
  );
  fs.writeFileSync(resumePath(metainfo, output), whole.subarray(0, whole.length - 17));
  assert.equal(await load(output, only('b')), '0000000000 0001111100 problem');
});

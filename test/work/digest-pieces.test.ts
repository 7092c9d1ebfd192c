/**
 * Pieces of files that a worker opens, reads and hashes, many at once where that can be: against node:crypto on the
 * same bytes.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { digestPieces } from '../../src/work/digest-pieces.js';
import type { RawPathRange } from '../../src/work/job.js';
import { encodeTrouble } from '../../src/work/trouble.js';

const KIB = 1024;
const MIB = 1024 * KIB;
const folder = fs.mkdtempSync(join(tmpdir(), 'haul-digest-'));
after(() => fs.rmSync(folder, { recursive: true }));

/** A range of the batch, what it holds, or the errno of what is wrong with it. */
interface Part {
  readonly range: RawPathRange;
  readonly content: Buffer | number;
}

function content(lengthBytes: number, seed: number): Buffer {
  const words = new Uint32Array(Math.ceil(lengthBytes / 4));
  for (let i = 0, x = seed * 2_654_435_761 + 1; i < words.length; i++)
    words[i] = x = (x * 1_664_525 + 1_013_904_223) >>> 0;
  return Buffer.from(words.buffer, 0, lengthBytes);
}

function part(path: string | null, beginBytes: number, lengthBytes: number, holds: Buffer | number): Part {
  const range = { path: path === null ? null : Buffer.from(path), identity: null, beginBytes, lengthBytes };
  return { range, content: holds };
}

function file(name: string, skippedBytes: number, lengthBytes: number): Part {
  const path = join(folder, name);
  const bytes = content(skippedBytes + lengthBytes, name.length + lengthBytes);
  fs.writeFileSync(path, bytes);
  return part(path, skippedBytes, lengthBytes, bytes.subarray(skippedBytes));
}

const pad = (lengthBytes: number): Part => part(null, 0, lengthBytes, Buffer.alloc(lengthBytes));
const missing = (lengthBytes: number): Part => part(join(folder, 'none'), 0, lengthBytes, constants.errno.ENOENT);

/** Its last quarter is not there. */
function cutOff(name: string, lengthBytes: number): Part[] {
  const whole = file(name, 0, lengthBytes);
  const there = Math.floor(lengthBytes * 0.75);
  const path = join(folder, name);
  fs.truncateSync(path, there);
  // Two parts for whoever expects, one range for whoever reads.
  return [
    { ...whole, content: (whole.content as Buffer).subarray(0, there) },
    part(path, there, lengthBytes - there, constants.errno.ENODATA),
  ];
}

/** A digest for each piece, or the trouble of the first range of it that has any. */
function expected(parts: readonly Part[], fileOf: (index: number) => number, pieceLengthBytes: number): Buffer[] {
  const pieces: Buffer[] = [];
  let hash = createHash('sha1');
  let trouble: Buffer | null = null;
  let filled = 0;
  const finish = (): void => {
    pieces.push(trouble ?? hash.digest());
    hash = createHash('sha1');
    [trouble, filled] = [null, 0];
  };
  for (const [index, { content: holds, range }] of parts.entries()) {
    const lengthBytes = typeof holds === 'number' ? range.lengthBytes : holds.length;
    for (let at = 0; at < lengthBytes; ) {
      const step = Math.min(lengthBytes - at, pieceLengthBytes - filled);
      if (typeof holds === 'number') trouble ??= encodeTrouble(holds, fileOf(index));
      else hash.update(holds.subarray(at, at + step));
      at += step;
      filled += step;
      if (filled === pieceLengthBytes) finish();
    }
  }
  if (filled > 0) finish();
  return pieces;
}

function check(parts: readonly Part[], ranges: readonly RawPathRange[], pieceLengthBytes: number): void {
  const fileOf = (index: number): number => ranges.findIndex(({ path }) => path?.equals(parts[index]!.range.path!));
  const wanted = expected(parts, fileOf, pieceLengthBytes).map((digest) => digest.toString('hex'));
  const digests = digestPieces(ranges, pieceLengthBytes);
  const found = wanted.map((_, index) => digests.toString('hex', index * 20, index * 20 + 20));
  assert.deepEqual(found, wanted, `pieces of ${pieceLengthBytes}`);
  assert.equal(digests.length, wanted.length * 20);
}

const LENGTHS = [16 * KIB, 100_001, 256 * KIB, MIB, MIB + 64, 2.5 * MIB, 5 * MIB];

test('one file of many pieces, short and long, with a last one that is shorter', () => {
  const whole = file('whole', 777, 7 * MIB + 12_345);
  for (const pieceLengthBytes of LENGTHS) check([whole], [whole.range], pieceLengthBytes);
});

test('many small files, empty ones and pads', () => {
  const parts = Array.from({ length: 300 }, (_, index) => {
    if (index % 31 === 7) return pad(40_000);
    return file(`small-${index}`, index % 3, index % 17 === 0 ? 0 : (index * 7919) % 60_000);
  });
  const ranges = parts.map(({ range }) => range);
  for (const pieceLengthBytes of LENGTHS) check(parts, ranges, pieceLengthBytes);
});

test('a file that is missing or too short spoils its own pieces, wherever it lies in a group', () => {
  for (const pieceLengthBytes of LENGTHS) {
    for (const place of [0, 1, 3]) {
      const sound = [0, 1, 2].map((index) => file(`sound-${index}`, 0, 1_153_433 + index));
      const [there, gone] = cutOff('cut', 900_000) as [Part, Part];
      const spoilt = missing(300_000);
      const parts = [...sound.slice(0, place), there, gone, spoilt, ...sound.slice(place)];
      const ranges = parts.filter((each) => each !== gone).map(({ range }) => range);
      check(parts, ranges, pieceLengthBytes);
    }
  }
});

test('no bytes have no pieces', () => {
  assert.equal(digestPieces([], 16 * KIB).length, 0);
  assert.equal(digestPieces([pad(0).range], 16 * KIB).length, 0);
});

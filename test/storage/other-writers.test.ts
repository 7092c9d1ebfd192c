import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OtherWriters } from '../../src/storage/other-writers.js';

const FILE = 7;

function tracked(): OtherWriters {
  const writers = new OtherWriters();
  writers.track(FILE, 100n);
  return writers;
}

/** A write as it was: from `begin` on the clock to `end`, with the times of change before and after it. */
type Write = readonly [begin: number, end: number, before: bigint, after: bigint];

function partOf([begin, end, beforeNs, afterNs]: Write): Parameters<OtherWriters['writeEnded']>[2][number] {
  return { askedNs: BigInt(begin), beginNs: BigInt(begin) + 1n, endNs: BigInt(end), beforeNs, afterNs };
}

/** One after another. */
function write(writers: OtherWriters, ...each: readonly Write[]): void {
  for (const one of each) writers.writeEnded(FILE, writers.writeBegins(FILE), [partOf(one)]);
}

const filesOf = ({ suspects }: OtherWriters): number[] => suspects.map(({ file }) => file);

test('a time before a write that no write of ours left is somebody else’s', () => {
  const writers = tracked();
  write(writers, [0, 10, 100n, 110n], [10, 20, 110n, 120n]);
  assert.deepEqual(filesOf(writers), []);
  write(writers, [20, 30, 125n, 130n]);
  assert.deepEqual(filesOf(writers), [FILE]);
  const { suspects } = writers;
  writers.suspect(FILE);
  writers.acquit(suspects);
  assert.deepEqual(filesOf(writers), [FILE], 'a later event stands');
  writers.acquit(writers.suspects);
  write(writers, [30, 40, 130n, 140n]);
  assert.deepEqual(filesOf(writers), []);
});

test('several ranges of one file in one job are a chain', () => {
  const writers = tracked();
  const parts = [partOf([0, 10, 100n, 101n]), partOf([10, 20, 101n, 102n])];
  writers.writeEnded(FILE, writers.writeBegins(FILE), parts);
  writers.seen(FILE, 102n, writers.token(FILE));
  assert.deepEqual(filesOf(writers), []);
});

test('a time found while we write nothing is told, one found while we write is not', () => {
  const writers = tracked();
  const token = writers.token(FILE);
  const begun = writers.writeBegins(FILE);
  assert.equal(writers.token(FILE), null);
  writers.seen(FILE, 105n, null);
  writers.writeEnded(FILE, begun, [partOf([0, 10, 100n, 110n])]);
  writers.seen(FILE, 105n, token);
  assert.deepEqual(filesOf(writers), []);
  writers.seen(FILE, 111n, writers.token(FILE));
  assert.deepEqual(filesOf(writers), [FILE]);
});

test('answers of writes may cross', () => {
  const writers = tracked();
  const [first, second] = [writers.writeBegins(FILE), writers.writeBegins(FILE)];
  writers.writeEnded(FILE, second, [partOf([10, 20, 110n, 120n])]);
  writers.writeEnded(FILE, first, [partOf([0, 10, 100n, 110n])]);
  assert.deepEqual(filesOf(writers), []);
});

test('a time that was asked while a write of ours went on is not judged', () => {
  const writers = tracked();
  const begun = [0, 1, 2].map(() => writers.writeBegins(FILE));
  // The first left 105, which the second saw, and the third had written before the first asked what it left.
  writers.writeEnded(FILE, begun[0]!, [partOf([0, 10, 100n, 108n])]);
  writers.writeEnded(FILE, begun[1]!, [partOf([5, 20, 105n, 112n])]);
  writers.writeEnded(FILE, begun[2]!, [partOf([6, 18, 105n, 112n])]);
  write(writers, [20, 30, 112n, 130n]);
  assert.deepEqual(filesOf(writers), []);
});

test('however many writes are under way at any time, another program is noticed between two of them', () => {
  const writers = tracked();
  // Four wait for their worker at all times; their times on the clock overlap in pairs.
  const begun = [0, 1, 2, 3].map(() => writers.writeBegins(FILE));
  const next = (one: Write): void => {
    writers.writeEnded(FILE, begun.shift()!, [partOf(one)]);
    begun.push(writers.writeBegins(FILE));
  };
  let clock = 0;
  let left = 100n;
  for (let pair = 0; pair < 1000; pair++, clock += 10, left += 10n) {
    next([clock, clock + 7, left, left + 5n]);
    next([clock + 3, clock + 9, left, left + 10n]);
  }
  assert.deepEqual(filesOf(writers), []);
  next([clock, clock + 7, left + 3n, left + 5n]);
  for (let more = 0; more < 4; more++) next([clock + 8 + more, clock + 9 + more, left + 5n, left + 5n]);
  assert.deepEqual(filesOf(writers), [FILE]);
});

test('a write that has no answer does not make the others pile up, and accuses nobody', () => {
  const writers = tracked();
  const stuck = writers.writeBegins(FILE);
  const others = Array.from({ length: 3000 }, (_, at): Write => [at + 1, at + 2, 100n + BigInt(at), 101n + BigInt(at)]);
  write(writers, ...others);
  writers.writeEnded(FILE, stuck, [partOf([0, 5000, 100n, 3100n])]);
  assert.deepEqual(filesOf(writers), []);
  write(writers, [5000, 5001, 3150n, 3160n]);
  assert.deepEqual(filesOf(writers), [FILE]);
});

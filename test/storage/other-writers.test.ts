import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OtherWriters } from '../../src/storage/other-writers.js';

const FILE = 7;

function tracked(isSerial: boolean): OtherWriters {
  const writers = new OtherWriters(isSerial);
  writers.track(FILE, 100n);
  return writers;
}

const filesOf = ({ suspects }: OtherWriters): number[] => suspects.map(({ file }) => file);

test('a time before a write that no write of ours left is somebody else’s', () => {
  const writers = tracked(true);
  for (const [before, after] of [
    [100n, 110n],
    [110n, 120n],
  ] as const) {
    writers.writeBegins(FILE);
    writers.writeEnded(FILE, [[before, after]]);
  }
  assert.deepEqual(filesOf(writers), []);
  writers.writeBegins(FILE);
  writers.writeEnded(FILE, [[125n, 130n]]);
  assert.deepEqual(filesOf(writers), [FILE]);
  const { suspects } = writers;
  writers.suspect(FILE);
  writers.acquit(suspects);
  assert.deepEqual(filesOf(writers), [FILE], 'a later event stands');
  writers.acquit(writers.suspects);
  writers.writeBegins(FILE);
  writers.writeEnded(FILE, [[130n, 140n]]);
  assert.deepEqual(filesOf(writers), []);
});

test('several ranges of one file in one job are a chain', () => {
  const writers = tracked(true);
  writers.writeBegins(FILE);
  writers.writeEnded(FILE, [
    [100n, 101n],
    [101n, 102n],
  ]);
  writers.seen(FILE, 102n, writers.token(FILE));
  assert.deepEqual(filesOf(writers), []);
});

test('a time found while we write nothing is told, one found while we write is not', () => {
  const writers = tracked(true);
  const token = writers.token(FILE);
  writers.writeBegins(FILE);
  assert.equal(writers.token(FILE), null);
  writers.seen(FILE, 105n, null);
  writers.writeEnded(FILE, [[100n, 110n]]);
  writers.seen(FILE, 105n, token);
  assert.deepEqual(filesOf(writers), []);
  writers.seen(FILE, 111n, writers.token(FILE));
  assert.deepEqual(filesOf(writers), [FILE]);
});

test('answers of two workers may cross, and of many at once nothing is concluded', () => {
  const writers = tracked(false);
  writers.writeBegins(FILE);
  writers.writeBegins(FILE);
  writers.writeEnded(FILE, [[110n, 120n]]);
  writers.writeEnded(FILE, [[100n, 110n]]);
  assert.deepEqual(filesOf(writers), []);
  for (let write = 0; write < 4; write++) writers.writeBegins(FILE);
  for (let write = 0; write < 4; write++) writers.writeEnded(FILE, [[117n, 130n + BigInt(write)]]);
  assert.deepEqual(filesOf(writers), []);
  writers.writeBegins(FILE);
  writers.writeEnded(FILE, [[140n, 150n]]);
  assert.deepEqual(filesOf(writers), [FILE], 'the next one alone is judged again');
});

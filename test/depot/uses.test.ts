import assert from 'node:assert/strict';
import test from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { Uses } from '../../src/depot/uses.js';

interface Told {
  readonly used: ReadonlyMap<string, number>;
  readonly done: (error?: Error) => void;
}

/** A catalogue that answers when it is said so, and a clock that is a list of what waits for it. */
function scene() {
  const told: Told[] = [];
  const waits: { readonly ms: number; readonly call: () => void }[] = [];
  const touch = (used: ReadonlyMap<string, number>): Promise<void> =>
    new Promise((resolve, reject) => {
      told.push({ used, done: (error) => (error === undefined ? resolve() : reject(error)) });
    });
  const after = (ms: number, call: () => void): (() => void) => {
    const wait = { ms, call };
    waits.push(wait);
    return () => {
      const at = waits.indexOf(wait);
      if (at >= 0) waits.splice(at, 1);
    };
  };
  const uses = new Uses({ catalogue: { touch }, after });
  const noteMany = (from: number, to: number): void => {
    for (let index = from; index < to; index++) uses.note(`artifacts/${index}`, index);
  };
  return { uses, told, waits, noteMany, pass: () => waits.shift()!.call() };
}

test('uses: told a minute later, the last time of each name, a hundred at a time with pauses between', async () => {
  const { uses, told, waits, noteMany, pass } = scene();
  noteMany(0, 250);
  uses.note('artifacts/0', 1_000);
  assert.deepEqual([told.length, waits.map(({ ms }) => ms)], [0, [60_000]]);
  pass();
  assert.deepEqual([told.length, told[0]!.used.size, told[0]!.used.get('artifacts/0')], [1, 100, 1_000]);
  uses.note('artifacts/0', 2_000);
  assert.equal(waits.length, 0, 'the next portion waits for the end of this one');
  told[0]!.done();
  await turn();
  assert.deepEqual([told.length, waits.map(({ ms }) => ms)], [1, [500]]);
  for (const done of [1, 2]) {
    pass();
    // What the catalogue could not take is forgotten: it is worth no failure.
    told[done]!.done(done === 1 ? new Error('a full disk') : undefined);
    await turn();
  }
  assert.deepEqual(
    told.map(({ used }) => used.size),
    [100, 100, 51],
  );
  assert.equal(told[2]!.used.get('artifacts/0'), 2_000);
  assert.equal(waits.length, 0, 'nothing is left to tell');
  noteMany(0, 1);
  assert.deepEqual(
    waits.map(({ ms }) => ms),
    [60_000],
  );
});

test('uses: ten thousand names that wait are told without a pause, until there are fewer', async () => {
  const { told, waits, noteMany } = scene();
  noteMany(0, 10_050);
  assert.deepEqual([told.length, told[0]!.used.size, waits.length], [1, 100, 0], 'and not all at once');
  // While the catalogue was slow more came than it takes at a time: they do not pile up.
  noteMany(10_050, 10_350);
  for (const [at, names] of [100, 250, 100].entries()) {
    assert.deepEqual([told.length, told[at]!.used.size, waits.length], [at + 1, names, 0]);
    told[at]!.done();
    await turn();
  }
  assert.deepEqual([told.length, waits.map(({ ms }) => ms)], [3, [500]]);
});

test('uses: a catalogue that does not answer keeps no more than 20,000 names waiting, the latest', async () => {
  const { uses, told, noteMany } = scene();
  noteMany(0, 30_000);
  assert.equal(told.length, 1);
  const closing = uses.close();
  told[0]!.done();
  await turn();
  const { used, done } = told[1]!;
  assert.deepEqual([used.size, used.has('artifacts/9999'), used.has('artifacts/10000')], [20_000, false, true]);
  done();
  await closing;
});

test('uses: closed, it tells what waits at once, and takes no more', async () => {
  const { uses, told, waits, noteMany } = scene();
  noteMany(0, 150);
  const closing = uses.close();
  await turn();
  assert.deepEqual([told.length, told[0]!.used.size, waits.length], [1, 150, 0]);
  told[0]!.done();
  await closing;
  noteMany(0, 1);
  assert.deepEqual([told.length, waits.length], [1, 0]);
  await uses.close();
});

/** How many announces are under way at once, and whose turn it is. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AnnounceGate } from '../../src/discovery/announce-gate.js';
import type { HaulError } from '../../src/errors.js';

const [A, B] = ['http://a.example/announce', 'http://b.example/announce'];

/** Announces that end when they are told to. */
function office(atOnce: number, perHost: number) {
  const gate = new AnnounceGate({ atOnce, perHost });
  const begun: string[] = [];
  const ends = new Map<string, () => void>();
  const ask = (url: string, name: string, isGoodbye = false, signal = new AbortController().signal) =>
    gate.run(url, isGoodbye, signal, () => {
      begun.push(name);
      return new Promise<string>((resolve) => ends.set(name, () => resolve(name)));
    });
  const settle = () => new Promise((resolve) => setImmediate(resolve));
  return { gate, begun, ends, ask, settle };
}

test('so many are under way at once, in order of asking', async () => {
  const { gate, begun, ends, ask, settle } = office(3, 3);
  const all = Array.from({ length: 1000 }, (_, number) => ask(A, String(number)));
  await settle();
  assert.deepEqual([gate.running, gate.waiting], [3, 997]);
  for (let number = 0; number < 1000; number++) {
    ends.get(String(number))!();
    await settle();
    assert.ok(gate.running <= 3);
  }
  assert.equal((await Promise.all(all)).length, 1000);
  assert.deepEqual(
    begun,
    Array.from({ length: 1000 }, (_, number) => String(number)),
  );
  assert.deepEqual([gate.running, gate.waiting], [0, 0]);
});

test('a host that does not answer leaves places to others, and hosts take turns', async () => {
  const { begun, ends, ask, settle } = office(3, 2);
  for (const name of ['a1', 'a2', 'a3', 'a4']) void ask(A, name);
  for (const name of ['b1', 'b2']) void ask(B, name);
  await settle();
  assert.deepEqual(begun, ['a1', 'a2', 'b1']);
  ends.get('b1')!();
  await settle();
  assert.deepEqual(begun, ['a1', 'a2', 'b1', 'b2']);
});

test('who says goodbye goes before the others, behind earlier goodbyes', async () => {
  const { begun, ends, ask, settle } = office(1, 1);
  for (const name of ['one', 'two']) void ask(A, name);
  for (const name of ['bye one', 'bye two']) void ask(A, name, true);
  for (const name of ['one', 'bye one', 'bye two']) {
    await settle();
    ends.get(name)!();
  }
  await settle();
  assert.deepEqual(begun, ['one', 'bye one', 'bye two', 'two']);
});

test('one that is aborted leaves the line, and one that fails gives its turn back', async () => {
  const { gate, begun, ends, ask, settle } = office(1, 1);
  void ask(A, 'first');
  const controller = new AbortController();
  const aborted = ask(A, 'second', false, controller.signal);
  const third = ask(A, 'third');
  controller.abort();
  await assert.rejects(aborted, (error: HaulError) => error.code === 'ABORTED');
  await assert.rejects(ask(A, 'late', false, controller.signal), (error: HaulError) => error.code === 'ABORTED');
  ends.get('first')!();
  await settle();
  assert.deepEqual(begun, ['first', 'third']);
  ends.get('third')!();
  await third;
  await assert.rejects(
    gate.run(A, false, new AbortController().signal, () => Promise.reject(new Error('no'))),
    /^Error: no$/,
  );
  assert.deepEqual([gate.running, gate.waiting], [0, 0]);
});

/** How many announces are under way at once, and whose turn it is. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AnnounceGate, type Urgency } from '../../src/discovery/announce-gate.js';
import type { HaulError } from '../../src/errors.js';

const [A, B] = ['http://a.example/announce', 'http://b.example/announce'];

/** Announces that end when they are told to, and places that are given back when `passPlaceTime` is called. */
function office(atOnce: number, perHost: number, unanswered = 1000, keptForUrgent = 0) {
  const timers = new Set<() => void>();
  const later = (_ms: number, call: () => void) => {
    timers.add(call);
    return () => timers.delete(call);
  };
  const gate = new AnnounceGate({ atOnce, perHost, unanswered, keptForUrgent, placeMs: 2000, later });
  const begun: string[] = [];
  const ends = new Map<string, () => void>();
  const ask = (url: string, name: string, urgency: Urgency = 'seed', signal = new AbortController().signal) =>
    gate.run(url, urgency, signal, () => {
      begun.push(name);
      return new Promise<string>((resolve) => ends.set(name, () => resolve(name)));
    });
  const settle = () => new Promise((resolve) => setImmediate(resolve));
  const passPlaceTime = async () => {
    for (const call of [...timers]) {
      timers.delete(call);
      call();
    }
    await settle();
  };
  return { gate, begun, ends, ask, settle, passPlaceTime };
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

test('silent trackers hold up nobody: a place is given back after a while, whoever has it', async () => {
  const { gate, begun, ask, settle, passPlaceTime } = office(2, 2);
  for (let host = 0; host < 6; host++) void ask(`http://silent${host}.example/announce`, `silent ${host}`);
  void ask(A, 'good');
  await settle();
  assert.deepEqual(begun, ['silent 0', 'silent 1']);
  for (let i = 0; i < 3; i++) await passPlaceTime();
  assert.deepEqual(begun.slice(2), ['silent 2', 'silent 3', 'silent 4', 'silent 5', 'good']);
  assert.deepEqual([gate.running, gate.waiting], [7, 0]);
});

test('a silent host has its share at most, also of the announces that gave their place back', async () => {
  const { begun, ask, settle, passPlaceTime } = office(3, 2);
  for (let i = 0; i < 5; i++) void ask(A, `a${i}`);
  await settle();
  await passPlaceTime();
  void ask(B, 'b');
  await settle();
  assert.deepEqual(begun, ['a0', 'a1', 'b']);
});

test('who misses data goes before seeds, of whatever host', async () => {
  const { begun, ends, ask, settle } = office(1, 1);
  for (const name of ['seed 1', 'seed 2']) void ask(A, name);
  void ask('http://c.example/announce', 'seed 3');
  void ask(B, 'leech', 'leech');
  for (const name of ['seed 1', 'leech']) {
    await settle();
    ends.get(name)!();
  }
  await settle();
  assert.deepEqual(begun.slice(0, 2), ['seed 1', 'leech']);
});

test('what is under way is bounded, and some of it is kept for who is urgent', async () => {
  const { gate, begun, ask, settle, passPlaceTime } = office(2, 9, 4, 1);
  for (let i = 0; i < 9; i++) void ask(A, `seed ${i}`);
  await settle();
  for (let i = 0; i < 5; i++) await passPlaceTime();
  assert.deepEqual([begun.length, gate.running], [3, 3]);
  void ask(B, 'leech', 'leech');
  void ask(B, 'second leech', 'leech');
  await settle();
  assert.deepEqual([begun.at(-1), gate.running], ['leech', 4]);
});

test('who says goodbye goes before the others, behind earlier goodbyes', async () => {
  const { begun, ends, ask, settle } = office(1, 1);
  for (const name of ['one', 'two']) void ask(A, name);
  for (const name of ['bye one', 'bye two']) void ask(A, name, 'goodbye');
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
  const aborted = ask(A, 'second', 'seed', controller.signal);
  const third = ask(A, 'third');
  controller.abort();
  await assert.rejects(aborted, (error: HaulError) => error.code === 'ABORTED');
  await assert.rejects(ask(A, 'late', 'seed', controller.signal), (error: HaulError) => error.code === 'ABORTED');
  ends.get('first')!();
  await settle();
  assert.deepEqual(begun, ['first', 'third']);
  ends.get('third')!();
  await third;
  await assert.rejects(
    gate.run(A, 'seed', new AbortController().signal, () => Promise.reject(new Error('no'))),
    /^Error: no$/,
  );
  assert.deepEqual([gate.running, gate.waiting], [0, 0]);
});

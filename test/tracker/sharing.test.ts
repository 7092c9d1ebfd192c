/** Trackers that share a table: with a clock that is set, and a table in memory. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { WAITING_MAX, WaitingWrites } from '../../src/tracker/shared/waiting.js';
import { encodeWord } from '../../src/tracker/shared/word.js';
import { SharedModel } from './shared-model.js';
import { Clock, compact, HASH, pass, Tracker, two } from './sharing-scene.js';

test('peers of the other are named a second later, and no announce asks the table', async () => {
  const { clock, model, one, other } = await two();
  one.announce(1);
  other.announce(2, { isSeed: true });
  const before = model.exchangeCount;
  assert.deepEqual(one.names(1), []);
  assert.equal(model.exchangeCount, before);
  await pass(clock, 1_250, one, other);
  assert.deepEqual([one.names(1), other.names(2)], [[2], [1]]);
});

test('a scrape counts the peers of all, each once, whoever they announced to', async () => {
  const { clock, one, other } = await two();
  for (let last = 1; last <= 6; last++) one.announce(last, { isSeed: last > 4 });
  for (let last = 5; last <= 9; last++) other.announce(last, { isSeed: true });
  await pass(clock, 6_000, one, other);
  assert.deepEqual(
    [one.counts(), other.counts()],
    [
      [5, 4],
      [5, 4],
    ],
  );
});

test('a swarm of which a tracker has no peer is scraped with those of the others, a second later', async () => {
  const { clock, one, other } = await two({ registeredOnly: true, registry: { has: () => true, seedPort: null } });
  one.announce(1);
  await pass(clock, 250, one, other);
  assert.deepEqual(other.counts(), [0, 0]);
  await pass(clock, 250, one, other);
  assert.deepEqual(other.counts(), [0, 1]);
});

test('what a tracker does not serve it does not learn', async () => {
  const clock = new Clock();
  const model = new SharedModel(clock.now);
  const one = new Tracker(clock, model);
  const few = new Tracker(clock, model, { registeredOnly: true });
  await one.tick();
  one.announce(1);
  await pass(clock, 500, one, few);
  few.sharing.wanted(HASH, null, clock.nowMs);
  await pass(clock, 500, few);
  assert.equal(few.swarms.peerCount, 0);
});

test('who stops is gone everywhere, and who comes back is there', async () => {
  const { clock, one, other, model } = await two();
  one.announce(1);
  other.announce(2);
  await pass(clock, 2_000, one, other);
  one.announce(1, { event: 'stopped' });
  await pass(clock, 1_250, one, other);
  assert.deepEqual(other.names(2), []);
  assert.deepEqual(
    model
      .wordsOf(HASH)
      .map((word) => word[0])
      .sort(),
    ['l', 'x'],
  );
  one.announce(1, { event: 'started' });
  await pass(clock, 6_000, one, other);
  assert.deepEqual([other.names(2), other.counts()], [[1], [0, 2]]);
});

test('who stops at another tracker than it announced to is gone from both', async () => {
  const { clock, one, other } = await two();
  one.announce(1);
  other.announce(2);
  await pass(clock, 5_000, one, other);
  other.announce(1, { event: 'stopped' });
  await pass(clock, 6_000, one, other);
  assert.deepEqual(
    [one.counts(), other.counts()],
    [
      [0, 1],
      [0, 1],
    ],
  );
});

test('who stops and comes back in the same moment is there', async () => {
  const { clock, one, other } = await two();
  other.announce(2);
  for (const event of ['started', 'stopped', 'started'] as const) {
    one.announce(1, { event });
    clock.nowMs += 20;
  }
  await pass(clock, 6_000, one, other);
  assert.deepEqual(
    [one.counts(), other.counts()],
    [
      [0, 2],
      [0, 2],
    ],
  );
});

test('what was said of a peer before it stopped, and is written late, brings it back nowhere', async () => {
  const { clock, one, other, model } = await two();
  one.announce(1);
  other.announce(2);
  await pass(clock, 2_000, one, other);
  one.announce(1, { event: 'stopped' });
  await pass(clock, 500, one, other);
  const peerId = '-XX0001-1'.padEnd(20, 'p');
  const word = encodeWord('leech', compact(1), peerId, '');
  await model.door().exchange([{ infoHash: HASH, word, ageMs: 600, drops: [] }], []);
  await pass(clock, 3_000, one, other);
  assert.deepEqual(
    [one.counts(), other.counts()],
    [
      [0, 1],
      [0, 1],
    ],
  );
});

test('who announces to one and stops at another before either has told of it is gone from all', async () => {
  for (const isToldFirst of [true, false]) {
    const { clock, one, other, model } = await two();
    const third = new Tracker(clock, model);
    const all = isToldFirst ? [one, other, third] : [third, other, one];
    one.announce(1);
    other.announce(2);
    third.announce(3);
    await pass(clock, 8_000, ...all);
    other.announce(1, { zone: 'rack' });
    clock.nowMs += 5;
    one.announce(1, { event: 'stopped' });
    await pass(clock, 8_000, ...all);
    const gone = [0, 2];
    assert.deepEqual([one.counts(), other.counts(), third.counts()], [gone, gone, gone], `${isToldFirst}`);
    // And is there again when it comes back.
    third.announce(1, { event: 'started' });
    await pass(clock, 8_000, ...all);
    assert.deepEqual(
      [one.counts(), other.counts(), third.counts()].map(([, leeches]) => leeches),
      [3, 3, 3],
    );
  }
});

test('farewells in the name of strangers leave nothing behind', async () => {
  const { clock, one, model } = await two();
  for (let last = 1; last < 200; last++) one.announce(last, { event: 'stopped' });
  await pass(clock, 1_000, one);
  assert.deepEqual(model.wordsOf(HASH), []);
});

test('a leech that completes is a seed for the others, and one peer', async () => {
  const { clock, one, other, model } = await two();
  one.announce(1);
  other.announce(2);
  await pass(clock, 2_000, one, other);
  one.announce(1, { isSeed: true, event: 'completed' });
  await pass(clock, 6_000, one, other);
  assert.deepEqual(other.counts(), [1, 1]);
  assert.deepEqual(
    model
      .wordsOf(HASH)
      .map((word) => word[0])
      .sort(),
    ['l', 's'],
  );
});

test('zones are those of the peer, wherever it announced', async () => {
  const { clock, one, other } = await two();
  for (let last = 10; last < 60; last++) one.announce(last, { zone: last < 30 ? 'eu/r1' : 'us/r1' });
  await pass(clock, 250, one);
  other.announce(1, { zone: 'eu/r1' });
  await pass(clock, 1_250, one, other);
  const named = other.names(1, { zone: 'eu/r1', numwant: 20 });
  assert.ok(named.filter((last) => last < 30).length >= 16, named.join());
});

test('a peer that falls silent is forgotten everywhere, as by the tracker it announced to', async () => {
  const { clock, one, other } = await two();
  one.announce(1);
  await pass(clock, 500, one, other);
  for (let k = 0; k < 10; k++) {
    other.announce(2);
    await pass(clock, 32_000, one, other);
    other.swarms.sweep(clock.nowMs, 1000);
    one.swarms.sweep(clock.nowMs, 1000);
  }
  assert.deepEqual(
    [one.counts(), other.counts()],
    [
      [0, 1],
      [0, 1],
    ],
  );
});

test('a client that hammers is written every half minute, and lives on', async () => {
  const { clock, one, other } = await two();
  other.announce(2);
  const { written } = one.sharing.state;
  for (let k = 0; k < 400; k++) {
    one.announce(1);
    other.announce(2);
    await pass(clock, 1_000, one, other);
  }
  assert.ok(one.sharing.state.written - written <= 14, `${one.sharing.state.written - written} words`);
  assert.deepEqual(other.names(2), [1]);
});

test('while the table is away each names its own; once back it is told all again, and asked for all', async () => {
  const { clock, one, other, model } = await two();
  model.away = 'nobody listens there';
  await pass(clock, 2_000, one, other);
  assert.equal(one.sharing.state.trouble, 'nobody listens there');
  for (let last = 1; last <= 20; last++) one.announce(last);
  other.announce(99);
  await pass(clock, 60_000, one, other);
  assert.deepEqual(other.names(99), []);
  // It comes back empty.
  model.kept.clear();
  model.away = null;
  await pass(clock, 5_000, one, other);
  assert.equal(one.sharing.state.trouble, null);
  assert.equal(other.names(99).length, 20);
  assert.deepEqual(
    [one.counts(), other.counts()],
    [
      [0, 21],
      [0, 21],
    ],
  );
  assert.deepEqual(one.lines, [
    'info peers: peers are shared',
    'warn peers: nobody listens there; meanwhile only peers that announce here are named',
    'info peers: peers are shared',
  ]);
});

test('a table that takes nothing is told of, and read on', async () => {
  const { clock, one, other, model } = await two();
  one.announce(1);
  await pass(clock, 500, one, other);
  model.refuses = 'its memory is full';
  other.announce(2);
  await pass(clock, 1_250, one, other);
  assert.equal(other.sharing.state.trouble, 'its memory is full');
  model.refuses = null;
  await pass(clock, 3_000, one, other);
  assert.equal(other.sharing.state.trouble, null);
  await pass(clock, 3_000, one, other);
  assert.deepEqual([one.names(1), other.names(2)], [[2], [1]]);
});

test('of more than can be told at once nothing is lost, and what waits is bounded', async () => {
  const { clock, one, other } = await two();
  const hashes = Array.from({ length: 200 }, (_, k) => `${k}`.padEnd(20, 'h'));
  for (const hash of hashes) for (let last = 1; last <= 200; last++) one.announce(last, {}, hash);
  assert.ok(one.sharing.state.waiting <= 10_001, `${one.sharing.state.waiting}`);
  for (const hash of hashes) other.announce(250, {}, hash);
  await pass(clock, 15_000, one, other);
  for (const hash of hashes) assert.deepEqual(other.counts(hash), [0, 201]);
  assert.deepEqual([one.sharing.state.dropped, one.sharing.state.waiting], [0, 0]);
});

test('words of one batch are read in the order in which they were said', () => {
  const waiting = new WaitingWrites();
  const words = ['l', 'x', 'l', 'm', 's', 'n'];
  for (const word of words) waiting.push({ infoHash: HASH, word, drops: word === 'x' || word === 's' ? ['l'] : [] });
  const taken = waiting.take(100);
  assert.deepEqual(
    taken.map(({ word }) => word),
    words,
  );
  // The last of them now, and those that say the same of the order together.
  assert.deepEqual(
    taken.map(({ ageMs }) => ageMs),
    [4, 3, 2, 2, 1, 0].map((turns) => turns / 16),
  );
  assert.equal(waiting.count, 0);
});

test('farewells beyond the bound are dropped, the oldest first, and counted', async () => {
  const { clock, one, other, model } = await two();
  for (let k = 0; k < WAITING_MAX + 10; k++) one.announce(1, { event: 'stopped' });
  assert.deepEqual([one.sharing.state.waiting, one.sharing.state.dropped], [WAITING_MAX, 10]);
  model.away = 'away';
  await pass(clock, 1_250, one, other);
  one.announce(1, { event: 'stopped' });
  assert.equal(one.sharing.state.waiting, 0);
});

test('words that are none, or of the future, change nothing and are counted', async () => {
  const { clock, one, model } = await two();
  one.announce(1);
  const texts = ['', 'x', 's', 'l'.repeat(1000), `l${'A'.repeat(35)}`, `s${'_'.repeat(35)} a/../b`, '\u0000\uffff'];
  for (const text of texts) model.put(HASH, text);
  await pass(clock, 1_250, one);
  assert.deepEqual(one.counts(), [0, 1]);
  assert.ok(one.sharing.state.foreign >= texts.length);
});

test('peers at 127.0.0.1 are shared only where all trackers are on one machine', async () => {
  const clock = new Clock();
  const model = new SharedModel(clock.now);
  for (const sharesLoopback of [false, true]) {
    const tracker = new Tracker(clock, model, {}, sharesLoopback);
    await tracker.tick();
    const query = { infoHash: HASH, peerId: 'p'.repeat(20), port: 1, isSeed: false, event: '' as const, numwant: 0 };
    tracker.swarms.announce(
      { ...query, isCompact: true, noPeerId: true },
      Uint8Array.of(127, 0, 0, 1, 0, 1),
      clock.nowMs,
    );
    await pass(clock, 500, tracker);
    assert.equal(model.wordsOf(HASH).length, Number(sharesLoopback));
  }
});

test('many swarms are kept warm in turn, none more often than it should be', async () => {
  const { clock, one, other, model } = await two();
  const hashes = Array.from({ length: 600 }, (_, k) => `${k}`.padEnd(20, 'h'));
  for (const hash of hashes) {
    one.announce(1, {}, hash);
    other.announce(2, {}, hash);
  }
  await pass(clock, 7_000, one, other);
  for (const hash of hashes) assert.deepEqual(other.counts(hash), [0, 2]);
  const before = model.exchangeCount;
  await pass(clock, 1_000, one);
  assert.ok(model.exchangeCount - before < 20, `${model.exchangeCount - before} exchanges`);
});

test('what is said last is said before it closes', async () => {
  const { one, model } = await two();
  one.announce(1);
  await one.sharing.close();
  assert.equal(model.wordsOf(HASH).length, 1);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  AddressBook,
  ALONE_LAST_MS,
  ALONE_RETRY_MS,
  ANSWERED_FIRST_MS,
  EXPLICIT_RETRY_MS,
  GOOD_CONNECTION_MS,
  RETRY_FIRST_MS,
  RETRY_LAST_MS,
} from '../../src/discovery/address-book.js';
import type { Address } from '../../src/net/address.js';

const at = (last: number): Address => ({ host: `10.0.${last >> 8}.${last & 255}`, port: 6881 });
const book = (capacity = 100): AddressBook => new AddressBook({ random: () => 0, capacity });

test('an address is known once and offered until it is dialled', () => {
  const known = book();
  assert.equal(known.add(at(1), 'tracker'), 'added');
  assert.equal(known.add(at(1), 'pex'), 'known');
  assert.deepEqual(known.next(0), at(1));
  assert.deepEqual(known.next(0), at(1));
  known.dialled(at(1));
  assert.equal(known.next(0), null);
  assert.equal(known.state(at(1)), 'dialling');
  assert.equal(known.count, 1);
});

test('addresses that cannot be dialled are refused', () => {
  const known = book();
  assert.equal(known.add({ host: '10.0.0.1', port: 0 }, 'tracker'), 'refused');
  assert.equal(known.add({ host: '255.255.255.255', port: 1 }, 'explicit'), 'refused');
  assert.equal(known.count, 0);
});

test('pauses double from 15 seconds to 30 minutes', () => {
  const known = book();
  known.add(at(1), 'tracker');
  let nowMs = 0;
  const pauses: number[] = [];
  for (let i = 0; i < 10; i++) {
    known.dialled(at(1));
    known.failed(at(1), nowMs);
    pauses.push(known.nextAtMs() - nowMs);
    assert.equal(known.next(known.nextAtMs() - 1), null);
    nowMs = known.nextAtMs();
    assert.deepEqual(known.next(nowMs), at(1));
  }
  assert.deepEqual(pauses.slice(0, 4), [RETRY_FIRST_MS, 30_000, 60_000, 120_000]);
  assert.deepEqual(pauses.slice(-2), [RETRY_LAST_MS, RETRY_LAST_MS]);
});

test('pauses of a fleet are spread by the dice', () => {
  const known = new AddressBook({ random: () => 0.5 });
  known.add(at(1), 'tracker');
  known.failed(at(1), 0);
  assert.equal(known.nextAtMs(), RETRY_FIRST_MS * 1.05);
});

test('a peer given by hand comes first and is retried after 1, 2, 5 and 10 seconds', () => {
  const known = book();
  known.add(at(1), 'tracker');
  known.add(at(2), 'explicit');
  let nowMs = 0;
  for (const pauseMs of [...EXPLICIT_RETRY_MS, 60_000]) {
    assert.deepEqual(known.next(nowMs), at(2));
    known.dialled(at(2));
    known.failed(at(2), nowMs);
    assert.equal(known.nextAtMs(), nowMs + pauseMs);
    nowMs += pauseMs;
  }
  assert.deepEqual(EXPLICIT_RETRY_MS.slice(0, 4), [1_000, 2_000, 5_000, 10_000]);
});

test('giving an address by hand ends its pause', () => {
  const known = book();
  known.add(at(1), 'tracker');
  known.failed(at(1), 0);
  assert.equal(known.next(1), null);
  assert.equal(known.add(at(1), 'explicit'), 'known');
  assert.deepEqual(known.next(1), at(1));
});

test('fresh addresses come before those that failed, and those with fewest failures first', () => {
  const known = book();
  for (const last of [1, 2, 3]) known.add(at(last), 'tracker');
  known.failed(at(1), 0);
  known.failed(at(1), 0);
  known.failed(at(2), 0);
  const order: Address[] = [];
  for (let next = known.next(1e9); next !== null; next = known.next(1e9)) {
    order.push(next);
    known.dialled(next);
  }
  assert.deepEqual(order, [at(3), at(2), at(1)]);
});

test('while there is no other peer an address is tried again after 1, 2, 4, 5 s …, every minute in the end', () => {
  const known = book();
  known.add(at(1), 'tracker');
  let nowMs = 0;
  for (const pauseMs of [...ALONE_RETRY_MS, ALONE_LAST_MS, ALONE_LAST_MS]) {
    known.failed(at(1), nowMs, true);
    assert.equal(known.nextAtMs(), nowMs + pauseMs);
    nowMs += pauseMs;
  }
  assert.deepEqual(ALONE_RETRY_MS.slice(0, 5), [1000, 2000, 4000, 5000, 5000]);
  // With others there it backs off as ever, from where a few failures would have brought it.
  known.failed(at(1), nowMs);
  assert.equal(known.nextAtMs(), nowMs + RETRY_FIRST_MS * 2 ** 3);
});

test('an address that answered before goes before fresh ones, and one named again before one named once', () => {
  const known = book();
  for (const last of [1, 2, 3]) known.add(at(last), 'tracker');
  known.connected(at(3), 0);
  known.disconnected(at(3), 10);
  known.add(at(2), 'tracker');
  const order: Address[] = [];
  for (let next = known.next(1e9); next !== null; next = known.next(1e9)) {
    order.push(next);
    known.dialled(next);
  }
  assert.deepEqual(order, [at(3), at(2), at(1)]);
  known.checkInvariants();
});

test('who answers and hangs up each time does not stand before addresses that were not tried yet', () => {
  const known = book();
  const honest = at(1000);
  for (let last = 1; last <= 60; last++) known.add(at(last), 'tracker');
  let isDialled = false;
  // Thirty dials a second for a minute; then somebody else is named.
  for (let second = 0; second <= 61 && !isDialled; second++) {
    if (second === 60) known.add(honest, 'tracker');
    for (let dial = 0; dial < 30 && !isDialled; dial++) {
      const nowMs = second * 1000;
      const next = known.next(nowMs);
      if (next === null) break;
      known.dialled(next);
      if (next.host === honest.host) isDialled = true;
      known.connected(next, nowMs);
      known.disconnected(next, nowMs, true);
    }
  }
  assert.ok(isDialled);
});

test('also while there is no other peer short connections make the pauses longer, until one was good', () => {
  const known = book();
  known.add(at(1), 'tracker');
  let nowMs = 0;
  for (const pauseMs of ALONE_RETRY_MS.slice(0, 5)) {
    known.connected(at(1), nowMs);
    known.disconnected(at(1), nowMs, true);
    assert.equal(known.nextAtMs(), nowMs + pauseMs);
    nowMs += pauseMs;
  }
  known.connected(at(1), nowMs);
  nowMs += GOOD_CONNECTION_MS;
  known.disconnected(at(1), nowMs, true);
  assert.equal(known.nextAtMs(), nowMs + ALONE_RETRY_MS[0]!);
});

test('a connection that ended at once counts as a failure, a long one clears them', () => {
  const known = book();
  known.add(at(1), 'tracker');
  known.failed(at(1), 0);
  known.connected(at(1), 0);
  known.disconnected(at(1), 10);
  assert.equal(known.nextAtMs(), 10 + 2 * ANSWERED_FIRST_MS);
  known.connected(at(1), 100);
  assert.equal(known.state(at(1)), 'connected');
  known.disconnected(at(1), 100 + GOOD_CONNECTION_MS);
  assert.equal(known.nextAtMs(), 100 + GOOD_CONNECTION_MS + ANSWERED_FIRST_MS);
});

test('a ban ends by itself, and for an address that is given by hand there is none', () => {
  const known = book();
  known.add(at(1), 'tracker');
  known.ban(at(1), 1000);
  known.ban(at(2), 2000);
  assert.equal(known.count, 0);
  assert.equal(known.next(999), null);
  assert.equal(known.nextAtMs(), 1000);
  assert.deepEqual(known.next(1000), at(1));
  known.add(at(3), 'explicit');
  known.ban(at(3), 1e9);
  assert.deepEqual(known.next(1000), at(3));
  assert.equal(known.add(at(2), 'explicit'), 'known');
  assert.equal(known.state(at(2)), 'idle');
  known.checkInvariants();
});

test('where there is nobody else the ban that would end first is lifted', () => {
  const known = book();
  assert.equal(known.pardon(), false);
  known.ban(at(1), 2000);
  known.ban(at(2), 1000);
  known.retire(at(3));
  assert.equal(known.pardon(), true);
  assert.deepEqual(known.next(0), at(2));
  assert.equal(known.pardon(), true);
  assert.equal(known.pardon(), false);
  known.checkInvariants();
});

test('retired and own addresses never come back, also when they were not known before', () => {
  const known = book();
  known.add(at(1), 'explicit');
  known.retire(at(1));
  known.markSelf(at(2));
  for (const last of [1, 2]) {
    assert.equal(known.add(at(last), 'explicit'), 'known');
    known.connected(at(last), 0);
    known.failed(at(last), 0);
  }
  assert.equal(known.next(1e12), null);
  assert.equal(known.state(at(1)), 'retired');
  assert.equal(known.state(at(2)), 'self');
  assert.equal(known.count, 0);
});

test('a full book forgets the address that failed most, and refuses when there is none', () => {
  const known = book(3);
  for (const last of [1, 2, 3]) known.add(at(last), 'tracker');
  assert.equal(known.add(at(4), 'tracker'), 'refused');
  known.failed(at(1), 0);
  known.failed(at(2), 0);
  known.failed(at(2), 0);
  assert.equal(known.add(at(4), 'tracker'), 'added');
  assert.equal(known.state(at(2)), null);
  assert.equal(known.state(at(1)), 'backing-off');
  assert.equal(known.count, 3);
});

test('a full book always takes a peer given by hand, unless it holds no others', () => {
  const known = book(2);
  known.add(at(1), 'pex');
  known.add(at(2), 'pex');
  assert.equal(known.add(at(3), 'explicit'), 'added');
  assert.equal(known.add(at(4), 'explicit'), 'added');
  assert.equal(known.add(at(5), 'explicit'), 'refused');
  assert.equal(known.count, 2);
});

test('bans fill at most half the book', () => {
  const known = book(10);
  for (let last = 1; last <= 50; last++) known.ban(at(last), 1e9);
  known.checkInvariants();
  assert.equal(known.state(at(50)), 'banned');
  assert.equal(known.state(at(1)), null);
  assert.equal(known.add(at(60), 'tracker'), 'added');
});

test('any order of events keeps the book consistent, and an offered address is idle', () => {
  const event = fc.record({
    what: fc.constantFrom(
      'add',
      'explicit',
      'dial',
      'connected',
      'failed',
      'disconnected',
      'ban',
      'retire',
      'pardon',
      'self',
      'next',
    ),
    last: fc.integer({ min: 1, max: 12 }),
    passMs: fc.integer({ min: 0, max: 40_000 }),
  });
  fc.assert(
    fc.property(
      fc.array(event, { maxLength: 120 }),
      fc.infiniteStream(fc.double({ min: 0, max: 0.999, noNaN: true })),
      (events, dice) => {
        const known = new AddressBook({ random: () => dice.next().value, capacity: 8 });
        let nowMs = 0;
        for (const { what, last, passMs } of events) {
          nowMs += passMs;
          const next = known.next(nowMs);
          if (next !== null) assert.equal(known.state(next), 'idle');
          if (what === 'add') known.add(at(last), 'tracker');
          else if (what === 'explicit') known.add(at(last), 'explicit');
          else if (what === 'dial' && next !== null) known.dialled(next);
          else if (what === 'connected') known.connected(at(last), nowMs);
          else if (what === 'failed') known.failed(at(last), nowMs);
          else if (what === 'disconnected') known.disconnected(at(last), nowMs);
          else if (what === 'ban') known.ban(at(last), nowMs + 20_000);
          else if (what === 'retire') known.retire(at(last));
          else if (what === 'pardon') known.pardon();
          else if (what === 'self') known.markSelf(at(last));
          known.checkInvariants();
        }
      },
    ),
  );
});

test('a dial that did not begin for want of something of ours leaves the address as it was', () => {
  const book = new AddressBook({ random: () => 0.5 });
  const address = { host: '10.0.0.1', port: 6881 };
  book.add(address, 'tracker');
  book.dialled(address);
  assert.equal(book.next(0), null);
  book.postponed(address);
  assert.equal(book.state(address), 'idle');
  assert.deepEqual(book.next(0), address);
  book.checkInvariants();
});

test('an address that the user names no more is forgotten, or is one like any other while it is connected', () => {
  const known = book();
  for (const number of [1, 2, 3]) known.add(at(number), 'explicit');
  known.add(at(4), 'tracker');
  known.dialled(at(2));
  known.connected(at(2), 0);
  known.retire(at(3));
  for (const number of [1, 2, 3, 4, 5]) known.disown(at(number));
  assert.deepEqual(
    [1, 2, 3, 4].map((number) => known.state(at(number))),
    [null, 'connected', 'retired', 'idle'],
  );
  known.ban(at(2), 1000);
  assert.equal(known.state(at(2)), 'banned', 'it can be banned now');
  known.checkInvariants();
});

test('among equals the canonical order decides, and anew when we are elsewhere', () => {
  const priorities = new Map<string, number>();
  const order = { priorityOf: ({ host }: Address) => priorities.get(host) ?? 0, version: 1 };
  const known = new AddressBook({ random: () => 0.5, order });
  for (let k = 0; k < 6; k++) {
    priorities.set(at(k).host, k % 4);
    known.add(at(k), 'tracker');
  }
  const drawn = (): number[] => {
    const found: number[] = [];
    for (let next = known.next(0); next !== null; next = known.next(0)) {
      found.push(Number(next.host.split('.')[3]));
      known.dialled(next);
    }
    for (const k of found) known.postponed(at(k));
    known.checkInvariants();
    return found;
  };
  assert.deepEqual(drawn().slice(0, 2), [3, 2]);
  priorities.set(at(0).host, 9);
  assert.deepEqual(drawn().slice(0, 1), [3]);
  order.version++;
  assert.deepEqual(drawn().slice(0, 2), [0, 3]);
  known.ban(at(0), 100);
  known.add(at(5), 'tracker');
  assert.deepEqual(drawn().slice(0, 2), [5, 3], 'named again goes before');
  known.add(at(1), 'explicit');
  assert.equal(drawn()[0], 1);
});

import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { Availability } from '../../src/scheduler/availability.js';
import { Peers } from '../../src/scheduler/peers.js';
import { Picker } from '../../src/scheduler/picker.js';
import { seeded } from './world.js';

const SLOTS = 12;

/** One line per peer, one character per piece: `#` has it. `all` is a seed. `ours`: `.` needed, `#` open or verified. */
function scene(ours: string, lines: readonly string[], seed = 1): { availability: Availability; picker: Picker } {
  const random = seeded(seed);
  const peers = new Peers(SLOTS, ours.length);
  const availability = new Availability(ours.length, SLOTS, (piece) => ours[piece] !== '#', random);
  const picker = new Picker(availability, peers, SLOTS, 4, random);
  lines.forEach((line, slot) => {
    peers.join(slot, 0);
    if (line === 'all') {
      peers.giveAll(slot);
      availability.seedCount++;
      return;
    }
    [...line].forEach((mark, piece) => {
      if (mark !== '#') return;
      peers.give(slot, piece);
      availability.increment(piece);
    });
  });
  availability.checkInvariants();
  return { availability, picker };
}

/** Pieces that 200 seeds pick for a peer, in order. */
function picks(ours: string, lines: readonly string[], slot: number): number[] {
  const found = new Set<number>();
  for (let seed = 1; seed <= 200; seed++) found.add(scene(ours, lines, seed).picker.pick(slot));
  return [...found].sort((a, b) => a - b);
}

test('the rarest piece that the peer has is picked', () => {
  assert.deepEqual(picks('......', ['######', '#.####', '#.##.#'], 0), [1]);
  assert.deepEqual(picks('......', ['######', '#.####', '#.##.#'], 1), [4]);
});

test('equally rare pieces are all picked by some seed', () => {
  assert.deepEqual(picks('......', ['######', '#..##.'], 0), [1, 2, 5]);
});

test('a seed adds a copy to every piece and changes no order', () => {
  const { availability } = scene('....', ['##..', 'all', 'all']);
  assert.deepEqual(
    [0, 1, 2, 3].map((piece) => availability.copies(piece)),
    [3, 3, 2, 2],
  );
  assert.deepEqual(picks('....', ['##..', 'all', 'all'], 1), [2, 3]);
  assert.deepEqual(picks('....', ['##..', 'all', 'all'], 0), [0, 1]);
});

test('what is open or verified is not picked', () => {
  assert.deepEqual(picks('#.#.', ['all'], 0), [1, 3]);
  assert.deepEqual(picks('#.#.', ['#.#.'], 0), [-1]);
  assert.deepEqual(picks('####', ['all'], 0), [-1]);
});

test('a peer without pieces is offered nothing', () => {
  assert.deepEqual(picks('....', ['....', 'all'], 0), [-1]);
});

test('a single useful piece behind hundreds of rarer ones that the peer lacks is found', () => {
  const rare = '#'.repeat(300);
  const lines = [`${'.'.repeat(300)}#`, `${rare}#`, `${'.'.repeat(300)}#`];
  assert.deepEqual(picks('.'.repeat(301), lines, 0), [300]);
});

test('a peer found useless is asked about again once a piece comes back or it gains one', () => {
  const { availability, picker } = scene('.#', ['.#']);
  assert.equal(picker.pick(0), -1);
  availability.reopen(1);
  picker.reopened();
  assert.equal(picker.pick(0), 1);
});

test('the first pieces are taken at random, not by rarity', () => {
  const found = new Set<number>();
  for (let seed = 1; seed <= 200; seed++) {
    const { picker } = scene('....', ['####', '###.'], seed);
    picker.randomPieces = 4;
    found.add(picker.pick(0));
  }
  assert.equal(found.size, 4);
});

test('order, borders and counts hold through any joins, haves, leaves, openings and returns', () => {
  const event = fc.tuple(fc.nat(3), fc.nat(29), fc.nat(SLOTS - 1));
  fc.assert(
    fc.property(fc.nat(), fc.array(event, { maxLength: 200 }), (seed, events) => {
      const availability = new Availability(30, SLOTS, (piece) => piece % 5 !== 0, seeded(seed));
      const copies = Array.from({ length: 30 }, () => new Set<number>());
      for (const [kind, piece, slot] of events) {
        const isHeld = copies[piece]!.has(slot);
        if (kind === 0 && !isHeld) {
          copies[piece]!.add(slot);
          availability.increment(piece);
        } else if (kind === 1 && isHeld) {
          copies[piece]!.delete(slot);
          availability.decrement(piece);
        } else if (kind === 2 && availability.isPickable(piece)) availability.close(piece);
        else if (kind === 3 && !availability.isPickable(piece)) availability.reopen(piece);
        availability.checkInvariants();
        assert.equal(availability.copies(piece), copies[piece]!.size);
      }
    }),
  );
});

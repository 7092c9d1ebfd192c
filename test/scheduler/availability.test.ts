import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { Availability } from '../../src/scheduler/pieces/availability.js';
import { PRIORITIES, type Priority, SKIP } from '../../src/scheduler/pieces/priority.js';
import { seeded } from './world.js';

const SLOTS = 12;
const PIECES = 30;

test('orders, borders and counts hold through joins, haves, leaves, openings, returns, changes of priority', () => {
  const event = fc.tuple(fc.nat(4), fc.nat(PIECES - 1), fc.nat(SLOTS - 1));
  const shape = fc.record({ seed: fc.nat(), hasPriorities: fc.boolean(), events: fc.array(event, { maxLength: 200 }) });
  fc.assert(
    fc.property(shape, ({ seed, hasPriorities, events }) => {
      const priorities = hasPriorities ? Uint8Array.from({ length: PIECES }, (_, piece) => (piece >> 2) % 4) : null;
      const isPickable = Array.from({ length: PIECES }, (_, piece) => piece % 5 !== 0 && priorities?.[piece] !== SKIP);
      const availability = new Availability(PIECES, SLOTS, (piece) => piece % 5 !== 0, seeded(seed), priorities);
      const copies = Array.from({ length: PIECES }, () => new Set<number>());
      for (const [kind, piece, slot] of events) {
        const isHeld = copies[piece]!.has(slot);
        if (kind === 0 && !isHeld) {
          copies[piece]!.add(slot);
          availability.increment(piece);
        } else if (kind === 1 && isHeld) {
          copies[piece]!.delete(slot);
          availability.decrement(piece);
        } else if (kind === 2 && isPickable[piece]) {
          isPickable[piece] = false;
          availability.close(piece);
        } else if (kind === 3 && !isPickable[piece]) {
          isPickable[piece] = availability.priority(piece) !== SKIP;
          availability.reopen(piece);
        } else if (kind === 4) {
          isPickable[piece] = false;
          availability.setPriority(piece, (slot % PRIORITIES) as Priority);
        }
        availability.checkInvariants();
        assert.equal(availability.copies(piece), copies[piece]!.size);
        assert.equal(availability.isPickable(piece), isPickable[piece]);
        assert.equal(availability.pickableCount, isPickable.filter(Boolean).length);
      }
    }),
  );
});

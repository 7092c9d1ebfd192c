import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { PeerTable } from '../../src/tracker/peer-table.js';
import { ZONES_MAX, ZoneOrder } from '../../src/tracker/zone-order.js';

/** Zones that are neighbours in the order of names without being inside each other. */
const ZONES = ['', 'eu', 'eu-1', 'eu.1', 'eu/r1', 'eu/r10', 'eu/r1/a', 'eu0', 'eua', 'us', 'us/r1'];

function compact(last: number): Uint8Array {
  return Uint8Array.from([10, 0, 0, last, 26, 225]);
}

/** The same answers from a plain list: every slot with its key, in the order of keys. */
function reference(table: PeerTable, zones: ReadonlyMap<number, string>, isSeed: boolean): string[] {
  const slots = [...Array(table.count).keys()].filter((slot) => table.isSeed(slot) === isSeed);
  return slots.map((slot) => zones.get(table.address(slot)[3]!)!).sort();
}

const keyOf = (zone: string): string => (zone === '' ? '' : `${zone}/`);

function checkOrder(table: PeerTable, zones: ReadonlyMap<number, string>, isSeed: boolean): void {
  const index = table.zones();
  const order = isSeed ? index.seeds : index.leeches;
  const expected = reference(table, zones, isSeed).map(keyOf).sort();
  assert.equal(order.count, expected.length);
  const slots = expected.map((_, rank) => order.slotAt(rank));
  assert.equal(new Set(slots).size, slots.length);
  for (const [rank, slot] of slots.entries()) {
    assert.equal(table.isSeed(slot), isSeed);
    assert.equal(index.keyOf(slot), expected[rank]);
    assert.equal(keyOf(zones.get(table.address(slot)[3]!)!), expected[rank]);
    assert.equal(index.rankOf(slot), rank);
  }
  for (const zone of ZONES.slice(1)) {
    const inside = expected.filter((key) => key.startsWith(`${zone}/`)).length;
    const { begin, end } = order.range(`${zone}/`);
    assert.equal(end - begin, inside, zone);
    assert.equal(begin, expected.filter((key) => key < `${zone}/`).length, zone);
    if (isSeed) assert.equal(table.hasSeedIn(`${zone}/`), inside > 0);
  }
}

test('the zones of a table are those of a plain list through any sequence of changes', () => {
  const change = fc.record({
    last: fc.integer({ min: 0, max: 30 }),
    isSeed: fc.boolean(),
    isRemoval: fc.boolean(),
    zone: fc.constantFrom(...ZONES),
  });
  fc.assert(
    fc.property(fc.array(change, { maxLength: 120 }), fc.nat(20), (changes, late) => {
      const table = new PeerTable(6);
      const zones = new Map<number, string>();
      for (const [step, { last, isSeed, isRemoval, zone: named }] of changes.entries()) {
        // At first nobody names a zone: the index is made of a table that is in use.
        const zone = step < late ? '' : named;
        const slot = table.find(compact(last));
        if (!isRemoval) {
          table.put(slot, compact(last), 'p'.repeat(20), isSeed, step, zone);
          zones.set(last, zone);
        } else if (slot >= 0) {
          table.remove(slot);
          zones.delete(last);
        }
        if (step % 7 === 0 && step >= late) for (const kind of [true, false]) checkOrder(table, zones, kind);
      }
      for (const kind of [true, false]) checkOrder(table, zones, kind);
    }),
    { numRuns: 300 },
  );
});

test('peers of zones beyond the limit count as peers without one, until there is room', () => {
  const order = new ZoneOrder();
  const groups = Array.from({ length: ZONES_MAX }, (_, slot) => order.add(`z${slot}/`, slot));
  assert.equal(order.add('more/', ZONES_MAX).key, '');
  assert.equal(order.add('z17/', ZONES_MAX + 1).key, 'z17/');
  assert.equal(order.count, ZONES_MAX + 2);
  order.remove(groups[0]!, 0);
  order.remove(groups[1]!, 0);
  assert.equal(order.add('more/', 0).key, 'more/');
  const slots = Array.from({ length: order.count }, (_, rank) => order.slotAt(rank));
  assert.equal(new Set(slots).size, ZONES_MAX + 1);
});

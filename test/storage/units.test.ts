import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Geometry, type PieceIndex } from '../../src/metainfo/geometry.js';
import { evenUnit } from '../../src/storage/budgets.js';
import type { Loading, UnitOwner, UnitRoom } from '../../src/storage/unit-owner.js';
import { ResidentUnits } from '../../src/storage/units.js';

const KIB = 1024;
const UNIT = 16 * KIB;
const PIECE = 64 * KIB;

class FakeOwner implements UnitOwner {
  readonly loading: number[] = [];
  readonly evicted: number[] = [];
  hasRoom = true;
  isImmediate = true;
  isThere = false;
  roomCalls = 0;

  load(slot: number): Loading {
    if (this.hasRoom && this.isThere) return 'there';
    if (this.hasRoom) this.loading.push(slot);
    return this.hasRoom;
  }

  evict(slot: number): boolean {
    if (!this.isImmediate) this.evicted.push(slot);
    return this.isImmediate;
  }

  forgotten(): void {}

  roomCame(): void {
    this.roomCalls++;
  }
}

/** Memory without end, which still keeps count: live and leaving units must never be fewer than none. */
class Plenty implements UnitRoom {
  readonly reachUnits = Number.POSITIVE_INFINITY;
  units = 0;
  leaving = 0;

  takeUnit(): boolean {
    this.units++;
    return true;
  }

  adoptUnit(): void {
    this.units++;
  }

  giveUnit(): void {
    assert.ok(--this.units >= 0);
  }

  unitLeaves(): void {
    this.giveUnit();
    this.leaving++;
  }

  unitStays(): void {
    this.unitLeft();
    this.units++;
  }

  unitLeft(): void {
    assert.ok(--this.leaving >= 0);
  }

  unitIsFree(): void {}
}

interface Bench {
  readonly owner: FakeOwner;
  readonly room: Plenty;
  readonly resident: ResidentUnits;
  readonly load: (unit: number) => void;
}

function setUp(units = 8): Bench {
  const owner = new FakeOwner();
  const room = new Plenty();
  const resident = new ResidentUnits(new Geometry(100 * PIECE, PIECE), UNIT, units * UNIT, owner, room);
  const load = (unit: number): void => {
    resident.readAhead(Math.floor(unit / 4) as PieceIndex, (unit % 4) * UNIT, 1);
    for (const slot of owner.loading.splice(0)) resident.loaded(slot, true);
  };
  return { owner, room, resident, load };
}

const at = (unit: number): [PieceIndex, number, number] => [Math.floor(unit / 4) as PieceIndex, (unit % 4) * UNIT, 10];

/** With the unit behind it, where that is of the same piece. */
const over = (unit: number): [PieceIndex, number, number] => {
  const [piece, begin] = at(unit);
  return [piece, begin, Math.min(UNIT + 10, PIECE - begin)];
};

test('a unit is loaded once, then ready, and pins nest', () => {
  const { owner, resident } = setUp();
  assert.equal(resident.pin(...at(5)), 'loading');
  assert.equal(resident.pin(...at(5)), 'loading');
  assert.equal(owner.loading.length, 1);
  resident.loaded(owner.loading.pop()!, true);
  assert.equal(resident.pin(...at(5)), 'ready');
  assert.equal(resident.pin(...at(5)), 'ready');
  resident.unpin(...at(5));
  assert.equal(resident.pinnedUnits, 1);
  resident.unpin(...at(5));
  assert.equal(resident.pinnedUnits, 0);
  resident.checkInvariants();
});

test('a range over two units needs both, and pins both or none', () => {
  const { owner, resident, load } = setUp();
  load(1);
  const range: [PieceIndex, number, number] = [0 as PieceIndex, 2 * UNIT - 5, 10];
  assert.equal(resident.pin(...range), 'loading');
  assert.equal(resident.pinnedUnits, 0);
  resident.loaded(owner.loading.pop()!, true);
  assert.equal(resident.pin(...range), 'ready');
  assert.equal(resident.pinnedUnits, 2);
  resident.unpin(...range);
  resident.checkInvariants();
});

test('a range of which a part only finds room keeps that part: it is not read again and again', () => {
  const { owner, room, resident, load } = setUp();
  // Other torrents leave it five units: one more takes the place of an idle one.
  room.takeUnit = () => {
    if (room.units === 5) resident.shrink(UNIT);
    if (room.units === 5) return false;
    room.adoptUnit();
    return true;
  };
  for (let unit = 0; unit < 4; unit++) {
    load(unit);
    assert.equal(resident.pin(...at(unit)), 'ready');
  }
  const range: [PieceIndex, number, number] = [1 as PieceIndex, UNIT - 5, 10];
  let loads = 0;
  for (let round = 0; round < 10; round++) {
    assert.notEqual(resident.pin(...range), 'ready');
    loads += owner.loading.length;
    for (const slot of owner.loading.splice(0)) resident.loaded(slot, true);
  }
  assert.equal(loads, 1);
  resident.unpin(...at(2));
  assert.equal(resident.pin(...range), 'loading');
  for (const slot of owner.loading.splice(0)) resident.loaded(slot, true);
  assert.equal(resident.pin(...range), 'ready');
  assert.equal(resident.isKnown(0 as PieceIndex, 2 * UNIT), false, 'the idle one went');
  resident.unpin(...range);
  resident.checkInvariants();
});

test('the least recently used unit goes first, and using one makes it young', () => {
  const { resident, load } = setUp();
  for (let unit = 0; unit < 8; unit++) load(unit);
  assert.equal(resident.pin(...at(0)), 'ready');
  resident.unpin(...at(0));
  load(8);
  assert.equal(resident.isKnown(0 as PieceIndex, 0), true);
  assert.equal(resident.isKnown(0 as PieceIndex, UNIT), false);
  assert.equal(resident.residentBytes, 8 * UNIT);
});

test('an evicted unit that is wanted again before it was let go comes back without a load', () => {
  const { owner, resident, load } = setUp();
  owner.isImmediate = false;
  for (let unit = 0; unit < 9; unit++) load(unit);
  const [slot] = owner.evicted as [number];
  assert.equal(resident.pin(...at(0)), 'ready');
  assert.equal(owner.loading.length, 0);
  assert.equal(resident.beginRelease(slot), false);
  resident.unpin(...at(0));
  resident.checkInvariants();
});

test('what is in memory already is ready at once, and counts like any other', () => {
  const { owner, room, resident } = setUp(8);
  owner.isThere = true;
  assert.equal(resident.pin(0 as PieceIndex, 2 * UNIT - 5, 10), 'ready');
  resident.readAhead(1 as PieceIndex, 0, PIECE);
  assert.deepEqual(owner.loading, []);
  assert.equal(resident.residentBytes, 6 * UNIT);
  assert.equal(room.units, 6);
  resident.readAhead(2 as PieceIndex, 0, PIECE);
  assert.equal(resident.residentBytes, 8 * UNIT);
  assert.equal(resident.isKnown(0 as PieceIndex, UNIT), true, 'pinned');
  assert.equal(resident.isKnown(1 as PieceIndex, 0), false, 'the oldest went');
  resident.unpin(0 as PieceIndex, 2 * UNIT - 5, 10);
  resident.checkInvariants();
});

test('a range of which only a part is in memory waits for the rest', () => {
  const { owner, resident } = setUp();
  owner.isThere = true;
  assert.equal(resident.pin(...at(1)), 'ready');
  owner.isThere = false;
  assert.equal(resident.pin(0 as PieceIndex, 2 * UNIT - 5, 10), 'loading');
  resident.loaded(owner.loading.pop()!, true);
  assert.equal(resident.pin(0 as PieceIndex, 2 * UNIT - 5, 10), 'ready');
  resident.checkInvariants();
});

test('a unit on its way out must be gone before it can be loaded again', () => {
  const { owner, resident, load } = setUp();
  owner.isImmediate = false;
  for (let unit = 0; unit < 9; unit++) load(unit);
  const slot = owner.evicted.pop()!;
  assert.equal(resident.beginRelease(slot), true);
  assert.equal(resident.pin(...at(0)), 'full');
  resident.released(slot);
  assert.equal(owner.roomCalls, 1);
  assert.equal(resident.pin(...at(0)), 'loading');
  resident.checkInvariants();
});

test('a failed load leaves nothing behind', () => {
  const { owner, resident } = setUp();
  assert.equal(resident.pin(...at(3)), 'loading');
  resident.loaded(owner.loading.pop()!, false);
  assert.equal(resident.residentBytes, 0);
  assert.equal(resident.pin(...at(3)), 'loading');
  owner.hasRoom = false;
  assert.equal(resident.pin(...at(4)), 'full');
  resident.checkInvariants();
});

test('units divide pieces of any length evenly and in whole blocks', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 64 * 1024 * KIB }), (pieceLength) => {
      const unitBytes = evenUnit(pieceLength, 1024 * KIB);
      assert.ok(unitBytes <= Math.min(1024 * KIB, pieceLength));
      assert.ok(unitBytes === pieceLength || unitBytes % UNIT === 0);
    }),
  );
});

test('whatever happens, in whatever order, the books balance and memory stays within its bounds', () => {
  const step = fc.tuple(fc.nat(8), fc.nat(40), fc.nat(3));
  fc.assert(
    fc.property(fc.boolean(), fc.array(step, { maxLength: 300 }), (isImmediate, steps) => {
      const { owner, room, resident } = setUp();
      owner.isImmediate = isImmediate;
      const pins: [PieceIndex, number, number][] = [];
      const releasing: number[] = [];
      for (const [action, unit, which] of steps) {
        const range = which === 3 ? over(unit) : at(unit);
        if (action === 0 && resident.pin(...range) === 'ready') pins.push(range);
        else if (action === 1) resident.readAhead(...at(unit));
        else if (action === 2 && owner.loading.length > 0) resident.loaded(owner.loading.shift()!, which > 0);
        else if (action === 3 && pins.length > 0) resident.unpin(...pins.splice(unit % pins.length, 1)[0]!);
        else if (action === 4) releasing.push(...owner.evicted.splice(0).filter((slot) => resident.beginRelease(slot)));
        else if (action === 5 && releasing.length > 0) resident.released(releasing.shift()!);
        else if (action === 8) owner.isThere = which > 1;
        else if (action === 7) resident.shrink(which * UNIT);
        else if (action === 6 && resident.forget((unit % 10) as PieceIndex)) resident.adopt((unit % 10) as PieceIndex);
        resident.checkInvariants();
        assert.equal((room.units + room.leaving) * UNIT, resident.residentBytes);
        for (const pin of pins) assert.equal(resident.isKnown(pin[0], pin[1]), true);
        // adopt may push up to a piece of units out at once.
        assert.ok(resident.residentBytes <= resident.capacityBytes * 1.25 + 12 * PIECE);
      }
    }),
    { numRuns: 300 },
  );
});

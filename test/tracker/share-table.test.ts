import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { groupOf } from '../../src/net/remote-group.js';
import { ShareTable } from '../../src/tracker/share-table.js';

function scene(total: number, share: number) {
  const gone: string[] = [];
  const table = new ShareTable<string>({ total, share }, (holder) => gone.push(holder));
  return { table, gone };
}

test('one group may have all of it while nobody else asks', () => {
  const { table, gone } = scene(4, 1);
  for (const holder of ['a1', 'a2', 'a3', 'a4']) table.set(holder, 'a', 1);
  assert.deepEqual([gone, table.total], [[], 4]);
});

test('a newcomer of a group that has its share takes the place of its oldest, others that of the oldest of all', () => {
  const { table, gone } = scene(4, 2);
  table.set('b1', 'b', 1);
  for (const holder of ['a1', 'a2', 'a3', 'a4']) table.set(holder, 'a', 1);
  assert.deepEqual(gone, ['a1']);
  table.set('c1', 'c', 1);
  assert.deepEqual(gone, ['a1', 'b1']);
  table.set('c2', 'c', 1);
  assert.deepEqual(gone, ['a1', 'b1', 'a2']);
  assert.deepEqual([...table.holders()], ['a3', 'a4', 'c1', 'c2']);
});

test('who is set again is the newest and counts once', () => {
  const { table, gone } = scene(4, 4);
  table.set('x', 'g', 3);
  table.set('y', 'g', 1);
  table.set('x', 'g', 1);
  assert.equal(table.total, 2);
  table.set('z', 'g', 3);
  assert.deepEqual([gone, [...table.holders()]], [['y'], ['x', 'z']]);
});

test('through any sequence of changes the sums are right, and above the limit stands one holder alone', () => {
  const change = fc.record({ holder: fc.nat(12), group: fc.nat(3), weight: fc.integer({ min: 0, max: 9 }) });
  fc.assert(
    fc.property(fc.array(change, { maxLength: 100 }), (changes) => {
      const model = new Map<number, number>();
      const table = new ShareTable<number>({ total: 20, share: 6 }, (holder) => model.delete(holder));
      for (const { holder, group, weight } of changes) {
        if (weight === 0) {
          table.delete(holder);
          model.delete(holder);
        } else {
          table.set(holder, String(group), weight);
          model.set(holder, weight);
        }
        const sum = [...model.values()].reduce((a, b) => a + b, 0);
        assert.deepEqual([table.total, table.count], [sum, model.size]);
        assert.ok(sum <= 20);
      }
    }),
  );
});

test('an IPv4 address is a group in either spelling, and so is a /64', () => {
  assert.equal(groupOf('::ffff:10.0.0.1'), groupOf('10.0.0.1'));
  assert.notEqual(groupOf('10.0.0.2'), groupOf('10.0.0.1'));
  assert.equal(groupOf('2001:db8::1'), groupOf('2001:db8:0:0:ffff::9'));
  assert.notEqual(groupOf('2001:db8::1'), groupOf('2001:db8:0:1::1'));
  assert.equal(groupOf('fe80::1%eth0'), groupOf('fe80::2%eth1'));
  assert.equal(groupOf(''), '');
});

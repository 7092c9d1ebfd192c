/** Part of what any catalogue must do: who may only add takes nothing away. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openScope } from '../../lab/scope.js';
import { ADD, type CatalogueMaker, rowOf } from './catalogue-conformance.js';

export function testAdding(title: string, { make }: CatalogueMaker): void {
  test(`${title}: who may only add shortens no time and changes no type of the same blob`, async (t) => {
    const catalogue = await make(openScope(t));
    const adds = { ...ADD, onlyAdds: true };
    const first = rowOf('artifacts/a', 'x', { expiresMs: 100, contentType: null });
    await catalogue.put(first, adds);
    for (const [expiresMs, stays] of [
      [50, 100],
      [200, 200],
      [null, null],
      [300, null],
    ] as const) {
      const again = { ...first, expiresMs, createdMs: 7, contentType: 'a/b' };
      const row = { ...again, expiresMs: stays };
      assert.deepEqual(await catalogue.put(again, adds), { kind: 'unchanged', row });
      assert.deepEqual(await catalogue.get('artifacts/a'), row);
    }
    await catalogue.put({ ...first, contentType: 'c/d' }, adds);
    assert.equal((await catalogue.get('artifacts/a'))?.contentType, 'a/b');
    assert.deepEqual(await catalogue.put(first, ADD), { kind: 'unchanged', row: first });
  });
}

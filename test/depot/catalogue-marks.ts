/** Part of what any catalogue must do: what may be noted wrongly beside blobs is marked with the change itself. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openScope } from '../../lab/scope.js';
import type { Catalogue, NoteMark } from '../../src/depot/catalogue/port.js';
import { ADD, type CatalogueMaker, digestOf, ONLY_NEW, OVERWRITE, rowOf } from './catalogue-conformance.js';

const [X, Y] = [digestOf('x'), digestOf('y')];
const all = (catalogue: Catalogue): Promise<readonly NoteMark[]> => catalogue.marks({ after: null, limit: 1000 });
const markOf = (number: number): string => number.toString(16).padStart(16, '0');

export function testMarks(title: string, { make, audit }: CatalogueMaker): void {
  test(`${title}: a change marks the notes that it leaves behind, and nothing else does`, async (t) => {
    const catalogue = await make(openScope(t));
    const [one, two, three, four, five] = [1, 2, 3, 4, 5].map(markOf) as [string, string, string, string, string];
    const name = 'artifacts/a';
    await catalogue.put(rowOf(name, 'x'), { ...ADD, mark: one });
    assert.deepEqual(await all(catalogue), [], 'it was noted before');
    await catalogue.put(rowOf(name, 'x'), { ...ADD, mark: one, isNoted: false });
    assert.deepEqual(await all(catalogue), [{ mark: one, sha256: X, name }]);
    await catalogue.unmark([{ mark: one, sha256: X, name }]);
    assert.deepEqual(await all(catalogue), []);

    for (const rules of [ADD, ONLY_NEW])
      assert.equal((await catalogue.put(rowOf(name, 'y'), { ...rules, mark: two, isNoted: false })).kind, 'conflict');
    assert.equal(await catalogue.remove(name, { sha256: Y }, two), null);
    assert.equal(await catalogue.remove('artifacts/b', undefined, two), null);
    await catalogue.pin(name, false, two);
    await catalogue.touch(new Map([[name, Date.now()]]));
    assert.deepEqual(await all(catalogue), [], 'nothing was changed');

    await catalogue.put(rowOf(name, 'y'), { ...OVERWRITE, mark: two });
    await catalogue.put(rowOf(name, 'x'), { ...OVERWRITE, mark: three, isNoted: false });
    await catalogue.pin(name, true, four);
    await catalogue.remove(name, undefined, five);
    const left = await all(catalogue);
    const expected = [
      ...[two, three, four, five].map((mark) => ({ mark, sha256: X, name })),
      { mark: three, sha256: Y, name },
    ];
    const inOrder = (a: NoteMark, b: NoteMark): number => (a.sha256 + a.mark < b.sha256 + b.mark ? -1 : 1);
    assert.deepEqual(left, expected.sort(inOrder));
    assert.deepEqual((await audit?.(catalogue)) ?? [], []);
    await catalogue.unmark(left.slice(1));
    assert.deepEqual(await all(catalogue), left.slice(0, 1));
    await catalogue.unmark(left);
    assert.deepEqual(await all(catalogue), [], 'gone, or never there');
  });

  test(`${title}: marks are found page by page, and by blob`, async (t) => {
    const catalogue = await make(openScope(t));
    const names = ['a', 'a\u0000b', 'ß/\u{1f642}', 'z'.repeat(200)].map((name) => `artifacts/${name}`);
    for (const [index, name] of names.entries()) {
      await catalogue.put(rowOf(name, index % 2 === 0 ? 'x' : 'y'), { ...ADD, mark: markOf(index), isNoted: false });
    }
    const whole = await all(catalogue);
    assert.deepEqual(new Set(whole.map(({ name }) => name)), new Set(names));
    const paged: NoteMark[] = [];
    for (let after: NoteMark | null = null; ; after = paged.at(-1)!) {
      const [mark, more] = await catalogue.marks({ after, limit: 1 });
      assert.equal(more, undefined);
      if (mark === undefined) break;
      paged.push(mark);
    }
    assert.deepEqual(paged, whole);
    const ofX = await catalogue.marks({ sha256: X, after: null, limit: 10 });
    assert.deepEqual(
      ofX,
      whole.filter(({ sha256 }) => sha256 === X),
    );
    assert.equal(ofX.length, 2);
    assert.deepEqual(await catalogue.marks({ sha256: digestOf('z'), after: null, limit: 10 }), []);
  });

  test(`${title}: what is put and removed in one moment leaves its mark`, async (t) => {
    const catalogue = await make(openScope(t));
    const name = 'artifacts/a';
    await Promise.all([catalogue.put(rowOf(name, 'x'), ADD), catalogue.remove(name, undefined, markOf(1))]);
    assert.deepEqual(await all(catalogue), [{ mark: markOf(1), sha256: X, name }]);
  });
}

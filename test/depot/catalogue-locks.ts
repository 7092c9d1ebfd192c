/** Part of what any catalogue must do: one at a time by blob and by task. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { openScope } from '../../lab/scope.js';
import { ADD, type CatalogueMaker, digestOf, OVERWRITE, rowOf } from './catalogue-conformance.js';

export function testLocks(title: string, { make }: CatalogueMaker): void {
  describe(`${title}: locks`, () => {
    test('of one blob one body runs at a time, in the order of asking; of several all do', async (t) => {
      const catalogue = await make(openScope(t));
      const said: string[] = [];
      const body = (word: string) => async () => {
        said.push(`${word} begins`);
        await catalogue.get('artifacts/none');
        said.push(`${word} ends`);
        return word;
      };
      const blob = digestOf('x');
      const done = ['a', 'b', 'c'].map((word) => catalogue.locked(blob, body(word)));
      const failed = catalogue.locked(blob, () => Promise.reject(new Error('of the body')));
      await assert.rejects(failed, /of the body/);
      assert.deepEqual(await Promise.all(done), ['a', 'b', 'c']);
      assert.deepEqual(
        said,
        ['a', 'b', 'c'].flatMap((word) => [`${word} begins`, `${word} ends`]),
      );
      await catalogue.locked(blob, (lock) =>
        catalogue.locked(digestOf('y'), async (other) => assert.ok(lock.isSure() && other.isSure())),
      );
    });

    test('a blob that is locked can be named, and others too', async (t) => {
      const catalogue = await make(openScope(t));
      await catalogue.locked(digestOf('x'), async () => {
        assert.deepEqual(await catalogue.put(rowOf('artifacts/a', 'x'), ADD), { kind: 'created' });
        assert.deepEqual(await catalogue.put(rowOf('artifacts/b', 'y'), ADD), { kind: 'created' });
      });
      const again = catalogue.locked(digestOf('y'), () => catalogue.put(rowOf('artifacts/a', 'y'), OVERWRITE));
      assert.equal((await again).kind, 'replaced');
    });

    test('of two who want the turn at a task one gets it, and the next one later', async (t) => {
      const catalogue = await make(openScope(t));
      const turns = [1, 2, 3].map((number) => catalogue.turn('keep', async () => number));
      assert.equal((await Promise.all(turns)).filter((number) => number !== null).length, 1);
      assert.equal(await catalogue.turn('keep', async () => 4), 4);
      await assert.rejects(
        catalogue.turn('keep', () => Promise.reject(new Error('of the body'))),
        /of the body/,
      );
      assert.equal(await catalogue.turn('keep', async () => 5), 5);
    });
  });
}

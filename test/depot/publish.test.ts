/** Publishing over the folder store: bytes, names, races and refusals. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { bytesOf, code, contentOf, KIB, MIB, openKit, request, sha256 } from './depot-kit.js';

describe('publishing', () => {
  for (const length of [0, 1, 5 * KIB, 64 * KIB, 64 * KIB + 1, 3 * MIB, 9 * MIB + 17]) {
    for (const isKnown of [true, false]) {
      const how = isKnown ? 'announced' : 'not announced';
      test(`${length} bytes, ${how}, come out as they went in`, async (t) => {
        const made = await openKit(t);
        const bytes = bytesOf(length);
        const sent = request('a/file.bin', bytes, isKnown ? {} : { lengthBytes: null });
        const { kind, row } = await made.depot.publish(sent);
        assert.equal(kind, 'created');
        assert.equal(row.sha256, sha256(bytes));
        assert.equal(row.infoHash !== null, length >= 4 * MIB);
        assert.ok((await contentOf(made, 'a/file.bin')).equals(bytes));
        assert.equal(made.store.usedBytes, length);
        assert.equal((await made.depot.publish(request('a/file.bin', bytes))).kind, 'unchanged');
        assert.equal(made.store.usedBytes, length);
        const again = await made.depot.publish(request('b/file.bin', bytes, { lengthBytes: null }));
        assert.equal(again.row.infoHash, row.infoHash);
        await made.depot.remove('artifacts/a/file.bin');
        assert.ok((await contentOf(made, 'b/file.bin')).equals(bytes));
        await made.depot.remove('artifacts/b/file.bin');
        assert.equal(made.store.usedBytes, 0);
        assert.equal(await made.store.stat(row.sha256), null);
      });
    }
  }

  test('other bytes need leave to replace, and what is replaced goes', async (t) => {
    const made = await openKit(t);
    const [one, two] = [bytesOf(100), bytesOf(200, 2)];
    await made.depot.publish(request('x', one));
    await assert.rejects(made.depot.publish(request('x', two)), code('FILE_EXISTS'));
    await assert.rejects(made.depot.publish(request('x', one, { onlyIfNew: true })), code('FILE_EXISTS'));
    assert.ok((await contentOf(made, 'x')).equals(one));
    assert.equal((await made.depot.publish(request('x', two, { overwrite: true }))).kind, 'replaced');
    assert.ok((await contentOf(made, 'x')).equals(two));
    assert.equal(made.store.usedBytes, 200);
  });
});

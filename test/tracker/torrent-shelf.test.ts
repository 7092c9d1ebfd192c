import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { TorrentShelf } from '../../src/tracker/torrent-shelf.js';

test('renderings for many addresses share what they have in common', () => {
  const shelf = new TorrentShelf();
  const body = Buffer.alloc(5_000_000, 'info');
  shelf.put('a', (base) => Buffer.concat([Buffer.from(base), body]));
  const items = Array.from({ length: 20 }, (_, k) => shelf.get('a.torrent', `http://host${k}`)!);
  assert.equal(new Set(items.map(({ tail }) => tail.buffer)).size, 1);
  for (const { head } of items) assert.ok(head.length < 10_000, String(head.length));
  assert.equal(new Set(items.map(({ etag }) => etag)).size, 20);
  assert.equal(shelf.get('a.torrent', 'http://host3')!.etag, items[3]!.etag);
});

test('whatever is rendered comes out whole', () => {
  const length = fc.constantFrom(0, 1, 4095, 4096, 4097, 9000);
  const part = fc.record({ length, fill: fc.constantFrom('a', 'b') });
  fc.assert(
    fc.property(fc.array(fc.array(part, { maxLength: 4 }), { minLength: 1, maxLength: 5 }), (renderings) => {
      const bytes = renderings.map((parts) =>
        Buffer.concat(parts.map(({ length, fill }) => Buffer.alloc(length, fill))),
      );
      const shelf = new TorrentShelf();
      shelf.put('a.torrent', (base) => bytes[Number(base)]!);
      for (const [index, expected] of bytes.entries()) {
        const { head, tail } = shelf.get('a.torrent', String(index))!;
        assert.ok(Buffer.concat([head, tail]).equals(expected));
      }
    }),
  );
});

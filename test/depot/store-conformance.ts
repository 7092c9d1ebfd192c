/** What every store keeps to. Whoever implements `BlobStore` calls `testStore` with a way to open one. */
import assert from 'node:assert/strict';
import { access, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import type { ContentSource } from '../../src/api.js';
import type { BlobStore, BlobUpload } from '../../src/depot/store/port.js';
import { bytesOf, code, KIB, MIB, read, sha256 } from './depot-kit.js';

export interface StoreMaker {
  /** An empty one; the maker closes and removes it with the test. */
  open(t: TestContext): Promise<BlobStore>;
}

export const PIECES_FROM: number = 200 * KIB;
/** Either side of what an implementation may treat in its own way. */
const LENGTHS = [0, 1, 64 * KIB, 64 * KIB + 1, 199 * KIB, 200 * KIB, 3 * MIB + 5];

export async function fill(upload: BlobUpload, bytes: Buffer, chunkBytes = 100 * KIB): Promise<void> {
  for (let at = 0; at < bytes.length; at += chunkBytes) await upload.write(bytes.subarray(at, at + chunkBytes));
}

export async function put(store: BlobStore, bytes: Buffer, note: [string, string] | null = null): Promise<string> {
  const upload = await store.create({ lengthBytes: bytes.length, piecesFromBytes: PIECES_FROM });
  await fill(upload, bytes);
  const finished = await upload.finish();
  await store.commit(upload, note === null ? null : { name: note[0], row: note[1] });
  return finished.sha256;
}

export async function names(store: BlobStore): Promise<string[]> {
  const found: string[] = [];
  for await (const { sha256: name } of store.list()) found.push(name);
  return found.sort();
}

/** As an engine reads it. @param at begin, bytes */
export async function fromSource(source: ContentSource, file: number, length: number, at = 0): Promise<Buffer> {
  const target = Buffer.alloc(length);
  await source.read(file, at, target, new AbortController().signal);
  return target;
}

export function testStore(title: string, maker: StoreMaker): void {
  describe(title, () => {
    for (const length of LENGTHS) {
      test(`${length} bytes: hashed, kept, read whole and in ranges, listed, removed`, async (t) => {
        const store = await maker.open(t);
        const bytes = bytesOf(length);
        const upload = await store.create({ lengthBytes: null, piecesFromBytes: PIECES_FROM });
        await fill(upload, bytes);
        const finished = await upload.finish();
        assert.equal(finished.sha256, sha256(bytes));
        assert.equal(finished.lengthBytes, length);
        assert.equal(finished.pieces !== null, length >= PIECES_FROM);
        assert.equal(await store.stat(finished.sha256), null, 'nothing is visible before it is committed');
        const stat = { sha256: finished.sha256, lengthBytes: length };
        assert.deepEqual(await store.commit(upload, null), stat);
        assert.deepEqual(await store.stat(finished.sha256), stat);
        const ranges = [
          [0, length],
          [0, 0],
          [length, length],
          [Math.floor(length / 3), Math.ceil(length / 2)],
        ];
        for (const [begin, end] of ranges as [number, number][]) {
          const found = await read(store.read(finished.sha256, { begin, end }));
          assert.ok(found.equals(bytes.subarray(begin, end)), `${begin} to ${end}`);
        }
        const sidecar = await store.sidecar(finished.sha256);
        assert.equal(sidecar?.lengthBytes, length);
        if (finished.pieces !== null) assert.deepEqual(sidecar?.pieces, finished.pieces);
        assert.deepEqual(await names(store), [finished.sha256]);
        assert.equal(store.usedBytes, length);
        assert.equal(await store.remove(finished.sha256), true);
        assert.equal(await store.remove(finished.sha256), false);
        assert.equal(await store.stat(finished.sha256), null);
        assert.equal(await store.sidecar(finished.sha256), null);
        await assert.rejects(read(store.read(finished.sha256, { begin: 0, end: 0 })), code('NOT_FOUND'));
        assert.equal(store.usedBytes, 0);
      });
    }

    test('an upload that is given up leaves nothing, whenever that is', async (t) => {
      const store = await maker.open(t);
      for (const length of [10, MIB]) {
        const bytes = bytesOf(length);
        for (const isFinished of [false, true]) {
          const upload = await store.create({ lengthBytes: length, piecesFromBytes: PIECES_FROM });
          await fill(upload, bytes);
          if (isFinished) await upload.finish();
          await Promise.all([upload.abort(), upload.abort()]);
          await assert.rejects(store.commit(upload, null), code('CLOSED'));
          await assert.rejects(upload.write(bytes));
        }
      }
      assert.deepEqual(await names(store), []);
      assert.equal(store.usedBytes, 0);
    });

    test('other bytes than were announced are a MISMATCH', async (t) => {
      const store = await maker.open(t);
      const few = await store.create({ lengthBytes: 10, piecesFromBytes: PIECES_FROM });
      await few.write(bytesOf(9));
      await assert.rejects(few.finish(), code('MISMATCH'));
      const many = await store.create({ lengthBytes: 10, piecesFromBytes: PIECES_FROM });
      await many.write(bytesOf(10));
      await assert.rejects(many.write(bytesOf(1)), code('MISMATCH'));
      await Promise.all([few.abort(), many.abort()]);
      assert.equal(store.usedBytes, 0);
    });

    test('the same bytes are one blob, and who reads goes on when it is removed', async (t) => {
      const store = await maker.open(t);
      for (const length of [100, 5 * MIB]) {
        const bytes = bytesOf(length);
        const name = await put(store, bytes);
        assert.equal(await put(store, bytes), name);
        assert.equal(store.usedBytes, length);
        const slices = store.read(name, { begin: 0, end: length })[Symbol.asyncIterator]();
        const parts = [Buffer.from((await slices.next()).value)];
        await store.remove(name);
        for (let next = await slices.next(); next.done !== true; next = await slices.next())
          parts.push(Buffer.from(next.value));
        assert.ok(Buffer.concat(parts).equals(bytes));
        assert.equal(await put(store, bytes), name, 'and it can come again');
        await store.remove(name);
      }
    });

    test('names are noted beside the blob: with the commit, later, and taken back', async (t) => {
      const store = await maker.open(t);
      for (const bytes of [bytesOf(50), bytesOf(MIB)]) {
        const name = await put(store, bytes, ['artifacts/a "ü"\n', '{"row":1}']);
        await store.note(name, 'artifacts/b', '{"row":2}');
        await store.note(name, 'artifacts/b', '{"row":3}');
        await put(store, bytes, ['artifacts/c', '{}']);
        await store.note(name, 'artifacts/c', null);
        const sidecar = await store.sidecar(name);
        const expected = { 'artifacts/a "ü"\n': '{"row":1}', 'artifacts/b': '{"row":3}' };
        assert.deepEqual(Object.fromEntries(sidecar!.names), expected);
      }
    });

    test('blobs are placed as files of one folder, in their order, until they are left', async (t) => {
      const store = await maker.open(t);
      const sizes = [0, 10, 3 * MIB];
      const blobs = await Promise.all(sizes.map((length) => put(store, bytesOf(length))));
      const paths = ['top/z', 'top/ü [1] #%20/b', 'top/long'];
      const files = [...blobs.keys()].map((index) => ({ sha256: blobs[index]!, path: paths[index]! }));
      const copy = { sha256: blobs[1]!, path: 'top/copy' };
      const id = 'f'.repeat(40);
      for (let round = 0; round < 2; round++) {
        const place = await store.placeAll(id, [...files, copy]);
        if (place === null) return;
        if ('source' in place) {
          for (const [file, blob] of [...blobs, blobs[1]!].entries())
            assert.equal(sha256(await fromSource(place.source, file, [...sizes, 10][file]!)), blob);
          continue;
        }
        assert.deepEqual(
          place.hashed.map(({ sizeBytes }) => sizeBytes),
          [...sizes, 10],
        );
        for (const { sha256: name, path } of [...files, copy])
          assert.equal(sha256(await readFile(join(place.output, path))), name);
        if (round === 0) continue;
        await store.leaveAll(id);
        await assert.rejects(access(place.output));
      }
      const missing = { sha256: 'a'.repeat(64), path: 'top/none' };
      await assert.rejects(store.placeAll(id, [...files, missing]), code('NOT_FOUND'));
      for (const name of blobs) assert.equal(await store.remove(name), true);
    });

    test('many uploads at once, of a few blobs, all come through', async (t) => {
      const store = await maker.open(t);
      const blobs = Array.from({ length: 40 }, (_, index) => bytesOf(index % 2 === 0 ? 1000 : 300 * KIB, index + 1));
      const found = await Promise.all(blobs.map((bytes, index) => put(store, bytes, [`artifacts/${index}`, '{}'])));
      assert.deepEqual(found, blobs.map(sha256));
      assert.deepEqual(await names(store), [...found].sort());
      for (const bytes of blobs)
        assert.ok((await read(store.read(sha256(bytes), { begin: 0, end: bytes.length }))).equals(bytes));
    });

    test('what is no name of a blob, and no range of it, is refused', async (t) => {
      const store = await maker.open(t);
      const name = await put(store, bytesOf(10));
      for (const bad of ['', '..', '../../x', name.toUpperCase().padStart(64, 'A'), `${name}/`]) {
        await assert.rejects(store.stat(bad), code('BAD_ARGUMENT'));
        await assert.rejects(store.remove(bad), code('BAD_ARGUMENT'));
        await assert.rejects(read(store.read(bad, { begin: 0, end: 0 })), code('BAD_ARGUMENT'));
      }
      for (const [begin, end] of [
        [0, 11],
        [5, 4],
        [-1, 4],
        [0.5, 4],
        [0, Number.NaN],
      ] as [number, number][]) {
        await assert.rejects(read(store.read(name, { begin, end })), code('BAD_ARGUMENT'));
      }
    });

    test('a closed store refuses, and closing twice is once', async (t) => {
      const store = await maker.open(t);
      const upload = await store.create({ lengthBytes: MIB, piecesFromBytes: PIECES_FROM });
      await upload.write(bytesOf(100 * KIB));
      await Promise.all([store.close(), store.close()]);
      await assert.rejects(store.create({ lengthBytes: 1, piecesFromBytes: PIECES_FROM }), code('CLOSED'));
      await assert.rejects(upload.write(bytesOf(10)));
    });
  });
}

/** Publishing over the folder store: bytes, names, races and refusals. */
import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { Pace } from '../../src/depot/pace.js';
import type { PublishRequest } from '../../src/depot/publish-port.js';
import { HaulError } from '../../src/errors.js';
import { bytesOf, chunksOf, code, contentOf, KIB, MIB, openKit, request, sha256 } from './depot-kit.js';

const ADD_OVER = { overwrite: true, onlyIfNew: false };

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

  test('when a name was read last is in the catalogue at the latest when the depot is closed', async (t) => {
    let nowMs = 1_000;
    const made = await openKit(t, { now: () => nowMs });
    await made.depot.publish(request('x', bytesOf(100)));
    nowMs = 2_000.7;
    await contentOf(made, 'x');
    assert.equal((await made.catalogue.get('artifacts/x'))?.usedMs, 1_000);
    await made.depot.close();
    assert.equal((await made.catalogue.get('artifacts/x'))?.usedMs, 2_000);
  });

  test('what was refused or ended leaves nothing: digest, length, limit, abort, a body that breaks', async (t) => {
    const made = await openKit(t, { blobBytesMax: 3 * MIB });
    const { depot, store, folder } = made;
    for (const length of [100, 2 * MIB]) {
      const bytes = bytesOf(length);
      const refused = async (what: string, more: Partial<PublishRequest>): Promise<void> => {
        await assert.rejects(depot.publish(request('x', bytes, more)), code(what));
        assert.equal(await depot.find('artifacts/x'), null, what);
        assert.equal(store.usedBytes, 0, what);
        assert.deepEqual(await readdir(join(folder, 'tmp')), [], what);
      };
      await refused('MISMATCH', { sha256: sha256(bytesOf(5)) });
      await refused('MISMATCH', { lengthBytes: length + 1 });
      await refused('MISMATCH', { lengthBytes: length - 1 });
      await refused('LIMIT', { lengthBytes: null, body: chunksOf(bytesOf(3 * MIB + 1)) });
      await refused('LIMIT', { lengthBytes: 3 * MIB + 1 });
      await refused('BAD_ARGUMENT', { retentionDays: -1 });
      await refused('ABORTED', { signal: AbortSignal.abort() });
      const stop = new AbortController();
      const hangs = async function* (): AsyncGenerator<Uint8Array> {
        yield bytes.subarray(0, 10);
        setImmediate(() => stop.abort());
        await new Promise(() => {});
      };
      await refused('ABORTED', { body: hangs(), signal: stop.signal });
      const breaks = async function* (): AsyncGenerator<Uint8Array> {
        yield bytes.subarray(0, 10);
        throw new Error('reset');
      };
      await refused('ABORTED', { body: breaks() });
    }
  });

  test('a body that is slower than the least rate is a TIMEOUT, time that we take ourselves is not', () => {
    const pace = new Pace({ bytesPerSec: 1000, windowMs: 10_000 });
    pace.wait(0);
    assert.ok(pace.got(9_999, 1));
    assert.ok(pace.isAlive(50_000), 'while we do not wait nothing counts');
    pace.wait(100_000);
    assert.ok(pace.isAlive(100_000));
    assert.equal(pace.isAlive(100_001), false);
    const swift = new Pace({ bytesPerSec: 1000, windowMs: 10_000 });
    for (let at = 0; at < 60_000; at += 1000) {
      swift.wait(at);
      assert.ok(swift.got(at + 1000, 1000));
    }
    swift.wait(60_000);
    assert.equal(swift.got(71_000, 999), false);
  });

  test('a slow sender is told so, by the clock that is given', async (t) => {
    let nowMs = 0;
    const made = await openKit(t, { monotonic: () => nowMs, pace: { bytesPerSec: 1000, windowMs: 10_000 } });
    const drips = async function* (): AsyncGenerator<Uint8Array> {
      for (;;) {
        nowMs += 6_000;
        yield Buffer.alloc(10);
      }
    };
    await assert.rejects(made.depot.publish(request('x', bytesOf(MIB), { body: drips() })), code('TIMEOUT'));
    assert.equal(made.store.usedBytes, 0);
  });

  test('of many who put one name at once one wins, and what the others brought is gone', async (t) => {
    const made = await openKit(t);
    for (const length of [1000, 300 * KIB]) {
      const blobs = Array.from({ length: 8 }, (_, index) => bytesOf(length, index + 1));
      const all = await Promise.allSettled(blobs.map((bytes) => made.depot.publish(request('x', bytes))));
      const won = all.flatMap((one) => (one.status === 'fulfilled' ? [one.value.row.sha256] : []));
      assert.equal(won.length, 1);
      for (const one of all) if (one.status === 'rejected') assert.ok(code('FILE_EXISTS')(one.reason));
      assert.equal(sha256(await contentOf(made, 'x')), won[0]);
      assert.equal(made.store.usedBytes, length);
      const over = blobs.map((bytes) => made.depot.publish(request('x', bytes, { overwrite: true })));
      await Promise.all(over);
      assert.equal((await contentOf(made, 'x')).length, length);
      assert.equal(made.store.usedBytes, length, 'the last one is the only one');
      const { row } = await made.depot.publish(request('x', blobs[0]!, { overwrite: true }));
      const { names: noted } = (await made.store.sidecar(row.sha256))!;
      assert.deepEqual([...noted.keys()], ['artifacts/x']);
      await made.depot.remove('artifacts/x');
      assert.equal(made.store.usedBytes, 0);
    }
  });

  test('a blob that is removed while it is published again is there for whoever was acknowledged', async (t) => {
    const made = await openKit(t);
    for (const length of [500, 200 * KIB]) {
      const bytes = bytesOf(length);
      for (let round = 0; round < 6; round++) {
        const [one, two] = [`a${round % 3}`, `b${round % 2}`];
        await made.depot.publish(request(one, bytes));
        const readers = [contentOf(made, one), contentOf(made, one)];
        const [, published] = await Promise.all([
          made.depot.remove(`artifacts/${one}`),
          made.depot.publish(request(two, bytes)),
          made.depot.remove(`artifacts/${two}`),
          made.depot.publish(request(one, bytes)),
        ]);
        assert.equal(published.row.sha256, sha256(bytes));
        for (const found of await Promise.allSettled(readers))
          if (found.status === 'fulfilled') assert.ok(found.value.equals(bytes));
        for (const name of [one, two]) {
          if ((await made.depot.find(`artifacts/${name}`)) === null) continue;
          assert.ok((await contentOf(made, name)).equals(bytes), `round ${round}: ${name} names a blob that is gone`);
        }
      }
      for (const name of ['a0', 'a1', 'a2', 'b0', 'b1']) await made.depot.remove(`artifacts/${name}`);
      assert.equal(made.store.usedBytes, 0);
    }
  });

  test('what no row names is swept, what one names stays', async (t) => {
    const made = await openKit(t);
    const [kept, stray] = [bytesOf(10), bytesOf(20)];
    await made.depot.publish(request('x', kept));
    const upload = await made.store.create({ lengthBytes: 20, piecesFromBytes: MIB });
    await upload.write(stray);
    await upload.finish();
    await made.store.commit(upload, null);
    assert.equal(made.store.usedBytes, 30);
    assert.equal(await made.depot.sweep(), 1);
    assert.equal(made.store.usedBytes, 10);
    assert.ok((await contentOf(made, 'x')).equals(kept));
  });

  test('rows that the catalogue lost are made again of what is noted beside blobs; nothing is swept', async (t) => {
    const made = await openKit(t);
    const { row } = await made.depot.publish(request('x', bytesOf(5 * MIB)));
    await made.depot.publish(request('y', bytesOf(10)));
    await made.depot.publish(request('again', bytesOf(10)));
    await made.depot.remove('artifacts/again');
    await made.catalogue.remove('artifacts/x');
    await made.catalogue.remove('artifacts/y');
    assert.equal(await made.depot.sweep(), 0);
    assert.deepEqual(await made.depot.find('artifacts/x'), row);
    assert.ok((await contentOf(made, 'y')).equals(bytesOf(10)));
    assert.equal(await made.depot.find('artifacts/again'), null);
  });

  test('while nobody can tell what became of a row its blob stays; then it is there or gone', async (t) => {
    const made = await openKit(t);
    const { depot, store, catalogue } = made;
    const [old, other] = [bytesOf(100), bytesOf(200, 2)];
    await depot.publish(request('x', old));
    const complaint = () => Promise.reject(new HaulError('IO', 'Input/output error'));
    const put = catalogue.put.bind(catalogue);
    const overwrite = { overwrite: true };
    t.mock.method(catalogue, 'put', complaint);
    await assert.rejects(depot.publish(request('x', other, overwrite)), code('IO'));
    assert.equal(store.usedBytes, 100, 'it is certain that the row is not there');
    t.mock.method(catalogue, 'settled', complaint);
    await assert.rejects(depot.publish(request('x', other, overwrite)), code('IO'));
    assert.equal(store.usedBytes, 300, 'nobody knows');
    t.mock.restoreAll();
    // It comes true behind our back.
    await put({ ...(await depot.find('artifacts/x'))!, sha256: sha256(other), lengthBytes: 200 }, ADD_OVER);
    assert.ok((await contentOf(made, 'x')).equals(other));
    t.mock.method(catalogue, 'put', async (...all: Parameters<typeof put>) => {
      await put(...all);
      throw new HaulError('IO', 'Input/output error');
    });
    assert.equal((await depot.publish(request('x', old, overwrite))).kind, 'replaced', 'it was taken all the same');
    assert.ok((await contentOf(made, 'x')).equals(old));
    assert.equal(store.usedBytes, 100);
  });

  test('what nobody names is swept without being hashed first', async (t) => {
    const made = await openKit(t);
    const upload = await made.store.create({ lengthBytes: null, piecesFromBytes: MIB });
    await upload.write(bytesOf(300 * KIB));
    await upload.finish();
    await made.store.commit(upload, null);
    const pieces = t.mock.method(made.store, 'pieces');
    assert.equal(await made.depot.sweep(), 1);
    assert.equal(pieces.mock.callCount(), 0);
  });

  test('of two blobs of one name the later is later, whatever the clock says', async (t) => {
    let nowMs = 1_000_000;
    const made = await openKit(t, { now: () => nowMs });
    const first = (await made.depot.publish(request('x', bytesOf(10)))).row;
    nowMs = 5;
    const second = (await made.depot.publish(request('x', bytesOf(20), { overwrite: true }))).row;
    assert.equal(second.createdMs, first.createdMs + 1);
    assert.deepEqual(await made.depot.find('artifacts/x'), second);
    const { names: noted } = (await made.store.sidecar(second.sha256))!;
    assert.equal(JSON.parse(noted.get('artifacts/x')!).createdMs, second.createdMs);
  });

  test('a body of single bytes is not held as thousands of chunks', async (t) => {
    const made = await openKit(t);
    const bytes = bytesOf(80 * KIB);
    await made.depot.publish(request('x', bytes, { body: chunksOf(bytes, 1), lengthBytes: null }));
    assert.ok((await contentOf(made, 'x')).equals(bytes));
  });

  test('where a note finds no room a removal frees its bytes all the same', async (t) => {
    const made = await openKit(t);
    await made.depot.publish(request('x', bytesOf(100_000)));
    const noRoom = t.mock.method(made.store, 'note', () =>
      Promise.reject(new HaulError('NO_SPACE', 'the disk is full')),
    );
    assert.notEqual(await made.depot.remove('artifacts/x'), null);
    assert.equal(noRoom.mock.callCount(), 1);
    assert.equal(made.store.usedBytes, 0);
  });

  test('a sender that was quick and then falls silent is given up after a window', () => {
    const pace = new Pace({ bytesPerSec: 1, windowMs: 1000 });
    pace.wait(0);
    assert.ok(pace.got(10, 1_000_000));
    pace.wait(10);
    assert.ok(pace.isAlive(900));
    assert.ok(!pace.isAlive(1010));
  });
});

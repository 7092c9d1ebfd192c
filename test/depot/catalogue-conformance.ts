/**
 * What any catalogue must do (`src/depot/catalogue/port.ts`). Whoever writes one calls `testCatalogue`, and
 * `testAdding` of `catalogue-adds.ts`, `testMarks` of `catalogue-marks.ts` and `testLocks` of `catalogue-locks.ts`, in
 * a test file.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { openScope, type Scope } from '../../lab/scope.js';
import type { ArtifactRow, Catalogue, PutRules } from '../../src/depot/catalogue/port.js';
import { byName, checkAgainst, commands, runCommands } from './catalogue-model.js';

export interface CatalogueMaker {
  /** An empty one; the scope closes it. */
  make(scope: Scope): Promise<Catalogue>;
  /** Its own check that all it keeps agrees, where it has one: a line for each fault. */
  audit?(catalogue: Catalogue): Promise<string[]>;
}

export const ADD: PutRules = { overwrite: false, onlyIfNew: false };
export const OVERWRITE: PutRules = { overwrite: true, onlyIfNew: false };
export const ONLY_NEW: PutRules = { overwrite: false, onlyIfNew: true };

export function digestOf(seed: string): string {
  return createHash('sha256').update(seed).digest('hex');
}

/** A row of a blob that is known by a word. */
export function rowOf(name: string, blob: string, more: Partial<ArtifactRow> = {}): ArtifactRow {
  const sha256 = digestOf(blob);
  return {
    name,
    sha256,
    lengthBytes: 1000 + blob.length,
    infoHash: sha256.slice(0, 40),
    contentType: null,
    createdMs: 1_700_000_000_000,
    expiresMs: null,
    usedMs: 1_700_000_000_000,
    isPinned: false,
    replicas: null,
    ...more,
  };
}

export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

/** All pages. */
export async function listAll(catalogue: Catalogue, prefix: string, limit: number): Promise<ArtifactRow[]> {
  const rows: ArtifactRow[] = [];
  let cursor: string | null = null;
  do {
    const page = await catalogue.list({ prefix, cursor, limit });
    assert.ok(page.rows.length <= limit);
    rows.push(...page.rows);
    cursor = page.cursor;
  } while (cursor !== null);
  return rows;
}

const names = (rows: readonly ArtifactRow[]) => rows.map(({ name }) => name);

export function testCatalogue(title: string, maker: CatalogueMaker): void {
  /** The test's own, audited when it ends. */
  const withCatalogue = (sentence: string, run: (catalogue: Catalogue) => Promise<void>) =>
    test(sentence, async (t) => {
      const catalogue = await maker.make(openScope(t));
      await run(catalogue);
      assert.deepEqual((await maker.audit?.(catalogue)) ?? [], []);
    });

  describe(`${title}: one row`, () => {
    withCatalogue('what was put is found, with every field', async (catalogue) => {
      assert.equal(await catalogue.get('artifacts/a'), null);
      const row = rowOf('artifacts/a', 'x', {
        infoHash: null,
        contentType: 'text/plain; charset="utf-8"',
        expiresMs: 5,
        usedMs: 0,
        isPinned: true,
        replicas: 3,
        lengthBytes: 2 ** 50,
      });
      assert.deepEqual(await catalogue.put(row, ADD), { kind: 'created' });
      assert.deepEqual(await catalogue.get('artifacts/a'), row);
      assert.deepEqual(await catalogue.settled('artifacts/a'), row);
      assert.equal(await catalogue.settled('artifacts/b'), null);
      assert.deepEqual(await catalogue.counts(), { names: 1, blobs: 1, blobBytes: 2 ** 50 });
    });

    withCatalogue('put says what it found, and a conflict changes nothing', async (catalogue) => {
      const first = rowOf('artifacts/a', 'x', { expiresMs: 1 });
      await catalogue.put(first, ADD);
      const again = { ...first, createdMs: 7, expiresMs: 9, usedMs: 8, contentType: 'a/b' };
      assert.deepEqual(await catalogue.put(again, ADD), { kind: 'unchanged', row: again });
      const other = rowOf('artifacts/a', 'other');
      assert.deepEqual(await catalogue.put(other, ADD), { kind: 'conflict', row: again });
      assert.deepEqual(await catalogue.put(again, ONLY_NEW), { kind: 'conflict', row: again });
      assert.deepEqual(await catalogue.put(other, { overwrite: true, onlyIfNew: true }), {
        kind: 'conflict',
        row: again,
      });
      assert.deepEqual(await catalogue.get('artifacts/a'), again);
      assert.deepEqual(await catalogue.put(other, OVERWRITE), { kind: 'replaced', row: again });
      assert.deepEqual(await catalogue.get('artifacts/a'), other);
      assert.equal(await catalogue.isNamed(first.sha256), false);
      assert.equal(await catalogue.byInfoHash(first.infoHash!), null);
      assert.deepEqual(await catalogue.expiring(Infinity, 10), []);
    });

    withCatalogue('a pin stays when the name is published again, with the same blob or another', async (catalogue) => {
      await catalogue.put(rowOf('artifacts/a', 'x'), ADD);
      assert.equal((await catalogue.pin('artifacts/a', true))?.isPinned, true);
      const again = await catalogue.put(rowOf('artifacts/a', 'x'), ADD);
      assert.equal(again.kind === 'unchanged' && again.row.isPinned, true);
      await catalogue.put(rowOf('artifacts/a', 'y'), OVERWRITE);
      assert.equal((await catalogue.get('artifacts/a'))?.isPinned, true);
      assert.equal((await catalogue.pin('artifacts/a', false))?.isPinned, false);
      assert.equal((await catalogue.get('artifacts/a'))?.isPinned, false);
      assert.equal(await catalogue.pin('artifacts/b', true), null);
    });

    withCatalogue('remove takes it away, and only while it is what was said', async (catalogue) => {
      const row = rowOf('artifacts/a', 'x', { expiresMs: 5 });
      await catalogue.put(row, ADD);
      for (const facts of [{ sha256: digestOf('y') }, { expiresMs: null }, { usedMs: 1, sha256: row.sha256 }]) {
        assert.equal(await catalogue.remove('artifacts/a', facts), null);
      }
      assert.deepEqual(await catalogue.remove('artifacts/a', { sha256: row.sha256, expiresMs: 5 }), row);
      assert.equal(await catalogue.remove('artifacts/a'), null);
      assert.equal(await catalogue.get('artifacts/a'), null);
      assert.deepEqual(await catalogue.counts(), { names: 0, blobs: 0, blobBytes: 0 });
    });

    withCatalogue('rows that could not be read again are refused', async (catalogue) => {
      const good = rowOf('artifacts/a', 'x');
      const bad: Partial<Record<keyof ArtifactRow, unknown>>[] = [
        { name: '' },
        { name: '\ud800' },
        { name: 'x'.repeat(2000) },
        { name: 5 },
        { sha256: 'A'.repeat(64) },
        { sha256: `${good.sha256}\n` },
        { infoHash: '' },
        { lengthBytes: -1 },
        { lengthBytes: 1.5 },
        { createdMs: Number.NaN },
        { expiresMs: Infinity },
        { usedMs: '5' },
        { isPinned: 1 },
        { replicas: -1 },
        { contentType: 'x'.repeat(5000) },
      ];
      for (const change of bad) {
        const row = { ...good, ...change } as ArtifactRow;
        await assert.rejects(catalogue.put(row, ADD), { code: 'BAD_ARGUMENT' }, JSON.stringify(change));
      }
      await catalogue.put(good, ADD);
      const longer = { ...rowOf('artifacts/b', 'x'), lengthBytes: 1 };
      await assert.rejects(catalogue.put(longer, ADD), { code: 'BAD_ARGUMENT' });
      assert.deepEqual(await catalogue.counts(), { names: 1, blobs: 1, blobBytes: good.lengthBytes });
    });
  });

  describe(`${title}: blobs and torrents`, () => {
    withCatalogue('a blob with two names is counted once, and is named until both are gone', async (catalogue) => {
      const [a, b] = [rowOf('artifacts/a', 'x', { infoHash: '1'.repeat(40) }), rowOf('artifacts/b', 'x')];
      await catalogue.put(a, ADD);
      await catalogue.put(b, ADD);
      assert.deepEqual(await catalogue.counts(), { names: 2, blobs: 1, blobBytes: a.lengthBytes });
      assert.deepEqual(await catalogue.byInfoHash('1'.repeat(40)), a);
      assert.deepEqual((await collect(catalogue.infoHashes())).sort(), [a.infoHash, b.infoHash].sort());
      await catalogue.remove('artifacts/a');
      assert.equal(await catalogue.isNamed(a.sha256), true);
      assert.equal(await catalogue.byInfoHash('1'.repeat(40)), null);
      await catalogue.remove('artifacts/b');
      assert.equal(await catalogue.isNamed(a.sha256), false);
      assert.deepEqual(await collect(catalogue.infoHashes()), []);
    });

    withCatalogue(
      'a torrent that many names share is told once, and found while one of them is there',
      async (catalogue) => {
        const rows = Array.from({ length: 50 }, (_, index) => rowOf(`artifacts/${index}`, 'x'));
        await Promise.all(rows.map((row) => catalogue.put(row, ADD)));
        assert.deepEqual(await collect(catalogue.infoHashes()), [rows[0]!.infoHash]);
        await Promise.all(rows.slice(1).map(({ name }) => catalogue.remove(name)));
        assert.deepEqual(await catalogue.byInfoHash(rows[0]!.infoHash!), rows[0]);
      },
    );

    withCatalogue('nobody is found by a hash that is none', async (catalogue) => {
      await catalogue.put(rowOf('artifacts/a', 'x'), ADD);
      for (const hash of ['', 'a', 'Z'.repeat(40), '\ud800', `${digestOf('x').slice(0, 40)}artifacts/a`]) {
        assert.equal(await catalogue.byInfoHash(hash), null);
        assert.equal(await catalogue.isNamed(hash), false);
      }
    });
  });

  describe(`${title}: what goes next`, () => {
    withCatalogue('by age: the oldest first, before the time, never what is pinned', async (catalogue) => {
      const rows = [30, 10, 20, null, 15].map((expiresMs, index) => rowOf(`artifacts/${index}`, 'x', { expiresMs }));
      for (const row of rows) await catalogue.put(row, ADD);
      await catalogue.pin('artifacts/4', true);
      assert.deepEqual(names(await catalogue.expiring(21, 10)), ['artifacts/1', 'artifacts/2']);
      assert.deepEqual(names(await catalogue.expiring(20, 10)), ['artifacts/1']);
      assert.deepEqual(names(await catalogue.expiring(20.5, 10)), ['artifacts/1', 'artifacts/2']);
      assert.deepEqual(names(await catalogue.expiring(Infinity, 2)), ['artifacts/1', 'artifacts/2']);
      assert.deepEqual(names(await catalogue.expiring(Infinity, 10)), ['artifacts/1', 'artifacts/2', 'artifacts/0']);
      for (const early of [0, -5, -Infinity]) assert.deepEqual(await catalogue.expiring(early, 10), []);
      assert.deepEqual(await catalogue.expiring(Infinity, 0), []);
    });

    withCatalogue('by use: the longest unused first; touch moves a row, never back', async (catalogue) => {
      for (const [index, usedMs] of [5, 3, 4].entries()) {
        await catalogue.put(rowOf(`artifacts/${index}`, `${index}`, { usedMs }), ADD);
      }
      assert.deepEqual(names(await catalogue.leastUsed(10)), ['artifacts/1', 'artifacts/2', 'artifacts/0']);
      await catalogue.touch(
        new Map([
          ['artifacts/1', 9],
          ['artifacts/0', 2],
          ['artifacts/none', 9],
          ['\udfff', 9],
        ]),
      );
      assert.deepEqual(names(await catalogue.leastUsed(2)), ['artifacts/2', 'artifacts/0']);
      assert.equal((await catalogue.get('artifacts/0'))?.usedMs, 5);
      assert.equal(await catalogue.get('artifacts/none'), null);
      await catalogue.pin('artifacts/2', true);
      assert.deepEqual(names(await catalogue.leastUsed(10)), ['artifacts/0', 'artifacts/1']);
    });
  });

  describe(`${title}: what goes next, page after page`, () => {
    withCatalogue('each row comes once, those of one time in the order of their names', async (catalogue) => {
      const rows = Array.from({ length: 23 }, (_, index) =>
        rowOf(`artifacts/${index}`, `${index}`, { expiresMs: index % 3, usedMs: index % 4 }),
      );
      await Promise.all(rows.map((row) => catalogue.put(row, ADD)));
      const allOf = async (read: (after: ArtifactRow | null) => Promise<readonly ArtifactRow[]>) => {
        const found: ArtifactRow[] = [];
        for (let page = await read(null); page.length > 0; page = await read(found.at(-1)!)) {
          found.push(...page);
          // The last one may have gone meanwhile: its place is enough.
          if (found.length === 10) await catalogue.remove(found.at(-1)!.name);
        }
        return names(found);
      };
      const order = (field: 'expiresMs' | 'usedMs', left: readonly ArtifactRow[]) =>
        names([...left].sort((a, b) => a[field]! - b[field]! || byName(a.name, b.name)));
      assert.deepEqual(await allOf((after) => catalogue.expiring(9, 5, after)), order('expiresMs', rows));
      const left = await listAll(catalogue, '', 100);
      assert.equal(left.length, 22);
      assert.deepEqual(await allOf((after) => catalogue.leastUsed(5, after)), order('usedMs', left));
    });
  });

  describe(`${title}: lists`, () => {
    withCatalogue('rows come in the order of the bytes of their names, in pages of any size', async (catalogue) => {
      const wanted = ['a', 'a/b', 'a!', 'a\u00e9', 'a\uffee', 'a\u{10ffff}', 'a\u{10ffff}b', 'b', 'A', 'a\u0000', 'é'];
      for (const name of wanted) await catalogue.put(rowOf(name, name), ADD);
      const sorted = [...wanted].sort(byName);
      for (const limit of [1, 2, 3, 10, 11, 1000]) {
        assert.deepEqual(names(await listAll(catalogue, '', limit)), sorted);
      }
      const below = sorted.filter((name) => name.startsWith('a'));
      assert.deepEqual(names(await listAll(catalogue, 'a', 2)), below);
      assert.deepEqual(names(await listAll(catalogue, 'a\u{10ffff}', 5)), ['a\u{10ffff}', 'a\u{10ffff}b']);
      assert.deepEqual(await catalogue.list({ prefix: 'c', cursor: null, limit: 5 }), { rows: [], cursor: null });
      assert.deepEqual(await catalogue.list({ prefix: 'a\ud83d', cursor: null, limit: 5 }), { rows: [], cursor: null });
    });

    withCatalogue('a page goes on behind its row, whatever came and went meanwhile', async (catalogue) => {
      for (const name of ['b', 'd', 'f', 'h']) await catalogue.put(rowOf(name, name), ADD);
      const page = await catalogue.list({ prefix: '', cursor: null, limit: 2 });
      assert.deepEqual(names(page.rows), ['b', 'd']);
      await catalogue.remove('d');
      await catalogue.remove('f');
      for (const name of ['a', 'c', 'e']) await catalogue.put(rowOf(name, name), ADD);
      const next = await catalogue.list({ prefix: '', cursor: page.cursor, limit: 2 });
      assert.deepEqual(names(next.rows), ['e', 'h']);
      assert.equal(next.cursor, null);
    });

    withCatalogue('a cursor may be any name, also of another list or of nothing that is there', async (catalogue) => {
      for (const name of ['a/1', 'a/2', 'b/1', 'b/2']) await catalogue.put(rowOf(name, name), ADD);
      const first = (await catalogue.list({ prefix: 'a/', cursor: null, limit: 1 })).cursor;
      const last = (await catalogue.list({ prefix: 'b/', cursor: null, limit: 1 })).cursor;
      assert.deepEqual(names((await catalogue.list({ prefix: 'b/', cursor: first, limit: 9 })).rows), ['b/1', 'b/2']);
      assert.deepEqual(names((await catalogue.list({ prefix: 'a/', cursor: last, limit: 9 })).rows), []);
      for (const cursor of ['\0', '', 'a', 'a/0', 'a/1\0', '%00', 'é', '\u{10ffff}', 'x'.repeat(100_000)]) {
        const behind = ['a/1', 'a/2', 'b/1', 'b/2'].filter((name) => byName(name, cursor) > 0);
        assert.deepEqual(names((await catalogue.list({ prefix: '', cursor, limit: 9 })).rows), behind);
      }
      const none = catalogue.list({ prefix: '', cursor: '\ud800', limit: 9 });
      await assert.rejects(none, { code: 'BAD_ARGUMENT' });
    });
  });

  describe(`${title}: at the same time`, () => {
    withCatalogue('of 100 blobs for one name one wins, and all are told the truth', async (catalogue) => {
      const rows = Array.from({ length: 100 }, (_, index) => rowOf('artifacts/a', `blob ${index}`));
      const outcomes = await Promise.all(rows.map((row) => catalogue.put(row, ADD)));
      const winner = await catalogue.get('artifacts/a');
      assert.equal(outcomes.filter(({ kind }) => kind === 'created').length, 1);
      assert.deepEqual(rows[outcomes.findIndex(({ kind }) => kind === 'created')], winner);
      for (const outcome of outcomes) {
        if (outcome.kind !== 'created') assert.deepEqual(outcome, { kind: 'conflict', row: winner });
      }
      assert.equal((await catalogue.counts()).blobs, 1);
    });

    withCatalogue('of 100 that overwrite each other each old row is told exactly once', async (catalogue) => {
      const rows = Array.from({ length: 100 }, (_, index) => rowOf('artifacts/a', `blob ${index}`));
      const outcomes = await Promise.all(rows.map((row) => catalogue.put(row, OVERWRITE)));
      const gone = outcomes.flatMap((outcome) => (outcome.kind === 'replaced' ? [outcome.row.sha256] : []));
      const stays = (await catalogue.get('artifacts/a'))!.sha256;
      assert.deepEqual([...gone, stays].sort(), rows.map(({ sha256 }) => sha256).sort());
      assert.deepEqual(await catalogue.counts(), {
        names: 1,
        blobs: 1,
        blobBytes: rows.find(({ sha256 }) => sha256 === stays)!.lengthBytes,
      });
    });

    withCatalogue('of 50 who remove one name one is told the row', async (catalogue) => {
      await catalogue.put(rowOf('artifacts/a', 'x'), ADD);
      const removed = await Promise.all(Array.from({ length: 50 }, () => catalogue.remove('artifacts/a')));
      assert.equal(removed.filter((row) => row !== null).length, 1);
    });

    withCatalogue(
      'putting and removing one name takes turns: each removal is of a row that was put',
      async (catalogue) => {
        const work: Promise<string>[] = [];
        for (let round = 0; round < 200; round++) {
          work.push(catalogue.put(rowOf('artifacts/a', `${round % 3}`), ONLY_NEW).then(({ kind }) => kind));
          work.push(catalogue.remove('artifacts/a').then((row) => (row === null ? 'none' : 'removed')));
        }
        const outcomes = await Promise.all(work);
        const count = (word: string) => outcomes.filter((outcome) => outcome === word).length;
        const left = (await catalogue.get('artifacts/a')) === null ? 0 : 1;
        assert.equal(count('created') - count('removed'), left);
        assert.equal((await catalogue.counts()).names, left);
      },
    );

    withCatalogue('who reads all torrents while rows come and go sees those that stay', async (catalogue) => {
      const stays = Array.from({ length: 2500 }, (_, index) => rowOf(`artifacts/stays/${index}`, `stays ${index}`));
      await Promise.all(stays.map((row) => catalogue.put(row, ADD)));
      const seen = new Set<string>();
      let round = 0;
      for await (const infoHash of catalogue.infoHashes()) {
        seen.add(infoHash);
        if (round++ % 50 !== 0) continue;
        await catalogue.put(rowOf(`artifacts/new/${round}`, `new ${round}`), ADD);
        await catalogue.remove(`artifacts/new/${round - 50}`);
      }
      for (const { infoHash } of stays) assert.ok(seen.has(infoHash!));
    });
  });

  describe(`${title}: as a simple one`, () => {
    test('whatever is done, in any order, it answers as a simple model does', async (t) => {
      const property = fc.asyncProperty(commands, async (list) => {
        const scope = openScope({ after: (hook) => t.after(hook) });
        const catalogue = await maker.make(scope);
        const model = await runCommands(catalogue, list);
        await checkAgainst(catalogue, model);
        assert.deepEqual((await maker.audit?.(catalogue)) ?? [], []);
        await scope.close();
      });
      await fc.assert(property, { numRuns: 60, seed: 20_261_128 });
    });
  });

  describe(`${title}: closed`, () => {
    test('everything is refused then, and what was asked for before is done', async (t) => {
      const catalogue = await maker.make(openScope(t));
      const put = catalogue.put(rowOf('artifacts/a', 'x'), ADD);
      await Promise.all([put, catalogue.close(), catalogue.close()]);
      assert.equal((await put).kind, 'created');
      const CLOSED = { code: 'CLOSED' };
      await assert.rejects(catalogue.put(rowOf('artifacts/b', 'x'), ADD), CLOSED);
      await assert.rejects(catalogue.get('artifacts/a'), CLOSED);
      await assert.rejects(catalogue.list({ prefix: '', cursor: null, limit: 1 }), CLOSED);
      await assert.rejects(collect(catalogue.infoHashes()), CLOSED);
      await assert.rejects(catalogue.counts(), CLOSED);
      await assert.rejects(catalogue.leastUsed(5), CLOSED);
    });
  });
}

/**
 * What any shared table of peers must do (`src/tracker/shared/port.ts`). Whoever writes one calls `testSharedTable` in
 * a test file.
 */
import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { openScope, type Scope } from '../../lab/scope.js';
import { SHARED_FOR_MS, type SharedRead, type SharedTable, type SharedWrite } from '../../src/tracker/shared/port.js';
import { encodeWord } from '../../src/tracker/shared/word.js';

export interface SharedTableMaker {
  /** Ways of two depots to the same table, empty; the scope closes them. */
  make(scope: Scope): Promise<readonly [SharedTable, SharedTable]>;
  /** Skips the test where something it needs is not there, and says so. */
  isSkipped?(test: TestContext): Promise<boolean>;
}

/** No UTF-8, as hashes are. */
export const HASH = '\x00\xff\x80 aé\r\n'.padEnd(20, '\xfe');
const OTHER = 'b'.repeat(20);

export function word(last: number, kind: 'seed' | 'leech' | 'stopped' = 'leech', zone = ''): string {
  return encodeWord(
    kind,
    Uint8Array.of(192, 0, last >> 8, last & 255, 26, 225),
    `-XX0001-${last}`.padEnd(20, '\xff'),
    zone,
  );
}

export function write(text: string | null, more: Partial<SharedWrite> = {}): SharedWrite {
  return { infoHash: HASH, word: text, ageMs: 0, drops: [], ...more };
}

/** All that is read of one info-hash, page by page. */
export async function readAll(table: SharedTable, infoHash = HASH): Promise<{ words: string[]; agesMs: number[] }> {
  const words: string[] = [];
  const agesMs: number[] = [];
  let cursor: SharedRead['cursor'] = null;
  for (let pages = 0; pages < 100; pages++) {
    const {
      pages: [page],
    } = await table.exchange([], [{ infoHash, cursor }]);
    assert.ok(page !== null && page !== undefined);
    assert.equal(page.agesMs.length, page.words.length);
    words.push(...page.words);
    agesMs.push(...page.agesMs);
    if (page.isLast) return { words, agesMs };
    cursor = page.cursor;
  }
  throw new Error('it has no last page');
}

export function testSharedTable(name: string, { make, isSkipped = async () => false }: SharedTableMaker): void {
  const rule = (title: string, look: (one: SharedTable, other: SharedTable) => Promise<void>): void => {
    test(title, async (t) => {
      if (await isSkipped(t)) return;
      await look(...(await make(openScope(t))));
    });
  };
  describe(`${name} as a shared table of peers`, () => {
    rule('what one depot writes the other reads, of that info-hash alone', async (one, other) => {
      const zoned = word(2, 'seed', 'eu-1/rack.7');
      const answer = await one.exchange([write(word(1)), write(zoned), write(word(3), { infoHash: OTHER })], []);
      assert.deepEqual(answer, { pages: [], refusedCount: 0, trouble: null });
      assert.deepEqual((await readAll(other)).words.sort(), [word(1), zoned].sort());
      assert.deepEqual((await readAll(other, OTHER)).words, [word(3)]);
      assert.deepEqual((await readAll(other, 'c'.repeat(20))).words, []);
    });

    rule('a page for each read, in their order, after the writes of the same exchange', async (one) => {
      const reads = [OTHER, HASH].map((infoHash) => ({ infoHash, cursor: null }));
      const { pages } = await one.exchange([write(word(1)), write(word(2), { infoHash: OTHER })], reads);
      assert.deepEqual(
        pages.map((page) => page?.words),
        [[word(2)], [word(1)]],
      );
    });

    rule('a word that is written again is there once, and as young as it was said last', async (one, other) => {
      await one.exchange([write(word(1), { ageMs: 100_000 })], []);
      assert.ok((await readAll(other)).agesMs[0]! >= 99_000);
      await other.exchange([write(word(1))], []);
      const { words, agesMs } = await readAll(one);
      assert.deepEqual(words, [word(1)]);
      assert.ok(agesMs[0]! < 10_000, `${agesMs[0]}`);
    });

    rule('what is dropped is gone, also what another depot wrote, and what comes again stays', async (one, other) => {
      await one.exchange([write(word(1)), write(word(2))], []);
      await other.exchange([write(word(1, 'seed'), { drops: [word(1)] }), write(null, { drops: [word(2)] })], []);
      assert.deepEqual((await readAll(one)).words, [word(1, 'seed')]);
      const back = [write(word(1), { drops: [word(1, 'seed')] }), write(word(1, 'seed'), { drops: [word(1)] })];
      await one.exchange([...back, write(word(1), { drops: [word(1, 'seed')] })], []);
      assert.deepEqual((await readAll(other)).words, [word(1)]);
    });

    rule('what is too old is not read', async (one) => {
      await one.exchange([write(word(1), { ageMs: SHARED_FOR_MS + 1 }), write(word(2), { ageMs: 290_000 })], []);
      assert.deepEqual((await readAll(one)).words, [word(2)]);
    });

    rule('words come in the order in which they were said', async (one) => {
      const ages = [5_000, 90_000, 40_000, 200_000];
      await one.exchange(
        ages.map((ageMs, k) => write(word(k), { ageMs })),
        [],
      );
      assert.deepEqual((await readAll(one)).words, [word(3), word(1), word(2), word(0)]);
    });

    rule('after the last page come only words that are new, and some again', async (one, other) => {
      await one.exchange(
        Array.from({ length: 50 }, (_, k) => write(word(k), { ageMs: 60_000 })),
        [],
      );
      const first = (await other.exchange([], [{ infoHash: HASH, cursor: null }])).pages[0]!;
      assert.equal(first.words.length, 50);
      await one.exchange([write(word(77))], []);
      const { words, isLast } = (await other.exchange([], [{ infoHash: HASH, cursor: first.cursor }])).pages[0]!;
      assert.ok(words.includes(word(77)) && words.length < 50 && isLast, words.join());
    });

    rule(
      'a swarm of thousands is read in pages, each word at least once, also those of one moment',
      async (one, other) => {
        const all = Array.from({ length: 2_300 }, (_, k) => word(k));
        await one.exchange(
          all.map((text, k) => write(text, { ageMs: k < 300 ? 1_000 : 10_000 + k })),
          [],
        );
        const { words } = await readAll(other);
        assert.deepEqual([...new Set(words)].sort(), all.sort());
      },
    );

    rule('with nothing to write or read it says that it works', async (one) => {
      assert.deepEqual(await one.exchange([], []), { pages: [], refusedCount: 0, trouble: null });
    });

    rule('it is closed twice, and takes nothing then', async (one, other) => {
      await one.close();
      await one.close();
      await assert.rejects(async () => {
        await one.exchange([write(word(1))], []);
        throw new Error('not written');
      });
      assert.deepEqual((await readAll(other)).words, []);
    });
  });
}

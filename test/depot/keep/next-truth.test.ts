/** What is shown to go next is what goes next: each look is held against what `next` said just before it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CONFIRM_MS } from '../../../src/depot/keep/clock-guard.js';
import { Keeper } from '../../../src/depot/keep/keeper.js';
import { makeRandom } from '../../../src/random.js';
import { ADD, rowOf } from '../catalogue-conformance.js';
import { MemoryCatalogue } from '../memory-catalogue.js';

const NOW = 1_800_000_000_000;
const HOUR = 3_600_000;
const YEAR = 365 * 24 * HOUR;
const STEPS = 500;
const SEED = 20_261_129;

test(`what is shown to be due goes at the next look, and nothing else: ${STEPS} random steps`, async () => {
  const random = makeRandom(SEED);
  const pick = (count: number): number => Math.floor(random() * count);
  const catalogue = new MemoryCatalogue();
  const gone: string[] = [];
  const inUse = new Set<string>();
  const clocks = { wallMs: NOW, elapsedMs: 0 };
  const pass = (ms: number): void => {
    clocks.wallMs += ms;
    clocks.elapsedMs += ms;
  };
  let [copies, bound, number, dues] = [0, 4_000, 0, 0];
  const keeper = new Keeper({
    rules: { idleMs: 5 * HOUR, diskShare: null, ownBytes: { high: 4_000, low: 3_000 } },
    catalogue,
    remove: async (name, facts) => {
      const row = await catalogue.remove(name, facts);
      if (row !== null) gone.push(name);
      return row;
    },
    fullness: async () => ({ usedBytes: (await catalogue.counts()).blobBytes + 4_000 - bound, disk: null }),
    isInUse: ({ name }) => inUse.has(name),
    copies: () => copies,
    clocks: () => ({ ...clocks }),
    lastWallMs: NOW,
    log: () => {},
  });
  const publish = async (): Promise<void> => {
    const [name, nowMs] = [`artifacts/${number++ % 60}`, keeper.nowMs()];
    const expiresMs = random() < 0.5 ? null : nowMs + pick(2 * HOUR);
    const more = { lengthBytes: 1 + pick(300), replicas: random() < 0.2 ? 2 : null, isPinned: random() < 0.1 };
    const row = rowOf(name, `${number}`, { ...more, createdMs: nowMs, usedMs: nowMs, expiresMs });
    await catalogue.put(row, { ...ADD, overwrite: true });
  };
  for (let step = 0; step < STEPS; step++) {
    if (pick(20) === 0) clocks.wallMs += random() < 0.5 ? YEAR : -YEAR;
    // A jump is seen by a look.
    await keeper.look();
    if (pick(20) === 0) {
      for (let ms = 0; ms <= CONFIRM_MS; ms += 60_000) {
        pass(60_000);
        await keeper.look();
      }
    }
    for (let count = pick(12); count > 0; count--) await publish();
    pass(pick(4) === 0 ? pick(4 * HOUR) : pick(HOUR / 4));
    const name = `artifacts/${pick(60)}`;
    const dice = pick(12);
    if (dice < 2) await catalogue.touch(new Map([[name, keeper.nowMs()]]));
    else if (dice < 4) await catalogue.pin(name, random() < 0.3);
    else if (dice < 6) inUse[inUse.has(name) ? 'delete' : 'add'](name);
    else if (dice === 6) copies = pick(4);
    else if (dice === 7) bound = 2_000 + pick(2_000);
    gone.length = 0;
    const due = (await keeper.next(1_000)).filter(
      ({ atMs, obstacle }) => obstacle === null && atMs !== null && atMs < clocks.wallMs + 1,
    );
    const wanted = due.map(({ row, reason }) => `${reason} ${row.name}`);
    const before = { ...keeper.removed };
    const doubt = keeper.clockDoubt;
    await keeper.look();
    // The very look that believes the clock again does more than was shown a moment before.
    if (doubt !== keeper.clockDoubt) continue;
    assert.deepEqual(gone.sort(), due.map(({ row }) => row.name).sort(), `step ${step}: ${wanted.join(', ')}`);
    for (const { reason } of due) before[reason]++;
    assert.deepEqual(keeper.removed, before, `step ${step}: ${wanted.join(', ')}`);
    dues += due.length;
  }
  assert.ok(dues > 100, `${dues}`);
});

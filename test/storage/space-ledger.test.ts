/** Space that is promised and not reserved yet. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { withDeadline } from '../../lab/wait.js';
import { SpaceLedger } from '../../src/storage/space-ledger.js';

const DEADLINE_MS = 30_000;

test('promises of a device become less as space is reserved, and end', () => {
  const ledger = new SpaceLedger();
  const coverage = { leftBytes: 33 };
  const endPromise = ledger.promise(7, coverage);
  assert.deepEqual([ledger.promisedBytes(7), ledger.promisedBytes(8)], [33, 0]);
  coverage.leftBytes = 28;
  ledger.promise(7, { leftBytes: 1 });
  assert.equal(ledger.promisedBytes(7), 29);
  endPromise();
  endPromise();
  assert.equal(ledger.promisedBytes(7), 1);
});

test('turns on a device come one after the other, whatever became of the one before', async () => {
  const ledger = new SpaceLedger();
  const seen: string[] = [];
  let fail: (error: Error) => void = () => {};
  const broken = new Promise<void>((_, reject) => {
    fail = reject;
  });
  const first = ledger.turn(7, () => broken);
  const second = ledger.turn(7, async () => void seen.push('second'));
  await ledger.turn(8, async () => void seen.push('elsewhere'));
  assert.deepEqual(seen, ['elsewhere']);
  fail(new Error('no'));
  await assert.rejects(first, /no/);
  await withDeadline(second, 'the second turn', DEADLINE_MS);
  assert.deepEqual(seen, ['elsewhere', 'second']);
});

/** Which of several depots is asked first. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { CHOICE, DepotChoice } from '../../src/depot/agent/depot-choice.js';

const HALF = (): number => 0.5;
const { trustedLooks, lateMs, lookMs, firstLookMs, closeLookMs, awayMs, awayMaxMs, busyMs } = CHOICE;

/** All of them were looked at, and took so long. */
function choiceOf(...tookMs: number[]): DepotChoice {
  const choice = new DepotChoice(tookMs.length, HALF);
  tookMs.forEach((ms, depot) => {
    choice.looking(depot);
    choice.looked(depot, ms, 0);
  });
  return choice;
}

function look(choice: DepotChoice, depot: number, tookMs: number, nowMs: number, times = 1): void {
  for (let time = 0; time < times; time++) {
    choice.looking(depot);
    choice.looked(depot, tookMs, nowMs);
  }
}

test('before anything is known they are asked as they were named, and all are looked at', () => {
  const choice = new DepotChoice(3, HALF);
  assert.deepEqual(choice.order(0), [0, 1, 2]);
  assert.deepEqual(choice.due(0, false), [0, 1, 2]);
  choice.looking(1);
  assert.deepEqual(choice.due(0, false), [0, 2]);
  assert.equal(choice.isAway(0), null);
});

test('the nearest is first, the others follow by distance', () => {
  const choice = choiceOf(40, 2, 90);
  assert.deepEqual(choice.order(0), [1, 0, 2]);
  assert.equal(choice.first, 1);
});

test('one that is a little nearer does not take the place of the first, a clearly nearer one does', () => {
  const choice = choiceOf(20, 40);
  look(choice, 1, 15, 1_000, 20);
  assert.equal(choice.first, 0);
  look(choice, 1, 5, 2_000, 20);
  assert.equal(choice.first, 1);
  // Of a local network a millisecond is noise.
  const near = choiceOf(1, 2);
  look(near, 1, 0.1, 1_000, 20);
  assert.equal(near.first, 0);
});

test('what has to be loaded for the first look is none of the distance', () => {
  const choice = choiceOf(400, 50);
  assert.equal(choice.first, 1);
  look(choice, 0, 10, 1_000);
  assert.equal(choice.meanMs(0), 10);
  assert.equal(choice.first, 0);
});

test('one that breaks off is asked last at once, and looked at soon; back it has to answer a few times', () => {
  const choice = choiceOf(2, 40);
  look(choice, 0, 2, 0, trustedLooks);
  choice.broke(0, 1_000);
  assert.deepEqual(choice.order(1_000), [1, 0]);
  assert.equal(choice.isAway(0), true);
  assert.equal(choice.due(1_000 + awayMs - 1, false).includes(0), false);
  assert.equal(choice.due(1_000 + awayMs, false).includes(0), true);
  for (let times = 1; times < trustedLooks; times++) {
    look(choice, 0, 2, 2_000);
    assert.deepEqual(choice.order(2_000), [1, 0]);
  }
  look(choice, 0, 2, 3_000);
  assert.deepEqual(choice.order(3_000), [0, 1]);
  assert.equal(choice.changes, 2);
});

test('one that was away is first at once where it is the only one', () => {
  const choice = choiceOf(2, 40);
  choice.broke(0, 0);
  choice.broke(1, 0);
  assert.equal(choice.isAway(1), true);
  look(choice, 1, 40, 1_000);
  assert.deepEqual(choice.order(1_000), [1, 0]);
});

test('pauses between looks at one that is away grow, with dice, to a bound', () => {
  const dice = [0, 0.999];
  const choice = new DepotChoice(1, () => dice[0]!);
  let nowMs = 0;
  const pauses: number[] = [];
  for (let times = 0; times < 12; times++) {
    choice.looking(0);
    choice.missed(0, nowMs);
    let waitMs = 0;
    while (choice.due(nowMs + waitMs, true).length === 0) waitMs += 25;
    pauses.push(waitMs);
    nowMs += waitMs;
  }
  assert.ok(pauses[0]! <= awayMs && pauses.at(-1)! >= awayMaxMs * 0.75 && pauses.at(-1)! <= awayMaxMs, `${pauses}`);
  dice[0] = 0.999;
  choice.looking(0);
  choice.missed(0, nowMs);
  assert.deepEqual(choice.due(nowMs + awayMaxMs, false), []);
});

test('one that is busy, or gave wrong bytes, is asked after the others for a while', () => {
  const choice = choiceOf(2, 40, 60);
  choice.busy(0, null, 0);
  assert.deepEqual(choice.order(0), [1, 2, 0]);
  choice.busy(1, 3_000, 0);
  assert.deepEqual(choice.order(0), [2, 0, 1]);
  assert.deepEqual(choice.order(busyMs), [0, 2, 1]);
  choice.lied(0, 5_000);
  assert.equal(choice.order(5_000).at(-1), 0);
  assert.equal(choice.order(5_000 + CHOICE.lyingMs - 1).at(-1), 0);
});

test('looks: a few soon after the begin, then now and then; closely while something depends on the first', () => {
  const choice = new DepotChoice(2, HALF);
  for (const depot of [0, 1]) look(choice, depot, 5, 0);
  assert.deepEqual(choice.due(firstLookMs - 1, false), []);
  assert.deepEqual(choice.due(firstLookMs, false), [0, 1]);
  for (const depot of [0, 1]) look(choice, depot, 5, 2_000, trustedLooks);
  assert.deepEqual(choice.due(2_000 + closeLookMs - 1, true), []);
  assert.deepEqual(choice.due(2_000 + closeLookMs, true), [0]);
  assert.deepEqual(choice.due(2_000 + lookMs - 1, false), []);
  assert.deepEqual(choice.due(2_000 + lookMs, false), [0, 1]);
});

test('one that lets somebody wait is looked at now, and not again and again', () => {
  const choice = choiceOf(5, 5);
  look(choice, 0, 5, 10_000, trustedLooks);
  choice.suspect(0, 10_100);
  assert.deepEqual(choice.due(10_100, false).includes(0), false);
  assert.deepEqual(choice.due(10_000 + closeLookMs, false).includes(0), true);
  choice.looking(0);
  choice.missed(0, 10_600 + lateMs);
  choice.suspect(0, 12_000);
  assert.equal(choice.isAway(0), true);
});

test('whatever happens all are in the order, and one that is well before one that is away', () => {
  const step = fc.tuple(
    fc.constantFrom('look', 'miss', 'broke', 'busy', 'lied', 'answered', 'suspect'),
    fc.nat({ max: 3 }),
    fc.nat({ max: 5_000 }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const choice = new DepotChoice(4, HALF);
      let nowMs = 0;
      const lyingMs = [0, 0, 0, 0];
      for (const [what, depot, ms] of steps) {
        nowMs += ms;
        if (what === 'look') look(choice, depot, ms, nowMs);
        else if (what === 'miss') choice.missed(depot, nowMs);
        else if (what === 'busy') choice.busy(depot, ms, nowMs);
        else if (what === 'broke') choice.broke(depot, nowMs);
        else if (what === 'lied') choice.lied(depot, nowMs);
        else if (what === 'answered') choice.answered(depot, nowMs);
        else choice.suspect(depot, nowMs);
        const order = choice.order(nowMs);
        assert.deepEqual([...order].sort(), [0, 1, 2, 3]);
        if (what === 'lied') lyingMs[depot] = nowMs + CHOICE.lyingMs;
        const honest = order.filter((each) => !(lyingMs[each]! > nowMs));
        assert.deepEqual(order.slice(0, honest.length), honest);
        const away = honest.map((each) => choice.isAway(each) === true);
        assert.deepEqual(
          away,
          [...away].sort((a, b) => Number(a) - Number(b)),
        );
        if (away.includes(false)) assert.equal(choice.isAway(choice.first) === true, false);
      }
    }),
  );
});

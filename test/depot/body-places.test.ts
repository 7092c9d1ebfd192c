/** Who has a place for a body, who waits for one, and who gives it. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { type BodyHolder, BodyPlaces } from '../../src/depot/http/body-places.js';
import { DEPOT_HTTP_LIMITS } from '../../src/depot/http/limits.js';

const { uploads, uploadWaitMs, uploadsWaiting, slowUploadBytesPerSec: LEAST } = DEPOT_HTTP_LIMITS;

class Sender implements BodyHolder {
  readonly group: string;
  readonly abort = new AbortController();
  bytesPerSec: number;
  /** What became of it. */
  state: 'waits' | 'reads' | 'gave way' | 'refused' = 'waits';
  readonly body: BodyHolder['body'];

  constructor(group: string, bytesPerSec: number) {
    this.group = group;
    this.bytesPerSec = bytesPerSec;
    const giveUp = (): void => {
      this.state = 'gave way';
    };
    const body = { isBegun: true, bytesPerSec: () => this.bytesPerSec, giveUp, read: async function* () {} };
    this.body = body as unknown as BodyHolder['body'];
  }

  enter(places: BodyPlaces): this {
    places.take(this).then(
      () => {
        if (this.state === 'waits') this.state = 'reads';
      },
      (error: Error & { status?: number; code?: string }) => {
        this.state = 'refused';
        assert.ok(error.status === 503 || error.code === 'ABORTED', String(error));
      },
    );
    return this;
  }
}

const SWIFT = LEAST * 10;
const crowd = (places: BodyPlaces, count: number, group: string, bytesPerSec = SWIFT): Sender[] =>
  Array.from({ length: count }, () => new Sender(group, bytesPerSec).enter(places));
const count = (senders: readonly Sender[], state: Sender['state']): number =>
  senders.filter((sender) => sender.state === state).length;

function open(context: TestContext): BodyPlaces {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  return new BodyPlaces(uploads, () => 0);
}

test('who finds no place waits for it, in order, and is told to come again after a while', async (context) => {
  const places = open(context);
  const all = crowd(places, 200, 'a');
  await turn();
  const [reading, waiting] = [count(all, 'reads'), all.filter(({ state }) => state === 'waits')];
  assert.deepEqual([reading, waiting.length], [171, 29]);
  places.leave(all[0]!);
  places.leave(waiting[1]!);
  await turn();
  assert.deepEqual([waiting[0]!.state, waiting[2]!.state], ['reads', 'waits']);
  context.mock.timers.tick(uploadWaitMs - 1);
  await turn();
  assert.equal(count(waiting, 'refused'), 1);
  context.mock.timers.tick(1);
  await turn();
  assert.deepEqual([count(waiting, 'refused'), count(all, 'reads')], [28, 172]);
});

test('a crowd that waits keeps no place from others, and as many may wait', async (context) => {
  const places = open(context);
  const crowded = crowd(places, 171 + uploadsWaiting, 'a');
  const other = new Sender('b', SWIFT).enter(places);
  await turn();
  assert.equal(other.state, 'reads');
  assert.ok(count(crowded, 'refused') > 300);
  const many = ['c', 'd', 'e', 'f'].flatMap((group) => crowd(places, 50, group));
  await turn();
  assert.equal(count(many, 'refused'), 0);
  // Each that is free goes to who has fewer.
  const late = new Sender('g', SWIFT).enter(places);
  const holder = crowded.find(({ state }) => state === 'reads')!;
  places.leave(holder);
  await turn();
  assert.equal(late.state, 'reads');
});

test('who sends fast enough keeps its place, whoever comes; the slowest gives its own first', async (context) => {
  const places = open(context);
  const fast = crowd(places, 100, 'a', LEAST);
  const slow = crowd(places, 71, 'a', LEAST - 1);
  slow[5]!.bytesPerSec = 1;
  const honest = crowd(places, 1, 'a');
  await turn();
  assert.deepEqual([slow[5]!.state, count(slow, 'reads'), count(honest, 'reads')], ['gave way', 70, 1]);
  honest.push(...crowd(places, 100, 'a'));
  await turn();
  assert.deepEqual([count(fast, 'reads'), count(slow, 'gave way'), count(honest, 'reads')], [100, 71, 71]);
  // One that becomes slow does so for who waits.
  fast[7]!.bytesPerSec = 0;
  places.tick();
  await turn();
  assert.deepEqual([count(fast, 'reads'), fast[7]!.state, count(honest, 'reads')], [99, 'gave way', 72]);
});

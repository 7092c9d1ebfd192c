import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AnnounceFigures, AnnounceReply, AnnounceRequest } from '../../src/discovery/announce.js';
import { Announcer, type AnnouncerOptions } from '../../src/discovery/announcer.js';
import {
  type Company,
  RETRY,
  RETRY_ALONE,
  RETRY_WAITING,
  type RetryPauses,
  Tiers,
  TRACKERS_MAX,
} from '../../src/discovery/tiers.js';
import { HaulError } from '../../src/errors.js';

const MINUTE = 60_000;
const REPLY: AnnounceReply = {
  intervalMs: 10 * MINUTE,
  minIntervalMs: 2 * MINUTE,
  complete: 1,
  incomplete: 2,
  warning: null,
  trackerId: null,
  externalIp: null,
  peers: [],
};

/** An announcer whose trackers answer from a table; `settle` lets the promises run. */
function scene(trackers: string[][], overrides: Partial<AnnouncerOptions> = {}) {
  const sent: { url: string; request: AnnounceRequest }[] = [];
  const outcomes: string[] = [];
  const peers: string[] = [];
  const answers = new Map<string, AnnounceReply | Error | 'silence'>();
  const stats: { -readonly [K in keyof AnnounceFigures]: AnnounceFigures[K] } = {
    uploadedBytes: 1,
    downloadedBytes: 2,
    leftBytes: 3,
    port: 6881,
    numwant: 50,
    isHungry: false,
  };
  const announcer = new Announcer({
    trackers,
    infoHash: new Uint8Array(20),
    peerId: new Uint8Array(20),
    random: () => 0.999,
    now: () => 0,
    announce: (url, request, _signal, onSending) => {
      onSending();
      sent.push({ url, request });
      const answer = answers.get(url) ?? REPLY;
      if (answer === 'silence') return new Promise(() => {});
      return answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer);
    },
    onPeers: (addresses) => peers.push(...addresses.map(({ host }) => host)),
    onOutcome: (url, outcome, message) => outcomes.push(`${outcome} ${url} ${message}`),
    ...overrides,
  });
  const settle = () => new Promise<void>((resolve) => setImmediate(resolve));
  const tick = async (nowMs: number) => {
    announcer.tick(nowMs);
    await settle();
  };
  const events = () => sent.map(({ url, request }) => `${request.event ?? '-'} ${new URL(url).host}`);
  return { announcer, sent, outcomes, peers, answers, stats, settle, tick, events };
}

const A = 'http://a/announce';
const B = 'http://b/announce';
const C = 'http://c/announce';
const down = new HaulError('NETWORK', 'down');

test('a zone is said with every announce, and none where there is none', async () => {
  const { announcer, stats, settle, sent } = scene([[A]], { zone: 'eu-1/rack7' });
  announcer.start(0, () => stats);
  await settle();
  await announcer.stop(1);
  assert.deepEqual(
    sent.map(({ request }) => [request.event, request.zone]),
    [
      ['started', 'eu-1/rack7'],
      ['stopped', 'eu-1/rack7'],
    ],
  );
  const silent = scene([[A]]);
  silent.announcer.start(0, () => silent.stats);
  assert.ok(!('zone' in silent.sent[0]!.request));
});

test('started goes out at once, then regular announces at the interval', async () => {
  const { announcer, stats, settle, tick, events, sent } = scene([[A]]);
  announcer.start(0, () => stats);
  await settle();
  await tick(10 * MINUTE - 1);
  assert.deepEqual(events(), ['started a']);
  await tick(10 * MINUTE);
  assert.deepEqual(events(), ['started a', '- a']);
  const { port, leftBytes, numwant } = sent[0]!.request;
  assert.deepEqual([port, leftBytes, numwant], [6881, 3, 50]);
});

test('a result is dated when it arrives: nobody ticks a quiet torrent while its announce is under way', async () => {
  let nowMs = 0;
  const settled: ((reply: AnnounceReply | null) => void)[] = [];
  const { announcer, stats, settle, tick } = scene([[A]], {
    now: () => nowMs,
    announce: () =>
      new Promise((resolve, reject) =>
        settled.push((reply) => (reply === null ? reject(new HaulError('TIMEOUT', 'silent')) : resolve(reply))),
      ),
  });
  stats.isAlone = true;
  announcer.start(0, () => stats);
  nowMs = 15_000;
  settled[0]!(null);
  await settle();
  assert.ok(announcer.dueAtMs > nowMs, `due at ${announcer.dueAtMs}`);
  await tick(nowMs);
  assert.equal(settled.length, 1, 'no second try without a pause');
  await tick(announcer.dueAtMs);
  assert.equal(settled.length, 2);
  nowMs = 100_000;
  settled[1]!(REPLY);
  await settle();
  assert.equal(announcer.dueAtMs, nowMs + 2 * MINUTE, 'a seed alone: the least interval after the answer');
});

test('the next tier is asked only when all of a tier failed, and an answer ends the round', async () => {
  const { announcer, answers, stats, settle, tick, events } = scene([[A, B], [C]]);
  answers.set(A, down).set(B, down);
  announcer.start(0, () => stats);
  await settle();
  await tick(1);
  await tick(2);
  await tick(3);
  assert.deepEqual(events(), ['started a', 'started b', 'started c']);
});

test('the tracker that answers moves to the front of its tier', async () => {
  const { announcer, answers, stats, settle, tick, events } = scene([[A, B, C]]);
  answers.set(A, down).set(B, down);
  announcer.start(0, () => stats);
  await settle();
  await tick(1);
  await tick(2);
  await tick(2 + 10 * MINUTE);
  assert.deepEqual(events(), ['started a', 'started b', 'started c', '- c']);
});

test('tiers are shuffled within, each by the dice, and never across', () => {
  const rolls = [0, 0.5, 0];
  const tiers = new Tiers(
    [
      ['1', '2', '3'],
      ['4', '5'],
    ],
    () => rolls.shift()!,
  );
  assert.deepEqual(tiers.order, [
    ['3', '2', '1'],
    ['5', '4'],
  ]);
});

test('repeated trackers count once, and a file cannot make us visit thousands', () => {
  const many = Array.from({ length: 500 }, (_, index) => `http://t${index}/`);
  assert.deepEqual(new Tiers([['a', 'a'], ['a'], ['b']], () => 0.999).order, [['a'], ['b']]);
  assert.equal(new Tiers([many], () => 0).order.flat().length, TRACKERS_MAX);
});

const CONTENT = { isHungry: false, isAlone: false };
const HUNGRY = { isHungry: true, isAlone: false };
const ALONE = { isHungry: false, isAlone: true };
const WAITING = { isHungry: true, isAlone: true };

/** The pauses after so many rounds in which both trackers fail. */
function pausesOf(company: Company, rounds: number, random: () => number, isRefusal = false): number[] {
  const tiers = new Tiers([['a', 'b']], random);
  tiers.start(0);
  let nowMs = 0;
  const pauses: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const [first] = tiers.order[0]!;
    for (const url of [first, first === 'a' ? 'b' : 'a']) {
      assert.equal(tiers.due(nowMs, company), url);
      tiers.begun();
      assert.equal(tiers.due(nowMs, company), null);
      tiers.failed(nowMs, isRefusal && url === 'a');
    }
    let atMs = nowMs;
    while (tiers.due(atMs, company) === null) atMs += 1;
    pauses.push(atMs - nowMs);
    nowMs = atMs;
  }
  return pauses;
}

const growing = ({ firstMs, growth, lastMs }: RetryPauses, rounds: number): number[] =>
  Array.from({ length: rounds }, (_, round) => Math.min(firstMs * growth ** round, lastMs));

test('rounds of failures are repeated with pauses that grow, the shorter the more somebody is needed', () => {
  const middle = (): number => 0.5;
  assert.deepEqual(pausesOf(CONTENT, 12, middle), growing(RETRY, 12));
  assert.deepEqual(pausesOf(HUNGRY, 12, middle), growing(RETRY, 12));
  assert.deepEqual(pausesOf(ALONE, 12, middle), growing(RETRY_ALONE, 12));
  assert.deepEqual(pausesOf(WAITING, 12, middle), growing(RETRY_WAITING, 12).map(Math.ceil));
  assert.deepEqual(pausesOf(WAITING, 3, middle), [1_000, 1_500, 2_250]);
  assert.ok(RETRY_WAITING.lastMs <= MINUTE && RETRY_ALONE.lastMs <= 5 * MINUTE);
});

test('a tracker that refuses us is not hurried', () => {
  const middle = (): number => 0.5;
  assert.deepEqual(pausesOf(WAITING, 8, middle, true), growing(RETRY_ALONE, 8));
});

test('those who lost a tracker together come back one by one', () => {
  assert.equal(pausesOf(WAITING, 1, () => 0)[0], 750);
  assert.equal(pausesOf(WAITING, 1, () => 0.999)[0], 1_250);
});

test('who loses its peers while a long pause runs does not wait for its end', () => {
  const tiers = new Tiers([['a']], () => 0.5);
  tiers.start(0);
  for (let round = 0; round < 12; round++) {
    assert.equal(tiers.due(tiers.nextAtMs, CONTENT), 'a');
    tiers.begun();
    tiers.failed(tiers.nextAtMs, false);
  }
  const failedAtMs = tiers.nextAtMs - RETRY.lastMs;
  assert.equal(tiers.due(failedAtMs + MINUTE, CONTENT), null);
  assert.equal(tiers.due(failedAtMs + MINUTE, WAITING), 'a');
});

test('a download without peers finds its trackers again within seconds of their return', async () => {
  const { announcer, answers, stats, settle, tick, events, peers } = scene([[A]], { random: () => 0.5 });
  Object.assign(stats, WAITING);
  announcer.start(0, () => stats);
  await settle();
  answers.set(A, down);
  let nowMs = 2 * MINUTE;
  await tick(nowMs);
  const awayMs = 15_000;
  const begunMs = nowMs;
  for (; nowMs < begunMs + awayMs; nowMs += 100) await tick(nowMs);
  assert.deepEqual(events().length, 2 + 5, 'after 1, 1.5, 2.3, 3.4 and 5 s');
  answers.set(A, { ...REPLY, peers: [{ host: '10.0.0.1', port: 1 }] });
  for (; peers.length === 0; nowMs += 100) await tick(nowMs);
  assert.ok(nowMs - begunMs <= 23_000, String(nowMs - begunMs));
});

test('a seed without peers announces as often as the tracker says it may, else at the interval', async () => {
  const { announcer, answers, stats, settle, tick, events } = scene([[A]]);
  Object.assign(stats, ALONE);
  announcer.start(0, () => stats);
  await settle();
  await tick(2 * MINUTE - 1);
  assert.equal(events().length, 1);
  answers.set(A, { ...REPLY, minIntervalMs: null });
  await tick(2 * MINUTE);
  assert.equal(events().length, 2);
  await tick(12 * MINUTE - 1);
  assert.equal(events().length, 2);
  await tick(12 * MINUTE);
  assert.equal(events().length, 3);
});

test('a torrent short of peers asks again after the minimum interval and no sooner', async () => {
  const { announcer, stats, settle, tick, events } = scene([[A]]);
  announcer.start(0, () => stats);
  await settle();
  await tick(2 * MINUTE);
  assert.equal(events().length, 1);
  stats.isHungry = true;
  await tick(2 * MINUTE - 1);
  assert.equal(events().length, 1);
  await tick(2 * MINUTE);
  assert.deepEqual(events(), ['started a', '- a']);
});

test('intervals beyond reason are bent to our limits', () => {
  const tiers = new Tiers([['a']], () => 0);
  const after = (intervalMs: number | null, minIntervalMs: number | null): [number, boolean] => {
    tiers.begun();
    tiers.succeeded(0, undefined, intervalMs, minIntervalMs);
    return [tiers.nextAtMs, tiers.due(9_999, HUNGRY) !== null];
  };
  assert.deepEqual(after(1_000, null), [30_000, false]);
  assert.deepEqual(after(1e15, null), [2 * 60 * MINUTE, false]);
  assert.deepEqual(after(MINUTE, 5 * MINUTE), [5 * MINUTE, false]);
  assert.deepEqual(after(null, null), [30 * MINUTE, false]);
  assert.deepEqual(after(MINUTE, 1), [MINUTE, false]);
});

test('completed is told at once and once, after started', async () => {
  const { announcer, stats, settle, tick, events } = scene([[A]]);
  announcer.start(0, () => stats);
  announcer.completed(1);
  await settle();
  await tick(2);
  await tick(3);
  assert.deepEqual(events(), ['started a', 'completed a']);
});

test('a completed that failed is told to the next tracker, which hears started first', async () => {
  const { announcer, answers, stats, settle, tick, events } = scene([[A], [B]]);
  announcer.start(0, () => stats);
  await settle();
  answers.set(A, down);
  announcer.completed(5);
  await settle();
  await tick(6);
  await tick(7);
  await tick(8);
  assert.deepEqual(events(), ['started a', 'completed a', 'started b', 'completed a', 'completed b']);
});

test('stop tells every tracker that knew us, with the tracker id it gave, and sends nothing more', async () => {
  const { announcer, answers, stats, settle, tick, events, sent } = scene([[A], [B]]);
  answers.set(A, { ...REPLY, trackerId: Buffer.from('id') });
  announcer.start(0, () => stats);
  await settle();
  await announcer.stop(5);
  await announcer.stop(6);
  await tick(100 * MINUTE);
  announcer.completed(100 * MINUTE);
  assert.deepEqual(events(), ['started a', 'stopped a']);
  assert.deepEqual(Buffer.from(sent[1]!.request.trackerId!).toString(), 'id');
  assert.equal(sent[1]!.request.numwant, 0);
});

test('stop before start, and a tracker that refuses the farewell, are no errors', async () => {
  const { announcer, answers, stats, settle, sent } = scene([[A]]);
  announcer.start(0, () => stats);
  await settle();
  answers.set(A, down);
  await announcer.stop(1);
  const idle = scene([[A]]);
  await idle.announcer.stop(0);
  idle.announcer.start(1, () => stats);
  assert.equal(sent.length, 2);
  assert.equal(idle.sent.length, 0);
});

test('peers, warnings and failures are handed on, and URLs are shown without their query', async () => {
  const secret = 'http://a/announce?passkey=secret';
  const { announcer, answers, stats, outcomes, peers, settle, tick } = scene([[secret], [B]]);
  answers.set(secret, { ...REPLY, warning: 'old client', peers: [{ host: '10.0.0.1', port: 1 }] });
  announcer.start(0, () => stats);
  await settle();
  answers.set(secret, new HaulError('TRACKER', 'refused'));
  await tick(10 * MINUTE);
  assert.deepEqual(peers, ['10.0.0.1']);
  assert.deepEqual(outcomes, [
    'warning http://a/announce?… old client',
    'ok http://a/announce?… started, 1 peers, 1 seeds, 2 leeches',
    'failure http://a/announce?… refused',
  ]);
});

test('trackers we cannot talk to are reported once and skipped', async () => {
  const { announcer, stats, outcomes, settle, tick, events } = scene([['wss://u:80/announce', 'nonsense'], [A]]);
  announcer.start(0, () => stats);
  await settle();
  await tick(10 * MINUTE);
  assert.deepEqual(events(), ['started a', '- a']);
  assert.deepEqual(
    outcomes.filter((line) => line.startsWith('warning')),
    ['warning wss://u:80/announce wss trackers are not supported yet', 'warning "nonsense" not a tracker URL'],
  );
});

test('how each tracker answered last is known, also of those that are never asked', async () => {
  const { announcer, stats, tick, settle, answers } = scene([[A], [B], ['wss://c:80']]);
  const reports = () => announcer.reports().map(({ url, outcome, failures }) => `${outcome} ${url} ${failures}`);
  answers.set(A, down);
  answers.set(B, 'silence');
  assert.deepEqual(reports(), [`waiting ${A} 0`, `waiting ${B} 0`, 'unsupported wss://c:80/ 0']);
  announcer.start(0, () => stats);
  await settle();
  await tick(1);
  assert.deepEqual(reports(), [`failure ${A} 1`, `waiting ${B} 0`, 'unsupported wss://c:80/ 0']);
  assert.equal(announcer.reports()[0]!.message, 'down');
});

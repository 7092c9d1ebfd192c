/** How long a command waits, and what it says meanwhile: plain numbers in, words out. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { HealthProblem, TorrentSources, TorrentStats } from '../../src/api.js';
import { gaveUpError, sourceLines } from '../../src/cli/get-report.js';
import { TimeLimits } from '../../src/cli/patience.js';
import { makeProgressLook, WaitingLines } from '../../src/cli/waiting.js';

const never = Number.POSITIVE_INFINITY;

describe('time limits', () => {
  it('end after a time without progress, or in all', () => {
    const limits = new TimeLimits({ timeoutMs: 1000, deadlineMs: 5000 }, 100);
    assert.equal(limits.exceeded(1099), null);
    limits.progress(1099);
    assert.equal(limits.exceeded(2098), null);
    assert.equal(limits.exceeded(2099), 'timeout');
    for (let now = 2000; now < 5100; now += 500) limits.progress(now);
    assert.equal(limits.exceeded(5099), null);
    assert.equal(limits.exceeded(5100), 'deadline');
  });

  it('may be none', () => {
    const limits = new TimeLimits({ timeoutMs: never, deadlineMs: never }, 0);
    assert.equal(limits.exceeded(1e15), null);
  });
});

describe('progress', () => {
  it('is what is verified; checking and the last sync are no waiting', () => {
    let stats = { state: 'downloading', verifiedPieces: 3, wantedPieces: 9 };
    const look = makeProgressLook({ stats: () => stats as TorrentStats }, false);
    const after = (change: Partial<typeof stats>): boolean => {
      stats = { ...stats, ...change };
      return look();
    };
    assert.equal(after({}), false);
    assert.equal(after({ verifiedPieces: 4 }), true);
    assert.equal(after({}), false);
    // A piece that was lost again is none.
    assert.equal(after({ verifiedPieces: 2 }), false);
    assert.equal(after({ state: 'checking' }), true);
    assert.equal(after({ state: 'preparing' }), true);
    assert.equal(after({ state: 'downloading', verifiedPieces: 9 }), true);
    assert.equal(after({}), true);
  });

  it('of a time-out that nobody gave is also what came and is not bad', () => {
    const mib = 1024 * 1024;
    let stats = { state: 'downloading', verifiedPieces: 0, wantedPieces: 9, downloadedBytes: 0, corruptBytes: 0 };
    const bytes = makeProgressLook({ stats: () => stats as TorrentStats }, true);
    const pieces = makeProgressLook({ stats: () => stats as TorrentStats }, false);
    const after = (change: Partial<typeof stats>): [boolean, boolean] => {
      stats = { ...stats, ...change };
      return [bytes(), pieces()];
    };
    assert.deepEqual(after({ downloadedBytes: mib / 8 }), [false, false]);
    assert.deepEqual(after({ downloadedBytes: mib / 4 }), [true, false]);
    assert.deepEqual(after({}), [false, false]);
    assert.deepEqual(after({ downloadedBytes: 16 * mib }), [true, false]);
    // It was bad: the same piece once more is no progress.
    assert.deepEqual(after({ corruptBytes: 16 * mib }), [false, false]);
    assert.deepEqual(after({ downloadedBytes: 32 * mib }), [false, false]);
    assert.deepEqual(after({ downloadedBytes: 33 * mib }), [true, false]);
    assert.deepEqual(after({ verifiedPieces: 1 }), [true, true]);
  });
});

describe('the end of a time-out', () => {
  it('says what was waited for', () => {
    const limits = { gaveUp: 'timeout', timeoutMs: 600_000, deadlineMs: never } as const;
    assert.match(gaveUpError({ ...limits, countsBytes: true }, 'why').message, /^nothing useful came for .*: why$/);
    assert.match(gaveUpError({ ...limits, countsBytes: false }, 'why').message, /^nothing was verified for .*: why$/);
  });
});

describe('the line about waiting', () => {
  const problem = (code: HealthProblem['code'], message: string, isBlocking = true): HealthProblem => {
    return { code, message, isBlocking, facts: {} };
  };

  it('comes at once, and again when the reason changes, not with every figure', () => {
    const lines = new WaitingLines();
    assert.equal(lines.next([], 0), null);
    assert.equal(lines.next([problem('tracker-failing', 'a tracker fails', false)], 500), null);
    assert.equal(lines.next([problem('no-progress', 'nothing for 6 s')], 1000), 'waiting: nothing for 6 s');
    assert.equal(lines.next([problem('no-progress', 'nothing for 60 s')], 61_000), null);
    const two = [problem('no-peers', 'no peers'), problem('no-trackers', 'no tracker', false)];
    assert.equal(lines.next(two, 62_000), 'waiting: no peers; no tracker');
    assert.equal(lines.next([problem('no-progress', 'nothing for 6 s')], 63_000), null);
    assert.equal(lines.next([], 64_000), null);
    assert.equal(lines.next(two, 90_000), null);
    assert.equal(lines.next([], 91_000), null);
    assert.equal(lines.next(two, 92_000), 'waiting: no peers; no tracker');
  });
});

describe('the reasons of the sources', () => {
  it('are one line for each tracker, one for peers and one for bans', () => {
    const sources: TorrentSources = {
      trackers: [
        { url: 'http://a/x', outcome: 'failure', message: 'tracker http://a/x: connection refused', failures: 3 },
        { url: 'http://b/x', outcome: 'ok', message: 'started, 0 peers', failures: 0 },
        { url: 'http://c/x', outcome: 'waiting', message: '', failures: 0 },
        { url: 'wss://d', outcome: 'unsupported', message: 'wss trackers are not supported yet', failures: 0 },
      ],
      webSeeds: [],
      addresses: {
        known: 2,
        dialled: 5,
        connected: 1,
        failed: 4,
        banned: 1,
        failures: [{ reason: 'connection refused', addresses: 2, example: '10.0.0.1:6881' }],
        bans: [{ address: '10.0.0.5:6881', reason: 'sent corrupt data', until: new Date('2026-01-02T03:04:05.678Z') }],
      },
    };
    assert.deepEqual(sourceLines(sources), [
      'tracker http://a/x: connection refused (3 times)',
      'tracker http://b/x: started, 0 peers',
      'tracker http://c/x: no answer yet',
      'tracker wss://d: not contacted, wss trackers are not supported yet',
      'peers: 2 known, 5 dials, 1 connection: 2 connection refused (10.0.0.1:6881)',
      'banned: 1: 10.0.0.5:6881 sent corrupt data, until 2026-01-02T03:04:05Z',
    ]);
    const none = { ...sources.addresses, banned: 0, failures: [] };
    assert.equal(sourceLines({ trackers: [], webSeeds: [], addresses: none })[0], 'trackers: none');
  });
});

/** An announce that waits for its turn is not known to its tracker. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Announcer } from '../../src/discovery/announcer.js';

const STATS = { uploadedBytes: 0, downloadedBytes: 0, leftBytes: 1, port: 6881, numwant: 50 };

for (const isSent of [false, true]) {
  const what = isSent ? 'may have arrived is followed by a goodbye' : 'still waits for its turn needs none';
  test(`a first announce that ${what}`, async () => {
    const asked: (string | undefined)[] = [];
    const announcer = new Announcer({
      trackers: [['http://a/announce']],
      infoHash: new Uint8Array(20),
      peerId: new Uint8Array(20),
      random: () => 0.5,
      now: () => 0,
      announce: (_url, { event }, signal, onSending) => {
        asked.push(event);
        if (isSent) onSending();
        return new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Error('aborted'))));
      },
      onPeers: () => {},
      onOutcome: () => {},
      stopTimeoutMs: 1,
    });
    announcer.start(0, () => STATS);
    await announcer.stop(1);
    assert.deepEqual(asked, isSent ? ['started', 'stopped'] : ['started']);
  });
}

test('stop aborts what is under way, still says stopped, and returns though the tracker is silent', async () => {
  const signals: AbortSignal[] = [];
  const outcomes: string[] = [];
  const announcer = new Announcer({
    trackers: [['http://a/announce']],
    infoHash: new Uint8Array(20),
    peerId: new Uint8Array(20),
    random: () => 0.5,
    now: () => 0,
    announce: (_url, _request, signal, onSending) => {
      onSending();
      signals.push(signal);
      return new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Error('aborted'))));
    },
    onPeers: () => {},
    onOutcome: (_url, outcome) => outcomes.push(outcome),
    stopTimeoutMs: 1,
  });
  announcer.start(0, () => STATS);
  await announcer.stop(1);
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(
    signals.map(({ aborted }) => aborted),
    [true, true],
  );
  assert.deepEqual(outcomes, []);
});

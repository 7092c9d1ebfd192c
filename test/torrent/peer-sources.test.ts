import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { FoundBy, PeerSource } from '../../src/discovery/source.js';
import { PeerSources } from '../../src/torrent/peer-sources.js';

const address = { host: '10.0.0.1', port: 6881 };

function scene(isPrivate: boolean) {
  const heard: string[] = [];
  const sources = new PeerSources(isPrivate, {
    add: (addresses, foundBy) => heard.push(`${foundBy} ${addresses.length}`),
  });
  const source = (foundBy: FoundBy, dueAtMs: number): PeerSource => ({
    foundBy,
    dueAtMs,
    start: (nowMs) => heard.push(`start ${foundBy} ${nowMs}`),
    tick: (nowMs) => heard.push(`tick ${foundBy} ${nowMs}`),
    stop: async (nowMs) => void heard.push(`stop ${foundBy} ${nowMs}`),
  });
  return { heard, sources, source };
}

test('sources are begun, ticked and stopped together; the earliest says when there is something to do', async () => {
  const { heard, sources, source } = scene(false);
  assert.equal(sources.dueAtMs, Number.POSITIVE_INFINITY);
  assert.ok(sources.add(source('tracker', 50)));
  assert.ok(sources.add(source('dht', 20)));
  assert.equal(sources.dueAtMs, 20);
  sources.start(1, () => assert.fail('nobody asked'));
  sources.tick(2);
  await sources.stop(3);
  const both = (step: string, nowMs: number) => [`${step} tracker ${nowMs}`, `${step} dht ${nowMs}`];
  assert.deepEqual(heard, [...both('start', 1), ...both('tick', 2), ...both('stop', 3)]);
});

test('what is found is handed on with where it came from', () => {
  const { heard, sources } = scene(false);
  for (const foundBy of ['tracker', 'pex', 'lsd', 'dht'] as const) sources.ownerOf(foundBy).onPeers([address]);
  assert.deepEqual(heard, ['tracker 1', 'pex 1', 'lsd 1', 'dht 1']);
});

test('a private torrent has peers of its trackers only', () => {
  const { heard, sources, source } = scene(true);
  assert.ok(sources.add(source('tracker', 50)));
  for (const foundBy of ['pex', 'lsd', 'dht'] as const) {
    assert.equal(sources.add(source(foundBy, 1)), false);
    sources.ownerOf(foundBy).onPeers([address]);
  }
  sources.ownerOf('tracker').onPeers([address]);
  assert.equal(sources.dueAtMs, 50);
  assert.deepEqual(heard, ['tracker 1']);
});

/** When a torrent is looked for in the DHT, and what becomes of what is found. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DhtSource } from '../../src/dht/dht-source.js';
import { DHT_LIMITS } from '../../src/dht/limits.js';
import type { Found } from '../../src/dht/search.js';
import type { AnnounceFigures } from '../../src/discovery/announce.js';
import type { Address } from '../../src/net/address.js';

const PEER: Address = { host: '8.8.8.8', port: 1 };
const SOMEBODY: Found = { queries: 9, nodes: 8, peers: 1, hops: 2 };
const NOBODY: Found = { queries: 3, nodes: 0, peers: 0, hops: 0 };

function scene(figures: Partial<AnnounceFigures>) {
  const ports: (number | null)[] = [];
  const heard: Address[] = [];
  let nowMs = 0;
  let isCancelled = false;
  let watcher: ((peers: readonly Address[]) => void) | null = null;
  let end: ((found: Found) => void) | null = null;
  const source = new DhtSource({
    infoHash: Buffer.alloc(20),
    owner: { onPeers: (peers) => heard.push(...peers) },
    now: () => nowMs,
    search: (_infoHash, port, onPeers, onDone) => {
      ports.push(port);
      end = onDone;
      onPeers([PEER]);
      return {
        cancel: () => {
          isCancelled = true;
        },
      };
    },
    watch: (_infoHash, onPeers) => {
      watcher = onPeers;
      return () => {
        watcher = null;
      };
    },
    onFound: () => {},
  });
  const told = { uploadedBytes: 0, downloadedBytes: 0, leftBytes: 0, port: 4711, numwant: 50, ...figures };
  source.start(0, () => told);
  return {
    source,
    ports,
    heard,
    ends: (found: Found): void => end!(found),
    announced: (): void => watcher?.([PEER]),
    isCancelled: () => isCancelled,
    isWatching: () => watcher !== null,
    /** Searches after so long. */
    after: (ms: number): number => {
      nowMs += ms;
      source.tick(nowMs);
      return ports.length;
    },
  };
}

test('a seed looks and announces every quarter of an hour, who is hungry every minute, and never twice at once', () => {
  const seed = scene({});
  assert.deepEqual([seed.ports, seed.heard], [[4711], [PEER]]);
  assert.equal(seed.source.dueAtMs, Number.POSITIVE_INFINITY);
  assert.equal(seed.after(DHT_LIMITS.announceMs * 2), 1);
  seed.ends(SOMEBODY);
  assert.equal(seed.source.dueAtMs, DHT_LIMITS.announceMs * 3);
  assert.deepEqual([seed.after(DHT_LIMITS.announceMs - 1), seed.after(1)], [1, 2]);
  const leech = scene({ isHungry: true, port: 0 });
  leech.ends(SOMEBODY);
  assert.deepEqual([leech.after(DHT_LIMITS.hungryAnnounceMs - 1), leech.after(1)], [1, 2]);
  assert.deepEqual(leech.ports, [null, null], 'who cannot be reached is not announced');
});

test('while nobody answers it is tried again soon, then less and less often', () => {
  const { ends, after } = scene({});
  for (const [round, waitMs] of [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000].entries()) {
    ends(NOBODY);
    assert.deepEqual([after(waitMs - 1), after(1)], [round + 1, round + 2]);
  }
});

test('who announces the torrent to us is found at once; after the end nobody is', () => {
  const { source, heard, announced, isCancelled, isWatching } = scene({});
  announced();
  assert.equal(heard.length, 2);
  void source.stop();
  assert.deepEqual([isCancelled(), isWatching(), source.dueAtMs], [true, false, Number.POSITIVE_INFINITY]);
});

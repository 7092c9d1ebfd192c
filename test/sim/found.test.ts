/** What the search found and only a swarm shows, each as the smallest one. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { simulate } from '../../sim/scenario.js';
import type { SwarmSpec } from '../../sim/spec.js';

const CAPS = { upBytesPerSec: 1e6, downBytesPerSec: 1e6 };

const COMMON = {
  seed: 1,
  imageBytes: 4 * 65_536,
  pieceBytes: 65_536,
  latencyMs: 5,
  isChecked: true,
  limitMs: 3_600_000,
} satisfies Omit<SwarmSpec, 'hosts'>;

test('a super-seed notices that unwanted pieces keep it on while a peer misses what a free rider keeps', async () => {
  // Piece 3 is wanted by nobody, so it never comes out; the free rider gets all the others before the leech comes.
  const hosts = [
    { ...CAPS, isSeed: true, isSuperSeeding: true },
    { ...CAPS, uploadSlots: 0, priorities: [2, 2, 2, 0] as const },
    { ...CAPS, joinMs: 60_000, priorities: [2, 2, 2, 0] as const },
  ];
  const swarm = await simulate({ ...COMMON, hosts }, {});
  assert.equal(swarm.hosts[2]!.have.count, 3);
});

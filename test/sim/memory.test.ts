/** Machines whose memory other torrents want too: all of it is the real pool and the real book of units. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { VirtualMemory } from '../../sim/memory.js';
import { leechesOf, simulate } from '../../sim/scenario.js';
import type { MemorySpec, NeighbourSpec } from '../../sim/spec.js';
import { Relief } from '../../src/scheduler/ask/relief.js';
import { ResidentUnits } from '../../src/storage/units.js';

const PIECE_BYTES = 65_536;
/** Takes what it can get and gives nothing back. */
const GREEDY: NeighbourSpec = {
  pieceBytes: PIECE_BYTES,
  unitBytes: 32_768,
  mostPieces: 9,
  mostUnits: 9,
  holdMs: 1e9,
};

function memory(pieces: number, neighbours: readonly NeighbourSpec[]): MemorySpec {
  return { bytes: pieces * PIECE_BYTES, unitBytes: 32_768, readMs: 5, loads: 2, releaseMs: 10, neighbours };
}

test('who shares its memory with torrents that give nothing back waits, and gets and serves every piece', async (t) => {
  const take = t.mock.method(VirtualMemory.prototype, 'takePiece');
  const pin = t.mock.method(ResidentUnits.prototype, 'pin');
  const giveWay = t.mock.method(Relief.prototype, 'giveWay');
  const caps = { upBytesPerSec: 2e6, downBytesPerSec: 2e6, runBlocks: 4 };
  const short = { ...caps, memory: memory(3, [GREEDY, GREEDY]) };
  const swarm = await simulate(
    {
      seed: 1,
      imageBytes: 20 * PIECE_BYTES,
      pieceBytes: PIECE_BYTES,
      hosts: [{ ...short, isSeed: true }, short, short, short],
      latencyMs: 5,
      isChecked: true,
      limitMs: 3_600_000,
    },
    {},
  );
  assert.ok(leechesOf(swarm).every(({ isComplete }) => isComplete));
  assert.ok(take.mock.calls.some(({ result }) => result === false));
  assert.ok(pin.mock.calls.some(({ result }) => result === 'full'));
  assert.ok(giveWay.mock.callCount() > 0);
});

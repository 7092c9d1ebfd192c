/** The search finds nothing where nothing is wrong, and everything that was planted. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { CANARIES, runCanary } from '../../sim/canary.js';
import { runSeed } from '../../sim/search.js';
import { searchSpec } from '../../sim/search-spec.js';
import type { Canary } from '../../sim/spec.js';

const SEEDS = 100;

test('random swarms with faults finish, break no invariant and ban nobody who is innocent', async () => {
  for (let seed = 1; seed <= SEEDS; seed++) {
    const { failure } = await runSeed(seed);
    assert.equal(failure, null, `replay: npm run sim -- search --seed ${seed} --count 1`);
  }
});

test('a seed of the search is the same run every time', async () => {
  for (const seed of [3, 4, 24]) assert.deepEqual(await runSeed(seed), await runSeed(seed));
});

test('the seeds together cover every manner, fault and transport', () => {
  const specs = Array.from({ length: SEEDS }, (_, index) => searchSpec(index + 1));
  const hosts = specs.flatMap(({ swarm }) => swarm.hosts);
  const seen = {
    stall: hosts.some(({ manner }) => manner === 'stall'),
    corrupt: hosts.some(({ manner }) => manner === 'corrupt'),
    freeRider: hosts.some(({ uploadSlots }) => uploadSlots === 0),
    slow: hosts.some(({ isFast }) => isFast === false),
    superSeeding: hosts.some(({ isSuperSeeding }) => isSuperSeeding),
    sequential: hosts.some(({ isSequential }) => isSequential),
    skipped: hosts.some(({ priorities }) => priorities?.includes(0)),
    resumed: hosts.some(({ have }) => have !== undefined && have.length > 0),
    late: hosts.some(({ joinMs }) => joinMs !== undefined && joinMs > 0),
    changedMinds: specs.some(({ changes }) => changes.length > 0),
    churn: specs.some(({ leaves }) => leaves.size > 0),
    seedRemoved: specs.some(({ isSeedRemoved }) => isSeedRemoved),
    runs: hosts.some(({ runBlocks = 1 }) => runBlocks > 1),
    shortOfMemory: hosts.some(({ memory }) => memory !== undefined),
    greedyNeighbour: hosts.some(({ memory }) => memory?.neighbours.some(({ holdMs }) => holdMs > 3_600_000)),
    runsWhereMemoryIsShort: hosts.some(({ memory, runBlocks = 1 }) => memory !== undefined && runBlocks > 1),
    wire: specs.some(({ swarm }) => swarm.transport === 'wire'),
    direct: specs.some(({ swarm }) => swarm.transport === 'direct'),
    oneOpenPiece: specs.some(({ swarm }) => swarm.openPieceBytes === swarm.pieceBytes),
    refusals: specs.some(({ swarm }) => (swarm.storage?.refusals ?? 0) > 0),
    abandons: specs.some(({ swarm }) => (swarm.storage?.abandons ?? 0) > 0),
    zones: specs.some(({ swarm }) => swarm.farLatencyMs !== undefined),
  };
  assert.deepEqual(
    Object.entries(seen).filter(([, isSeen]) => !isSeen),
    [],
  );
});

describe('a planted bug is found, by the invariant it breaks:', () => {
  for (const [canary, { about }] of Object.entries(CANARIES)) {
    test(about, async () => {
      const { isCaught, message } = await runCanary(canary as Canary);
      assert.ok(isCaught, message);
    });
  }
});

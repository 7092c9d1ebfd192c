/** Whole virtual swarms: the same seed is the same run, over calls as over bytes; what a host may and may not see. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { SimPeer } from '../../sim/peer.js';
import { leechesOf, simulate } from '../../sim/scenario.js';
import type { SwarmSpec } from '../../sim/spec.js';
import { SimFailure, Swarm } from '../../sim/swarm.js';

const CAPS = { upBytesPerSec: 2e6, downBytesPerSec: 2e6 };

function small(seed: number, rest: Partial<SwarmSpec> = {}): SwarmSpec {
  return {
    seed,
    imageBytes: 600_000,
    pieceBytes: 65_536,
    hosts: [{ ...CAPS, isSeed: true }, CAPS, CAPS, { ...CAPS, isFast: false }],
    latencyMs: 5,
    hash: { pieceMs: 2 },
    storage: { openMs: 1 },
    isChecked: true,
    limitMs: 600_000,
    ...rest,
  };
}

function facts(swarm: Swarm) {
  const { count, hash, nowMs } = swarm.events;
  return { count, hash, nowMs, completeMs: swarm.hosts.map(({ completeMs }) => completeMs) };
}

for (const transport of ['direct', 'wire'] as const) {
  describe(`over ${transport} links`, () => {
    test('the same seed gives the same events and outcome, another seed others', async () => {
      const [first, again, other] = await Promise.all(
        [1, 1, 2].map(async (seed) => facts(await simulate(small(seed, { transport }), {}))),
      );
      assert.deepEqual(again, first);
      assert.notEqual(other!.hash, first!.hash);
    });

    test('every leech gets the whole image, and no more leaves the uplinks than was received and wasted', async () => {
      const swarm = await simulate(small(3, { transport }), {});
      let received = 0;
      for (const host of leechesOf(swarm)) {
        assert.ok(host.isComplete);
        const { downloadedBytes, wastedBytes } = host.scheduler.view.totals;
        assert.equal(downloadedBytes, swarm.geometry.lengthBytes);
        received += downloadedBytes + wastedBytes;
      }
      const sent = swarm.hosts.reduce((sum, host) => sum + host.uploadedBytes, 0);
      assert.ok(sent >= received, `${sent} sent, ${received} received`);
    });

    test('who knows runs of blocks is asked for them, and every block of one counts', async (t) => {
      const ask = t.mock.method(SimPeer.prototype, 'ask');
      const fast = { upBytesPerSec: 50e6, downBytesPerSec: 50e6, runBlocks: 4 };
      const hosts = [{ ...fast, isSeed: true }, fast, { ...fast, runBlocks: 1 }];
      const swarm = await simulate(small(9, { transport, hosts, imageBytes: 4_000_000, pieceBytes: 262_144 }), {});
      assert.ok(leechesOf(swarm).every(({ isComplete }) => isComplete));
      const longest = (host: number): number =>
        Math.max(
          ...ask.mock.calls
            .filter((call) => (call.this as SimPeer).local.id === host)
            .map(({ arguments: [, , lengthBytes] }) => lengthBytes as number),
        );
      assert.equal(longest(1), 4 * 16_384);
      assert.equal(longest(2), 16_384);
    });

    test('nobody is faster than its links', async () => {
      const swarm = await simulate(small(4, { transport, hosts: [{ ...CAPS, isSeed: true }, CAPS] }), {});
      const seconds = (swarm.hosts[1]!.completeMs - swarm.hosts[1]!.joinedMs) / 1000;
      assert.ok(seconds > 600_000 / 2e6, `${seconds} s`);
      assert.ok(seconds < 3 * (600_000 / 2e6), `${seconds} s`);
    });

    test('who sends corrupt blocks is found and banned, and nobody else', async () => {
      const hosts = [
        { ...CAPS, isSeed: true },
        { ...CAPS, isSeed: true, manner: 'corrupt' as const },
        CAPS,
        CAPS,
        CAPS,
      ];
      const swarm = await simulate(small(5, { transport, hosts, imageBytes: 2_000_000 }), {});
      const banned = new Set(swarm.hosts.flatMap((host) => [...host.banned]));
      assert.deepEqual([...banned], [1]);
    });

    test('who vanishes is missed by nobody who has another source', async () => {
      const hosts = [{ ...CAPS, isSeed: true }, { ...CAPS, isSeed: true }, CAPS, CAPS];
      const prepare = (swarm: Swarm): void => {
        swarm.events.callAt(100, () => swarm.leave(swarm.hosts[1]!));
        swarm.events.callAt(120, () => swarm.leave(swarm.hosts[3]!));
      };
      const swarm = await simulate(small(6, { transport, hosts }), {}, prepare);
      assert.deepEqual(
        swarm.hosts.map(({ isComplete }) => isComplete),
        [true, true, true, false],
      );
      assert.equal(swarm.hosts[2]!.peerAt(1), null);
    });
  });
}

test('units of several blocks give the same bytes to the same hosts in fewer events', async () => {
  const spec = { imageBytes: 16 * 2 ** 20, pieceBytes: 2 ** 20, isChecked: false };
  const fine = await simulate(small(7, spec), {});
  const coarse = await simulate(small(7, { ...spec, unitBytes: 2 ** 18 }), {});
  assert.ok(coarse.events.count < fine.events.count / 4, `${coarse.events.count} and ${fine.events.count} events`);
  const ratio = coarse.events.nowMs / fine.events.nowMs;
  assert.ok(ratio > 0.5 && ratio < 2, `time × ${ratio}`);
});

test('a swarm in which nobody can finish fails with its seed, the time and who is waiting', async () => {
  const alone = small(8, { hosts: [CAPS, CAPS], stillMs: 60_000 });
  await assert.rejects(simulate(alone, {}), (error: unknown) => {
    assert.ok(error instanceof SimFailure);
    assert.match(error.message, /^seed 8, \d+\.\d+ s, event \d+: no piece was verified for 60 s: 2 hosts unfinished/);
    return true;
  });
  const late = small(9, { limitMs: 10 });
  await assert.rejects(simulate(late, {}), /seed 9, .* not done in time/);
});

test('whatever is thrown inside an event is a failure that names seed and event', async () => {
  const swarm = new Swarm(small(10));
  swarm.events.callAt(50, () => {
    throw new Error('the ceiling fell down');
  });
  await assert.rejects(swarm.run(), /^Error: seed 10, 0\.050 s, event \d+: the ceiling fell down$/);
});

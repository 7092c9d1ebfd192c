/** The tables of peers that need nothing else pass the suite of all: the embedded one, and two that share the model. */

import { Swarms } from '../../src/tracker/swarms.js';
import { testPeerTable } from './peer-table-conformance.js';
import { SharedModel } from './shared-model.js';
import { Clock, sharedPair } from './sharing-scene.js';

testPeerTable('the embedded one', {
  isTimed: true,
  make: async () => {
    const clock = new Clock();
    const swarms = new Swarms({ intervalS: 120, registeredOnly: false, random: Math.random });
    const pass = async (ms: number): Promise<void> => {
      clock.nowMs += ms;
      swarms.sweep(clock.nowMs, 10_000);
    };
    return { one: swarms, other: swarms, now: clock.now, settle: async () => {}, pass };
  },
});

testPeerTable('that of trackers with a shared one in memory', {
  isTimed: true,
  make: () => {
    const clock = new Clock();
    const model = new SharedModel(clock.now);
    return sharedPair(clock, [model.door(), model.door()]);
  },
});

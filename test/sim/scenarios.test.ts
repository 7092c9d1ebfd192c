/** Every scenario runs small, and says the same twice. Bars are for the full size. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { SCENARIOS } from '../../sim/scenarios/index.js';

describe('small, to its end, from a seed:', () => {
  for (const [name, { title, load }] of Object.entries(SCENARIOS)) {
    test(`${name}: ${title}`, async () => {
      const scenario = await load();
      const outcome = await scenario.run({ seed: 1, isSmall: true });
      assert.equal(outcome.scenario, name);
      assert.ok(outcome.checks.length > 0);
      for (const { name: figure, value } of outcome.checks) assert.ok(Number.isFinite(value), `${figure}: ${value}`);
      for (const { label, seconds } of outcome.curves) {
        assert.ok(seconds.length > 0, label);
        for (let at = 1; at < seconds.length; at++) assert.ok(seconds[at]! >= seconds[at - 1]!, label);
      }
      assert.deepEqual(await scenario.run({ seed: 1, isSmall: true }), outcome);
    });
  }
});

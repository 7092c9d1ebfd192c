/** Local service discovery where the system does not tell of its networks. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Lsd } from '../../src/lsd/lsd.js';

test('interfaces that the system does not tell are trouble that is told once, and no crash', async (context) => {
  context.mock.timers.enable({ apis: ['setInterval'] });
  const told: string[] = [];
  let asked = 0;
  const lsd = await Lsd.open({
    port: 6881,
    log: (_level, text) => void told.push(text),
    interfaces: () => {
      asked++;
      throw new Error('netlink says no');
    },
  });
  assert.match(lsd.stats().message, /netlink says no/);
  assert.equal(lsd.stats().networks, 0);
  context.mock.timers.tick(10_000);
  assert.ok(asked >= 1);
  const why = 'the network interfaces are not told: netlink says no';
  assert.deepEqual(told, [`${why}: peers of the local network are not found`]);
  await lsd.close();
});

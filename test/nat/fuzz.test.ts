/** A short form of the fuzzing of gateways, the same every time; and which options of them are taken. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { EngineOptions } from '../../src/api.js';
import { HaulError } from '../../src/errors.js';
import { checkEngineOptions } from '../../src/library/engine-options.js';
import { fuzzGateways } from './fuzz.js';

test('nothing that a gateway says does harm, however it was changed', () => {
  for (let seed = 1; seed <= 5; seed++) fuzzGateways({ seed, untilMs: null, rounds: 300 });
});

test('a gateway is named by an IPv4 address or not at all; LSD and peer exchange are on or off', () => {
  for (const good of [{ nat: {} }, { nat: { gateway: '192.168.1.1' } }, { lsd: true, pex: false }])
    checkEngineOptions(good);
  const bad: unknown[] = [
    true,
    null,
    [],
    'x',
    { gateway: '::1' },
    { gateway: 'router.lan' },
    { gateway: '::ffff:1.2.3.4' },
  ];
  for (const nat of [...bad, { gateway: 1 }, { gateway: '1.2.3.4', port: 5351 }]) {
    const isRefused = (error: unknown): boolean => error instanceof HaulError && error.facts.option === 'nat';
    assert.throws(() => checkEngineOptions({ nat } as EngineOptions), isRefused, JSON.stringify(nat));
  }
  for (const option of ['lsd', 'pex'])
    assert.throws(() => checkEngineOptions({ [option]: 1 } as EngineOptions), HaulError);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LIMITS } from '../../src/config.js';
import { encodeBencode } from '../../src/metainfo/bencode.js';
import { isDialable, toCompact } from '../../src/net/address.js';
import { makeRandom } from '../../src/random.js';
import { encodePex, PEX_SEED, parsePex } from '../../src/wire/pex.js';
import { fuzzPex } from './fuzz.js';

const random = makeRandom(1);
const parse = (payload: Uint8Array, limit = 50) => parsePex(payload, limit, random);
const peer = (host: string, port: number, flags = 0) => ({ compact: toCompact({ host, port })!, flags });

test('what is said of peers of both families comes through, flags with it', () => {
  const payload = encodePex([peer('8.8.8.8', 1, PEX_SEED), peer('2001:db8::1', 2), peer('9.9.9.9', 3)], []);
  assert.deepEqual(parse(payload), [
    { address: { host: '8.8.8.8', port: 1 }, flags: PEX_SEED },
    { address: { host: '9.9.9.9', port: 3 }, flags: 0 },
    { address: { host: '2001:db8::1', port: 2 }, flags: 0 },
  ]);
});

test('who left is said, and flags that do not match say nothing', () => {
  const dropped = toCompact({ host: '8.8.4.4', port: 9 })!;
  assert.deepEqual(parse(encodePex([], [dropped])), []);
  const added = toCompact({ host: '8.8.8.8', port: 1 })!;
  assert.deepEqual(parse(encodeBencode({ added, 'added.f': Buffer.from([2, 2]) }))?.[0]?.flags, 0);
});

test('of a long list a random sample is taken, and only what can be dialled', () => {
  const many = Array.from({ length: 200 }, (_, i) => peer(`8.8.8.${i}`, i));
  const taken = parse(encodePex(many, []))!;
  assert.equal(taken.length, 50);
  assert.ok(taken.some(({ address }) => address.port >= 100));
  const none = [peer('8.8.8.8', 0), peer('224.0.0.1', 6881), peer('0.0.0.0', 1), peer('ff02::1', 2), peer('::', 3)];
  assert.deepEqual(parse(encodePex(none, [])), []);
});

test('what is not of that form is refused', () => {
  const bad: (Uint8Array | string)[] = [
    '',
    'i1e',
    'le',
    'd',
    'd5:addedi1ee',
    'd5:added5:abcdee',
    'd6:added617:aaaaaaaaaaaaaaaaae',
    'd7:dropped7:aaaaaaae',
    'd5:added0:e0:',
    `d1:a${'l'.repeat(100)}${'e'.repeat(100)}e`,
    `d5:added${LIMITS.pexBytes}:${'a'.repeat(LIMITS.pexBytes)}e`,
  ];
  for (const payload of bad) assert.equal(parse(Buffer.from(payload)), null, String(payload).slice(0, 40));
});

test('of any bytes whatever nothing comes that cannot be dialled, and no more than was asked', () => {
  fuzzPex({ seed: 7, untilMs: null, rounds: 3_000 });
  assert.ok(!isDialable({ host: '8.8.8.8', port: 0 }));
});

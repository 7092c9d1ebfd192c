/** Ids are as BEP 42 says, and distances are XOR. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { commonBits, compareDistance, idAtDistance, idFitsAddress, makeNodeId } from '../../src/dht/node-id.js';
import { isUsable, mayName } from '../../src/net/reach.js';
import { makeRandom } from '../../src/random.js';

/** The examples of BEP 42. */
const EXAMPLES: readonly [host: string, id: string][] = [
  ['124.31.75.21', '5fbfbff10c5d6a4ec8a88e4c6ab4c28b95eee401'],
  ['21.75.31.124', '5a3ce9c14e7a08645677bbd1cfe7d8f956d53256'],
  ['65.23.51.170', 'a5d43220bc8f112a3d426c84764f8c2a1150e616'],
  ['84.124.73.14', '1b0321dd1bb1fe518101ceef99462b947a01ff41'],
  ['43.213.53.83', 'e56f6cbf5b7c4be0237986d5243b87aa6d51305a'],
];

const bytes = (count: number) => fc.uint8Array({ minLength: count, maxLength: count });

test('the examples of BEP 42 fit their addresses, and no others', () => {
  for (const [host, hex] of EXAMPLES) {
    const id = Buffer.from(hex, 'hex');
    assert.ok(idFitsAddress(id, host), host);
    id[1]! ^= 0x10;
    assert.ok(!idFitsAddress(id, host), host);
    assert.ok(idFitsAddress(id, '192.168.1.7'), 'a private network has any');
  }
});

test('an id that is made for an address fits it', () => {
  const random = makeRandom(3);
  const randomBytes = (count: number) => Uint8Array.from({ length: count }, () => Math.floor(random() * 256));
  for (const host of ['8.8.4.4', '2a00:1450:4001:81b::200e']) {
    for (let round = 0; round < 50; round++) assert.ok(idFitsAddress(makeNodeId(host, randomBytes), host));
  }
  assert.equal(makeNodeId(null, randomBytes).length, 20);
});

test('the closer of two has more bits in common, and an id at a distance has just so many', () => {
  fc.assert(
    fc.property(bytes(20), bytes(20), bytes(20), fc.integer({ min: 0, max: 159 }), (target, a, b, bits) => {
      if (commonBits(target, a) > commonBits(target, b)) assert.ok(compareDistance(target, a, b) < 0);
      assert.equal(
        commonBits(
          a,
          idAtDistance(a, bits, () => b),
        ),
        bits,
      );
      assert.equal(Math.sign(compareDistance(target, a, b)), -Math.sign(compareDistance(target, b, a)));
    }),
  );
});

test('nobody names an address that is nearer to us than his own', () => {
  const far = ['8.8.8.8', '192.168.0.1', '127.0.0.1'];
  const allowed = far.map((source) => far.map((host) => mayName(source, host)));
  assert.deepEqual(allowed, [
    [true, false, false],
    [true, true, false],
    [true, true, true],
  ]);
  assert.ok(!mayName('2a00::1', '::1') && !mayName('2a00::1', 'fe80::1') && !mayName('2a00::1', 'fd00::1'));
  for (const host of ['0.0.0.0', '224.0.0.1', '255.255.255.255', 'ff02::1', '::', 'example.org']) {
    assert.ok(!isUsable({ host, port: 1 }, 4) && !isUsable({ host, port: 1 }, 6), host);
  }
  assert.ok(!isUsable({ host: '8.8.8.8', port: 0 }, 4));
  assert.ok(!isUsable({ host: '8.8.8.8', port: 1 }, 6));
});

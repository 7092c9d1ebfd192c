import assert from 'node:assert/strict';
import { test } from 'node:test';
import { crc32c, peerPriority } from '../../src/net/peer-priority.js';

const priority = (a: string, b: string, portA = 1, portB = 2): number =>
  peerPriority({ host: a, port: portA }, { host: b, port: portB });

test('the check value of CRC-32C', () => {
  assert.equal(crc32c(Buffer.from('123456789')), 0xe3069283);
});

test('the examples of BEP 40', () => {
  assert.equal(priority('123.213.32.10', '98.76.54.32'), 0xec2d7224);
  assert.equal(priority('123.213.32.10', '123.213.32.234'), 0x99568189);
});

test('both ends compute the same', () => {
  for (const [a, b] of [
    ['192.0.2.1', '198.51.100.7'],
    ['192.0.2.1', '192.0.3.1'],
    ['192.0.2.1', '192.0.2.1'],
    ['2001:db8::1', '2001:db8:0:5::1'],
    ['2001:db8::1', '2001:db9::1'],
  ] as const) {
    assert.equal(priority(a, b, 6881, 51413), priority(b, a, 51413, 6881), `${a} ${b}`);
  }
  assert.equal(priority('192.0.2.1', '2001:db8::1'), 0);
});

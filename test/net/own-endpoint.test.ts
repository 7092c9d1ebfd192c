/** Where others see us, and the canonical order of peers (BEP 40) by it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OwnEndpoint } from '../../src/net/own-endpoint.js';
import { peerPriority } from '../../src/net/peer-priority.js';

function endpoint(outside: string | null = null, local = '192.168.1.5') {
  const said = { outside };
  const own = new OwnEndpoint({ port: () => 6881, outside: () => said.outside, towards: () => local });
  return { own, said };
}

const BEP40 = { host: '98.76.54.32', port: 6881 };

test('the examples of BEP 40, seen from the address that a gateway names', () => {
  const { own } = endpoint('123.213.32.10');
  assert.equal(own.priorityOf(BEP40), 0xec2d7224);
  assert.equal(own.priorityOf({ host: '123.213.32.234', port: 1 }), 0x99568189);
});

test('our private address says nothing of a pair with a public one', () => {
  const { own } = endpoint();
  assert.equal(own.priorityOf(BEP40), 0);
  assert.equal(own.priorityOf(BEP40, '192.168.1.5'), 0);
  assert.equal(own.priorityOf(BEP40, '123.213.32.10'), 0xec2d7224);
  const near = { host: '192.168.1.9', port: 1 };
  assert.equal(own.priorityOf(near), peerPriority({ host: '192.168.1.5', port: 6881 }, near));
});

test('to a neighbour with our own address ports decide, from both ends alike', () => {
  const { own } = endpoint(null, '127.0.0.1');
  const other = new OwnEndpoint({ port: () => 7000, outside: () => null, towards: () => '127.0.0.1' });
  const seen = own.priorityOf({ host: '127.0.0.1', port: 7000 });
  assert.equal(seen, other.priorityOf({ host: '127.0.0.1', port: 6881 }));
  assert.notEqual(seen, own.priorityOf({ host: '127.0.0.1', port: 7001 }));
});

test('five peers of the Internet say where we are, and not one alone or five of one host', () => {
  const { own } = endpoint();
  const { version } = own;
  for (let k = 0; k < 9; k++) own.heard('8.8.8.8', '123.213.32.10');
  for (let k = 0; k < 9; k++) own.heard(`192.168.1.${k}`, '123.213.32.10');
  for (let k = 0; k < 9; k++) own.heard(`9.${k}.1.1`, '10.0.0.1');
  assert.deepEqual([own.priorityOf(BEP40), own.version], [0, version]);
  for (let k = 0; k < 4; k++) own.heard(`11.${k}.1.1`, '123.213.32.10');
  assert.deepEqual([own.priorityOf(BEP40), own.version], [0xec2d7224, version + 1]);
});

test('a host name, another family and an odd host are of no order', () => {
  const { own, said } = endpoint('tracker.example');
  for (const host of ['tracker.example', 'fe80::1%eth0', '2001:db9::1', ''])
    assert.equal(own.priorityOf({ host, port: 1 }), 0);
  said.outside = '2001:db9::7';
  assert.equal(own.priorityOf(BEP40), 0);
  assert.notEqual(own.priorityOf({ host: '2001:db9:1::1', port: 1 }), 0);
});

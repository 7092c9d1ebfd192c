/** Which networks are spoken to, and who is on them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LSD_LIMITS } from '../../src/lsd/limits.js';
import { type InterfaceAddress, isOnLink, isOwn, surroundingsOf } from '../../src/lsd/links.js';

const v4 = (address: string, bits: number, internal = false): InterfaceAddress => {
  return { address, family: 'IPv4', internal, cidr: `${address}/${bits}` };
};
const v6 = (address: string, bits: number, internal = false): InterfaceAddress => {
  return { address, family: 'IPv6', internal, cidr: `${address}/${bits}` };
};
const INTERFACES = {
  lo: [v4('127.0.0.1', 8, true), v6('::1', 128, true)],
  eth0: [v4('192.168.1.5', 24), v6('fd78::5', 64), v6('fe80::5', 64)],
  wlan0: [v4('10.9.0.5', 12)],
};
const viasOf = (host?: string) => surroundingsOf(INTERFACES, host).links.map(({ via }) => via);

test('all networks but loopback are spoken to, once by each address of IPv4 and each interface with IPv6', () => {
  assert.deepEqual(viasOf(), ['192.168.1.5', '::%eth0', '10.9.0.5']);
  assert.deepEqual(viasOf('::'), viasOf());
  assert.deepEqual(viasOf('0.0.0.0'), ['192.168.1.5', '10.9.0.5']);
});

test('an engine that listens on one address speaks by that one only, also of loopback', () => {
  assert.deepEqual(viasOf('10.9.0.5'), ['10.9.0.5']);
  assert.deepEqual(viasOf('127.0.0.1'), ['127.0.0.1']);
  assert.deepEqual(viasOf('FD78:0::5'), ['::%eth0']);
  assert.deepEqual(viasOf('1.2.3.4'), [], 'not of this machine');
});

test('who has an address of these networks is on them, and nobody else', () => {
  const { networks } = surroundingsOf(INTERFACES, undefined);
  const near = ['192.168.1.255', '10.15.255.255', 'fd78::abcd', 'fe80::9%eth0'];
  const far = ['192.168.2.1', '10.16.0.1', '127.0.0.1', '8.8.8.8', 'fd79::1', '::1', '169.254.1.1', 'name.example'];
  assert.deepEqual(
    near.filter((host) => !isOnLink(networks, host)),
    [],
  );
  assert.deepEqual(
    far.filter((host) => isOnLink(networks, host)),
    [],
  );
  assert.deepEqual(
    [isOwn(networks, '10.9.0.5'), isOwn(networks, 'fe80::5%eth0'), isOwn(networks, '10.9.0.6')],
    [true, true, false],
  );
});

test('a host of hundreds of container networks uses some of them', () => {
  const many = Object.fromEntries(
    Array.from({ length: 300 }, (_, i) => [`br${i}`, [v4(`10.${i >> 8}.${i & 255}.1`, 24)]]),
  );
  assert.equal(surroundingsOf(many, undefined).links.length, LSD_LIMITS.links);
});

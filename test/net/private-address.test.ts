import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isLinkLocalAddress, isLoopbackAddress, isPrivateAddress } from '../../src/net/private-address.js';
import { retryAfter } from '../../src/net/range-get.js';

test('addresses of our own machine and network are told from public ones, in every spelling', () => {
  const ours =
    '0.0.0.0 10.1.2.3 100.64.0.1 127.0.0.1 127.255.0.1 169.254.169.254 172.16.0.1 172.31.255.255 192.0.0.8 ' +
    '192.168.1.1 198.18.0.1 198.19.255.255 224.0.0.1 255.255.255.255 :: ::1 ::ffff:10.0.0.1 ::ffff:7f00:1 fc00::1 ' +
    'fdff::1 fe80::1 fec0::1 ff02::1 64:ff9b::a00:1 64:ff9b::127.0.0.1 2002:7f00:1::1 name.example ' +
    '64:ff9b:1::808:808 64:ff9b:1:2::1 ::ffff:0:10.0.0.1 ::ffff:0:7f00:1 2001::1 2001:0:102:304::1';
  for (const host of ours.split(' ')) assert.equal(isPrivateAddress(host), true, host);
  const others =
    '1.1.1.1 9.255.255.255 11.0.0.1 100.63.255.255 100.128.0.1 126.1.1.1 128.0.0.1 169.253.0.1 172.15.0.1 172.32.0.1 ' +
    '192.0.1.1 192.167.0.1 192.169.0.1 198.17.0.1 198.20.0.1 223.255.255.1 2001:4860::8888 64:ff9b::101:101 ' +
    '2002:101:101::1 ::ffff:1.1.1.1 ::ffff:0:1.1.1.1 64:ff9b:0:1::1 2001:1::1';
  for (const host of others.split(' ')) assert.equal(isPrivateAddress(host), false, host);
});

test('addresses of a link and of this machine are told from those of a network', () => {
  for (const host of '169.254.169.254 ::ffff:169.254.1.1 64:ff9b::a9fe:a9fe 2002:a9fe:a9fe::1 fe80::1'.split(' '))
    assert.deepEqual([isLinkLocalAddress(host), isLoopbackAddress(host)], [true, false], host);
  for (const host of '127.0.0.1 127.1.2.3 0.0.0.0 ::ffff:127.0.0.1 64:ff9b::7f00:1 ::1 ::'.split(' '))
    assert.deepEqual([isLinkLocalAddress(host), isLoopbackAddress(host)], [false, true], host);
  for (const host of '10.0.0.1 192.168.1.1 1.1.1.1 fc00::1 fec0::1 feed.example localhost ::2'.split(' '))
    assert.deepEqual([isLinkLocalAddress(host), isLoopbackAddress(host)], [false, false], host);
});

test('Retry-After is a time from now, at most an hour', () => {
  const nowMs = Date.parse('2026-01-01T00:00:00Z');
  assert.equal(retryAfter('120', nowMs), 120_000);
  assert.equal(retryAfter('Thu, 01 Jan 2026 00:01:00 GMT', nowMs), 60_000);
  assert.equal(retryAfter('Thu, 01 Jan 2020 00:01:00 GMT', nowMs), 0);
  assert.equal(retryAfter('999999999', nowMs), 3_600_000);
  for (const odd of [null, '', 'soon', '-1', '1e9']) assert.ok([null, 0].includes(retryAfter(odd, nowMs)), String(odd));
});

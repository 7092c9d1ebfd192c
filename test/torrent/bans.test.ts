import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LIMITS } from '../../src/config.js';
import { BANNED_ADDRESSES_PER_GROUP, BANS_PER_HOST, Bans } from '../../src/torrent/bans.js';

const id = (n: number): Buffer => Buffer.from(`-XX0001-${String(n).padStart(12, '0')}`);

test('a ban ends, and the next one of the same peer is longer, up to two hours', () => {
  const bans = new Bans();
  let nowMs = 1000;
  for (const lengthMs of [LIMITS.banFirstMs, LIMITS.banFirstMs * 2, LIMITS.banLastMs, LIMITS.banLastMs]) {
    assert.equal(bans.add('192.0.2.1', id(1), nowMs), nowMs + lengthMs);
    assert.equal(bans.refusal('192.0.2.1', id(1), nowMs + lengthMs - 1), 'banned: it sent corrupt data');
    nowMs += lengthMs;
    assert.equal(bans.refusal('192.0.2.1', id(1), nowMs), null);
  }
});

test('a host is refused while several of its peers are banned, and no other host is', () => {
  const bans = new Bans();
  for (let n = 1; n < BANS_PER_HOST; n++) bans.add('192.0.2.1', id(n), 0);
  assert.equal(bans.refusal('192.0.2.1', id(99), 1), null);
  bans.add('192.0.2.1', id(BANS_PER_HOST), 10);
  assert.equal(bans.refusal('192.0.2.1', id(99), 11), 'banned: its host sent corrupt data');
  assert.equal(bans.refusal('192.0.2.2', id(1), 11), null);
  assert.equal(bans.refusal('192.0.2.1', id(99), LIMITS.banFirstMs), null);
});

test('the ban of an IPv6 peer holds in its /64: a new address does not lift it', () => {
  const bans = new Bans();
  bans.add('2001:db8:1:2::1', id(1), 0);
  assert.equal(bans.refusal('2001:db8:1:2:dead:beef:0:7', id(1), 1), 'banned: it sent corrupt data');
  assert.equal(bans.refusal('2001:db8:1:3::1', id(1), 1), null);
});

test('several banned peers at one IPv6 address shut out that address, not the LAN around it', () => {
  const bans = new Bans();
  for (let n = 1; n <= BANS_PER_HOST; n++) bans.add('2001:db8:1:2::1', id(n), 0);
  assert.equal(bans.refusal('2001:db8:1:2::1', id(99), 1), 'banned: its host sent corrupt data');
  assert.equal(bans.refusal('2001:db8:1:2::2', id(99), 1), null);
  const lan = new Bans();
  for (let n = 1; n <= BANS_PER_HOST; n++) lan.add(`2001:db8:1:2::${n}`, id(n), 0);
  assert.equal(lan.refusal('2001:db8:1:2::ffff', id(99), 1), null);
  assert.equal(lan.refusal('2001:db8:1:2::1', id(99), 1), null);
});

test('a /64 is refused when many of its addresses are banned, and until those bans end', () => {
  const bans = new Bans();
  for (let n = 1; n < BANNED_ADDRESSES_PER_GROUP; n++) bans.add(`2001:db8:1:2::${n}`, id(n), 0);
  assert.equal(bans.refusal('2001:db8:1:2::ffff', id(99), 1), null);
  bans.add('2001:db8:1:2::1', id(98), 1);
  assert.equal(bans.refusal('2001:db8:1:2::ffff', id(99), 1), null, 'the same address twice');
  bans.add('2001:db8:1:2::aaaa', id(97), 10);
  assert.equal(bans.refusal('2001:db8:1:2::ffff', id(99), 11), 'banned: its network sent corrupt data');
  assert.equal(bans.refusal('2001:db8:1:3::1', id(99), 11), null);
  assert.equal(bans.refusal('2001:db8:1:2::ffff', id(99), LIMITS.banFirstMs), null);
});

test('an IPv4-mapped address is the IPv4 address', () => {
  const bans = new Bans();
  for (let n = 1; n <= BANS_PER_HOST; n++) bans.add(n === 1 ? '::ffff:192.0.2.1' : '192.0.2.1', id(n), 0);
  assert.equal(bans.refusal('::ffff:192.0.2.1', id(99), 1), 'banned: its host sent corrupt data');
});

test('bans fill no memory', () => {
  const bans = new Bans();
  for (let n = 0; n < 5000; n++) bans.add(`192.0.2.${n % 250}`, id(n), n);
  assert.equal(bans.refusal('192.0.2.3', id(4999), 5000) !== null, true);
});

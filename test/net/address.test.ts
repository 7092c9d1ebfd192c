import assert from 'node:assert/strict';
import { isIP } from 'node:net';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  canonicalHost,
  decodeCompact,
  decodeCompact6,
  encodeCompact,
  formatAddress,
  ipBytes,
  isDialable,
  makeAddress,
  parseAddress,
  toCompact,
} from '../../src/net/address.js';
import { makeRandom } from '../../src/random.js';

const first = (): number => 0;

test('addresses are read with IPv4, bracketed IPv6 and host names', () => {
  assert.deepEqual(parseAddress('10.0.0.1:6881'), { host: '10.0.0.1', port: 6881 });
  assert.deepEqual(parseAddress('[2001:DB8:0:0::1]:80'), { host: '2001:db8::1', port: 80 });
  assert.deepEqual(parseAddress(' Seed.Example.ORG:1 '), { host: 'seed.example.org', port: 1 });
  assert.deepEqual(parseAddress('[fe80::1%eth0]:6881'), { host: 'fe80::1%eth0', port: 6881 });
});

test('malformed addresses are null', () => {
  for (const text of ['', 'host', ':1', '1.2.3.4', '1.2.3.4:', '1.2.3.4:65536', '1.2.3.4:-1', '1.2.3.4:1x', '::1:80']) {
    assert.equal(parseAddress(text), null, text);
  }
  for (const text of ['[::1]', '[1.2.3.4]:1', '[::1%]:1', '[host]:1', '1.2.3:80', '256.1.1.1:80', '01.2.3.4:80']) {
    assert.equal(parseAddress(text), null, text);
  }
  for (const text of ['[1::2::3]:1', '[:::]:1', '[12345::]:1', '[1:2:3:4:5:6:7:8:9]:1', '-a.b:1', 'a..b:1', 'a b:1']) {
    assert.equal(parseAddress(text), null, text);
  }
  assert.equal(makeAddress('1.2.3.4', 1.5), null);
  assert.equal(canonicalHost(`${'a'.repeat(64)}.org`), null);
  assert.equal(canonicalHost('a.'.repeat(200)), null);
});

test('every spelling of an IPv6 address becomes the one of RFC 5952', () => {
  const spellings: [string, string][] = [
    ['0:0:0:0:0:0:0:0', '::'],
    ['::1', '::1'],
    ['1::', '1::'],
    ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    ['2001:0:0:1:0:0:0:1', '2001:0:0:1::1'],
    ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
    ['::ffff:1.2.3.4', '1.2.3.4'],
    ['::FFFF:0102:0304', '1.2.3.4'],
    ['64:ff9b::1.2.3.4', '64:ff9b::102:304'],
  ];
  for (const [text, canonical] of spellings) assert.equal(canonicalHost(text), canonical, text);
});

test('whatever Node takes for an IP address is read, and nothing else', () => {
  const part = fc.oneof(
    fc.constantFrom('', ':', '::', '.', '0', 'ffff', '1.2.3.4', '255', '::ffff:'),
    fc.string({ unit: fc.constantFrom(...'0123456789abcdefF') }),
  );
  const text = fc.array(part, { maxLength: 12 }).map((parts) => parts.join(''));
  fc.assert(
    fc.property(fc.oneof(text, fc.ipV6(), fc.ipV4()), (host) => {
      assert.equal(ipBytes(host) !== null, isIP(host) !== 0, host);
    }),
    { numRuns: 2000 },
  );
});

test('the canonical text of any sixteen bytes reads back as the same address', () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom(0, 0, 0, 1, 255, 16), { minLength: 16, maxLength: 16 }), (list) => {
      const [peer] = decodeCompact6(Uint8Array.from([...list, 0x1a, 0xe1]), 1, first) ?? [];
      if (peer === undefined) return;
      assert.equal(canonicalHost(peer.host), peer.host);
      assert.deepEqual(parseAddress(formatAddress(peer)), peer);
      const compact = toCompact(peer)!;
      if (compact.length === 18) assert.deepEqual([...compact.subarray(0, 16)], list);
      else assert.deepEqual([...compact.subarray(0, 4)], list.slice(12));
    }),
  );
});

test('what no peer can be reached at is not dialable', () => {
  const hosts = ['0.0.0.0', '0.1.2.3', '224.0.0.1', '239.255.255.255', '240.0.0.1', '255.255.255.255', '::', 'ff02::1'];
  for (const host of hosts) assert.equal(isDialable(makeAddress(host, 80)!), false, host);
  assert.equal(isDialable({ host: '10.0.0.1', port: 0 }), false);
  assert.equal(isDialable({ host: '10.0.0.1', port: 65536 }), false);
  for (const host of ['127.0.0.1', '223.255.255.255', '::1', 'fe80::1', 'host.example']) {
    assert.equal(isDialable(makeAddress(host, 80)!), true, host);
  }
});

test('compact peers leave out what cannot be dialled, keep to the limit, and must have whole entries', () => {
  const bytes = Uint8Array.from([10, 0, 0, 1, 0x1a, 0xe1, 0, 0, 0, 0, 0, 80, 10, 0, 0, 2, 0, 0, 10, 0, 0, 3, 0, 1]);
  assert.deepEqual(decodeCompact(bytes, 10, first), [
    { host: '10.0.0.1', port: 6881 },
    { host: '10.0.0.3', port: 1 },
  ]);
  assert.equal(decodeCompact(bytes, 1, first)!.length, 1);
  assert.equal(decodeCompact(bytes.subarray(1), 10, first), null);
  assert.equal(decodeCompact6(bytes.subarray(0, 17), 10, first), null);
  assert.deepEqual(decodeCompact(new Uint8Array(0), 10, first), []);
});

test('of too many compact peers a random sample is taken, wherever they stand', () => {
  const bytes = Uint8Array.from(Array.from({ length: 100 }, (_, i) => [10, 0, 0, i, 0, 80]).flat());
  const seen = new Set<string>();
  for (let seed = 0; seed < 60; seed++) {
    const sample = decodeCompact(bytes, 10, makeRandom(seed))!;
    assert.equal(new Set(sample.map(({ host }) => host)).size, 10);
    for (const { host } of sample) seen.add(host);
  }
  assert.ok(seen.size > 90, `${seen.size} of 100`);
  assert.ok(seen.has('10.0.0.99'));
});

test('a mapped IPv4 address in peers6 becomes IPv4', () => {
  const mapped = Uint8Array.from([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 10, 0, 0, 9, 0, 5]);
  assert.deepEqual(decodeCompact6(mapped, 1, first), [{ host: '10.0.0.9', port: 5 }]);
});

test('encoding sorts by family and leaves out names', () => {
  const { peers, peers6 } = encodeCompact([
    { host: '10.0.0.1', port: 258 },
    { host: '::1', port: 1 },
    { host: 'host.example', port: 1 },
  ]);
  assert.equal(peers.toString('hex'), '0a0000010102');
  assert.equal(peers6.toString('hex'), '000000000000000000000000000000010001');
});

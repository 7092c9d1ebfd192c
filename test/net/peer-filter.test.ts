/** Which addresses may be peers: how ranges are read, who is in them, and what many of them cost. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { LIMITS } from '../../src/config.js';
import { ipBytes, ipText } from '../../src/net/address.js';
import { AddressRanges, parseRange } from '../../src/net/address-ranges.js';
import { PeerFilter } from '../../src/net/peer-filter.js';

function filterOf(allow: readonly string[] | undefined, deny: readonly string[] = []): PeerFilter {
  const filter = new PeerFilter();
  filter.set(allow === undefined ? { deny } : { allow, deny });
  return filter;
}

test('addresses, networks and ranges of both families are read; what can be read in two ways is not', () => {
  const shown = (text: string): string | null => {
    const range = parseRange(text);
    return range === null
      ? null
      : `${ipText(range.first, 0, range.first.length)}-${ipText(range.last, 0, range.last.length)}`;
  };
  const cases: [string, string | null][] = [
    ['10.0.0.7', '10.0.0.7-10.0.0.7'],
    [' 10.1.2.3/8 ', '10.0.0.0-10.255.255.255'],
    ['10.0.0.0/31', '10.0.0.0-10.0.0.1'],
    ['0.0.0.0/0', '0.0.0.0-255.255.255.255'],
    ['10.0.0.1-10.0.0.9', '10.0.0.1-10.0.0.9'],
    ['10.0.0.1 - 10.0.0.9', '10.0.0.1-10.0.0.9'],
    ['fd00::/8', 'fd00::-fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'],
    ['::ffff:10.0.0.0/104', '10.0.0.0-10.255.255.255'],
    ['::ffff:10.0.0.7', '10.0.0.7-10.0.0.7'],
    ['2001:db8::1-2001:db8::9', '2001:db8::1-2001:db8::9'],
    ['10.0.0.9-10.0.0.1', null],
    ['10.0.0.1-fd00::1', null],
    ['10.0.0.0/33', null],
    ['10.0.0.0/-1', null],
    ['10.0.0.0/08', null],
    ['10.0.0.0/', null],
    ['10.0.0/8', null],
    ['010.0.0.0/8', null],
    ['::ffff:10.0.0.0/95', null],
    ['fd00::/129', null],
    ['fe80::1%eth0', null],
    ['host.example', null],
    ['', null],
    ['1'.repeat(5000), null],
  ];
  for (const [text, wanted] of cases) assert.equal(shown(text), wanted, text);
});

test('whoever is denied is kept out, and with a list of those allowed whoever is not in it', () => {
  const everybody = new PeerFilter();
  assert.ok(everybody.permits('10.0.0.1') && everybody.permits('not an address') && everybody.report === null);
  const filter = filterOf(['10.0.0.0/8', 'fd00::/16'], ['10.9.0.0/16']);
  const permitted = ['10.0.0.1', '::ffff:10.0.0.1', '::ffff:a00:1', 'fd00::7', 'fd00::7%eth0'];
  const denied = ['10.9.1.1', '::ffff:10.9.1.1', '11.0.0.1', '9.255.255.255', 'fd01::1', '::1', 'host', ''];
  for (const host of permitted) assert.ok(filter.permits(host), host);
  for (const host of denied) assert.ok(!filter.permits(host), host);
  assert.ok(!filterOf([]).permits('10.0.0.1'), 'an empty list allows nobody');
  assert.ok(filterOf(undefined, ['0.0.0.0/0']).permits('::1'), 'all of IPv4 is no IPv6');
  filter.set(null);
  assert.ok(filter.permits('11.0.0.1'));
});

test('a list with a fault changes nothing, and the fault is named with its place', () => {
  const filter = filterOf(undefined, ['10.0.0.0/8']);
  assert.throws(() => filter.set({ deny: ['1.1.1.1', '10.0.0.0/33'] }), {
    code: 'BAD_ARGUMENT',
    message: /deny\[1\] is "10\.0\.0\.0\/33", not an address, a network/,
  });
  assert.throws(() => filter.set({ allow: [7 as never] }), { code: 'BAD_ARGUMENT', message: /allow\[0\] is number/ });
  assert.throws(() => filter.set({ allow: Array(LIMITS.peerRanges + 1).fill('1.1.1.1') }), { code: 'LIMIT' });
  assert.ok(!filter.permits('10.0.0.1') && filter.permits('1.1.1.1'));
  assert.deepEqual(filter.report, { allowedRanges: null, deniedRanges: 1, refused: 0 });
});

test('ranges that overlap or touch are one, up to the ends of the address space', () => {
  const count = (...texts: string[]): number => new AddressRanges(texts.map((text) => parseRange(text)!)).count;
  assert.equal(count('10.0.0.0/9', '10.128.0.0/9'), 1);
  assert.equal(count('10.0.0.0/8', '10.1.0.0/16', '10.0.0.0/8'), 1);
  assert.equal(count('10.0.0.0-10.0.0.1', '10.0.0.3'), 2);
  assert.equal(count('0.0.0.0/1', '128.0.0.0/1', '255.255.255.255', '0.0.0.0'), 1);
  assert.equal(count('2001:db8::/64', '2001:db8:0:1::/64', 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff', '::'), 3);
});

test('any set of ranges says of any address what a walk through all of them says', () => {
  const ipv4 = fc.tuple(fc.nat(3), fc.nat(3), fc.constantFrom(0, 1, 127, 255), fc.nat(255));
  const address = fc.oneof(
    ipv4.map(([a, b, c, d]) => `${a + 9}.${b}.${c}.${d}`),
    fc.tuple(fc.nat(3), fc.nat(3), fc.nat(0xffff)).map(([a, b, c]) => `fd0${a}::${b.toString(16)}:${c.toString(16)}`),
  );
  const network = fc
    .tuple(address, fc.nat(128))
    .map(([host, bits]) => `${host}/${host.includes(':') ? bits : bits % 33}`);
  fc.assert(
    fc.property(fc.array(fc.oneof(address, network), { maxLength: 20 }), address, (texts, host) => {
      const ranges = texts.map((text) => parseRange(text)!);
      const bytes = ipBytes(host)!;
      const isIn = ranges.some(
        ({ first, last }) =>
          first.length === bytes.length && Buffer.compare(first, bytes) <= 0 && Buffer.compare(bytes, last) <= 0,
      );
      assert.equal(new AddressRanges(ranges).has(bytes), isIn);
    }),
    { numRuns: 500 },
  );
});

test('a hundred thousand ranges are a few megabytes, and an address is found among them at once', () => {
  const texts = Array.from({ length: 100_000 }, (_, i) =>
    i % 2 === 0
      ? `${1 + (i >> 13)}.${(i >> 5) & 255}.${(i << 3) & 255}.0/30`
      : `fd00:${(i >> 8).toString(16)}:${(i & 255).toString(16)}::/56`,
  );
  const started = performance.now();
  const ranges = new AddressRanges(texts.map((text) => parseRange(text)!));
  const builtMs = performance.now() - started;
  const hosts = ['10.1.2.3', 'fd00:77:1::5', '203.0.113.7', '2001:db8::1'].map((host) => ipBytes(host)!);
  const begun = performance.now();
  let found = 0;
  for (let turn = 0; turn < 100_000; turn++) if (ranges.has(hosts[turn & 3]!)) found++;
  const eachUs = (performance.now() - begun) / 100;
  process.stdout.write(
    `# 100,000 ranges: ${ranges.bytes} bytes, ${builtMs.toFixed(0)} ms to read, ${eachUs.toFixed(2)} µs a look\n`,
  );
  assert.ok(ranges.bytes <= 100_000 * 40 && found > 0);
  assert.ok(eachUs < 100, `${eachUs} µs`);
});

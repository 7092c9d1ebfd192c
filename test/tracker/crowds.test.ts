/** Full tables, and addresses with crowds of entries: nobody is refused, and nobody is drowned. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PeerTable } from '../../src/tracker/peer-table.js';
import type { AnnounceQuery } from '../../src/tracker/query.js';
import type { SwarmView } from '../../src/tracker/swarm-view.js';
import { Swarms } from '../../src/tracker/swarms.js';

const HASH = 'a'.repeat(20);

function query(overrides: Partial<AnnounceQuery> = {}): AnnounceQuery {
  const plain = { infoHash: HASH, peerId: 'p'.repeat(20), port: 6881, isSeed: false, event: '' as const };
  return { ...plain, numwant: 50, isCompact: true, noPeerId: false, ...overrides };
}

/** Of the network 10.`net`.0.0; each number has an address of its own. */
function host(net: number, number: number, port = 6881): Uint8Array {
  return Uint8Array.of(10, net, number >> 8, number & 255, port >> 8, port & 255);
}

/** One address, one entry for each number. */
const crowd = (net: number, number: number): Uint8Array => host(net, 1, 1 + number);

/** IPv6: 2001:db8:`subnet`::/64 with `subnet` of 48 to 64 bits. */
function host6(site: number, subnet: number, number: number): Uint8Array {
  const head = [0x20, 0x01, 0x0d, 0xb8, site >> 8, site & 255, subnet >> 8, subnet & 255];
  return Uint8Array.of(...head, 0, 0, 0, 0, 0, 0, number >> 8, number & 255, 1, 1);
}

type Options = ConstructorParameters<typeof Swarms>[0];

function make(overrides: Partial<Options> = {}): Swarms {
  let state = 7;
  const random = (): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
  return new Swarms({ intervalS: 300, registeredOnly: false, random, secret: 12345, ...overrides });
}

function named(view: SwarmView | string): string[] {
  assert.ok(typeof view !== 'string', String(view));
  const of = (table: PeerTable, picks: number[], count: number) =>
    picks.slice(0, count).map((slot) => table.address(slot).toString('hex'));
  return [...of(view.table4, view.picks4, view.count4), ...of(view.table6, view.picks6, view.count6)];
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const isListed = (swarms: Swarms, compact: Uint8Array, infoHash = HASH): boolean => {
  const view = swarms.scrape(infoHash);
  return view !== null && (compact.length === 6 ? view.table4 : view.table6).find(compact) >= 0;
};

test('a full swarm takes newcomers, and the one that is silent for longest gives way', () => {
  const swarms = make({ limits: { peersPerSwarm: 10 } });
  for (let number = 0; number < 10; number++) swarms.announce(query(), host(number, 1), number * 1000);
  assert.equal(named(swarms.announce(query(), host(50, 1), 11_000)).length, 9);
  assert.equal(swarms.peerCount, 10);
  assert.ok(isListed(swarms, host(50, 1)));
  // The search looks at some entries only, but of ten it sees the two oldest.
  assert.ok([0, 1].some((number) => !isListed(swarms, host(number, 1))));
});

test('two addresses that fill a swarm keep nobody out of it', () => {
  const swarms = make({ entriesPerAddress: 20, limits: { peersPerSwarm: 400 } });
  const honest = Array.from({ length: 30 }, (_, number) => host(number, 9));
  for (const compact of honest.slice(0, 20)) swarms.announce(query(), compact, 0);
  for (let number = 0; number < 5000; number++)
    swarms.announce(query({ peerId: String(number).padStart(20, 'x') }), crowd(200 + (number % 2), number), 1000);
  for (const compact of honest) swarms.announce(query(), compact, 2000);
  for (let number = 5000; number < 9000; number++) swarms.announce(query(), crowd(200 + (number % 2), number), 3000);
  assert.equal(swarms.peerCount, 400);
  for (const compact of honest) assert.ok(isListed(swarms, compact));
});

test('a full swarm names its peers to everybody, the seed of this process included', () => {
  const swarms = make({ entriesPerAddress: 2, limits: { peersPerSwarm: 4 } });
  swarms.register(HASH, 7000);
  for (let net = 0; net < 4; net++) swarms.announce(query(), host(net, 1), 0);
  // More than its share: these are not let in, but answered.
  for (let number = 0; number < 9; number++) swarms.announce(query(), crowd(100, number), 1000);
  const view = swarms.announce(query(), crowd(100, 77), 1000) as SwarmView;
  assert.equal(view.seedPort, 7000);
  assert.ok(named(view).length >= 3);
  assert.equal(swarms.peerCount, 4);
});

test('a swarm that is drowned by crowds still names the others in every reply', () => {
  const swarms = make();
  const honest = [host(1, 1), host(2, 1), host(3, 1)];
  swarms.announce(query({ isSeed: true }), honest[0]!, 0);
  swarms.announce(query(), honest[1]!, 0);
  for (let number = 0; number < 20_000; number++) swarms.announce(query(), crowd(200 + (number % 2), number), 1000);
  swarms.announce(query(), honest[2]!, 2000);
  for (let k = 0; k < 20; k++) {
    const names = named(swarms.announce(query(), host(4, k), 2000));
    assert.equal(new Set(names).size, 50);
    for (const compact of honest) assert.ok(names.includes(hex(compact)), `reply ${k}`);
  }
  const toSeed = named(swarms.announce(query({ isSeed: true }), host(5, 1), 2000));
  assert.ok(!toSeed.includes(hex(honest[0]!)) && toSeed.includes(hex(honest[1]!)));
});

test('a zone that is drowned by a crowd still hears of the others', () => {
  const swarms = make();
  swarms.announce(query({ isSeed: true }), host(1, 1), 0);
  for (let number = 0; number < 5000; number++) swarms.announce(query({ zone: 'eu' }), crowd(200, number), 1000);
  assert.ok(named(swarms.announce(query({ zone: 'eu' }), host(2, 1), 2000)).includes(hex(host(1, 1))));
});

test('a fleet behind one address is listed as a whole while there is room', () => {
  const swarms = make();
  for (let number = 0; number < 10_000; number++) swarms.announce(query(), crowd(1, number), 0);
  assert.equal(swarms.peerCount, 10_000);
  for (let number = 0; number < 10_000; number++) assert.ok(isListed(swarms, crowd(1, number)));
});

test('a /24, a /64 and a /48 have shares too', () => {
  const swarms = make({ entriesPerAddress: 8, limits: { peersPerSwarm: 200 } });
  const honest = [host(1, 1), host6(1, 1, 1)];
  for (const compact of honest) swarms.announce(query(), compact, 0);
  // Many addresses of one /24; then many of one /64; then many /64 of one /48. Each address alone is below its share.
  for (let number = 0; number < 4000; number++) {
    swarms.announce(query(), host(9, number & 255, 1 + (number >> 8)), 1000 + number);
    swarms.announce(query(), host6(2, 1, number), 1000 + number);
    swarms.announce(query(), host6(3, number, 1), 1000 + number);
  }
  for (const compact of honest) assert.ok(isListed(swarms, compact), hex(compact));
});

test('one address that makes swarms without end gets no other swarm dropped, nor keeps others from making one', () => {
  const swarms = make({ entriesPerAddress: 50, limits: { swarms: 300, peers: 400 } });
  const nameOf = (number: number): string => String(number).padStart(20, 's');
  const honestName = (number: number): string => String(number).padStart(20, 'h');
  for (let number = 0; number < 30; number++)
    swarms.announce(query({ infoHash: honestName(number) }), host(number, 1), 0);
  for (let number = 0; number < 3000; number++)
    swarms.announce(query({ infoHash: nameOf(number) }), crowd(200, number), 1000);
  assert.equal(swarms.swarmCount, 300);
  for (let number = 30; number < 60; number++)
    assert.equal(typeof swarms.announce(query({ infoHash: honestName(number) }), host(number, 1), 2000), 'object');
  for (let number = 3000; number < 6000; number++)
    swarms.announce(query({ infoHash: nameOf(number) }), crowd(200, number), 3000);
  for (let number = 0; number < 60; number++) assert.ok(isListed(swarms, host(number, 1), honestName(number)));
  assert.ok(swarms.swarmCount <= 300 && swarms.peerCount <= 400);
});

test('a full tracker takes newcomers in the place of a crowd, wherever that is', () => {
  const swarms = make({ entriesPerAddress: 50, limits: { peers: 1000 } });
  const small = (number: number): string => String(number).padStart(20, 's');
  for (let number = 0; number < 100; number++) swarms.announce(query({ infoHash: small(number) }), host(number, 1), 0);
  for (let number = 0; number < 2000; number++) swarms.announce(query(), crowd(200, number), 1000);
  assert.equal(swarms.peerCount, 1000);
  for (let number = 0; number < 100; number++)
    swarms.announce(query({ infoHash: small(number) }), host(number, 2), 2000);
  let lost = 0;
  for (let number = 0; number < 100; number++) {
    for (const which of [1, 2]) if (!isListed(swarms, host(number, which), small(number))) lost++;
  }
  assert.equal(swarms.peerCount, 1000);
  assert.ok(lost <= 4, `${lost} lost`);
});

test('entries that are removed no longer count', () => {
  const swarms = make({ entriesPerAddress: 4, limits: { peersPerSwarm: 8 } });
  for (let number = 0; number < 8; number++) swarms.announce(query(), crowd(1, number), 0);
  for (let number = 0; number < 8; number++) swarms.announce(query({ event: 'stopped' }), crowd(1, number), 0);
  for (let net = 10; net < 18; net++) swarms.announce(query(), host(net, 1), 1000);
  // It has no entry now, so it is as good as any other.
  swarms.announce(query(), crowd(1, 1), 2000);
  assert.ok(isListed(swarms, crowd(1, 1)));
});

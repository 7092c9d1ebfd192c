import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { PeerTable } from '../../src/tracker/peer-table.js';
import { type AnnounceQuery, parseAnnounce, parseScrape } from '../../src/tracker/query.js';
import type { SwarmView } from '../../src/tracker/swarm-view.js';
import { Swarms } from '../../src/tracker/swarms.js';

const HASH = 'a'.repeat(20);
const INTERVAL_S = 100;

function compact(last: number, port = 6881, family: 4 | 6 = 4): Uint8Array {
  const bytes = new Uint8Array(family === 4 ? 6 : 18);
  bytes.set(family === 4 ? [10, 0, last >> 8, last & 255] : [0x20, 1]);
  if (family === 6) bytes.set([last >> 8, last & 255], 14);
  bytes.set([port >> 8, port & 255], bytes.length - 2);
  return bytes;
}

function query(overrides: Partial<AnnounceQuery> = {}): AnnounceQuery {
  const plain = { infoHash: HASH, peerId: 'p'.repeat(20), port: 6881, isSeed: false, event: '' as const };
  return { ...plain, numwant: -1, isCompact: true, noPeerId: true, ...overrides };
}

function picked(view: SwarmView | string): string[] {
  assert.ok(typeof view !== 'string', String(view));
  const four = view.picks4.slice(0, view.count4).map((slot) => view.table4.address(slot).toString('hex'));
  return [...four, ...view.picks6.slice(0, view.count6).map((slot) => view.table6.address(slot).toString('hex'))];
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const make = (overrides: Partial<ConstructorParameters<typeof Swarms>[0]> = {}): Swarms =>
  new Swarms({ intervalS: INTERVAL_S, registeredOnly: false, random: () => 0.5, ...overrides });

test('peers learn of each other, never of themselves', () => {
  const swarms = make();
  assert.deepEqual(picked(swarms.announce(query(), compact(1), 0)), []);
  assert.deepEqual(picked(swarms.announce(query(), compact(2), 0)), [hex(compact(1))]);
  assert.deepEqual(picked(swarms.announce(query(), compact(1), 0)), [hex(compact(2))]);
  assert.equal(swarms.peerCount, 2);
});

test('seeds are not given to seeds', () => {
  const swarms = make();
  swarms.announce(query({ isSeed: true }), compact(1), 0);
  swarms.announce(query(), compact(2), 0);
  assert.deepEqual(picked(swarms.announce(query({ isSeed: true }), compact(3), 0)), [hex(compact(2))]);
  const view = swarms.announce(query(), compact(4), 0) as SwarmView;
  assert.deepEqual(picked(view).sort(), [hex(compact(1)), hex(compact(2)), hex(compact(3))]);
  assert.deepEqual([view.complete, view.incomplete], [2, 2]);
});

test('a leech that completes is counted once, however often it says so', () => {
  const swarms = make();
  swarms.announce(query(), compact(1), 0);
  for (let i = 0; i < 3; i++) swarms.announce(query({ isSeed: true, event: 'completed' }), compact(1), 0);
  swarms.announce(query({ isSeed: false, event: 'completed' }), compact(2), 0);
  const { complete, incomplete, downloaded } = swarms.scrape(HASH)!;
  assert.deepEqual([complete, incomplete, downloaded], [1, 1, 1]);
});

test('stopped removes the peer and gets no peers, but not a newer peer at the same address', () => {
  const swarms = make();
  swarms.announce(query({ peerId: 'n'.repeat(20) }), compact(1), 0);
  swarms.announce(query(), compact(2), 0);
  swarms.announce(query({ peerId: 'o'.repeat(20), event: 'stopped' }), compact(1), 0);
  assert.equal(swarms.peerCount, 2);
  assert.deepEqual(picked(swarms.announce(query({ peerId: 'n'.repeat(20), event: 'stopped' }), compact(1), 0)), []);
  assert.equal(swarms.peerCount, 1);
  swarms.announce(query({ infoHash: 'z'.repeat(20), event: 'stopped' }), compact(1), 0);
  assert.equal(swarms.swarmCount, 1);
});

test('another peer id at the same address replaces the entry', () => {
  const swarms = make();
  swarms.announce(query({ isSeed: true }), compact(1), 0);
  swarms.announce(query({ peerId: 'q'.repeat(20) }), compact(1), 0);
  const view = swarms.announce(query(), compact(2), 0) as SwarmView;
  assert.equal(view.table4.peerId(view.picks4[0]!).toString(), 'q'.repeat(20));
  assert.deepEqual([view.complete, view.incomplete], [0, 2]);
});

test('a peer without a port is answered and not remembered', () => {
  const swarms = make();
  swarms.announce(query(), compact(1), 0);
  assert.deepEqual(picked(swarms.announce(query({ port: 0 }), compact(2, 0), 0)), [hex(compact(1))]);
  assert.equal(swarms.peerCount, 1);
  swarms.announce(query({ infoHash: 'z'.repeat(20), port: 0 }), compact(2, 0), 0);
  assert.equal(swarms.swarmCount, 1);
});

test('numwant is 50 by default and 200 at most, and samples are different peers', () => {
  const swarms = make();
  for (let last = 1; last <= 500; last++) swarms.announce(query(), compact(last), 0);
  for (const [numwant, expected] of [
    [-1, 50],
    [0, 0],
    [1, 1],
    [199, 199],
    [1e9, 200],
  ] as const) {
    const sample = picked(swarms.announce(query({ numwant }), compact(7), 0));
    assert.equal(new Set(sample).size, expected);
    assert.equal(sample.length, expected);
    assert.ok(!sample.includes(hex(compact(7))));
  }
});

test('both families are given, the own one first, the other one a quarter', () => {
  const swarms = make();
  for (let last = 1; last <= 100; last++) {
    swarms.announce(query(), compact(last), 0);
    swarms.announce(query(), compact(last, 6881, 6), 0);
  }
  const four = swarms.announce(query({ numwant: 40 }), compact(1), 0) as SwarmView;
  assert.deepEqual([four.count4, four.count6], [30, 10]);
  const six = swarms.announce(query({ numwant: 40 }), compact(1, 6881, 6), 0) as SwarmView;
  assert.deepEqual([six.count4, six.count6], [10, 30]);
  const only = make();
  only.announce(query(), compact(1), 0);
  assert.equal((only.announce(query(), compact(1, 6881, 6), 0) as SwarmView).count4, 1);
});

test('every peer is about equally likely to be given', () => {
  let state = 1;
  const random = (): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
  const swarms = make({ random });
  for (let last = 1; last <= 23; last++) swarms.announce(query(), compact(last), 0);
  const counts = new Map<string, number>();
  for (let i = 0; i < 2000; i++) {
    for (const peer of picked(swarms.announce(query({ numwant: 5 }), compact(9), 0)))
      counts.set(peer, (counts.get(peer) ?? 0) + 1);
  }
  assert.equal(counts.size, 22);
  for (const [peer, count] of counts) assert.ok(count > 250 && count < 750, `${peer} ${count}`);
});

test('loopback addresses are given on this machine only', () => {
  const swarms = make();
  const local = Uint8Array.from([127, 0, 0, 1, 1, 1]);
  const local6 = Uint8Array.from([...new Array(15).fill(0), 1, 1, 1]);
  swarms.announce(query(), local, 0);
  swarms.announce(query(), local6, 0);
  assert.deepEqual(picked(swarms.announce(query(), compact(1), 0)), []);
  assert.equal(picked(swarms.announce(query(), Uint8Array.from([127, 0, 0, 1, 2, 2]), 0)).length, 3);
});

test('a peer silent for two intervals and the slack is forgotten by the announces of others', () => {
  const swarms = make();
  for (let last = 1; last <= 50; last++) swarms.announce(query(), compact(last), 0);
  const expiredMs = (swarms.expiryS + 1) * 1000;
  for (let i = 0; i < 60; i++) swarms.announce(query(), compact(1), expiredMs - 2000);
  assert.equal(swarms.peerCount, 50);
  for (let i = 0; i < 60; i++) swarms.announce(query(), compact(1), expiredMs);
  assert.equal(swarms.peerCount, 1);
});

test('a swarm that becomes empty is forgotten unless it is registered', () => {
  const swarms = make();
  swarms.register('r'.repeat(20), null);
  for (const infoHash of ['r', 's', 't', 'u']) swarms.announce(query({ infoHash: infoHash.repeat(20) }), compact(1), 0);
  swarms.sweep(1e9, 100);
  assert.deepEqual([swarms.swarmCount, swarms.peerCount], [1, 0]);
  assert.ok(swarms.scrape('r'.repeat(20)) !== null);
  assert.equal(swarms.scrape('s'.repeat(20)), null);
  swarms.sweep(2e9, 100);
});

test('a registered-only tracker refuses other torrents and remembers nothing of them', () => {
  const swarms = make({ registeredOnly: true });
  swarms.register(HASH, 7000);
  assert.equal(
    swarms.announce(query({ infoHash: 'x'.repeat(20) }), compact(1), 0),
    'this tracker does not serve this torrent',
  );
  assert.equal(swarms.swarmCount, 1);
  const leech = swarms.announce(query(), compact(1), 0) as SwarmView;
  assert.deepEqual([leech.seedPort, leech.complete], [7000, 1]);
  assert.equal((swarms.announce(query({ isSeed: true }), compact(2), 0) as SwarmView).seedPort, null);
  assert.equal((swarms.announce(query({ event: 'stopped' }), compact(1), 0) as SwarmView).seedPort, null);
});

test('where ours is no seed yet, seeds are told of it, and it counts as a leech', () => {
  const leeching = new Set([HASH]);
  const registry = { has: () => true, seedPort: 7000, isLeech: (infoHash: string) => leeching.has(infoHash) };
  const swarms = make({ registeredOnly: true, registry });
  const seed = swarms.announce(query({ isSeed: true }), compact(1), 0) as SwarmView;
  assert.deepEqual([seed.seedPort, seed.complete, seed.incomplete], [7000, 1, 1]);
  leeching.clear();
  const again = swarms.announce(query({ isSeed: true }), compact(1), 0) as SwarmView;
  assert.deepEqual([again.seedPort, again.complete, again.incomplete], [null, 2, 0]);
});

test('a table behaves like a map from address to peer through any sequence of changes', () => {
  const change = fc.record({
    last: fc.integer({ min: 0, max: 40 }),
    isSeed: fc.boolean(),
    isRemoval: fc.boolean(),
    id: fc.constantFrom('x', 'y', '\u00ff'),
  });
  fc.assert(
    fc.property(fc.constantFrom(4 as const, 6 as const), fc.array(change, { maxLength: 200 }), (family, changes) => {
      const table = new PeerTable(family === 4 ? 6 : 18);
      const model = new Map<string, { isSeed: boolean; id: string; seenAtS: number }>();
      for (const [step, { last, isSeed, isRemoval, id }] of changes.entries()) {
        const address = compact(last, 1000 + last, family);
        if (isRemoval) {
          const slot = table.find(address);
          assert.equal(slot >= 0, model.delete(hex(address)));
          if (slot >= 0) table.remove(slot);
        } else {
          const slot = table.put(table.find(address), address, id.repeat(20), isSeed, step);
          assert.equal(slot, table.find(address));
          model.set(hex(address), { isSeed, id, seenAtS: step });
        }
        assert.equal(table.count, model.size);
        assert.equal(table.seedCount, [...model.values()].filter((peer) => peer.isSeed).length);
      }
      for (let slot = 0; slot < table.count; slot++) {
        const peer = model.get(hex(table.address(slot)))!;
        assert.equal(table.isSeed(slot), peer.isSeed);
        assert.equal(table.peerId(slot).toString('latin1'), peer.id.repeat(20));
        assert.equal(table.seenAtS(slot), peer.seenAtS);
        assert.equal(table.find(table.address(slot)), slot);
      }
    }),
  );
});

test('ten thousand peers that come and go are found, and nobody else', () => {
  for (const [recordBytes, secret] of [
    [6, 0],
    [18, 12345],
  ] as const) {
    const table = new PeerTable(recordBytes, secret);
    const family = recordBytes === 6 ? 4 : 6;
    const address = (n: number) => compact(n % 7, 1 + n, family);
    for (let n = 0; n < 10_000; n++) table.put(-1, address(n), 'p'.repeat(20), n % 3 === 0, n);
    for (let n = 0; n < 10_000; n++) if (n % 5 !== 0) table.remove(table.find(address(n)));
    for (let n = 0; n < 10_001; n++) assert.equal(table.find(address(n)) >= 0, n % 5 === 0 && n < 10_000, `${n}`);
    assert.equal(table.count, 2000);
  }
});

test('a full sample is every peer, and no sample holds the excepted one or a peer twice', () => {
  const scene = fc.record({
    seeds: fc.nat(12),
    leeches: fc.nat(12),
    wanted: fc.nat(30),
    leechesOnly: fc.boolean(),
    except: fc.integer({ min: -1, max: 30 }),
  });
  fc.assert(
    fc.property(
      scene,
      fc.double({ min: 0, max: 0.9999, noNaN: true }),
      ({ seeds, leeches, wanted, leechesOnly, except }, dice) => {
        const table = new PeerTable(6);
        for (let last = 0; last < seeds + leeches; last++)
          table.put(-1, compact(last), 'p'.repeat(20), last < seeds, 0);
        const spared = except < table.count ? except : -1;
        const out: number[] = [];
        const count = table.sample(leechesOnly, spared, wanted, () => dice, out);
        const slots = out.slice(0, count);
        const eligible = [...Array(table.count).keys()].filter(
          (slot) => slot !== spared && !(leechesOnly && table.isSeed(slot)),
        );
        assert.equal(table.sampleSize(leechesOnly, spared), eligible.length);
        assert.equal(count, Math.min(wanted, eligible.length));
        assert.equal(new Set(slots).size, count);
        for (const slot of slots) assert.ok(eligible.includes(slot));
      },
    ),
  );
});

test('queries are read as raw bytes', () => {
  const parsed = parseAnnounce(
    'info_hash=%00%ff+abcdefghijklmnopq&peer_id=-SH0001-%2Bbcdefghijkl&port=6881&left=0&event=started&numwant=5' +
      '&compact=0&no_peer_id=1&key=zz&ip=1.2.3.4&&x',
  );
  assert.deepEqual(parsed, {
    infoHash: '\u0000\u00ff+abcdefghijklmnopq',
    peerId: '-SH0001-+bcdefghijkl',
    port: 6881,
    isSeed: true,
    event: 'started',
    numwant: 5,
    isCompact: false,
    noPeerId: true,
  });
});

test('every bad parameter is named', () => {
  const good: Record<string, string> = { info_hash: HASH, peer_id: HASH, port: '1', left: '1' };
  const fail = (changes: Record<string, string | null>): unknown =>
    parseAnnounce(
      Object.entries({ ...good, ...changes })
        .filter(([, value]) => value !== null)
        .map(([name, value]) => `${name}=${value}`)
        .join('&'),
    );
  assert.equal(typeof fail({}), 'object');
  const cases: [Record<string, string | null>, RegExp][] = [
    [{ info_hash: null }, /info_hash is missing/],
    [{ info_hash: '' }, /info_hash must be 20 bytes/],
    [{ info_hash: 'a'.repeat(19) }, /info_hash must be 20 bytes/],
    [{ info_hash: `${'a'.repeat(19)}%` }, /info_hash must be 20 bytes/],
    [{ info_hash: `${'a'.repeat(19)}%0g` }, /info_hash must be 20 bytes/],
    [{ info_hash: `${'a'.repeat(19)}\u0100` }, /info_hash must be 20 bytes/],
    [{ info_hash: '%41'.repeat(500) }, /info_hash must be 20 bytes/],
    [{ info_hash: `${HASH}&info_hash=${HASH}` }, /info_hash is given twice/],
    [{ peer_id: null }, /peer_id is missing/],
    [{ peer_id: 'x' }, /peer_id must be 20 bytes/],
    [{ peer_id: `${HASH}&peer_id=${HASH}` }, /peer_id is given twice/],
    [{ port: null }, /port is missing/],
    [{ port: '65536' }, /port must be 0 to 65535/],
    [{ port: '-1' }, /port must be/],
    [{ port: '1e3' }, /port must be/],
    [{ left: 'many' }, /left must be/],
    [{ left: '1'.repeat(30) }, /left must be/],
    [{ uploaded: 'x' }, /uploaded must be/],
    [{ downloaded: '-5' }, /downloaded must be/],
    [{ numwant: '-2' }, /numwant must be/],
    [{ event: 'exploded' }, /event must be/],
  ];
  for (const [changes, message] of cases) {
    const failure = fail(changes);
    assert.ok(
      typeof failure === 'string' && message.test(failure),
      `${JSON.stringify(changes)}: ${JSON.stringify(failure)}`,
    );
  }
});

test('any query gives an announce or a failure reason in ASCII', () => {
  const part = fc.constantFrom(
    'info_hash',
    'peer_id',
    'port',
    '=',
    '&',
    '%',
    '%00',
    HASH,
    '1',
    '-',
    'event',
    'started',
    '\u00e9',
    '\u{1f600}',
  );
  fc.assert(
    fc.property(fc.array(part, { maxLength: 40 }), (parts) => {
      for (const result of [parseAnnounce(parts.join('')), parseScrape(parts.join(''))]) {
        if (typeof result === 'string') assert.match(result, /^[ -~]+$/);
      }
    }),
  );
});

test('a scrape names at least one info-hash and not too many', () => {
  assert.deepEqual(parseScrape(`info_hash=${HASH}&x=1&info_hash=%62${'b'.repeat(19)}`), [HASH, 'b'.repeat(20)]);
  assert.equal(parseScrape(''), 'info_hash is missing');
  assert.match(String(parseScrape('info_hash=abc')), /20 bytes/);
  assert.match(String(parseScrape(Array.from({ length: 101 }, () => `info_hash=${HASH}`).join('&'))), /more than 100/);
});

/** Facts in, problems out, as a table; and the record of who was tried. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { TrackerReport } from '../../src/api.js';
import { LIMITS } from '../../src/config.js';
import { Contacts } from '../../src/torrent/contacts.js';
import { type HealthFacts, healthOf, waitingFor } from '../../src/torrent/health.js';

const URL_A = 'http://a/announce';

function tracker(outcome: TrackerReport['outcome'], message = '', failures = 0, url = URL_A): TrackerReport {
  return { url, outcome, message, failures };
}

const ANSWERED = tracker('ok', 'started, 1 peers');
const REFUSED = tracker('failure', `tracker ${URL_A}: connection refused`, 3);
const WEB = tracker('unsupported', 'wss trackers are not supported yet', 0, 'wss://b:80');

/** A download at full speed. */
const WELL: HealthFacts = {
  goal: 'download',
  trackers: [ANSWERED],
  areTrackersGiven: false,
  dhtNodes: null,
  peers: 2,
  webSeeds: [],
  holders: 2,
  servers: 2,
  known: 5,
  failures: [],
  banned: 0,
  lastBan: null,
  withoutPeersMs: 0,
  nothingCameMs: 0,
  diskBehindMs: 0,
  syncingMs: 0,
  memoryShortMs: 0,
  paused: null,
  badPieces: 0,
  doorTrouble: null,
  mappingTrouble: null,
};

const ALONE: Partial<HealthFacts> = { peers: 0, holders: 0, servers: 0, withoutPeersMs: 5_000, nothingCameMs: 5_000 };
const UNREACHED = [
  { reason: 'connection refused', addresses: 2, example: '10.0.0.1:6881' },
  { reason: 'no handshake within 10 s', addresses: 1, example: '10.0.0.2:6881' },
];
const LATER = new Date(1e12);
const LIAR = { address: '10.0.0.5:6881', reason: 'sent corrupt data', until: LATER };

describe('the health of a torrent', () => {
  const cases: [title: string, facts: Partial<HealthFacts>, codes: string, waits: RegExp | null][] = [
    ['well', {}, '', null],
    ['checking', { ...ALONE, goal: 'nothing' }, '', null],
    [
      'checking without files',
      { goal: 'nothing', paused: 'too many open files' },
      'paused',
      /^paused: too many open f/,
    ],
    ['a door that does not open', { doorTrouble: 'too many open files' }, 'not-accepting', null],
    ['a gateway that maps no port', { mappingTrouble: 'no gateway answers' }, 'port-not-mapped', null],
    ['a seed behind such a door', { goal: 'seed', doorTrouble: 'too many open files' }, 'not-accepting', null],
    ['just begun', { ...ALONE, withoutPeersMs: 1000, trackers: [tracker('waiting')] }, '', null],
    ['nobody known', { ...ALONE, known: 0 }, 'no-peers', /^no peers: the trackers know none$/],
    [
      'no tracker',
      { ...ALONE, known: 0, trackers: [] },
      'no-peers no-trackers',
      /^no peers: .*; the torrent names no t/,
    ],
    ['wss only', { ...ALONE, known: 0, trackers: [WEB] }, 'no-peers unusable-trackers', /only trackers that cannot/],
    ['wss and http', { ...ALONE, known: 0, trackers: [WEB, ANSWERED] }, 'no-peers', /know none$/],
    [
      'tracker down',
      { ...ALONE, known: 0, trackers: [REFUSED] },
      'no-peers tracker-failing',
      /none is known; tracker http:\/\/a\/announce: connection refused \(3 times\)$/,
    ],
    [
      'tracker silent',
      { ...ALONE, known: 0, trackers: [tracker('waiting')] },
      'no-peers tracker-silent',
      /tracker http:\/\/a\/announce has not answered yet$/,
    ],
    [
      'a DHT of which no node is known',
      { ...ALONE, known: 0, trackers: [], dhtNodes: 0 },
      'no-peers no-trackers dht-alone',
      /^no peers: none is known; .*; no node of the DHT is known; name one that is up with --dht-node/,
    ],
    ['a DHT that knows nobody', { ...ALONE, known: 0, dhtNodes: 9 }, 'no-peers', /know none$/],
    ['dialling', { ...ALONE, known: 3 }, 'no-peers', /^no peer has answered yet, 3 known$/],
    [
      'nobody reached',
      { ...ALONE, known: 3, failures: UNREACHED },
      'unreachable-peers',
      /^3 of 3 known peers cannot be reached \(10\.0\.0\.1:6881: connection refused\)$/,
    ],
    ['one unreached', { ...ALONE, known: 1, failures: UNREACHED.slice(1) }, 'unreachable-peers', /^the one known peer/],
    [
      'all banned',
      { ...ALONE, known: 0, banned: 1, lastBan: LIAR },
      'all-banned',
      /^every known peer is banned \(10\.0\.0\.5:6881: sent corrupt data\)$/,
    ],
    ['no seed', { nothingCameMs: 7_000, holders: 0, servers: 0 }, 'no-seed', /^2 connected peers have nothing that is/],
    [
      'choked',
      { nothingCameMs: 7_000, servers: 0 },
      'choked',
      /^2 peers have what is missing here, none serves us yet$/,
    ],
    ['no progress', { nothingCameMs: 7_000 }, 'no-progress', /^2 peers have what .*, nothing has come for 7 s$/],
    ['between two blocks', { nothingCameMs: 2_000 }, '', null],
    ['data comes, a tracker fails', { trackers: [REFUSED] }, 'tracker-failing', null],
    ['data comes without a tracker', { trackers: [] }, '', null],
    [
      'disk behind',
      { diskBehindMs: 6_000, nothingCameMs: 7_000 },
      'disk-slow',
      /^the disk is slow: .* behind for 6 s$/,
    ],
    ['little memory, a little comes', { memoryShortMs: 9_000 }, 'memory-short', null],
    [
      'little memory, nothing comes',
      { memoryShortMs: 9_000, nothingCameMs: 9_000 },
      'memory-short',
      /^other torrents hold the memory for open pieces, for 9 s now$/,
    ],
    ['a short wait for memory', { memoryShortMs: 2_000 }, '', null],
    ['a long sync beside the download', { syncingMs: 20_000 }, 'disk-slow', null],
    ['a long last sync', { ...ALONE, goal: 'saving', syncingMs: 20_000 }, 'disk-slow', /behind for 20 s$/],
    [
      'paused',
      { ...ALONE, paused: 'the disk is full', known: 0 },
      'paused no-peers',
      /^paused: the disk is full; no peers/,
    ],
    ['a seed alone', { ...ALONE, goal: 'seed' }, '', null],
    ['a seed without trackers', { ...ALONE, goal: 'seed', trackers: [] }, 'no-trackers', null],
    ['a seed with bad pieces', { goal: 'seed', badPieces: 2, trackers: [REFUSED] }, 'bad-pieces tracker-failing', null],
    [
      'an idle download with a bad piece',
      { nothingCameMs: 7_000, servers: 0, badPieces: 1 },
      'choked bad-pieces',
      /none serves us yet; one piece has gone bad on disk/,
    ],
    ['a seed that wants none', { goal: 'seed', trackers: [], areTrackersGiven: true }, '', null],
    ['a seed whose tracker is down', { goal: 'seed', trackers: [REFUSED] }, 'tracker-failing', null],
  ];
  for (const [title, facts, codes, waits] of cases) {
    test(title, () => {
      const health = healthOf({ ...WELL, ...facts });
      assert.equal(health.map(({ code }) => code).join(' '), codes);
      const line = waitingFor(health);
      if (waits === null) assert.equal(line, null);
      else assert.match(line ?? '', waits);
    });
  }

  test('names a few trackers of many', () => {
    const trackers = Array.from({ length: 100 }, (_, i) => tracker('failure', 'down', 1, `http://${i}/announce`));
    const health = healthOf({ ...WELL, ...ALONE, known: 0, trackers });
    assert.equal(health.length, 6);
    assert.match(waitingFor(health)!, /; and 3 more$/);
    assert.deepEqual(health[1]!.facts, { url: 'http://0/announce', failures: 1 });
  });
});

describe('the record of contacts', () => {
  test('counts addresses by their last outcome', () => {
    const contacts = new Contacts();
    contacts.dialFailed('a:1', 'connection refused');
    contacts.dialFailed('a:1', 'connection refused');
    contacts.dialFailed('b:1', 'connection refused');
    contacts.dialFailed('c:1', 'host unreachable');
    contacts.dialFailed('d:1', 'host unreachable');
    contacts.becamePeer('a:1');
    assert.deepEqual(contacts.failures, [
      { reason: 'host unreachable', addresses: 2, example: 'd:1' },
      { reason: 'connection refused', addresses: 1, example: 'b:1' },
    ]);
    contacts.left('a:1', 'connection reset');
    contacts.ban('c:1', 'sent corrupt data', LATER);
    assert.deepEqual(
      contacts.failures.map(({ reason, addresses }) => `${addresses} ${reason}`),
      ['1 connection refused', '1 host unreachable', '1 connection reset'],
    );
    assert.deepEqual(contacts.bans, [{ address: 'c:1', reason: 'sent corrupt data', until: LATER }]);
    assert.deepEqual([contacts.failed, contacts.connected, contacts.banned], [5, 1, 1]);
  });

  test('stays small whatever is tried', () => {
    const contacts = new Contacts();
    for (let i = 0; i < LIMITS.knownAddresses + 1000; i++) contacts.dialFailed(`host${i}:1`, `reason ${i}`);
    for (let i = 0; i < 100; i++) contacts.ban(`host${i}:2`, 'sent corrupt data', LATER);
    const { failures, bans } = contacts;
    assert.ok(failures.length <= 33);
    assert.equal(
      failures.reduce((sum, { addresses }) => sum + addresses, 0),
      LIMITS.knownAddresses,
    );
    assert.equal(bans.length, 20);
    assert.equal(bans.at(-1)!.address, 'host99:2');
  });
});

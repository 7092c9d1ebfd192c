/**
 * What any table of peers must do that a tracker answers from, seen through announces and scrapes: the one in memory
 * alone, and those of several trackers that share one. Whoever makes another calls `testPeerTable` in a test file.
 */
import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { openScope, type Scope } from '../../lab/scope.js';
import type { AnnounceQuery } from '../../src/tracker/query.js';
import type { SwarmView } from '../../src/tracker/swarm-view.js';
import type { Swarms } from '../../src/tracker/swarms.js';

export type Answering = Pick<Swarms, 'announce' | 'scrape'>;

export interface PeerTableMaker {
  /** Two ways to one table, empty; a tracker on its own is both. The scope closes them. */
  make(scope: Scope): Promise<PeerTable>;
  /** All of it goes by the clock that `pass` sets: who falls silent is looked at, too. */
  readonly isTimed: boolean;
  /** Skips the test where something it needs is not there, and says so. */
  isSkipped?(test: TestContext): Promise<boolean>;
}

export interface PeerTable {
  readonly one: Answering;
  readonly other: Answering;
  readonly now: () => number;
  /** Time for one to hear of what was said at the other of swarms that were asked for just now. */
  settle(): Promise<void>;
  /** Time goes by, and nobody announces. */
  pass(ms: number): Promise<void>;
}

/** No UTF-8, as hashes are. */
const HASH = '\x00\xff\x80 aé\r\n'.padEnd(20, '\xfe');
const NEAR_HASH = `${HASH.slice(0, 19)}\xff`;
const OTHER_HASH = 'b'.repeat(20);
const HASHES = [HASH, NEAR_HASH, OTHER_HASH];
/** After which a tracker has forgotten who is silent, with an interval of two minutes. */
const EXPIRY_MS = 301_000;

/** One of the two, asked by peers that have numbers. */
class Door {
  readonly #table: Answering;
  readonly #now: () => number;

  constructor(table: Answering, now: () => number) {
    this.#table = table;
    this.#now = now;
  }

  announce(infoHash: string, last: number, more: Partial<AnnounceQuery> = {}, family: 4 | 6 = 4): SwarmView {
    const peerId = `-XX0001-${last}`.padEnd(20, '\xff');
    const plain = { infoHash, peerId, port: 6881, isSeed: false, event: '' as const, numwant: 50 };
    const query = { ...plain, isCompact: true, noPeerId: true, ...more };
    const view = this.#table.announce(query, addressOf(last, query.port, family), this.#now());
    assert.ok(typeof view !== 'string', String(view));
    return view;
  }

  /** Who is named to this one. */
  names(infoHash: string, last: number, more: Partial<AnnounceQuery> = {}, family: 4 | 6 = 4): number[] {
    return peersOf(this.announce(infoHash, last, more, family)).map(({ number }) => number);
  }

  /** Asked by one that is not kept. */
  ask(infoHash: string, numwant = 0): SwarmView {
    return this.announce(infoHash, 999, { numwant, port: 0 });
  }

  peers(infoHash: string): readonly Named[] {
    return peersOf(this.ask(infoHash, 200));
  }

  counts(infoHash: string): [seeds: number, leeches: number] {
    const { complete = 0, incomplete = 0 } = this.#table.scrape(infoHash, this.#now()) ?? {};
    return [complete, incomplete];
  }
}

interface Named {
  readonly number: number;
  readonly peerId: string;
  readonly zone: string;
}

function addressOf(last: number, port: number, family: 4 | 6): Uint8Array {
  const bytes = new Uint8Array(family === 4 ? 6 : 18);
  bytes.set(family === 4 ? [192, 0] : [0x20, 1, 0xd, 0xb8]);
  bytes.set([last >> 8, last & 255, port >> 8, port & 255], bytes.length - 4);
  return bytes;
}

function peersOf({ picks4, picks6, count4, count6, table4, table6 }: SwarmView): Named[] {
  const of = (table: SwarmView['table4'], slots: readonly number[]): Named[] =>
    slots.map((slot) => {
      const address = table.address(slot);
      const number = address.readUInt16BE(address.length - 4);
      return { number, peerId: table.peerId(slot).toString('latin1'), zone: table.zoneOf(slot) };
    });
  const all = [...of(table4, picks4.slice(0, count4)), ...of(table6, picks6.slice(0, count6))];
  return all.sort((a, b) => a.number - b.number);
}

type Look = (doors: {
  readonly one: Door;
  readonly other: Door;
  readonly settle: () => Promise<void>;
}) => Promise<void>;

const RULES: Readonly<Record<string, Look>> = {
  'who announces is named to the others, wherever they ask, and never to itself': async ({ one, other, settle }) => {
    one.announce(HASH, 1);
    other.announce(HASH, 2);
    await settle();
    assert.deepEqual([one.names(HASH, 1), other.names(HASH, 2)], [[2], [1]]);
    assert.deepEqual([one.names(HASH, 3), other.names(HASH, 3)], Array(2).fill([1, 2]));
  },

  'swarms are apart, down to the last byte of the info-hash': async ({ one, other, settle }) => {
    one.announce(HASH, 1);
    other.announce(NEAR_HASH, 2);
    await settle();
    assert.deepEqual([other.names(HASH, 9), one.names(NEAR_HASH, 9), one.names(OTHER_HASH, 9)], [[1], [2], []]);
  },

  'seeds and leeches are counted, each once, and a seed is not told of seeds': async ({ one, other, settle }) => {
    one.announce(HASH, 1, { isSeed: true });
    other.announce(HASH, 2);
    await settle();
    for (const door of [one, other, one, other]) door.announce(HASH, 3, { isSeed: true });
    await settle();
    assert.deepEqual([one.counts(HASH), other.counts(HASH)], Array(2).fill([2, 1]));
    assert.deepEqual([one.names(HASH, 3, { isSeed: true }), other.names(HASH, 1, { isSeed: true })], [[2], [2]]);
    assert.deepEqual([one.counts(OTHER_HASH), other.counts(OTHER_HASH)], Array(2).fill([0, 0]));
  },

  'a leech that has all is a seed, wherever it says so': async ({ one, other, settle }) => {
    one.announce(HASH, 1);
    await settle();
    other.announce(HASH, 2);
    other.announce(HASH, 1, { isSeed: true, event: 'completed' });
    await settle();
    assert.deepEqual([one.counts(HASH), other.counts(HASH)], Array(2).fill([1, 1]));
  },

  'who stops is gone, wherever it says so, and is there again when it announces': async ({ one, other, settle }) => {
    for (const last of [1, 2, 3]) one.announce(HASH, last);
    await settle();
    one.announce(HASH, 1, { event: 'stopped' });
    other.announce(HASH, 2, { event: 'stopped' });
    await settle();
    assert.deepEqual([numbers(one), numbers(other)], [[3], [3]]);
    one.announce(HASH, 1);
    await settle();
    assert.deepEqual([numbers(one), numbers(other)], Array(2).fill([1, 3]));
  },

  'a late farewell of another run at the same address takes nobody away': async ({ one, other, settle }) => {
    one.announce(HASH, 1, { peerId: 'new'.padEnd(20, '\xff') });
    await settle();
    for (const door of [one, other]) door.announce(HASH, 1, { peerId: 'old'.padEnd(20, '\xff'), event: 'stopped' });
    await settle();
    assert.deepEqual([numbers(one), numbers(other)], [[1], [1]]);
  },

  'an address is one peer: the last that announced from there': async ({ one, other, settle }) => {
    one.announce(HASH, 1, { peerId: 'a'.repeat(20), isSeed: true });
    await settle();
    other.announce(HASH, 1, { peerId: 'b'.repeat(20) });
    await settle();
    assert.deepEqual([one.counts(HASH), other.counts(HASH)], Array(2).fill([0, 1]));
    for (const door of [one, other])
      assert.deepEqual(
        door.peers(HASH).map(({ peerId }) => peerId),
        ['b'.repeat(20)],
      );
  },

  'who has no port is answered and not kept, nor is one that only says goodbye': async ({ one, other, settle }) => {
    one.announce(HASH, 1);
    await settle();
    assert.deepEqual(other.names(HASH, 2, { port: 0 }), [1]);
    other.announce(HASH, 3, { event: 'stopped' });
    await settle();
    assert.deepEqual([one.names(HASH, 1), one.counts(HASH)], [[], [0, 1]]);
  },

  'both families are kept and named': async ({ one, other, settle }) => {
    one.announce(HASH, 1);
    one.announce(HASH, 2, {}, 6);
    await settle();
    assert.deepEqual(other.names(HASH, 8), [1, 2]);
    assert.deepEqual(other.names(HASH, 9, {}, 6), [1, 2, 8]);
    assert.deepEqual(other.counts(HASH), [0, 4]);
  },

  'of many as many are named as are wanted, different ones, and the zone stays': async ({ one, other, settle }) => {
    for (let last = 1; last <= 240; last++) one.announce(HASH, last, { zone: `rack-${last % 3}` });
    await settle();
    for (const door of [one, other])
      for (const [numwant, expected] of [
        [-1, 50],
        [0, 0],
        [7, 7],
        [1e6, 200],
      ] as const) {
        const names = door.names(HASH, 999, { numwant, port: 0 });
        assert.deepEqual([names.length, new Set(names).size], [expected, expected], `${numwant}`);
      }
    assert.deepEqual([one.counts(HASH), other.counts(HASH)], Array(2).fill([0, 240]));
    for (const door of [one, other])
      for (const { number, zone } of door.peers(HASH)) assert.equal(zone, `rack-${number % 3}`);
  },
};

type TimedLook = (doors: Parameters<Look>[0] & { readonly pass: (ms: number) => Promise<void> }) => Promise<void>;

/** Where the clock can be set. */
const TIMED: Readonly<Record<string, TimedLook>> = {
  'who is silent for two intervals is forgotten, and nobody who spoke': async ({ one, other, settle, pass }) => {
    one.announce(HASH, 1);
    other.announce(HASH, 2);
    await settle();
    await pass(EXPIRY_MS / 2);
    one.announce(HASH, 1);
    await settle();
    await pass(EXPIRY_MS / 2 + 5_000);
    assert.deepEqual([numbers(one), numbers(other)], [[1], [1]]);
    await pass(EXPIRY_MS);
    assert.deepEqual([one.counts(HASH), other.counts(HASH)], Array(2).fill([0, 0]));
  },
};

const numbers = (door: Door): number[] => door.peers(HASH).map(({ number }) => number);

export function testPeerTable(name: string, { make, isSkipped = async () => false, isTimed }: PeerTableMaker): void {
  const rule = (title: string, look: TimedLook): void => {
    test(title, async (t) => {
      if (await isSkipped(t)) return;
      const table = await make(openScope(t));
      const [one, other] = [new Door(table.one, table.now), new Door(table.other, table.now)];
      const settle = async (): Promise<void> => {
        // Of a swarm that nobody asked for a tracker may know nothing yet.
        for (let round = 0; round < 2; round++) {
          for (const infoHash of HASHES) for (const door of [one, other]) door.ask(infoHash);
          await table.settle();
        }
      };
      await look({ one, other, settle, pass: (ms) => table.pass(ms) });
    });
  };
  describe(`${name} as a table of peers`, () => {
    for (const [title, look] of Object.entries(RULES)) rule(title, look);
    if (isTimed) for (const [title, look] of Object.entries(TIMED)) rule(title, look);
  });
}

/**
 * Fuzzing of local service discovery: datagrams that were changed at random, of several senders, and what is believed
 * of them after each: no exception, nobody but addresses of our networks and ports that can be dialled, no growth.
 * `node dist/test/lsd/fuzz.js SECONDS [SEED]` goes on for so long; a failure prints the round and the seed.
 */
import assert from 'node:assert/strict';
import { LSD_LIMITS } from '../../src/lsd/limits.js';
import { encodeSearch, hashesPerDatagram, parseSearch } from '../../src/lsd/messages.js';
import { Neighbours } from '../../src/lsd/neighbours.js';
import { isDialable } from '../../src/net/address.js';
import { makeRandom } from '../../src/random.js';
import { type FuzzOptions, fuzzFromShell, fuzzRounds } from '../support/fuzz.js';

const HOSTS = ['10.0.0.1', '10.0.0.2', '10.0.0.3', 'fe80::1%eth0', '8.8.8.8', '224.0.0.1', '0.0.0.0', '10.0.0.4'];
const WORDS = [
  '\r\n',
  '\n',
  '\r\n\r\n',
  ':',
  'Port: 0\r\n',
  'Port: 65536\r\n',
  'Port: 1\r\nPort: 2\r\n',
  'Port: 6.9\r\n',
  'Infohash: \r\n',
  `Infohash: ${'0'.repeat(40)}\r\n`,
  `Infohash: ${'g'.repeat(40)}\r\n`,
  'cookie: ours\r\n',
  'BT-SEARCH * HTTP/1.1\r\n',
  'NOTIFY',
  '\0',
  ' '.repeat(60),
];
const GROUP = '[ff15::efc0:988f]:6771';
const TORRENTS = 4;

class Fuzz {
  readonly random: () => number;
  nowMs = 0;
  told = 0;
  /** What the rounds met: without them they show nothing. */
  readonly met = { parsed: 0, refused: 0, found: 0 };
  readonly inMinute = new Map<number, number[]>();
  readonly neighbours: Neighbours;
  readonly hashes: string[];

  constructor(seed: number) {
    this.random = makeRandom(seed);
    this.hashes = Array.from({ length: TORRENTS }, () => this.bytes(20).toString('hex'));
    this.neighbours = new Neighbours({
      now: () => this.nowMs,
      port: 6881,
      cookie: 'ours',
      isOnLink: (host) => host.startsWith('10.') || host.startsWith('fe80:') || host.startsWith('2'),
      isOwn: (host) => host === '10.0.0.1',
      hashesPerDatagram: hashesPerDatagram(GROUP, 'ours'),
      send: (infoHashes) => this.#sent(infoHashes),
    });
    this.hashes.forEach((hash, index) => {
      this.neighbours.join(Buffer.from(hash, 'hex'), ({ host, port }) => {
        this.met.found++;
        assert.ok(isDialable({ host, port }) && HOSTS.includes(host) && host !== '8.8.8.8', `${host} ${port}`);
        assert.ok(!(host === '10.0.0.1' && port === 6881), 'ourselves');
        const times = (this.inMinute.get(index) ?? []).filter((atMs) => this.nowMs - atMs < 60_000);
        this.inMinute.set(index, [...times, this.nowMs]);
        // Of one window the end and of the next the begin.
        assert.ok(times.length < 2 * LSD_LIMITS.peersPerMinute);
      });
    });
  }

  bytes(count: number): Buffer {
    return Buffer.from(Uint8Array.from({ length: count }, () => this.below(256)));
  }

  below(count: number): number {
    return Math.floor(this.random() * count);
  }

  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)]!;
  }

  #sent(infoHashes: readonly string[]): void {
    this.told++;
    const datagram = encodeSearch(GROUP, 65_535, infoHashes, 'ours');
    assert.ok(datagram.length <= LSD_LIMITS.datagramBytes);
    assert.deepEqual(parseSearch(datagram), { port: 65_535, infoHashes, cookie: 'ours' });
  }

  mutate(bytes: Buffer): Buffer {
    let changed = bytes;
    for (let times = this.below(4); times > 0; times--) {
      const at = this.below(changed.length + 1);
      const word = this.below(3) === 0 ? this.bytes(this.below(4)) : Buffer.from(this.pick(WORDS), 'latin1');
      const after = changed.subarray(Math.min(changed.length, at + this.below(8)));
      changed = Buffer.concat([changed.subarray(0, at), word, after]);
    }
    return this.below(200) === 0
      ? Buffer.concat([changed, Buffer.alloc(this.below(70_000), this.pick(WORDS))])
      : changed;
  }

  round(): void {
    const count = this.below(27);
    const hashes = Array.from({ length: count }, () =>
      this.below(2) === 0 ? this.pick(this.hashes) : this.bytes(20).toString('hex'),
    );
    const cookie = this.below(4) === 0 ? 'ours' : this.bytes(8).toString('hex');
    const whole = encodeSearch(GROUP, this.below(70_000), hashes, cookie);
    const bytes = this.mutate(whole);
    const search = parseSearch(bytes);
    if (search === null) this.met.refused++;
    else {
      this.met.parsed++;
      assert.ok(search.port >= 1 && search.port <= 65_535 && search.infoHashes.length <= 28);
      assert.ok(search.infoHashes.every((hash) => /^[0-9a-f]{40}$/.test(hash)));
      assert.equal(new Set(search.infoHashes).size, search.infoHashes.length);
    }
    this.neighbours.receive(bytes, { host: this.pick(HOSTS), port: this.below(65_536) });
    this.nowMs += this.below(300);
    if (this.below(4) === 0) this.neighbours.announce(Buffer.from(this.pick(this.hashes), 'hex'));
    if (this.below(4) === 0) this.#flush();
  }

  #flush(): void {
    const before = this.told;
    this.neighbours.flush();
    assert.ok(this.told - before <= LSD_LIMITS.datagramsPerSecond);
  }
}

export interface FuzzOutcome {
  readonly rounds: number;
  /** Datagrams that were understood, and not. */
  readonly parsed: number;
  readonly refused: number;
  /** Peers that were told of. */
  readonly found: number;
  /** Datagrams that we sent. */
  readonly told: number;
}

export function fuzzNeighbours(options: FuzzOptions): FuzzOutcome {
  const fuzz = new Fuzz(options.seed);
  const rounds = fuzzRounds(() => fuzz.round(), options);
  return { rounds, told: fuzz.told, ...fuzz.met };
}

fuzzFromShell(import.meta.url, (options) => {
  const { rounds, parsed, found } = fuzzNeighbours(options);
  return `${rounds} datagrams, ${parsed} understood, ${found} peers`;
});

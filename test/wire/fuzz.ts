/**
 * Fuzzing of peer exchange: messages changed at random are parsed and given to a torrent's exchange, which is held to
 * what it promises. `node dist/test/wire/fuzz.js SECONDS [SEED]` goes on for so long; a failure prints round and seed.
 */
import assert from 'node:assert/strict';
import { LIMITS } from '../../src/config.js';
import { type Address, isDialable, toCompact } from '../../src/net/address.js';
import { mayName } from '../../src/net/reach.js';
import { makeRandom } from '../../src/random.js';
import { PeerExchange, type PexRemote } from '../../src/torrent/pex.js';
import { encodePex, parsePex } from '../../src/wire/pex.js';
import { type FuzzOptions, fuzzFromShell, fuzzRounds } from '../support/fuzz.js';

const HOSTS = ['8.8.8.8', '10.0.0.1', '127.0.0.1', '2001:db8::1', '224.0.0.1', '::1', '1.2.3.4', 'fe80::1'];
const WORDS = ['i-1e', '0:', 'le', 'de', '6:', '18:', '99999999999:', 'e', 'd', '5:added', '7:added.f', '6:added6'];

function message(random: () => number): Buffer {
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)]!;
  const peers = Array.from({ length: Math.floor(random() * 120) }, () => ({
    compact: toCompact({ host: pick(HOSTS), port: Math.floor(random() * 65_536) })!,
    flags: Math.floor(random() * 256),
  }));
  let bytes = encodePex(
    peers,
    peers.slice(0, 9).map(({ compact }) => compact),
  );
  for (let changes = Math.floor(random() * 4); changes > 0; changes--) {
    const at = Math.floor(random() * Math.min(bytes.length, random() < 0.5 ? 60 : bytes.length));
    const end = at + Math.floor(random() * 4);
    const word = random() < 0.5 ? Buffer.from(pick(WORDS)) : Buffer.from([Math.floor(random() * 256)]);
    bytes = Buffer.concat([bytes.subarray(0, at), word, bytes.subarray(end)]);
  }
  return bytes;
}

/** @returns how many rounds there were */
export function fuzzPex(options: FuzzOptions): number {
  const random = makeRandom(options.seed);
  let nowMs = 0;
  let found: readonly Address[] = [];
  let isClosed = false;
  const makeRemote = (host: string): PexRemote => ({
    host,
    listenPort: 1,
    isReachable: true,
    ownHost: '1.2.3.4',
    sendPex: () => true,
    close: () => {
      isClosed = true;
    },
  });
  const exchange = new PeerExchange({
    now: () => nowMs,
    random,
    listenPort: 6881,
    peers: () => [],
    isComplete: () => false,
    knownAddresses: () => 0,
    owner: {
      onPeers: (addresses) => {
        found = addresses;
      },
    },
  });
  let remote = makeRemote('8.8.8.8');
  return fuzzRounds(() => {
    const bytes = message(random);
    const parsed = parsePex(bytes, 50, random);
    assert.ok(parsed === null || parsed.length <= 50);
    for (const { address } of parsed ?? []) assert.ok(isDialable(address));
    if (isClosed || random() < 0.05) remote = makeRemote(HOSTS[Math.floor(random() * 3)]!);
    isClosed = false;
    found = [];
    nowMs += random() * 2 * LIMITS.pexIntervalMs;
    exchange.heard(remote, bytes);
    assert.ok(found.length <= LIMITS.pexAddresses);
    for (const { host } of found) assert.ok(mayName(remote.host, host));
  }, options);
}

fuzzFromShell(import.meta.url, (options) => `peer exchange: ${fuzzPex(options)} messages`);

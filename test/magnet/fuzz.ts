/**
 * Fuzzing of magnet links and of the messages that bring their metadata: texts and messages that were changed at random
 * are read, and peers that say anything at any time are asked. `node dist/test/magnet/fuzz.js SECONDS [SEED]` goes on
 * for so long; a failure prints the round and the seed.
 */
import assert from 'node:assert/strict';
import { LIMITS } from '../../src/config.js';
import { HaulError } from '../../src/errors.js';
import { Assembly } from '../../src/magnet/assembly.js';
import { formatMagnet, parseMagnet, selectedBy } from '../../src/magnet/link.js';
import { Throttle } from '../../src/peer/throttle.js';
import { makeRandom } from '../../src/random.js';
import { MetadataAnswers, MetadataShelf } from '../../src/torrent/metadata-answers.js';
import { encodeMetadataHead, encodeMetadataRequest, parseMetadataMessage } from '../../src/wire/metadata.js';
import { type FuzzOptions, fuzzFromShell, fuzzRounds } from '../support/fuzz.js';

const WORDS = [
  '&xt=urn:btih:',
  '&xt.1=urn:btmh:1220',
  'AAAQEAYEAUDAOCAJBIFQYDIOB4IBCEQT',
  '&so=0-4294967295',
  '&so=1,2,',
  '&x.pe=[::1]:0',
  '&tr=http%3A%2F%2F',
  '%',
  '%00',
  '%E2%80%AE',
  'i-1e',
  'i2147483648e',
  '8:msg_type',
  '5:piece',
  '10:total_size',
  'd',
  'e',
  'l',
  '99999999999:',
];
const LENGTHS = [1, 16_384, 16_385, 60_000, LIMITS.metadataBytes, LIMITS.metadataBytes + 1, 0, -1, 2 ** 31];
const METADATA = Buffer.alloc(40_000, 'metadata');

class Fuzz {
  readonly random: () => number;
  readonly answers = new MetadataAnswers(
    new MetadataShelf(METADATA, new Throttle([])),
    {
      host: '192.0.2.1',
      isClosing: false,
      give: (_piece, bytes) => assert.ok(bytes.length > 0),
      reject: () => {},
    },
    0,
  );
  readonly peers = new Set<number>();
  assembly = new Assembly<number>((metadata) => metadata.equals(METADATA));
  nowMs = 0;
  #nextPeer = 0;

  constructor(seed: number) {
    this.random = makeRandom(seed);
  }

  below(count: number): number {
    return Math.floor(this.random() * count);
  }

  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)]!;
  }

  bytes(count: number): Buffer {
    return Buffer.from(Uint8Array.from({ length: count }, () => this.below(256)));
  }

  mutate(bytes: Buffer): Buffer {
    let changed = bytes;
    for (let times = this.below(5); times > 0; times--) {
      const at = this.below(changed.length + 1);
      const word = this.below(3) === 0 ? this.bytes(this.below(4)) : Buffer.from(this.pick(WORDS));
      const after = changed.subarray(Math.min(changed.length, at + this.below(6)));
      changed = Buffer.concat([changed.subarray(0, at), word, after]);
    }
    return changed;
  }

  round(): void {
    this.#link();
    this.#message();
    for (let i = 0; i < 8; i++) this.#event();
  }

  #link(): void {
    const peers = [{ host: '192.0.2.7', port: 1 + this.below(65_535) }];
    const trackers = ['http://t.example:6969/announce'];
    const link = formatMagnet({ infoHash: this.bytes(20), displayName: 'a name', trackers, peers });
    try {
      const magnet = parseMagnet(this.mutate(Buffer.from(link)).toString());
      assert.equal(magnet.infoHash.length, 20);
      assert.ok(magnet.trackers.length <= LIMITS.magnetTrackers && magnet.peers.length <= LIMITS.magnetPeers);
      if (magnet.selectOnly !== null) assert.equal(selectedBy(magnet.selectOnly, 5).length, 5);
    } catch (error) {
      assert.ok(error instanceof HaulError, String(error));
      assert.ok(!error.message.includes('\n') && !error.message.includes('\x1b'), error.message);
    }
  }

  #message(): void {
    const head = this.below(2) === 0 ? encodeMetadataHead(this.below(9), 40_000) : encodeMetadataRequest(this.below(9));
    const message = parseMetadataMessage(this.mutate(Buffer.concat([head, this.bytes(this.below(30))])));
    if (message === null || 'code' in message) return;
    assert.ok(message.piece >= 0);
    if (message.type === 'request') this.answers.asked(message.piece, this.nowMs);
  }

  /** Something happens to one of the peers of an assembly. */
  #event(): void {
    this.nowMs += this.below(3_000);
    if (this.peers.size < 20 && this.below(4) === 0) {
      this.peers.add(++this.#nextPeer);
      this.assembly.add(this.#nextPeer);
    }
    if (this.peers.size === 0) return;
    const peer = this.pick([...this.peers]);
    const kind = this.below(8);
    if (kind === 0) this.#drop(peer);
    else if (kind === 1) this.#heed(peer, this.assembly.sized(peer, this.pick([...LENGTHS, 40_000, 40_000, null])));
    else if (kind === 2) this.#heed(peer, this.assembly.rejected(peer, this.below(4), this.nowMs));
    else if (kind === 3) for (const silent of this.assembly.tick(this.nowMs)) this.#drop(silent);
    else this.#ask(peer);
  }

  #ask(peer: number): void {
    const asked: number[] = [];
    for (let piece = 0; piece !== -1; ) {
      piece = this.assembly.next(peer, this.nowMs);
      if (piece !== -1) asked.push(piece);
    }
    assert.ok(asked.length <= LIMITS.metadataRequestsPerPeer);
    for (const piece of asked) {
      if (!this.peers.has(peer) || this.below(3) === 0) continue;
      const good = METADATA.subarray(piece * 16_384, (piece + 1) * 16_384);
      const bytes = this.below(4) === 0 ? this.bytes(this.below(40)) : good;
      const total = this.below(9) === 0 ? this.pick(LENGTHS) : null;
      this.#heed(peer, this.assembly.data(peer, this.below(9) === 0 ? this.below(9) : piece, total, bytes));
    }
  }

  #heed(peer: number, verdict: ReturnType<Assembly<number>['sized']>): void {
    if (verdict.kind === 'drop') this.#drop(peer);
    if (verdict.kind !== 'whole') return;
    assert.deepEqual(verdict.metadata, METADATA);
    this.peers.clear();
    this.assembly = new Assembly((metadata) => metadata.equals(METADATA));
  }

  #drop(peer: number): void {
    this.peers.delete(peer);
    this.assembly.remove(peer);
  }
}

export function fuzzMagnets(options: FuzzOptions): { readonly rounds: number } {
  const fuzz = new Fuzz(options.seed);
  return { rounds: fuzzRounds(() => fuzz.round(), options) };
}

fuzzFromShell(import.meta.url, (options) => `${fuzzMagnets(options).rounds} rounds`);

/**
 * Fuzzing of the DHT: a node is sent messages that were changed at random, from several addresses, and is held to what
 * it promises after each: no exception, no answer that is too long, no growth. `node dist/test/dht/fuzz.js SECONDS
 * [SEED]` goes on for so long; a failure prints the round and the seed.
 */
import assert from 'node:assert/strict';
import { DHT_LIMITS } from '../../src/dht/limits.js';
import { decodeMessage, encodeNodes, encodeQuery, encodeReply } from '../../src/dht/messages.js';
import { DhtNode } from '../../src/dht/node.js';
import type { Address } from '../../src/net/address.js';
import { makeRandom } from '../../src/random.js';
import { type FuzzOptions, fuzzFromShell, fuzzRounds } from '../support/fuzz.js';

const HOSTS = ['8.8.8.8', '8.8.8.9', '1.1.1.1', '192.168.1.9', '127.0.0.1', '45.33.2.1'];
const WORDS = [
  'i-1e',
  'i0e',
  '0:',
  'le',
  'de',
  '20:',
  '99999999999:',
  'e',
  'd',
  'l',
  '4:ping',
  '1:q',
  '1:r',
  'i65536e',
];

class Fuzz {
  readonly random: () => number;
  nowMs = 0;
  sent: { bytes: Buffer; to: Address }[] = [];
  readonly node: DhtNode;

  constructor(seed: number) {
    this.random = makeRandom(seed);
    this.node = new DhtNode({
      family: 4,
      now: () => this.nowMs,
      random: this.random,
      randomBytes: (count) => this.bytes(count),
      send: (bytes, to) => this.sent.push({ bytes, to }),
      roots: () => [{ host: '8.8.8.8', port: 6881 }],
    });
  }

  bytes(count: number): Buffer {
    return Buffer.from(Uint8Array.from({ length: count }, () => Math.floor(this.random() * 256)));
  }

  below(count: number): number {
    return Math.floor(this.random() * count);
  }

  /** A message as it should be: a query, or an answer to something that the node has asked. */
  message(asked: Buffer | null, from: Address): Buffer {
    const id = this.bytes(20);
    const query = asked === null ? null : decodeMessage(asked);
    if (query?.kind === 'query') {
      const named = Array.from({ length: this.below(12) }, () => ({
        id: this.bytes(20),
        address: { host: HOSTS[this.below(HOSTS.length)]!, port: this.below(3) },
      }));
      const values = Array.from({ length: this.below(60) }, () => this.bytes(this.below(2) === 0 ? 6 : 18));
      return encodeReply(query.transaction, { id, nodes: encodeNodes(named), token: this.bytes(8), values }, from);
    }
    const target = this.bytes(20);
    const args = [{}, { target }, { info_hash: target }, { info_hash: target, port: 1, token: this.bytes(8) }];
    const methods = ['ping', 'find_node', 'get_peers', 'announce_peer'] as const;
    const kind = this.below(4);
    return encodeQuery(this.bytes(2), methods[kind]!, { id, ...args[kind] }, this.below(5) === 0);
  }

  mutate(bytes: Buffer): Buffer {
    let changed = bytes;
    for (let times = this.below(4); times > 0; times--) {
      const at = this.below(changed.length + 1);
      const word = this.below(3) === 0 ? this.bytes(this.below(4)) : Buffer.from(WORDS[this.below(WORDS.length)]!);
      const after = changed.subarray(Math.min(changed.length, at + this.below(6)));
      changed = Buffer.concat([changed.subarray(0, at), word, after]);
    }
    return changed;
  }

  round(): void {
    const from = { host: HOSTS[this.below(HOSTS.length)]!, port: 6881 + this.below(3) };
    const asked = this.sent.filter(({ to }) => to.host === from.host).at(-1);
    const isAnswer = asked !== undefined && this.below(2) === 0;
    this.sent = [];
    const sender = isAnswer && this.below(3) > 0 ? asked.to : from;
    const bytes = this.mutate(this.message(isAnswer ? asked.bytes : null, sender));
    this.node.receive(bytes, sender);
    for (const { bytes: answer } of this.sent) {
      assert.ok(answer.length <= DHT_LIMITS.answerBytes, `${answer.length} bytes`);
      assert.notEqual(decodeMessage(answer), null);
    }
    assert.ok(this.sent.length <= 1 + DHT_LIMITS.lookupParallel * DHT_LIMITS.lookups + DHT_LIMITS.bucketNodes);
    this.nowMs += this.below(400);
    if (this.below(8) === 0) this.node.tick();
    if (this.below(50) === 0) this.#search();
    this.#check();
  }

  #search(): void {
    this.node.search(
      this.bytes(20),
      this.below(2) === 0 ? null : 6881,
      (peers) => assert.ok(peers.length > 0 && peers.every(({ port }) => port > 0)),
      () => {},
    );
  }

  #check(): void {
    assert.ok(this.node.transactions.count <= DHT_LIMITS.queriesUnderWay);
    assert.ok(this.node.peers.peerCount <= DHT_LIMITS.storedPerAddress * HOSTS.length);
    assert.ok(this.node.table.size <= HOSTS.length * 3);
  }
}

export function fuzzMessages(options: FuzzOptions): { readonly rounds: number } {
  const fuzz = new Fuzz(options.seed);
  return { rounds: fuzzRounds(() => fuzz.round(), options) };
}

fuzzFromShell(import.meta.url, (options) => `${fuzzMessages(options).rounds} messages`);

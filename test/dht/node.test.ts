/** Nodes of the DHT among themselves, and among such that lie, flood, and name victims. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DhtWorld, type Inhabitant } from '../../sim/dht-world.js';
import { DHT_LIMITS } from '../../src/dht/limits.js';
import { decodeMessage, encodeNodes, encodeQuery, encodeReply, type Query } from '../../src/dht/messages.js';
import type { Found } from '../../src/dht/search.js';
import type { Address } from '../../src/net/address.js';
import { BelievedAddress } from '../../src/net/believed-address.js';

const INFO_HASH = Buffer.alloc(20, 7);
const MINUTE_MS = 60_000;

function world(seed = 1): DhtWorld {
  return new DhtWorld({ seed, delayMs: [5, 20], loss: 0 });
}

function grown(count: number, seed = 1): { readonly dht: DhtWorld; readonly all: readonly Inhabitant[] } {
  const dht = world(seed);
  const all = [dht.join([])];
  for (let index = 1; index < count; index++) all.push(dht.join([all[0]!.address]));
  dht.runUntil(MINUTE_MS);
  return { dht, all };
}

function search(dht: DhtWorld, { node }: Inhabitant, port: number | null): { peers: Address[]; found: Found } {
  const peers: Address[] = [];
  let found: Found | null = null;
  node.search(
    INFO_HASH,
    port,
    (some) => peers.push(...some),
    (result) => {
      found = result;
    },
  );
  dht.runUntil(dht.events.nowMs + MINUTE_MS);
  assert.notEqual(found, null, 'the search ends');
  return { peers, found: found! };
}

/** One who is no node of ours: it hears what is sent to it and says what it likes. */
function stranger(dht: DhtWorld, host: string, answer: (query: Query, from: Address) => Buffer | null) {
  const inhabitant = dht.join([], host);
  const heard: Buffer[] = [];
  inhabitant.node.receive = (bytes, from) => {
    heard.push(Buffer.from(bytes));
    const message = decodeMessage(bytes);
    const reply = message?.kind === 'query' ? answer(message, from) : null;
    if (reply !== null) dht.deliver(inhabitant.address, from, reply);
  };
  return { ...inhabitant, heard };
}

test('who is announced is found by all others, at the address it announced from and the port it named', () => {
  const { dht, all } = grown(30);
  assert.equal(search(dht, all[3]!, 4711).peers.length, 0);
  for (const one of [all[0]!, all[10]!, all[29]!]) {
    const { peers, found } = search(dht, one, null);
    assert.deepEqual(peers, [{ host: all[3]!.address.host, port: 4711 }]);
    assert.ok(found.nodes === DHT_LIMITS.bucketNodes && found.queries <= 30, JSON.stringify(found));
  }
});

test('two nodes are a DHT, and one that knows nobody ends its search at once', () => {
  const { dht, all } = grown(2);
  search(dht, all[0]!, 4711);
  assert.deepEqual(search(dht, all[1]!, null).peers, [{ host: all[0]!.address.host, port: 4711 }]);
  const lonely = world();
  assert.deepEqual(search(lonely, lonely.join([]), 1).found, { queries: 0, nodes: 0, peers: 0, hops: 0 });
});

test('what is announced is forgotten, and a token is good for its address and ten minutes only', () => {
  const { dht, all } = grown(3);
  const [victim, one, other] = [all[0]!, '5.5.5.5', '6.6.6.6'];
  const tokens = new Map<string, Buffer>();
  const answers: string[] = [];
  const client = (host: string) => {
    const inhabitant = dht.join([], host);
    inhabitant.node.receive = (bytes) => {
      const message = decodeMessage(bytes);
      if (message?.kind === 'reply' && message.token !== null) tokens.set(host, message.token);
      answers.push(message?.kind === 'error' ? `error ${message.code}` : message!.kind);
    };
    return inhabitant.address;
  };
  const [from, elsewhere] = [client(one), client(other)];
  const id = Buffer.alloc(20, 9);
  const say = (sender: Address, method: Query['method'], args: object): string | undefined => {
    answers.length = 0;
    dht.deliver(
      sender,
      victim.address,
      encodeQuery(Buffer.from('t'), method, { id, info_hash: INFO_HASH, ...args }, true),
    );
    dht.runUntil(dht.events.nowMs + 1_000);
    return answers.at(-1);
  };
  assert.equal(say(from, 'get_peers', {}), 'reply');
  const announce = { port: 4711, token: tokens.get(one)! };
  assert.equal(say(elsewhere, 'announce_peer', announce), 'error 203');
  assert.equal(say(from, 'announce_peer', { ...announce, token: Buffer.alloc(8) }), 'error 203');
  assert.equal(victim.node.peers.peerCount, 0);
  assert.equal(say(from, 'announce_peer', announce), 'reply');
  assert.equal(victim.node.peers.peerCount, 1);
  dht.runUntil(dht.events.nowMs + 11 * MINUTE_MS);
  assert.equal(say(from, 'announce_peer', announce), 'error 203');
  dht.runUntil(dht.events.nowMs + DHT_LIMITS.peerExpiryMs);
  assert.equal(victim.node.peers.peerCount, 0);
});

test('a flood of one address is answered a little, of many addresses a bit more, and nothing grows', () => {
  const { dht, all } = grown(10);
  const { node } = all[0]!;
  const before = dht.datagrams;
  const ask = (host: string) =>
    node.receive(encodeQuery(Buffer.from('t'), 'get_peers', { id: dht.randomBytes(20), info_hash: INFO_HASH }, false), {
      host,
      port: 1,
    });
  for (let count = 0; count < 10_000; count++) ask('5.5.5.5');
  const sent = dht.datagrams - before;
  // Each answer, and at most a ping for the ids it has used.
  assert.ok(sent <= 2 * DHT_LIMITS.answersPerAddressBurst, `${sent} datagrams`);
  for (let count = 0; count < 20_000; count++) ask(`${1 + (count % 100)}.${count % 250}.${count % 241}.9`);
  const all2 = dht.datagrams - before;
  assert.ok(all2 <= 2 * DHT_LIMITS.answersPerSecond + 4 * DHT_LIMITS.introductionsPerSecond, `${all2} datagrams`);
  assert.ok(node.table.size < 20);
  // Who is not in the flood is served soon after.
  dht.runUntil(dht.events.nowMs + 5_000);
  assert.equal(search(dht, all[5]!, null).found.nodes, DHT_LIMITS.bucketNodes);
});

test('a flood of answers by one who owes us one is read in part only', () => {
  const dht = world();
  const silent = stranger(dht, '5.5.5.5', () => null);
  const { node } = dht.join([silent.address]);
  dht.runUntil(5_100);
  assert.ok(node.transactions.expects(silent.address.host));
  const asked = decodeMessage(silent.heard.at(-1)!);
  assert.ok(asked?.kind === 'query');
  const say = (transaction: Buffer): void =>
    node.receive(encodeReply(transaction, { id: Buffer.alloc(20, 1) }, silent.address), silent.address);
  for (let count = 0; count < 10_000; count++) say(Buffer.from('none'));
  say(asked.transaction);
  assert.equal(node.table.size, 0, 'not even the right one is read now');
  dht.runUntil(dht.events.nowMs + 250);
  say(asked.transaction);
  assert.equal(node.table.size, 1);
});

test('an answer from elsewhere, of another transaction, or of another id than was asked counts for nothing', () => {
  const dht = world();
  const liar = stranger(dht, '5.5.5.5', ({ transaction }, from) =>
    encodeReply(transaction, { id: dht.randomBytes(20), values: [Buffer.from('0808080811ff', 'hex')] }, from),
  );
  const { node, address } = dht.join([liar.address]);
  dht.runUntil(2_000);
  // A root has the id that it says first; later another one is a lie.
  const { peers } = search(dht, { node, address, isAlive: true }, null);
  assert.ok(peers.length <= 1);
  const asked = decodeMessage(liar.heard.at(-1)!);
  assert.ok(asked?.kind === 'query');
  const forged = encodeReply(asked.transaction, { id: Buffer.alloc(20, 1) }, address);
  const size = node.table.size;
  node.receive(forged, { host: '6.6.6.6', port: liar.address.port });
  node.receive(encodeReply(Buffer.from('none'), { id: Buffer.alloc(20, 1) }, address), liar.address);
  assert.equal(node.table.size, size);
});

test('nodes that invent closer nodes, and victims with many ids, end a lookup late but do end it', () => {
  const { dht, all } = grown(20);
  const victim = stranger(dht, '9.9.9.9', () => null);
  const near = (bits: number): Buffer => {
    const id = Buffer.from(INFO_HASH);
    id[bits >> 3]! ^= 0x80 >> (bits & 7);
    return id;
  };
  let invented = 0;
  const liars = Array.from({ length: 5 }, (_, index) =>
    stranger(dht, `5.${index}.1.1`, ({ transaction }, from) => {
      const nodes = Array.from({ length: 8 }, () => {
        const own = { host: '9.9.9.9', port: 1 + (invented++ % 60_000) };
        return { id: near(40 + (invented % 100)), address: invented % 2 === 0 ? own : victim.address };
      });
      const privates = ['127.0.0.1', '192.168.1.1', '169.254.169.254'].map((host) => ({
        id: near(150),
        address: { host, port: 80 },
      }));
      const id = near(30 + index);
      return encodeReply(transaction, { id, nodes: encodeNodes([...privates, ...nodes]), token: 'x' }, from);
    }),
  );
  const sentTo: string[] = [];
  const { deliver } = dht;
  dht.deliver = (from, to, bytes) => {
    sentTo.push(to.host);
    deliver.call(dht, from, to, bytes);
  };
  all[0]!.node.hint(liars.map(({ address }, index) => ({ id: near(30 + index), address })));
  const lonely = dht.join(liars.map(({ address }) => address));
  const { found } = search(dht, lonely, 4711);
  assert.ok(found.queries <= DHT_LIMITS.lookupQueries);
  assert.ok(!sentTo.some((host) => /^(?:127|192\.168|169\.254)\./.test(host)), 'no private address is asked');
  // Two of one lookup, and there were few lookups.
  assert.ok(
    sentTo.filter((host) => host === '9.9.9.9').length <= 20,
    String(sentTo.filter((h) => h === '9.9.9.9').length),
  );
  assert.equal(lonely.node.table.size <= liars.length + all.length, true);
});

test('an announce that finds too many queries under way is said as soon as there is room', () => {
  const dht = world();
  const near = (index: number): Buffer => Buffer.concat([INFO_HASH.subarray(0, 19), Buffer.of(index)]);
  const nowhere = { address: { host: '8.8.8.8', port: 1 }, onReply: () => {}, onFailure: () => {} };
  const fill = (): void => {
    while (lonely.node.transactions.begin(nowhere, dht.events.nowMs) !== null);
  };
  const said: string[] = [];
  const others = [1, 2, 3].map((index) =>
    stranger(dht, `5.${index}.1.1`, ({ transaction, method }, from) => {
      if (method === 'announce_peer') said.push(from.host);
      return encodeReply(transaction, { id: near(index), nodes: Buffer.alloc(0), token: 'x' }, from);
    }),
  );
  const lonely = dht.join(others.map(({ address }) => address));
  const { receive } = lonely.node;
  lonely.node.receive = (bytes, from) => {
    if (said.length === 0) fill();
    receive.call(lonely.node, bytes, from);
  };
  search(dht, lonely, 4711);
  assert.deepEqual(
    said,
    others.map(() => lonely.address.host),
  );
});

test('one address has one place in a table, whatever the number of its ids', () => {
  const { dht, all } = grown(5);
  const { node } = all[0]!;
  const before = node.table.size;
  for (let port = 1; port <= 500; port++) {
    node.table.answered(Buffer.from(dht.randomBytes(20)), { host: '5.5.5.5', port }, dht.events.nowMs);
  }
  assert.equal(node.table.size, before + 1);
});

test('a node that is gone gives its place back; while our own link is down nobody loses one', () => {
  const { dht, all } = grown(20);
  const { node } = all[0]!;
  const size = node.table.size;
  for (const other of all.slice(10)) dht.leave(other);
  dht.runUntil(dht.events.nowMs + 40 * MINUTE_MS);
  assert.ok(node.table.size <= size - 8 && node.table.size >= 8, `${node.table.size} of ${size}`);
  for (const other of all.slice(1, 10)) dht.leave(other);
  dht.runUntil(dht.events.nowMs + 120 * MINUTE_MS);
  assert.ok(node.table.size >= 8, `${node.table.size}`);
});

test('our address on the Internet is what many say, and our id is made for it; one liar changes nothing', () => {
  const { dht, all } = grown(12);
  const { node } = all[0]!;
  const id = node.id.toString('hex');
  for (let count = 0; count < 100; count++) assert.ok(!node.ownAddress.heard('5.5.5.5', '7.7.7.7'));
  assert.equal(node.id.toString('hex'), id);
  for (let count = 0; count < 10; count++) node.ownAddress.heard(`5.5.${count}.5`, '7.7.7.7');
  assert.equal(node.ownAddress.host, '7.7.7.7');
  for (let count = 0; count < 10; count++) node.ownAddress.heard(`5.5.${count}.5`, '2001:db9::7');
  assert.equal(node.ownAddress.host, '7.7.7.7', 'an address of the other family is none of ours');
  assert.equal(new BelievedAddress(4, '2001:db9::7').host, null);
  assert.equal(new BelievedAddress(6, '2001:db9::7').host, '2001:db9::7');
  assert.ok(dht.events.nowMs > 0);
});

test('what is stored is bounded: per address, per torrent and in whole', () => {
  const { all } = grown(2);
  const { peers } = all[0]!.node;
  for (let count = 0; count < 2_000; count++) {
    const infoHash = Buffer.alloc(20);
    infoHash.writeUInt32BE(count);
    peers.add(infoHash, { host: '5.5.5.5', port: 1 }, 0);
  }
  assert.equal(peers.peerCount, DHT_LIMITS.storedPerAddress);
  for (let count = 0; count < 1_000; count++)
    peers.add(INFO_HASH, { host: `6.${count >> 8}.${count & 255}.1`, port: 1 }, 0);
  assert.equal(peers.peerCount, DHT_LIMITS.storedPerAddress + DHT_LIMITS.storedPerTorrent);
  for (let count = 0; count < 30_000; count++) {
    const infoHash = Buffer.alloc(20, 1);
    infoHash.writeUInt32BE(count >> 3);
    peers.add(infoHash, { host: `7.${count >> 16}.${(count >> 8) & 255}.${count & 255}`, port: 1 }, 0);
  }
  assert.equal(peers.peerCount, DHT_LIMITS.storedPeers);
  peers.tick(DHT_LIMITS.peerExpiryMs);
  assert.deepEqual([peers.peerCount, peers.torrentCount], [0, 0]);
});

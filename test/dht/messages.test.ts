/** Messages of the DHT: what is written is read, and any bytes at all are read or left alone. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { DHT_LIMITS } from '../../src/dht/limits.js';
import {
  decodeMessage,
  decodeNodes,
  encodeError,
  encodeNodes,
  encodeQuery,
  encodeReply,
  type Reply,
} from '../../src/dht/messages.js';
import { encodeBencode } from '../../src/metainfo/bencode.js';
import { fuzzMessages } from './fuzz.js';

const ID = Buffer.from('abcdefghij0123456789');
const HASH = Buffer.from('mnopqrstuvwxyz123456');
const T = Buffer.from('aa');

test('the examples of BEP 5 are read', () => {
  const ping = decodeMessage(Buffer.from('d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe'));
  assert.ok(ping?.kind === 'query' && ping.method === 'ping' && ping.id.equals(ID) && ping.transaction.equals(T));
  const announce = decodeMessage(
    Buffer.from(
      'd1:ad2:id20:abcdefghij012345678912:implied_porti1e9:info_hash20:mnopqrstuvwxyz1234564:porti6881e' +
        '5:token8:aoeusnthe1:q13:announce_peer1:t2:aa1:y1:qe',
    ),
  );
  assert.ok(announce?.kind === 'query' && announce.method === 'announce_peer' && announce.target.equals(HASH));
  assert.deepEqual([announce.port, announce.token?.toString()], [0, 'aoeusnth']);
  const values = decodeMessage(
    Buffer.from('d1:rd2:id20:abcdefghij01234567895:token8:aoeusnth6:valuesl6:axje.u6:idhtnmee1:t2:aa1:y1:re'),
  );
  assert.ok(values?.kind === 'reply');
  assert.deepEqual(values.values, [
    { host: '97.120.106.101', port: 0x2e75 },
    { host: '105.100.104.116', port: 0x6e6d },
  ]);
  const error = decodeMessage(Buffer.from('d1:eli201e23:A Generic Error Ocurrede1:t2:aa1:y1:ee'));
  assert.ok(error?.kind === 'error' && error.code === 201);
});

test('what is written is read', () => {
  const nodes = [
    { id: ID, address: { host: '8.8.8.8', port: 6881 } },
    { id: HASH, address: { host: '9.9.9.9', port: 1 } },
  ];
  assert.deepEqual(decodeNodes(encodeNodes(nodes), 4), nodes);
  const nodes6 = [{ id: ID, address: { host: '2a00::1', port: 6881 } }];
  const to = { host: '1.2.3.4', port: 5 };
  const reply = decodeMessage(
    encodeReply(T, { id: HASH, nodes: encodeNodes(nodes), nodes6: encodeNodes(nodes6), token: 'xy' }, to),
  ) as Reply;
  assert.deepEqual([reply.nodes, reply.nodes6, reply.ip], [nodes, nodes6, '1.2.3.4']);
  const query = decodeMessage(encodeQuery(T, 'get_peers', { id: ID, info_hash: HASH, want: ['n4', 'n6'] }, true));
  assert.ok(query?.kind === 'query' && query.isReadOnly);
  assert.deepEqual(query.want, [4, 6]);
  assert.equal(decodeMessage(encodeError(T, 204))?.kind, 'error');
});

const message = (fields: Record<string, unknown>): Buffer => encodeBencode({ t: 'aa', y: 'q', ...fields } as never);

test('a query that cannot be answered is told so, one without a transaction is not', () => {
  const bad: Record<string, unknown>[] = [
    { q: 'ping' },
    { q: 'ping', a: {} },
    { q: 'ping', a: { id: 'short' } },
    { q: 'find_node', a: { id: ID } },
    { q: 'get_peers', a: { id: ID, info_hash: 'short' } },
    { q: 'announce_peer', a: { id: ID, info_hash: HASH, port: 1 } },
    { q: 'announce_peer', a: { id: ID, info_hash: HASH, port: 0, token: 'x' } },
    { q: 'announce_peer', a: { id: ID, info_hash: HASH, port: 65_536, token: 'x' } },
    { q: 'vote', a: { id: ID } },
    { a: { id: ID } },
    { q: 7, a: [] },
  ];
  for (const fields of bad) assert.equal(decodeMessage(message(fields))?.kind, 'bad query', JSON.stringify(fields));
  assert.equal(decodeMessage(encodeBencode({ y: 'q', q: 'ping', a: { id: ID } })), null);
  assert.equal(decodeMessage(message({ t: 'x'.repeat(DHT_LIMITS.transactionBytes + 1) })), null);
  assert.equal(decodeMessage(message({ y: 'x' })), null);
  assert.equal(decodeMessage(message({ y: 'r', r: { id: 'short' } })), null);
  const extended = decodeMessage(message({ q: 'sample_infohashes', a: { id: ID, target: HASH } }));
  assert.ok(extended?.kind === 'query' && extended.method === 'find_node');
});

test('victims are not named: port 0, multicast, and a list that is cut in the middle', () => {
  const at = (host: string, port: number) => ({ id: ID, address: { host, port } });
  const listed = encodeNodes([at('8.8.8.8', 0), at('224.0.0.1', 1), at('255.255.255.255', 1), at('0.0.0.0', 1)]);
  const reply = (nodes: Uint8Array) => decodeMessage(message({ y: 'r', r: { id: ID, nodes } })) as Reply;
  assert.deepEqual(reply(listed).nodes, []);
  assert.deepEqual(reply(encodeNodes([at('8.8.8.8', 1)]).subarray(0, 25)).nodes, []);
  const many = Array.from({ length: 50 }, (_, index) => at(`8.8.8.${index + 1}`, 1));
  assert.equal(reply(encodeNodes(many)).nodes.length, DHT_LIMITS.nodesPerReply);
});

test('any bytes are read or left alone', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      decodeMessage(bytes);
      decodeMessage(Buffer.concat([Buffer.from('d'), bytes, Buffer.from('1:t2:aa1:y1:qe')]));
    }),
  );
  assert.equal(decodeMessage(Buffer.alloc(DHT_LIMITS.messageBytes + 1, 'd')), null);
  assert.equal(decodeMessage(Buffer.from(`d1:a${'l'.repeat(300)}${'e'.repeat(300)}1:t2:aa1:y1:qe`)), null);
});

test('messages that were changed at random do no harm', () => {
  assert.ok(fuzzMessages({ seed: 1, untilMs: null, rounds: 5_000 }).rounds === 5_000);
});

/** The message `port` of BEP 5: peers tell each other of their nodes, and nobody else is asked at their word. */
import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import path from 'node:path';
import { test } from 'node:test';
import { openScope, type Scope } from '../../lab/scope.js';
import { tempFolder } from '../../lab/temp.js';
import { sha256Tree } from '../../lab/tree.js';
import { until, withDeadline } from '../../lab/wait.js';
import { DhtWorld } from '../../sim/dht-world.js';
import { DHT_LIMITS } from '../../src/dht/limits.js';
import { decodeMessage } from '../../src/dht/messages.js';
import { writeInterested, writePort, writeRequest } from '../../src/wire/encoder.js';
import { parseHandshake } from '../../src/wire/handshake.js';
import { type DataSet, fileSet, startEngine, startSeed } from '../support/engines.js';
import { connectRawPeer, type RawPeer } from '../support/raw-peer.js';

const DEADLINE_MS = 60_000;
const HOST = '127.0.0.1';

function rawPeer(scope: Scope, port: number, { metainfo }: DataSet, dht: boolean): Promise<RawPeer> {
  return connectRawPeer(scope, { port, metainfo, peerId: '-XX0001-somebodyelse', fast: true, dht });
}

async function hasDhtBit(peer: RawPeer): Promise<boolean> {
  await peer.event('have all');
  const handshake = parseHandshake(Buffer.from(peer.handshake));
  assert.ok('supportsDht' in handshake);
  return handshake.supportsDht;
}

/** Says something that is heard after all that was said before. */
async function untilHeard(peer: RawPeer): Promise<void> {
  const at = peer.recorder.events.length;
  writeInterested(peer.out);
  writeRequest(peer.out, 0, 0, 16_384);
  peer.flush();
  await until('it serves', DEADLINE_MS, () =>
    peer.recorder.events.slice(at).some((event) => /^(?:reject|block)/.test(event)),
  );
}

/** A UDP socket, and the queries that came to it. */
async function node(scope: Scope): Promise<{ port: number; heard: string[] }> {
  const heard: string[] = [];
  const socket = createSocket('udp4').bind(0, HOST);
  scope.defer(() => new Promise<void>((resolve) => socket.close(() => resolve())));
  socket.on('message', (bytes) => {
    const message = decodeMessage(bytes);
    heard.push(message?.kind === 'query' ? message.method : 'no query');
  });
  await once(socket, 'listening');
  return { port: socket.address().port, heard };
}

test('two that know no node, and each other as peers, are a DHT', async (t) => {
  const scope = openScope(t);
  const set = await fileSet(scope, 300_000, { pieceLengthBytes: 65_536 });
  const other = await fileSet(scope, 200_001, { pieceLengthBytes: 65_536 });
  const seed = await startSeed(scope, set, { dht: {} });
  const leech = await startEngine(scope, { dht: {} });
  const peers = [{ host: HOST, port: seed.port! }];
  const first = leech.add(set.metainfo, { output: await tempFolder(scope), trackers: [], peers });
  await withDeadline(first.done, 'it has the first', DEADLINE_MS);
  await until('both know a node', DEADLINE_MS, () => [seed, leech].every((one) => one.stats().dht!.nodes === 1));
  await seed.add(other.metainfo, { output: other.folder, mode: 'seed', trustData: true, trackers: [] }).done;
  await until('the other one is announced', DEADLINE_MS, () => leech.stats().dht!.storedPeers > 1);
  const output = await tempFolder(scope);
  await withDeadline(leech.add(other.metainfo, { output, trackers: [] }).done, 'the DHT is enough', DEADLINE_MS);
  assert.equal(await sha256Tree(path.join(output, 'image.bin')), await sha256Tree(other.path));
});

test('a magnet of which only a peer is known tells of nodes too', async (t) => {
  const scope = openScope(t);
  const set = await fileSet(scope, 300_000, { pieceLengthBytes: 65_536 });
  const seed = await startSeed(scope, set, { dht: {} });
  const leech = await startEngine(scope, { dht: { readOnly: true } });
  const magnet = `magnet:?xt=urn:btih:${set.metainfo.infoHashHex}&x.pe=${HOST}:${seed.port}`;
  const download = leech.add(magnet, { output: await tempFolder(scope) });
  await withDeadline(download.done, 'it is complete', DEADLINE_MS);
  await until('the leech knows a node', DEADLINE_MS, () => leech.stats().dht!.nodes === 1);
  // One that only asks is no node.
  assert.equal(seed.stats().dht!.nodes, 0);
});

test('who says that it is in the DHT hears of our node, and nobody else', async (t) => {
  const scope = openScope(t);
  const set = await fileSet(scope, 100_000, { pieceLengthBytes: 65_536 });
  const isPrivate = await fileSet(scope, 100_001, { pieceLengthBytes: 65_536, isPrivate: true });
  const engine = await startSeed(scope, set, { dht: {} });
  await engine.add(isPrivate.metainfo, { output: isPrivate.folder, mode: 'seed', trustData: true, trackers: [] }).done;
  const readOnly = await startSeed(scope, set, { dht: { readOnly: true } });
  const without = await startSeed(scope, set);
  const cases = [
    { engine, of: set, dht: true, bit: true, port: true },
    { engine, of: set, dht: false, bit: true, port: false },
    { engine, of: isPrivate, dht: true, bit: false, port: false },
    { engine: readOnly, of: set, dht: true, bit: true, port: false },
    { engine: without, of: set, dht: true, bit: false, port: false },
  ];
  for (const one of cases) {
    const peer = await rawPeer(scope, one.engine.port!, one.of, one.dht);
    assert.equal(await hasDhtBit(peer), one.bit);
    await untilHeard(peer);
    const told = peer.recorder.events.filter((event) => event.startsWith('port '));
    assert.deepEqual(told, one.port ? [`port ${engine.stats().dht!.port}`] : []);
    assert.ok(told.length === 0 || peer.recorder.events[0] === 'have all', 'what it has comes first (BEP 3)');
    peer.close();
  }
});

test('a peer that tells of many nodes makes us ask few of them, and of a private torrent none', async (t) => {
  const scope = openScope(t);
  const set = await fileSet(scope, 100_000, { pieceLengthBytes: 65_536 });
  const isPrivate = await fileSet(scope, 100_001, { pieceLengthBytes: 65_536, isPrivate: true });
  const engine = await startSeed(scope, set, { dht: {} });
  await engine.add(isPrivate.metainfo, { output: isPrivate.folder, mode: 'seed', trustData: true, trackers: [] }).done;
  const victim = await node(scope);
  for (const of of [isPrivate, set]) {
    const peer = await rawPeer(scope, engine.port!, of, false);
    await peer.event('have all');
    for (let count = 0; count < 1_000; count++) writePort(peer.out, count % 2 === 0 ? victim.port : 0);
    peer.flush();
    await untilHeard(peer);
    if (of === isPrivate) assert.equal(victim.heard.length, 0);
  }
  await until('it is asked', DEADLINE_MS, () => victim.heard.length > 0);
  assert.ok(victim.heard.every((method) => method === 'ping') && victim.heard.length <= DHT_LIMITS.toldPerAddressBurst);
});

test('nodes are asked at the word of peers, each address now and then, all together two a second', () => {
  const dht = new DhtWorld({ seed: 1, delayMs: [5, 20], loss: 0 });
  const { node: ours } = dht.join([]);
  const others = Array.from({ length: 100 }, () => dht.join([]));
  let asked = 0;
  for (const { node: theirs } of others) {
    theirs.receive = () => {
      asked++;
    };
  }
  const tellAll = (): void => {
    for (const { address } of others) for (let times = 0; times < 10; times++) ours.heardOf(address);
    for (const host of ['127.0.0.1', '0.0.0.0', '224.0.0.1', '::1']) ours.heardOf({ host, port: 0 });
  };
  tellAll();
  dht.runUntil(1_000);
  assert.equal(asked, DHT_LIMITS.toldBurst);
  for (let second = 2; second <= 30; second++) {
    tellAll();
    dht.runUntil(second * 1_000);
  }
  assert.ok(asked <= DHT_LIMITS.toldBurst + 30 * DHT_LIMITS.toldPerSecond, `${asked} asked`);
});

test('a node that answers has a place in the table, and is not asked again', () => {
  const dht = new DhtWorld({ seed: 1, delayMs: [5, 20], loss: 0 });
  const [{ node: ours }, other] = [dht.join([]), dht.join([])];
  ours.heardOf(other.address);
  dht.runUntil(100);
  assert.ok(ours.table.has(other.address) && other.node.table.size === 1);
  dht.runUntil(60_000);
  const before = dht.datagrams;
  for (let times = 0; times < 100; times++) ours.heardOf(other.address);
  assert.equal(dht.datagrams, before);
});

/** Peers that lie, babble or fall silent: each is dropped with a reason, the download ends whole. */
import assert from 'node:assert/strict';
import net from 'node:net';
import path from 'node:path';
import { test } from 'node:test';
import { openScope, type Scope } from '../../lab/scope.js';
import { tempFolder } from '../../lab/temp.js';
import { readTree } from '../../lab/tree.js';
import { until, withDeadline } from '../../lab/wait.js';
import type { Engine, Torrent } from '../../src/api.js';
import { LIMITS } from '../../src/config.js';
import { Flusher } from '../../src/peer/flusher.js';
import { Handshakes } from '../../src/peer/handshakes.js';
import { writeBitfield, writeInterested, writeRequest, writeUnchoke } from '../../src/wire/encoder.js';
import { type DataSet, fileSet, readPiece, startEngine, startSeed } from '../support/engines.js';
import { connectRawPeer, eventNumbers, type RawPeer } from '../support/raw-peer.js';

const PIECE_BYTES = 64 * 1024;
const BLOCK_BYTES = 16 * 1024;
const PIECES = 16;
const DEADLINE_MS = 20_000;

interface Scene {
  readonly set: DataSet;
  readonly leech: Engine;
  readonly torrent: Torrent;
  /** "host:port change reason" of every peer event. */
  readonly said: string[];
}

async function scene(scope: Scope): Promise<Scene> {
  const set = await fileSet(scope, PIECES * PIECE_BYTES, { pieceLengthBytes: PIECE_BYTES });
  const leech = await startEngine(scope);
  const torrent = leech.add(set.metainfo, { output: await tempFolder(scope), trackers: [] });
  const said: string[] = [];
  torrent.on('peer', (address, change, reason) => said.push(`${address} ${change} ${reason}`));
  await until('the torrent takes peers', DEADLINE_MS, () => torrent.state === 'downloading');
  return { set, leech, torrent, said };
}

async function finishesFromGoodSeed(scope: Scope, { set, torrent }: Scene): Promise<void> {
  const seed = await startSeed(scope, set);
  torrent.addPeer('127.0.0.1', seed.port!);
  await withDeadline(torrent.done, 'the download ends', DEADLINE_MS);
  assert.deepEqual(await readTree(path.join(torrent.output, 'image.bin')), await readTree(set.path));
}

async function rawPeer(
  scope: Scope,
  { set, leech }: Scene,
  onEvent?: (peer: RawPeer, event: string) => void,
): Promise<RawPeer> {
  const options = { port: leech.port!, metainfo: set.metainfo, peerId: '-XX0001-hostilehosti' };
  return connectRawPeer(scope, onEvent === undefined ? options : { ...options, onEvent });
}

/** Claims every piece and unchokes. */
function claimAll(peer: RawPeer): void {
  writeBitfield(peer.out, new Uint8Array(PIECES / 8).fill(0xff));
  writeUnchoke(peer.out);
  peer.flush();
}

function saidOf(said: readonly string[], words: string): boolean {
  return said.some((line) => line.includes(words));
}

test('garbage instead of a handshake ends the connection and nothing else', async (t) => {
  const scope = openScope(t);
  const stage = await scene(scope);
  const socket = net.connect(stage.leech.port!, '127.0.0.1');
  scope.defer(() => void socket.destroy());
  socket.on('error', () => {});
  socket.write('GET / HTTP/1.1\r\n\r\n');
  await withDeadline(
    new Promise<void>((resolve) => socket.once('close', () => resolve())),
    'it is cut off',
    DEADLINE_MS,
  );
  await finishesFromGoodSeed(scope, stage);
});

test('a handshake for another torrent is refused', async (t) => {
  const scope = openScope(t);
  const stage = await scene(scope);
  const metainfo = { ...stage.set.metainfo, infoHash: Buffer.alloc(20, 7) };
  const peer = await connectRawPeer(scope, { port: stage.leech.port!, metainfo, peerId: '-XX0001-hostilehosti' });
  await withDeadline(peer.closed, 'it is cut off', DEADLINE_MS);
  assert.equal(stage.torrent.stats().peers, 0);
});

test('a connection without a handshake is closed when its time is over', async (t) => {
  const scope = openScope(t);
  const handshakes = new Handshakes({
    flusher: new Flusher(),
    peerId: Buffer.alloc(20),
    maxConnections: 10,
    lookUp: () => null,
    onEvent: () => {},
  });
  const server = net.createServer({ pauseOnConnect: true }, (socket) => handshakes.accept(socket));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  scope.defer(() => new Promise<void>((resolve) => server.close(() => resolve())));
  const silent = net.connect((server.address() as net.AddressInfo).port, '127.0.0.1');
  scope.defer(() => void silent.destroy());
  await until('it is accepted', DEADLINE_MS, () => handshakes.connectionCount === 1);
  handshakes.tick(performance.now() + LIMITS.handshakeTimeoutMs - 1000);
  assert.equal(handshakes.connectionCount, 1);
  handshakes.tick(performance.now() + LIMITS.handshakeTimeoutMs + 1000);
  await until('it is dropped', DEADLINE_MS, () => handshakes.connectionCount === 0);
});

const wrongMessages: readonly [string, (peer: RawPeer) => void, string][] = [
  ['a message of 4 GiB', (peer) => peer.sendBytes(Buffer.from('ffffffff07', 'hex')), 'limit'],
  ['a HAVE of the wrong size', (peer) => peer.sendBytes(Buffer.from('000000060400000000ff', 'hex')), 'have'],
  [
    'a HAVE for a piece that does not exist',
    (peer) => peer.sendBytes(Buffer.from('0000000504000f0000', 'hex')),
    'HAVE',
  ],
  ['a bitfield of the wrong length', (peer) => peer.sendBytes(Buffer.from('0000000405ffffff', 'hex')), 'bitfield'],
  ['a request beyond the end', (peer) => request(peer, PIECES - 1, PIECE_BYTES - 1, 2), 'does not exist'],
  ['a request of a megabyte', (peer) => request(peer, 0, 0, 1 << 20), 'does not exist'],
  [
    'a block of a piece that does not exist',
    (peer) => peer.sendBlock(PIECES, 0, Buffer.alloc(BLOCK_BYTES)),
    'does not exist',
  ],
  ['a block that is no block', (peer) => peer.sendBlock(0, 1, Buffer.alloc(100)), 'does not exist'],
  ['a fast message without the fast extension', (peer) => peer.sendBytes(Buffer.from('000000010e', 'hex')), 'fast'],
];

function request(peer: RawPeer, piece: number, begin: number, length: number): void {
  writeRequest(peer.out, piece, begin, length);
  peer.flush();
}

for (const [name, send, words] of wrongMessages) {
  test(`a peer that sends ${name} is dropped with a reason`, async (t) => {
    const scope = openScope(t);
    const stage = await scene(scope);
    const peer = await rawPeer(scope, stage);
    send(peer);
    await withDeadline(peer.closed, 'it is cut off', DEADLINE_MS);
    await until(`the reason says "${words}"`, DEADLINE_MS, () => saidOf(stage.said, words));
    await finishesFromGoodSeed(scope, stage);
  });
}

test('blocks that nobody asked for are thrown away, and too many of them end the connection', async (t) => {
  const scope = openScope(t);
  const stage = await scene(scope);
  const peer = await rawPeer(scope, stage);
  const rubbish = Buffer.alloc(BLOCK_BYTES, 0x66);
  for (let i = 0; i < 300; i++) peer.sendBlock(i % PIECES, 0, rubbish);
  await withDeadline(peer.closed, 'it is cut off', DEADLINE_MS);
  await until('the reason is told', DEADLINE_MS, () => saidOf(stage.said, 'not requested'));
  assert.equal(stage.torrent.stats().verifiedPieces, 0);
  await finishesFromGoodSeed(scope, stage);
});

test('who sends corrupt blocks is banned, its honest neighbour on the same host is not', async (t) => {
  const scope = openScope(t);
  const stage = await scene(scope);
  await rawPeer(scope, stage, (peer, event) => {
    if (event === 'interested') claimAll(peer);
    if (!event.startsWith('request ')) return;
    const [piece, begin, length] = eventNumbers(event);
    peer.sendBlock(piece!, begin!, Buffer.alloc(length!, 0x66));
  }).then((peer) => {
    writeBitfield(peer.out, new Uint8Array(PIECES / 8).fill(0xff));
    peer.flush();
  });
  await until('a corrupt piece is seen', DEADLINE_MS, () => stage.torrent.stats().corruptBytes > 0);
  await finishesFromGoodSeed(scope, stage);
  const banned = stage.said.filter((line) => line.includes(' banned '));
  assert.equal(banned.length, 1, stage.said.join('\n'));
});

test('one bad block among the blocks of two peers convicts its sender only', async (t) => {
  const scope = openScope(t);
  const stage = await scene(scope);
  const bytes = await Promise.all(Array.from({ length: PIECES }, (_, piece) => readPiece(stage.set, piece)));
  const serve = (spoil: boolean) => (peer: RawPeer, event: string) => {
    if (!event.startsWith('request ')) return;
    const [piece, begin, length] = eventNumbers(event) as [number, number, number];
    const block = Buffer.from(bytes[piece]!.subarray(begin, begin + length));
    if (spoil) block[0]! ^= 1;
    peer.sendBlock(piece, begin, block);
  };
  const peers = await Promise.all(
    [false, true].map((spoil, index) =>
      connectRawPeer(scope, {
        port: stage.leech.port!,
        metainfo: stage.set.metainfo,
        peerId: `-XX0001-serve-more-${index}`,
        onEvent: serve(spoil),
      }),
    ),
  );
  for (const peer of peers) claimAll(peer);
  await withDeadline(stage.torrent.done, 'the download ends', DEADLINE_MS);
  assert.deepEqual(await readTree(path.join(stage.torrent.output, 'image.bin')), await readTree(stage.set.path));
  const banned = stage.said.filter((line) => line.includes(' banned '));
  assert.equal(banned.length, 1, stage.said.join('\n'));
  await withDeadline(peers[1]!.closed, 'the spoiler is cut off', DEADLINE_MS);
});

test('a peer that vanishes in the middle of a block costs nothing but that block', async (t) => {
  const scope = openScope(t);
  const stage = await scene(scope);
  const peer = await rawPeer(scope, stage, (self, event) => {
    if (!event.startsWith('request ')) return;
    const [piece, begin] = eventNumbers(event) as [number, number];
    const head = Buffer.alloc(13 + 5000);
    head.writeUInt32BE(9 + BLOCK_BYTES, 0);
    head[4] = 7;
    head.writeUInt32BE(piece, 5);
    head.writeUInt32BE(begin, 9);
    self.sendBytes(head);
    self.close();
  });
  claimAll(peer);
  await withDeadline(peer.closed, 'it is gone', DEADLINE_MS);
  await finishesFromGoodSeed(scope, stage);
});

test('a peer that asks and never reads does not grow the memory of the seed without end', async (t) => {
  const scope = openScope(t);
  const set = await fileSet(scope, PIECES * PIECE_BYTES, { pieceLengthBytes: PIECE_BYTES });
  const seed = await startSeed(scope, set);
  const peer = await connectRawPeer(scope, {
    port: seed.port!,
    metainfo: set.metainfo,
    peerId: '-XX0001-greedygreedy',
  });
  writeInterested(peer.out);
  peer.flush();
  await peer.event('unchoke');
  for (let i = 0; i < 3 * LIMITS.requestsPerPeer; i++) writeRequest(peer.out, i % PIECES, 0, BLOCK_BYTES);
  peer.flush();
  // Once the limit is reached further requests are refused; those within it are all answered.
  await until(
    'everything within the limit is sent',
    DEADLINE_MS,
    () => seed.stats().uploadedBytes >= LIMITS.requestsPerPeer * BLOCK_BYTES,
  );
  assert.ok(seed.stats().uploadedBytes <= 3 * LIMITS.requestsPerPeer * BLOCK_BYTES);
});

test('an engine that is told its own address does not become its own peer', async (t) => {
  const scope = openScope(t);
  const stage = await scene(scope);
  stage.torrent.addPeer('127.0.0.1', stage.leech.port!);
  await finishesFromGoodSeed(scope, stage);
  assert.ok(stage.said.every((line) => !line.startsWith(`127.0.0.1:${stage.leech.port} connected`)));
});

test('two engines that dial each other at once keep one connection', async (t) => {
  const scope = openScope(t);
  const stage = await scene(scope);
  const seed = await startEngine(scope);
  const served = seed.add(stage.set.metainfo, {
    output: stage.set.folder,
    mode: 'seed',
    trustData: true,
    trackers: [],
  });
  await served.done;
  served.addPeer('127.0.0.1', stage.leech.port!);
  stage.torrent.addPeer('127.0.0.1', seed.port!);
  await withDeadline(stage.torrent.done, 'the download ends', DEADLINE_MS);
  assert.ok(stage.torrent.stats().peers <= 1);
});

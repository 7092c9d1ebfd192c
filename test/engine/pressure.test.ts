/**
 * Peers that ask and do not read, flood or vanish: memory stays bounded, the others are served, nothing is left behind.
 */
import assert from 'node:assert/strict';
import net from 'node:net';
import { test } from 'node:test';
import { openScope, type Scope } from '../../lab/scope.js';
import { tempFolder } from '../../lab/temp.js';
import { until, withDeadline } from '../../lab/wait.js';
import type { Engine } from '../../src/api.js';
import { LIMITS } from '../../src/config.js';
import type { LiveTorrent } from '../../src/torrent/torrent.js';
import { OutBuffer, writeExtended, writeInterested, writeRequest } from '../../src/wire/encoder.js';
import { encodeHandshake } from '../../src/wire/handshake.js';
import { type DataSet, fileSet, liveOf, startEngine, startSeed } from '../support/engines.js';
import { connectRawPeer } from '../support/raw-peer.js';

const MIB = 1024 * 1024;
const BLOCK_BYTES = 16 * 1024;
const DEADLINE_MS = 20_000;
const STORAGES = ['mapped', 'positional'] as const;

interface DeafOptions {
  readonly peerId?: string;
  readonly fast?: boolean;
}

/** Says it is interested, and never reads a byte. */
async function deafPeer(scope: Scope, seed: Engine, set: DataSet, options: DeafOptions = {}): Promise<net.Socket> {
  const socket = net.connect({ port: seed.port!, host: '127.0.0.1', noDelay: true });
  scope.defer(() => void socket.destroy());
  socket.on('error', () => {});
  socket.pause();
  await withDeadline(new Promise<void>((resolve) => socket.once('connect', resolve)), 'it connects', DEADLINE_MS);
  const { peerId = '-XX0001-deafdeafdeaf', fast = false } = options;
  const { infoHash } = set.metainfo;
  socket.write(
    encodeHandshake({ infoHash, peerId: Buffer.from(peerId, 'latin1'), extensions: { fast, extended: false } }),
  );
  const out = new OutBuffer();
  writeInterested(out);
  socket.write(out.take());
  const torrent = live(seed);
  const { localPort } = socket;
  await until('it is unchoked', DEADLINE_MS, () =>
    torrent.peers().some(({ address, amChoking }) => address.endsWith(`:${localPort}`) && !amChoking),
  );
  return socket;
}

/** Asks for blocks of eight units by turns, 24 MiB in all. */
function askAll(socket: net.Socket, firstPiece: number): void {
  const out = new OutBuffer();
  for (let block = 0; block < 3 * 64 * 8; block++)
    writeRequest(out, firstPiece + (block % 8), ((block >> 3) % 64) * BLOCK_BYTES, BLOCK_BYTES);
  socket.write(out.take());
}

const live = (engine: Engine): LiveTorrent => liveOf(engine.torrents[0]);

for (const storage of STORAGES) {
  test(`a peer that asks for blocks of every piece and reads none does not starve others (${storage})`, async (t) => {
    const scope = openScope(t);
    const set = await fileSet(scope, 128 * MIB, { pieceLengthBytes: MIB });
    const seed = await startSeed(scope, set, { storage });
    const socket = await deafPeer(scope, seed, set);
    const out = new OutBuffer();
    for (let round = 0; round < 8; round++) {
      for (let piece = 0; piece < 128; piece++) writeRequest(out, piece, round * BLOCK_BYTES, BLOCK_BYTES);
    }
    socket.write(out.take());
    const greedy = live(seed).exchange!.peers.find((peer) => peer !== null)!;
    await until('it holds all that it may', DEADLINE_MS, () => greedy.outflow.pinned.units === 8);
    const leech = await startEngine(scope);
    const peers = [{ host: '127.0.0.1', port: seed.port! }];
    const torrent = leech.add(set.metainfo, { output: await tempFolder(scope), trackers: [], peers });
    await withDeadline(torrent.done, 'another peer is served', DEADLINE_MS);
    assert.ok(greedy.outflow.requests.length > 0);
  });
}

for (const storage of STORAGES) {
  test(`fourteen peers that ask all over and read nothing do not freeze a seed (${storage})`, async (t) => {
    const scope = openScope(t);
    const set = await fileSet(scope, 128 * MIB, { pieceLengthBytes: MIB });
    // Room for forty units in buffers: a part of the peers holds all of it, the rest waits.
    const seed = await startSeed(scope, set, { storage, uploadSlots: 'unlimited', memoryBytes: 320 * MIB });
    // On a busy machine the first of them have to go before the last one has come.
    let hasYielded = false;
    seed.torrents[0]!.on('peer', (_, __, reason) => {
      hasYielded ||= reason === 'reads nothing of what it asked for while others wait';
    });
    for (let i = 0; i < 14; i++) {
      const peerId = `-XX0001-deafdeafde${String(i).padStart(2, '0')}`;
      const socket = await deafPeer(scope, seed, set, { peerId });
      // Eight units each, no unit twice: 112 of the 96 that there are; and more than the kernel takes.
      askAll(socket, i * 8);
    }
    const { server, storage: store } = live(seed).exchange!;
    const { pins } = server;
    await until('they hold what they may', DEADLINE_MS, () => pins.hasWaiting || hasYielded);
    assert.ok(store.reads.pinnedUnits <= 72, `${store.reads.pinnedUnits} units are pinned`);
    const leech = await startEngine(scope);
    const addresses = [{ host: '127.0.0.1', port: seed.port! }];
    const torrent = leech.add(set.metainfo, { output: await tempFolder(scope), trackers: [], peers: addresses });
    await withDeadline(torrent.done, 'another peer is served', DEADLINE_MS);
  });
}

test('sixty-four peers that take a byte now and then do not keep an honest one waiting for a slot', async (t) => {
  const scope = openScope(t);
  const set = await fileSet(scope, 16 * MIB, { pieceLengthBytes: MIB });
  const seed = await startSeed(scope, set);
  const torrent = live(seed);
  for (let i = 0; i < 64; i++) {
    const socket = net.connect({ port: seed.port!, host: '127.0.0.1', noDelay: true });
    scope.defer(() => void socket.destroy());
    socket.on('error', () => {});
    socket.pause();
    await withDeadline(new Promise<void>((resolve) => socket.once('connect', resolve)), 'it connects', DEADLINE_MS);
    const peerId = Buffer.from(`-XX0001-deafdeafde${String(i).padStart(2, '0')}`, 'latin1');
    const extensions = { fast: false, extended: false };
    socket.write(encodeHandshake({ infoHash: set.metainfo.infoHash, peerId, extensions }));
    const out = new OutBuffer();
    writeInterested(out);
    socket.write(out.take());
  }
  await until('all have had their turn', DEADLINE_MS, () => {
    const peers = torrent.peers();
    return peers.length === 64 && peers.every(({ amChoking }) => !amChoking);
  });
  const leech = await startEngine(scope);
  const peers = [{ host: '127.0.0.1', port: seed.port! }];
  const fetched = leech.add(set.metainfo, { output: await tempFolder(scope), trackers: [], peers });
  await withDeadline(fetched.done, 'another peer is served', DEADLINE_MS / 2);
});

test('who lets lie what it asked for is let go of while others wait for memory', async (t) => {
  const scope = openScope(t);
  const set = await fileSet(scope, 16 * MIB, { pieceLengthBytes: MIB });
  const seed = await startSeed(scope, set);
  const socket = await deafPeer(scope, seed, set);
  askAll(socket, 0);
  const { exchange } = live(seed);
  const peer = exchange!.peers.find((other) => other !== null)!;
  await until('the kernel is full', DEADLINE_MS, () => peer.remote.link!.queuedBytes >= LIMITS.slowSendBytesPerPeer);
  const gone = new Promise<string>((resolve) => seed.torrents[0]!.once('peer', (_, __, reason) => resolve(reason)));
  for (let second = 0; second <= LIMITS.idleHolderSeconds; second++)
    peer.outflow.pinned.uptake.secondPassed(peer.remote.link!.takenBytes, true);
  exchange!.server.giveWay();
  assert.ok(!peer.remote.link!.isClosing, 'nobody waits');
  exchange!.server.pins.hasWaiting = true;
  exchange!.server.pins.isShort = true;
  exchange!.server.giveWay();
  assert.equal(
    await withDeadline(gone, 'it is dropped', DEADLINE_MS),
    'reads nothing of what it asked for while others wait',
  );
  assert.equal(exchange!.storage.reads.pinnedUnits, 0);
});

test('a peer that makes us answer and does not read the answers is not read any more', async (t) => {
  const scope = openScope(t);
  const set = await fileSet(scope, MIB, { pieceLengthBytes: 64 * 1024 });
  const seed = await startSeed(scope, set);
  // With the fast extension each request beyond the limit is answered by a reject of the same size.
  const socket = await deafPeer(scope, seed, set, { fast: true });
  const { link } = live(seed).exchange!.peers.find((peer) => peer !== null)!.remote;
  const out = new OutBuffer();
  for (let i = 0; i < MIB / 17; i++) writeRequest(out, i % 16, 0, BLOCK_BYTES);
  const flood = out.take();
  let isRefused = false;
  let sentFloods = 0;
  while (!isRefused && sentFloods < 64) {
    sentFloods++;
    const gone = new Promise<void>((resolve) => void socket.write(flood, () => resolve()));
    isRefused = await withDeadline(gone, 'the kernel takes it', 1_000).then(
      () => false,
      () => true,
    );
    const heldBytes = link!.queuedBytes;
    assert.ok(heldBytes <= 2 * LIMITS.sendBytesPerPeer + 2 * MIB, `${heldBytes} bytes wait for it`);
  }
  assert.ok(isRefused, 'it could send 64 MiB');
});

test('what the kernel does not take is noticed', async (t) => {
  const scope = openScope(t);
  const set = await fileSet(scope, 16 * MIB, { pieceLengthBytes: MIB });
  const seed = await startSeed(scope, set);
  const socket = await deafPeer(scope, seed, set);
  const peer = live(seed).exchange!.peers.find((other) => other !== null)!;
  assert.equal(peer.remote.link!.unsentForMs(performance.now() + 100_000), 0);
  const out = new OutBuffer();
  for (let block = 0; block < 512; block++) writeRequest(out, block >> 6, (block & 63) * BLOCK_BYTES, BLOCK_BYTES);
  socket.write(out.take());
  await until('the kernel is full', DEADLINE_MS, () => peer.remote.link!.queuedBytes >= LIMITS.sendBytesPerPeer);
  // Time passes between two looks, and what waits stays the same. (The engine looks every second too.)
  await until('nothing moves', DEADLINE_MS, () => peer.remote.link!.unsentForMs(performance.now()) > 0);
  const said: string[] = [];
  seed.torrents[0]!.on('peer', (_, change, reason) => said.push(`${change} ${reason}`));
  const laterMs = performance.now() + LIMITS.stuckSendTimeoutMs + 1;
  peer.remote.link!.lastReadMs = laterMs;
  peer.tick(laterMs);
  await until('it is dropped', DEADLINE_MS, () => said.includes('disconnected reads nothing of what it asked for'));
});

test('a flood of extension handshakes ends the connection', async (t) => {
  const scope = openScope(t);
  const set = await fileSet(scope, MIB);
  const seed = await startSeed(scope, set);
  const said: string[] = [];
  seed.torrents[0]!.on('peer', (_, change, reason) => said.push(`${change} ${reason}`));
  const peer = await connectRawPeer(scope, {
    port: seed.port!,
    metainfo: set.metainfo,
    peerId: '-XX0001-babblebabble',
  });
  for (let i = 0; i < 1000; i++) writeExtended(peer.out, 0, Buffer.from('de'));
  peer.flush();
  await withDeadline(peer.closed, 'it is cut off', DEADLINE_MS);
  await until('the reason is told', DEADLINE_MS, () =>
    said.includes('disconnected sent too many extension handshakes'),
  );
});

for (const storage of STORAGES) {
  test(`peers that vanish with blocks in their socket buffers leave nothing behind (${storage})`, async (t) => {
    const scope = openScope(t);
    const set = await fileSet(scope, 24 * MIB, { pieceLengthBytes: MIB });
    const seed = await startSeed(scope, set, { storage, uploadSlots: 'unlimited' });
    const torrent = live(seed);
    const exchange = torrent.exchange!;
    const troubles: string[] = [];
    seed.torrents[0]!.on('warning', (error) => troubles.push(error.message));
    for (let round = 0; round < 40; round++) {
      const socket = await deafPeer(scope, seed, set, { peerId: `-XX0001-${String(round).padStart(12, '0')}` });
      const out = new OutBuffer();
      // Odd begins and lengths, across blocks and resident units, up to the largest request that is served.
      for (let i = 0; i < 100; i++)
        writeRequest(out, (round + i) % 23, i * 9_001, 1 + ((i * 7_919) % LIMITS.requestBytes));
      socket.write(out.take());
      await until('blocks are on their way', DEADLINE_MS, () =>
        exchange.peers.some((peer) => (peer?.remote.link?.queuedBytes ?? 0) > 0),
      );
      if (round % 2 === 0) socket.destroy();
      else socket.resetAndDestroy();
    }
    await until('all are gone', DEADLINE_MS, () => seed.stats().connections === 0);
    assert.equal(exchange.peerCount, 0);
    assert.ok(exchange.peers.every((peer) => peer === null));
    // Storage refuses to close while anything is pinned.
    await withDeadline(torrent.stop(), 'it has stopped', DEADLINE_MS);
    assert.deepEqual(troubles, []);
  });
}

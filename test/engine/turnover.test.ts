/**
 * Tables full of connections that do nothing: whoever is of use gets in all the same. Real sockets; strangers come from
 * 127.0.0.2 and on.
 */
import assert from 'node:assert/strict';
import net from 'node:net';
import { test } from 'node:test';
import { openScope, type Scope } from '../../lab/scope.js';
import { tempFolder } from '../../lab/temp.js';
import { until, withDeadline } from '../../lab/wait.js';
import type { Engine } from '../../src/api.js';
import { LIMITS } from '../../src/config.js';
import { type DataSet, fileSet, startEngine, startSeed } from '../support/engines.js';
import { RawPeer } from '../support/raw-peer.js';

const DEADLINE_MS = 30_000;
const PIECE_BYTES = 64 * 1024;

const connections = (engine: Engine): number => engine.torrents[0]!.stats().peers;

async function connect(scope: Scope, port: number, localAddress: string): Promise<net.Socket> {
  const socket = net.connect({ host: '127.0.0.1', port, localAddress, noDelay: true });
  scope.defer(() => void socket.destroy());
  socket.on('error', () => {});
  await withDeadline(new Promise<void>((resolve) => socket.once('connect', resolve)), 'it connects', DEADLINE_MS);
  return socket;
}

/** Connections that say hello and nothing else. */
async function idlePeers(scope: Scope, engine: Engine, set: DataSet, count: number, from: string): Promise<RawPeer[]> {
  const peers: RawPeer[] = [];
  for (let i = 0; i < count; i++) {
    const socket = await connect(scope, engine.port!, from);
    const peerId = `-XX0001-idleidle${String(i).padStart(4, '0')}`;
    peers.push(new RawPeer(socket, { port: engine.port!, metainfo: set.metainfo, peerId }));
  }
  await until('all have their places', DEADLINE_MS, () => connections(engine) === count);
  return peers;
}

async function fetchFrom(scope: Scope, seed: Engine, set: DataSet): Promise<void> {
  const leech = await startEngine(scope);
  const peers = [{ host: '127.0.0.1', port: seed.port! }];
  const torrent = leech.add(set.metainfo, { output: await tempFolder(scope), trackers: [], peers });
  await withDeadline(torrent.done, 'the leech is done', DEADLINE_MS);
}

for (const from of ['127.0.0.2', '127.0.0.1']) {
  test(`ten idle connections from ${from} do not keep a table of ten`, async (t) => {
    const scope = openScope(t);
    const set = await fileSet(scope, 4 * PIECE_BYTES, { pieceLengthBytes: PIECE_BYTES });
    const seed = await startSeed(scope, set, { maxConnectionsPerTorrent: 10 });
    const idle = await idlePeers(scope, seed, set, 10, from);
    await fetchFrom(scope, seed, set);
    await withDeadline(Promise.race(idle.map((peer) => peer.closed)), 'one of them has gone', DEADLINE_MS);
  });
}

test('a full engine lets another torrent in for connections that do nothing', async (t) => {
  const scope = openScope(t);
  const [crowded, wanted] = [
    await fileSet(scope, 4 * PIECE_BYTES, { pieceLengthBytes: PIECE_BYTES }),
    await fileSet(scope, 5 * PIECE_BYTES, { pieceLengthBytes: PIECE_BYTES }),
  ];
  const seed = await startSeed(scope, crowded, { maxConnections: 4 });
  await seed.add(wanted.metainfo, { output: wanted.folder, mode: 'seed', trustData: true, trackers: [] }).done;
  await idlePeers(scope, seed, crowded, 4, '127.0.0.2');
  await fetchFrom(scope, seed, wanted);
});

test('a leech whose table is full of idle connections still dials its seed', async (t) => {
  const scope = openScope(t);
  const set = await fileSet(scope, 4 * PIECE_BYTES, { pieceLengthBytes: PIECE_BYTES });
  const seed = await startSeed(scope, set);
  const leech = await startEngine(scope, { maxConnectionsPerTorrent: 3 });
  const torrent = leech.add(set.metainfo, { output: await tempFolder(scope), trackers: [] });
  await until('it takes peers', DEADLINE_MS, () => torrent.state === 'downloading');
  await idlePeers(scope, leech, set, 3, '127.0.0.2');
  torrent.addPeer('127.0.0.1', seed.port!);
  await withDeadline(torrent.done, 'the download ends', DEADLINE_MS);
});

test('connections that never say hello do not close the door', async (t) => {
  const scope = openScope(t);
  const set = await fileSet(scope, 4 * PIECE_BYTES, { pieceLengthBytes: PIECE_BYTES });
  const seed = await startSeed(scope, set, { maxConnections: 4 });
  for (let i = 0; i < 4 + LIMITS.doorstepConnections; i++) await connect(scope, seed.port!, '127.0.0.2');
  await until('all are there', DEADLINE_MS, () => seed.stats().connections === 4 + LIMITS.doorstepConnections);
  const socket = await connect(scope, seed.port!, '127.0.0.1');
  new RawPeer(socket, { port: seed.port!, metainfo: set.metainfo, peerId: '-XX0001-honesthonest' });
  await until('an honest peer is in', LIMITS.handshakeTimeoutMs / 2, () => connections(seed) === 1);
});

test('a full table of peers from many addresses that are new stays as it is', async (t) => {
  const scope = openScope(t);
  const set = await fileSet(scope, 4 * PIECE_BYTES, { pieceLengthBytes: PIECE_BYTES });
  const seed = await startSeed(scope, set, { maxConnectionsPerTorrent: 1 });
  await idlePeers(scope, seed, set, 1, '127.0.0.2');
  const late = new RawPeer(await connect(scope, seed.port!, '127.0.0.3'), {
    port: seed.port!,
    metainfo: set.metainfo,
    peerId: '-XX0001-latelatelate',
  });
  await withDeadline(late.closed, 'it is refused', DEADLINE_MS);
  assert.equal(connections(seed), 1);
});

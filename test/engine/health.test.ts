/** Why nothing comes, as `stats()` and `sources()` tell it: real sockets, nobody behind them. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import net, { type AddressInfo } from 'node:net';
import { test } from 'node:test';
import { openScope } from '../../lab/scope.js';
import { tempFolder } from '../../lab/temp.js';
import { until, withDeadline } from '../../lab/wait.js';
import type { Torrent } from '../../src/api.js';
import { writeBitfield, writeUnchoke } from '../../src/wire/encoder.js';
import { fileSet, startEngine, startSeed } from '../support/engines.js';
import { eventNumbers, RawPeer } from '../support/raw-peer.js';

const DEADLINE_MS = 20_000;
const PIECE_BYTES = 64 * 1024;

function codes(torrent: Torrent): string {
  return torrent
    .stats()
    .health.map(({ code }) => code)
    .join(' ');
}

async function closedPort(): Promise<number> {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

test('a peer and a tracker that refuse are named, with their reasons', async (t) => {
  const scope = openScope(t);
  const set = await fileSet(scope, PIECE_BYTES, { pieceLengthBytes: PIECE_BYTES });
  const engine = await startEngine(scope);
  const [peerPort, trackerPort] = [await closedPort(), await closedPort()];
  const url = `http://127.0.0.1:${trackerPort}/announce`;
  const torrent = engine.add(set.metainfo, {
    output: await tempFolder(scope),
    trackers: [[url], ['wss://127.0.0.1:9/announce']],
    peers: [{ host: '127.0.0.1', port: peerPort }],
  });
  await until('both are told', DEADLINE_MS, () => codes(torrent) === 'unreachable-peers tracker-failing');
  const [peers, tracker] = torrent.stats().health;
  const address = `127.0.0.1:${peerPort}`;
  assert.equal(peers!.message, `the one known peer cannot be reached (${address}: connection refused)`);
  assert.equal(peers!.isBlocking, true);
  assert.match(tracker!.message, new RegExp(`^tracker ${url}: connection refused`));
  const { trackers, addresses } = torrent.sources();
  assert.deepEqual(
    trackers.map(({ outcome }) => outcome),
    ['failure', 'unsupported'],
  );
  assert.equal(addresses.known, 1);
  assert.ok(addresses.dialled >= 1 && addresses.failed >= 1 && addresses.connected === 0);
  assert.deepEqual(addresses.failures, [{ reason: 'connection refused', addresses: 1, example: address }]);
});

test('a torrent without trackers says so when nobody comes, and a peer with nothing is no seed', async (t) => {
  const scope = openScope(t);
  const set = await fileSet(scope, PIECE_BYTES, { pieceLengthBytes: PIECE_BYTES });
  const engine = await startEngine(scope);
  const torrent = engine.add(set.metainfo, { output: await tempFolder(scope) });
  await until('it is alone', DEADLINE_MS, () => codes(torrent) === 'no-peers no-trackers');
  const socket = net.connect({ host: '127.0.0.1', port: engine.port!, noDelay: true });
  scope.defer(() => void socket.destroy());
  await withDeadline(once(socket, 'connect'), 'a peer connects', DEADLINE_MS);
  new RawPeer(socket, { port: engine.port!, metainfo: set.metainfo, peerId: '-XX0001-hasnothing00' });
  await until('the peer is useless', DEADLINE_MS, () => codes(torrent) === 'no-seed');
  assert.equal(torrent.sources().addresses.connected, 1);
});

test('the ban of a peer names its address and the reason, in the log and among the sources', async (t) => {
  const scope = openScope(t);
  const set = await fileSet(scope, 2 * PIECE_BYTES, { pieceLengthBytes: PIECE_BYTES });
  const warnings: { message: string; facts: Record<string, unknown> | undefined }[] = [];
  const engine = await startEngine(scope, {
    log: (level, message, facts) => {
      if (level === 'warn') warnings.push({ message, facts });
    },
  });
  const torrent = engine.add(set.metainfo, { output: await tempFolder(scope), trackers: [] });
  await until('it takes peers', DEADLINE_MS, () => torrent.state === 'downloading');
  const socket = net.connect({ host: '127.0.0.1', port: engine.port!, noDelay: true });
  scope.defer(() => void socket.destroy());
  await withDeadline(once(socket, 'connect'), 'a peer connects', DEADLINE_MS);
  const address = `127.0.0.1:${(socket.address() as AddressInfo).port}`;
  const liar = new RawPeer(socket, {
    port: engine.port!,
    metainfo: set.metainfo,
    peerId: '-XX0001-liarliarliar',
    onEvent: (peer, event) => {
      if (!event.startsWith('request ')) return;
      const [piece, begin, length] = eventNumbers(event) as [number, number, number];
      peer.sendBlock(piece, begin, Buffer.alloc(length, 0x66));
    },
  });
  writeBitfield(liar.out, Uint8Array.of(0xc0));
  writeUnchoke(liar.out);
  liar.flush();
  await until('a piece was bad', DEADLINE_MS, () => torrent.stats().corruptBytes > 0);
  // Who gave it is known when there is a good copy.
  const seed = await startSeed(scope, set);
  torrent.addPeer('127.0.0.1', seed.port!);
  await until('it is banned', DEADLINE_MS, () => torrent.sources().addresses.banned === 1);
  const [ban] = torrent.sources().addresses.bans;
  assert.equal(ban!.address, address);
  const said = warnings.find(({ facts }) => facts?.code === 'PEER_BANNED')!;
  assert.equal(said.message, `peer ${address} banned: ${ban!.reason}`);
  assert.equal(said.facts!.address, address);
  assert.match(ban!.reason, /corrupt data/);
});

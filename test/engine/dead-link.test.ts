/** Links that go dead without a word: the peer that comes back is let in, and a download goes on. Real sockets. */
import assert from 'node:assert/strict';
import net from 'node:net';
import path from 'node:path';
import { test } from 'node:test';
import { openScope, type Scope } from '../../lab/scope.js';
import { tempFolder } from '../../lab/temp.js';
import { readTree } from '../../lab/tree.js';
import { until, withDeadline } from '../../lab/wait.js';
import { LIMITS } from '../../src/config.js';
import { writeInterested } from '../../src/wire/encoder.js';
import { fileSet, liveOf, startEngine, startSeed } from '../support/engines.js';
import { RawPeer } from '../support/raw-peer.js';

const DEADLINE_MS = 30_000;
const PIECE_BYTES = 64 * 1024;

/**
 * Passes connections on to a port, until it is told that those standing now are dead: from then on no byte of theirs
 * passes.
 */
async function deadableProxy(scope: Scope, port: number) {
  const pairs = new Set<[net.Socket, net.Socket]>();
  let passedBytes = 0;
  const server = net.createServer((outer) => {
    const inner = net.connect({ port, host: '127.0.0.1' });
    const pair: [net.Socket, net.Socket] = [outer, inner];
    pairs.add(pair);
    for (const [from, to] of [pair, [inner, outer] as const]) {
      from.on('error', () => {});
      from.on('data', (bytes: Buffer) => {
        passedBytes += bytes.length;
        to.write(bytes);
      });
      from.on('close', () => void to.destroy());
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  scope.defer(() => {
    for (const pair of pairs) for (const socket of pair) socket.destroy();
    return new Promise<void>((resolve) => server.close(() => resolve()));
  });
  return {
    port: (server.address() as net.AddressInfo).port,
    get passedBytes() {
      return passedBytes;
    },
    die(): void {
      for (const pair of pairs) {
        for (const socket of pair) {
          socket.pause();
          socket.removeAllListeners('close');
        }
      }
    },
  };
}

test('a download whose only link goes dead without a word is on its way again within seconds', async (t) => {
  const scope = openScope(t);
  const set = await fileSet(scope, 64 * PIECE_BYTES, { pieceLengthBytes: PIECE_BYTES });
  const seed = await startSeed(scope, set, { uploadBytesPerSec: 1024 * 1024 });
  const proxy = await deadableProxy(scope, seed.port!);
  const leech = await startEngine(scope);
  const peers = [{ host: '127.0.0.1', port: proxy.port }];
  const torrent = leech.add(set.metainfo, { output: await tempFolder(scope), trackers: [], peers });
  await until('the download is on its way', DEADLINE_MS, () => proxy.passedBytes > 10 * PIECE_BYTES);
  proxy.die();
  await withDeadline(torrent.done, 'the download ends', DEADLINE_MS);
  assert.deepEqual(await readTree(path.join(torrent.output, 'image.bin')), await readTree(set.path));
});

test('a newer connection of a peer waits until the older one is silent, and replaces it when it speaks', async (t) => {
  const scope = openScope(t);
  const set = await fileSet(scope, 4 * PIECE_BYTES, { pieceLengthBytes: PIECE_BYTES });
  const seed = await startSeed(scope, set, { maxConnectionsPerTorrent: 1 });
  const torrent = liveOf(seed.torrents[0]);
  const links = () => torrent.exchange!.peers.filter((peer) => peer !== null && !peer.remote.link!.isClosing);
  const connect = async (localAddress: string): Promise<RawPeer> => {
    const socket = net.connect({ host: '127.0.0.1', port: seed.port!, localAddress });
    scope.defer(() => void socket.destroy());
    return new RawPeer(socket, { port: seed.port!, metainfo: set.metainfo, peerId: '-XX0001-backagainbac' });
  };
  const first = await connect('127.0.0.2');
  await until('it is a peer', DEADLINE_MS, () => links().length === 1);
  const early = await connect('127.0.0.2');
  await withDeadline(early.closed, 'a second one is refused', DEADLINE_MS);
  links()[0]!.remote.link!.lastReadMs -= LIMITS.silentTwinMs + 1;
  const stranger = await connect('127.0.0.3');
  await withDeadline(stranger.closed, 'one from another host is refused', DEADLINE_MS);
  const second = await connect('127.0.0.2');
  await until('both stand', DEADLINE_MS, () => links().length === 2);
  writeInterested(second.out);
  second.flush();
  await withDeadline(first.closed, 'the first one is closed', DEADLINE_MS);
  assert.equal(links().length, 1);
});

/** Who may be taken for whom: bans, our own address, second connections, both families of addresses. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { openScope, type Scope } from '../../lab/scope.js';
import { tempFolder } from '../../lab/temp.js';
import { readTree } from '../../lab/tree.js';
import { until, withDeadline } from '../../lab/wait.js';
import { writeBitfield, writeUnchoke } from '../../src/wire/encoder.js';
import { fileSet, startEngine, startSeed } from '../support/engines.js';
import { eventNumbers, RawPeer } from '../support/raw-peer.js';
import { startScriptedSeed } from '../support/scripted-seed.js';

const DEADLINE_MS = 20_000;
const PIECE_BYTES = 64 * 1024;
const PEER_ID = '-XX0001-borrowedname';

async function connectFrom(scope: Scope, localAddress: string, port: number): Promise<net.Socket> {
  const socket = net.connect({ host: '127.0.0.1', port, localAddress, noDelay: true });
  scope.defer(() => void socket.destroy());
  await withDeadline(
    new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', reject);
    }),
    `a peer from ${localAddress} connects`,
    DEADLINE_MS,
  );
  return socket;
}

test('a liar under a borrowed peer id is banned, the owner of the name on another host is not', async (t) => {
  const scope = openScope(t);
  const set = await fileSet(scope, 4 * PIECE_BYTES, { pieceLengthBytes: PIECE_BYTES });
  const leech = await startEngine(scope);
  const torrent = leech.add(set.metainfo, { output: await tempFolder(scope), trackers: [] });
  const said: string[] = [];
  torrent.on('peer', (_, change) => said.push(change));
  await until('it takes peers', DEADLINE_MS, () => torrent.state === 'downloading');
  const options = { port: leech.port!, metainfo: set.metainfo, peerId: PEER_ID };
  const liar = new RawPeer(await connectFrom(scope, '127.0.0.2', leech.port!), {
    ...options,
    onEvent: (peer, event) => {
      if (!event.startsWith('request ')) return;
      const [piece, begin, length] = eventNumbers(event) as [number, number, number];
      peer.sendBlock(piece, begin, Buffer.alloc(length, 0x66));
    },
  });
  writeBitfield(liar.out, Uint8Array.of(0xf0));
  writeUnchoke(liar.out);
  liar.flush();
  await until('it has lied', DEADLINE_MS, () => torrent.stats().corruptBytes > 0);
  // By its own bad copy alone nobody is convicted: a good one shows it.
  const seed = await startScriptedSeed(scope, {
    metainfo: set.metainfo,
    bytes: await readFile(set.path),
    host: '127.0.0.4',
    pieceCount: 3,
  });
  torrent.addPeer(seed.host, seed.port);
  await withDeadline(liar.closed, 'the liar is cut off', DEADLINE_MS);
  await until('it is banned', DEADLINE_MS, () => said.includes('banned'));
  const again = new RawPeer(await connectFrom(scope, '127.0.0.2', leech.port!), options);
  await withDeadline(again.closed, 'the liar is refused', DEADLINE_MS);
  await torrent.pause();
  torrent.resume();
  await until('the seed is back', DEADLINE_MS, () => torrent.stats().peers === 1);
  const later = new RawPeer(await connectFrom(scope, '127.0.0.2', leech.port!), options);
  await withDeadline(later.closed, 'the liar is refused after a pause too', DEADLINE_MS);
  assert.deepEqual(later.recorder.events, [], 'it is told nothing');
  new RawPeer(await connectFrom(scope, '127.0.0.3', leech.port!), options);
  await until('the owner of the name is a peer', DEADLINE_MS, () =>
    torrent.peers().some(({ address }) => address.startsWith('127.0.0.3:')),
  );
});

test('an engine that dials itself finds out and forgets the address', async (t) => {
  const scope = openScope(t);
  const set = await fileSet(scope, PIECE_BYTES);
  const dropped: string[] = [];
  const log = (_: string, __: string, facts?: Record<string, unknown>): void => {
    if (facts?.address !== undefined) dropped.push(`${facts.address} ${facts.reason}`);
  };
  const engine = await startEngine(scope, { log });
  const torrent = engine.add(set.metainfo, { output: await tempFolder(scope), trackers: [] });
  await until('it takes peers', DEADLINE_MS, () => torrent.state === 'downloading');
  torrent.addPeer('127.0.0.1', engine.port!);
  await until('both ends are dropped', DEADLINE_MS, () => dropped.length === 2);
  assert.ok(dropped.includes(`127.0.0.1:${engine.port} connected to ourselves`), dropped.join('\n'));
  assert.equal(torrent.stats().knownAddresses, 0);
});

const hasIPv6 = Object.values(os.networkInterfaces()).some((list) => list?.some(({ address }) => address === '::1'));

for (const name of ['::1', 'localhost']) {
  test(`peers find each other at ${name}`, { skip: name === '::1' && !hasIPv6 }, async (t) => {
    const scope = openScope(t);
    const set = await fileSet(scope, 8 * PIECE_BYTES, { pieceLengthBytes: PIECE_BYTES });
    const seed = await startSeed(scope, set, { host: name });
    const leech = await startEngine(scope);
    const peers = [{ host: name, port: seed.port! }];
    const torrent = leech.add(set.metainfo, { output: await tempFolder(scope), trackers: [], peers });
    await withDeadline(torrent.done, 'the download ends', DEADLINE_MS);
    assert.deepEqual(await readTree(path.join(torrent.output, 'image.bin')), await readTree(set.path));
  });
}

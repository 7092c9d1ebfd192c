/** Local service discovery (BEP 14) between engines on loopback: real sockets and files, nothing else to find peers. */
import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import path from 'node:path';
import { test } from 'node:test';
import { openScope } from '../../lab/scope.js';
import { tempFolder } from '../../lab/temp.js';
import { sha256Tree } from '../../lab/tree.js';
import { until, withDeadline } from '../../lab/wait.js';
import type { Engine } from '../../src/api.js';
import { encodeSearch } from '../../src/lsd/messages.js';
import { fileSet, startEngine, startSeed } from '../support/engines.js';

const DEADLINE_MS = 30_000;

const lsdOf = (engine: Engine) => engine.stats().lsd!;

test('two engines on one network find each other, whoever came first', async (t) => {
  const scope = openScope(t);
  const set = await fileSet(scope, 300_001, { pieceLengthBytes: 65_536 });
  const seed = await startSeed(scope, set, { lsd: true });
  assert.deepEqual([lsdOf(seed).message, lsdOf(seed).networks], ['', 1]);
  const leech = await startEngine(scope, { lsd: true });
  const torrent = leech.add(set.metainfo, { output: await tempFolder(scope), trackers: [] });
  await withDeadline(torrent.done, 'the download ends', DEADLINE_MS);
  assert.equal(await sha256Tree(path.join(torrent.output, 'image.bin')), await sha256Tree(set.path));
  assert.equal(lsdOf(seed).heard + lsdOf(leech).heard > 0, true);
});

test('a magnet link leads to peers of the local network; a private torrent does not', async (t) => {
  const scope = openScope(t);
  const set = await fileSet(scope, 300_002, { pieceLengthBytes: 65_536 });
  await startSeed(scope, set, { lsd: true });
  const leech = await startEngine(scope, { lsd: true });
  const magnet = leech.add(`magnet:?xt=urn:btih:${set.metainfo.infoHashHex}`, { output: await tempFolder(scope) });
  await withDeadline((await withDeadline(magnet.torrent, 'the metadata comes', DEADLINE_MS)).done, 'all', DEADLINE_MS);

  const secret = await fileSet(scope, 300_003, { pieceLengthBytes: 65_536, isPrivate: true });
  const seed = await startSeed(scope, secret, { lsd: true });
  const other = await startEngine(scope, { lsd: true });
  const torrent = other.add(secret.metainfo, { output: await tempFolder(scope), trackers: [] });
  const open = await fileSet(scope, 300_004, { pieceLengthBytes: 65_536 });
  await seed.add(open.metainfo, { output: open.folder, mode: 'seed', trackers: [] }).done;
  await withDeadline(
    other.add(open.metainfo, { output: await tempFolder(scope), trackers: [] }).done,
    'it',
    DEADLINE_MS,
  );
  assert.deepEqual([torrent.stats().knownAddresses, torrent.peers().length], [0, 0]);
});

test('a flood of nonsense is counted and does no harm', async (t) => {
  const scope = openScope(t);
  const set = await fileSet(scope, 300_005, { pieceLengthBytes: 65_536 });
  const seed = await startSeed(scope, set, { lsd: true });
  const socket = createSocket('udp4');
  scope.defer(() => void socket.close());
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
  socket.setMulticastInterface('127.0.0.1');
  const send = (bytes: Buffer) => new Promise((resolve) => socket.send(bytes, 6771, '239.192.152.143', resolve));
  const bad = [Buffer.alloc(0), Buffer.alloc(9_000, 65), Buffer.from('BT-SEARCH * HTTP/1.1\r\nPort: 0\r\n\r\n')];
  // What does not fit the kernel's buffer is lost before we see it.
  await until('they are counted', DEADLINE_MS, async () => {
    for (let round = 0; round < 20; round++) for (const bytes of bad) await send(bytes);
    const { malformed, flood } = lsdOf(seed).dropped;
    return malformed > 20 && flood > 20;
  });
  // Our own port is nobody's; of all others a few are believed.
  const hash = [set.metainfo.infoHashHex];
  const ports = [seed.port!, 1, 2, 3];
  await until('some are believed', DEADLINE_MS, async () => {
    // What the flood left is one datagram at a time, most often the first: each port comes first in its turn.
    ports.push(ports.shift()!);
    for (const port of ports) await send(encodeSearch('x', port, hash, 'c'));
    return seed.torrents[0]!.stats().knownAddresses >= 1;
  });
  assert.ok(seed.torrents[0]!.stats().knownAddresses <= 8);
});

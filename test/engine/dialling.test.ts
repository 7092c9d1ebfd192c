/** Whom an engine dials, and how soon again. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import net from 'node:net';
import { test } from 'node:test';
import { openScope } from '../../lab/scope.js';
import { tempFolder } from '../../lab/temp.js';
import { until, withDeadline } from '../../lab/wait.js';
import type { Torrent } from '../../src/api.js';
import { peerPriority } from '../../src/net/peer-priority.js';
import { fileSet, liveOf, startEngine, startSeed } from '../support/engines.js';
import { startScriptedSeed } from '../support/scripted-seed.js';

const DEADLINE_MS = 30_000;
const PIECE_BYTES = 64 * 1024;

interface Address {
  readonly host: string;
  readonly port: number;
}

/** As if a tracker had named them. */
function named(torrent: Torrent, addresses: readonly Address[]): void {
  type Finds = { roster: { add(addresses: readonly Address[], foundBy: string): void } };
  (liveOf(torrent) as unknown as Finds).roster.add(addresses, 'tracker');
}

test('a seed that a tracker named and that was away for seconds is dialled again within seconds', async (t) => {
  const scope = openScope(t);
  const set = await fileSet(scope, 4 * PIECE_BYTES, { pieceLengthBytes: PIECE_BYTES });
  const options = { metainfo: set.metainfo, bytes: await readFile(set.path) };
  const away = await startScriptedSeed(scope, { ...options, pieceCount: 3 });
  const leech = await startEngine(scope);
  const torrent = leech.add(set.metainfo, { output: await tempFolder(scope), trackers: [] });
  await until('it takes peers', DEADLINE_MS, () => torrent.state === 'downloading');
  named(torrent, [away]);
  await until('most is there', DEADLINE_MS, () => torrent.stats().verifiedPieces === 3);
  await away.close();
  await until('it is alone', DEADLINE_MS, () => torrent.stats().peers === 0);
  await new Promise((resolve) => setTimeout(resolve, 1500)); // Long enough for a dial in vain: the seed is away.
  await startScriptedSeed(scope, options, away.port);
  await withDeadline(torrent.done, 'the download ends', 12_000);
});

test('a torrent with hundreds of dead addresses does not keep another from its one live peer', async (t) => {
  const scope = openScope(t);
  const [first, second] = [await fileSet(scope, PIECE_BYTES), await fileSet(scope, 3 * PIECE_BYTES)];
  const sockets = new Set<net.Socket>();
  const silent = net.createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
  });
  await new Promise<void>((resolve) => silent.listen(0, '0.0.0.0', resolve));
  scope.defer(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise<void>((resolve) => silent.close(() => resolve()));
  });
  const { port } = silent.address() as net.AddressInfo;
  const seed = await startSeed(scope, second);
  const leech = await startEngine(scope);
  const busy = leech.add(first.metainfo, { output: await tempFolder(scope), trackers: [] });
  const other = leech.add(second.metainfo, { output: await tempFolder(scope), trackers: [] });
  await until('both take peers', DEADLINE_MS, () => [busy, other].every(({ state }) => state === 'downloading'));
  named(
    busy,
    Array.from({ length: 600 }, (_, n) => ({ host: `127.1.${n >> 8}.${n & 255}`, port })),
  );
  await until('the first one dials', DEADLINE_MS, () => sockets.size >= 40);
  named(other, [{ host: '127.0.0.1', port: seed.port! }]);
  await withDeadline(other.done, 'the other one is served', 8_000);
  assert.ok(sockets.size < 400, `${sockets.size} dials of the first one`);
});

test('among equal addresses the canonical order says whom it dials first (BEP 40)', async (t) => {
  const scope = openScope(t);
  const set = await fileSet(scope, PIECE_BYTES);
  const dialled: string[] = [];
  const silent = net.createServer((socket) => {
    dialled.push(socket.localAddress ?? '');
    socket.on('error', () => {});
    scope.defer(() => void socket.destroy());
  });
  await new Promise<void>((resolve) => silent.listen(0, '0.0.0.0', resolve));
  scope.defer(() => new Promise<void>((resolve) => silent.close(() => resolve())));
  const { port } = silent.address() as net.AddressInfo;
  const places = 5;
  const leech = await startEngine(scope, { maxConnectionsPerTorrent: places });
  const torrent = leech.add(set.metainfo, { output: await tempFolder(scope), trackers: [] });
  await until('it takes peers', DEADLINE_MS, () => torrent.state === 'downloading');
  const all = Array.from({ length: 40 }, (_, n) => ({ host: `127.${n + 1}.7.9`, port }));
  named(torrent, all);
  await until('its places are dialled', DEADLINE_MS, () => dialled.length >= places);
  const own = { host: '127.0.0.1', port: leech.port ?? 0 };
  const best = all.map((address) => ({ ...address, priority: peerPriority(own, address) }));
  best.sort((a, b) => b.priority - a.priority);
  assert.deepEqual(
    dialled.sort(),
    best
      .slice(0, places)
      .map(({ host }) => host)
      .sort(),
  );
});

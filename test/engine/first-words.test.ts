/** What a seed says to a peer that comes to it, before the peer has said more than its handshake. */
import assert from 'node:assert/strict';
import { dirname } from 'node:path';
import { test } from 'node:test';
import { openScope } from '../../lab/scope.js';
import { tempFolder } from '../../lab/temp.js';
import { until, withDeadline } from '../../lab/wait.js';
import { startEngine as startWithInternals } from '../../src/engine/engine.js';
import { openStorage } from '../../src/storage/open.js';
import { writeInterested, writeNotInterested, writeRequest } from '../../src/wire/encoder.js';
import { createWorkPool } from '../../src/work/pool.js';
import type { WorkPool } from '../../src/work/port.js';
import { fileSet, startEngine, startSeed } from '../support/engines.js';
import { connectRawPeer } from '../support/raw-peer.js';

const DEADLINE_MS = 30_000;
const PIECE_BYTES = 32 * 1024;

async function arrived(t: { after(hook: () => Promise<void>): void }, peerId = '-SH0100-firstwords00') {
  const scope = openScope(t);
  const set = await fileSet(scope, 4 * PIECE_BYTES, { pieceLengthBytes: PIECE_BYTES });
  const seed = await startSeed(scope, set);
  return connectRawPeer(scope, {
    port: seed.port!,
    metainfo: set.metainfo,
    peerId,
    fast: true,
  });
}

test('a seed unchokes one of ours that comes to it, before it has heard of its interest', async (t) => {
  const peer = await arrived(t);
  await peer.event('unchoke');
  const { events } = peer.recorder;
  assert.ok(events.indexOf('have all') < events.indexOf('unchoke'), events.join('; '));
  // That it is interested is no news.
  writeInterested(peer.out);
  writeNotInterested(peer.out);
  peer.flush();
  await peer.event('choke');
  assert.deepEqual(
    events.filter((event) => event.endsWith('choke')),
    ['unchoke', 'choke'],
  );
});

test('a client of another make is unchoked once interested: WebTorrent loses what the handshake brings', async (t) => {
  const peer = await arrived(t, '-WW0109-firstwords00');
  writeRequest(peer.out, 0, 0, 16_384);
  peer.flush();
  await peer.event('reject');
  assert.ok(!peer.recorder.events.includes('unchoke'), peer.recorder.events.join('; '));
  writeInterested(peer.out);
  peer.flush();
  await peer.event('unchoke');
});

test('who never says that it is interested has its slot for some seconds only', async (t) => {
  const peer = await arrived(t);
  await peer.event('unchoke');
  await peer.event('choke');
});

test('a leech waits for the interest of a peer', async (t) => {
  const scope = openScope(t);
  const { metainfo } = await fileSet(scope, 4 * PIECE_BYTES, { pieceLengthBytes: PIECE_BYTES });
  const leech = await startEngine(scope);
  const torrent = leech.add(metainfo, { output: await tempFolder(scope), trackers: [] });
  await until('it takes peers', 30_000, () => torrent.state === 'downloading');
  const peer = await connectRawPeer(scope, { port: leech.port!, metainfo, peerId: '-XX0000-firstwords00', fast: true });
  await peer.event('have none');
  writeInterested(peer.out);
  peer.flush();
  await peer.event('unchoke');
  assert.deepEqual(peer.recorder.events, ['have none', 'unchoke']);
});

test('a seed that needed no worker yet starts one when a peer is at the door', async (t) => {
  const scope = openScope(t);
  const { metainfo, path } = await fileSet(scope, 4 * PIECE_BYTES, { pieceLengthBytes: PIECE_BYTES });
  let started = 0;
  const wrapPool = (pool: WorkPool): WorkPool => {
    const warmUp = pool.warmUp?.bind(pool);
    pool.warmUp = () => {
      started++;
      warmUp?.();
    };
    return pool;
  };
  const engine = await startWithInternals({ port: 0, host: '127.0.0.1' }, { wrapPool });
  scope.defer(() => engine.close());
  const torrent = engine.add(metainfo, { output: dirname(path), mode: 'seed', trustData: true, trackers: [] });
  await torrent.done;
  assert.equal(started, 0);
  const peer = await connectRawPeer(scope, {
    port: engine.port!,
    metainfo,
    peerId: '-SH0100-firstwords00',
    fast: true,
  });
  await peer.event('unchoke');
  assert.equal(started, 1);
});

test('who is named is greeted while the files are being prepared, and asked as soon as they are', async (t) => {
  const scope = openScope(t);
  const set = await fileSet(scope, 4 * PIECE_BYTES, { pieceLengthBytes: PIECE_BYTES });
  const seed = await startSeed(scope, set);
  let prepare!: () => void;
  const isWanted = new Promise<void>((resolve) => {
    prepare = resolve;
  });
  const pool = createWorkPool({ threads: 1, needsMemory: true });
  const openLate: typeof openStorage = async (options) => {
    await isWanted;
    return openStorage(options);
  };
  const leech = await startWithInternals(
    { port: false, threads: 1 },
    {
      pool,
      openStorage: (metainfo, output, forWriting) => openLate({ metainfo, output, pool, kind: 'auto', forWriting }),
    },
  );
  scope.defer(() => leech.close());
  const torrent = leech.add(set.metainfo, {
    output: await tempFolder(scope),
    trackers: [],
    peers: [{ host: '127.0.0.1', port: seed.port! }],
  });
  await until('the seed has let it in', DEADLINE_MS, () => seed.torrents[0]!.peers().length === 1);
  assert.equal(torrent.state, 'preparing');
  assert.equal(torrent.sources().addresses.dialled, 1);
  prepare();
  await withDeadline(torrent.done, 'the download ends', DEADLINE_MS);
  assert.equal(torrent.sources().addresses.dialled, 1);
});

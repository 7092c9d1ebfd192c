/** Disks that fail under a running torrent: a clear error, an end, and no crash. */
import assert from 'node:assert/strict';
import { rm, truncate } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { openScope, type Scope } from '../../lab/scope.js';
import { tempFolder } from '../../lab/temp.js';
import { until, withDeadline } from '../../lab/wait.js';
import type { Torrent } from '../../src/api.js';
import { Trackers } from '../../src/discovery/trackers.js';
import { DiskContent } from '../../src/engine/content.js';
import { makeEnvironment } from '../../src/engine/environment.js';
import type { HaulError } from '../../src/errors.js';
import type { Bitfield } from '../../src/metainfo/bitfield.js';
import { HttpClient } from '../../src/net/http-client.js';
import { EVERY_HOST } from '../../src/net/own-host.js';
import { Throttle } from '../../src/peer/throttle.js';
import { engineMemory } from '../../src/storage/memory.js';
import type { Claim } from '../../src/storage/resume.js';
import type { CheckOptions } from '../../src/torrent/content.js';
import type { Dialler, Services } from '../../src/torrent/environment.js';
import { LiveTorrent } from '../../src/torrent/torrent.js';
import { createWorkPool } from '../../src/work/pool.js';
import { fileSet, startEngine, startSeed } from '../support/engines.js';

const MIB = 1024 * 1024;
const PIECE_BYTES = 256 * 1024;
const DEADLINE_MS = 20_000;

const failure = (torrent: Torrent): Promise<HaulError> =>
  new Promise((resolve) => torrent.once('failed', (error) => resolve(error)));

test('a seed whose file is cut off while it is in memory says so, and does not crash', async (t) => {
  const scope = openScope(t);
  const set = await fileSet(scope, 16 * MIB, { pieceLengthBytes: PIECE_BYTES });
  const seed = await startSeed(scope, set, { storage: 'mapped' });
  const served = seed.torrents[0]!;
  const failed = failure(served);
  const peers = [{ host: '127.0.0.1', port: seed.port! }];
  const first = await startEngine(scope);
  await first.add(set.metainfo, { output: await tempFolder(scope), trackers: [], peers }).done;
  await truncate(set.path, MIB);
  const second = await startEngine(scope);
  second.add(set.metainfo, { output: await tempFolder(scope), trackers: [], peers });
  const error = await withDeadline(failed, 'the seed fails', DEADLINE_MS);
  assert.equal(error.code, 'BAD_DATA');
  assert.ok(error.message.startsWith(`${set.path} was cut off`), error.message);
  assert.deepEqual(seed.torrents, []);
});

for (const storage of ['mapped', 'positional'] as const) {
  test(`a folder that is removed under a download fails it with one clear line (${storage})`, async (t) => {
    const scope = openScope(t);
    const set = await fileSet(scope, 32 * MIB, { pieceLengthBytes: PIECE_BYTES });
    const seed = await startSeed(scope, set);
    const output = path.join(await tempFolder(scope), 'gone');
    const engine = await startEngine(scope, { storage });
    const torrent = engine.add(set.metainfo, { output, trackers: [] });
    await until('the files are made', DEADLINE_MS, () => torrent.state === 'downloading');
    // The record may be written at this very moment.
    await rm(output, { recursive: true, maxRetries: 5, retryDelay: 20 });
    torrent.addPeer('127.0.0.1', seed.port!);
    await assert.rejects(
      withDeadline(torrent.done, 'the download ends', DEADLINE_MS),
      (error: HaulError) => error.code === 'NOT_FOUND' && error.message.includes(output),
    );
    await torrent.stop();
    assert.equal(torrent.state, 'failed');
  });
}

/** Real content without an engine, to see in which order it is used; `change` puts other parts of it in. */
function watchedServices(scope: Scope, calls: string[], change = (_content: DiskContent): void => {}): Services {
  const pool = createWorkPool({ threads: 1 });
  const trackers = new Trackers({ random: () => 0.5 });
  scope.defer(() => trackers.close());
  const client = new HttpClient();
  scope.defer(() => client.destroy());
  scope.defer(() => pool.close());
  const shared = makeEnvironment({
    trackers,
    webClients: { any: client, ofTrackers: client, publicOnly: client, isInside: () => false },
    log: () => {},
    random: () => 0.5,
    permits: () => true,
    peerId: Buffer.alloc(20),
    usesPex: true,
    ownHost: () => EVERY_HOST,
    outside: { port: null, mappingTrouble: null, dht: null, lsd: null },
    uploadSlots: 4,
    maxPeers: 4,
    maxPeersPerAddress: 4,
    restAfterMs: Number.POSITIVE_INFINITY,
    stir: () => {},
    onStopped: () => {},
  });
  const dialler: Dialler = {
    take: () => false,
    halfOpen: 0,
    dial: () => {},
    trouble: null,
    hasRoom: true,
    dropUselessElsewhere: () => false,
    forget: () => {},
    closeHandshakes: () => {},
  };
  class WatchedContent extends DiskContent {
    override recheck(options: CheckOptions): Promise<Bitfield> {
      calls.push('recheck');
      return super.recheck(options);
    }

    override sync(): Promise<void> {
      calls.push('sync');
      return super.sync();
    }

    override saveResume(claim: Claim): Promise<void> {
      calls.push(`record ${claim.synced.count}`);
      return super.saveResume(claim);
    }
  }
  return {
    environment: { ...shared, throttles: { downloads: new Throttle([]), uploads: new Throttle([]) } },
    dialler,
    contentOf: (metainfo, output, selection) => {
      const disks = { pool, kind: 'auto', memory: engineMemory(pool) } as const;
      const content = new WatchedContent(disks, metainfo, output, selection);
      change(content);
      return content;
    },
  };
}

test('what a check found good is on the device before it is recorded', async (t) => {
  const scope = openScope(t);
  const set = await fileSet(scope, 2 * MIB, { pieceLengthBytes: PIECE_BYTES });
  const calls: string[] = [];
  const options = { output: set.folder, trackers: [] };
  const torrent = new LiveTorrent(set.metainfo, options, watchedServices(scope, calls));
  await until('the check ends', DEADLINE_MS, () => torrent.state === 'seeding');
  await torrent.stop();
  assert.deepEqual(calls.slice(0, 3), ['recheck', 'sync', 'record 8']);
});

test('a disk that refuses to close does not keep a torrent from stopping', async (t) => {
  const scope = openScope(t);
  const set = await fileSet(scope, MIB);
  const services = watchedServices(scope, [], (content) => {
    const open = content.open.bind(content);
    content.open = async (forWriting) => {
      const storage = await open(forWriting);
      const close = storage.close.bind(storage);
      storage.close = () => close().then(() => Promise.reject(new Error('the disk is gone')));
      return storage;
    };
  });
  const options = { output: await tempFolder(scope), trackers: [] };
  const torrent = new LiveTorrent(set.metainfo, options, services);
  const warnings: string[] = [];
  torrent.listener = {
    troubled: () => {},
    told: (_live, event, args) => {
      if (event === 'warning') warnings.push((args[0] as Error).message);
    },
  };
  await until('it is under way', DEADLINE_MS, () => torrent.state === 'downloading');
  await withDeadline(torrent.stop(), 'it has stopped', DEADLINE_MS);
  assert.equal(torrent.state, 'stopped');
  assert.deepEqual(warnings, ['close the files of image.bin: the disk is gone']);
});

/** A disk, memory or descriptors that fail for a while: the transfer pauses, says so when it lasts, and ends whole. */
import assert from 'node:assert/strict';
import net from 'node:net';
import path from 'node:path';
import { test } from 'node:test';
import { openScope, type Scope } from '../../lab/scope.js';
import { tempFolder } from '../../lab/temp.js';
import { readTree } from '../../lab/tree.js';
import { until, withDeadline } from '../../lab/wait.js';
import type { Engine, Torrent } from '../../src/api.js';
import { startEngine } from '../../src/engine/engine.js';
import { HaulError } from '../../src/errors.js';
import { openStorage } from '../../src/storage/open.js';
import type { StorageKind } from '../../src/storage/port.js';
import { createWorkPool } from '../../src/work/pool.js';
import type { WorkJob, WorkPool } from '../../src/work/port.js';
import { type DataSet, fileSet, startSeed } from '../support/engines.js';
import { ProbePool } from '../support/probe-pool.js';

const MIB = 1024 * 1024;
const PIECE_BYTES = 256 * 1024;
const DEADLINE_MS = 60_000;

type Fault = (job: WorkJob) => string | null;

async function startFaulty(scope: Scope, storage: StorageKind, fault: Fault): Promise<Engine> {
  let pool: WorkPool | null = null;
  // A file that was just made is in memory: as if it were not, so that it is read.
  const budgets = { asksPageCache: false };
  const engine = await startEngine(
    { port: 0, host: '127.0.0.1', storage, seed: 1, threads: 1 },
    {
      wrapPool: (real) => {
        const probe = new ProbePool(real);
        probe.fault = fault;
        pool = probe;
        return probe;
      },
      openStorage: (metainfo, output, forWriting, selection) =>
        openStorage({ metainfo, output, pool: pool!, kind: storage, forWriting, selection, budgets }),
    },
  );
  scope.defer(() => withDeadline(engine.close(), 'the engine closes', DEADLINE_MS));
  return engine;
}

function isWrite({ kind }: WorkJob): boolean {
  return kind === 'write' || kind === 'verify-write';
}

/** Fails the job of this kind that has this number, counted from 1. */
function once(kind: WorkJob['kind'], number: number, errno: string): Fault {
  let count = 0;
  return (job) => (job.kind === kind && ++count === number ? errno : null);
}

async function fetchFrom(
  scope: Scope,
  leech: Engine,
  seed: Engine,
  set: DataSet,
): Promise<{ torrent: Torrent; file: string }> {
  const output = await tempFolder(scope);
  const peers = [{ host: '127.0.0.1', port: seed.port! }];
  return { torrent: leech.add(set.metainfo, { output, trackers: [], peers }), file: path.join(output, 'image.bin') };
}

for (const [storage, kind, errno] of [
  ['positional', 'verify-write', 'EIO'],
  ['positional', 'populate', 'ENOMEM'],
  ['mapped', 'populate', 'EMFILE'],
  ['mapped', 'verify', 'EIO'],
] as const) {
  test(`one ${errno} of a ${kind} costs a second and nothing else (${storage})`, async (t) => {
    const scope = openScope(t);
    const set = await fileSet(scope, 4 * MIB, { pieceLengthBytes: PIECE_BYTES });
    const seed = await startSeed(scope, set);
    const leech = await startFaulty(scope, storage, once(kind, 3, errno));
    const { torrent, file } = await fetchFrom(scope, leech, seed, set);
    const warnings: string[] = [];
    torrent.on('warning', (error) => warnings.push(error.message));
    await withDeadline(torrent.done, 'the download ends', DEADLINE_MS);
    assert.deepEqual(await readTree(file), await readTree(set.path));
    assert.deepEqual(warnings, []);
  });
}

for (const storage of ['mapped', 'positional'] as const) {
  test(`a seed that fails to read for a while goes on serving (${storage})`, async (t) => {
    const scope = openScope(t);
    const set = await fileSet(scope, 4 * MIB, { pieceLengthBytes: PIECE_BYTES });
    let faults = 3;
    const seed = await startFaulty(scope, storage, (job) => {
      const isRead = job.kind === 'read' || (job.kind === 'populate' && !job.forWriting);
      return isRead && faults-- > 0 ? 'EIO' : null;
    });
    const served = seed.add(set.metainfo, { output: set.folder, mode: 'seed', trustData: true, trackers: [] });
    await served.done;
    const leech = await startFaulty(scope, 'mapped', () => null);
    const { torrent, file } = await fetchFrom(scope, leech, seed, set);
    await withDeadline(torrent.done, 'the download ends', DEADLINE_MS);
    assert.deepEqual(await readTree(file), await readTree(set.path));
    assert.equal(served.state, 'seeding');
    assert.ok(faults <= 0);
  });
}

test('a disk that goes on failing is a pause that is told, and the download ends when the disk is back', async (t) => {
  const scope = openScope(t);
  const set = await fileSet(scope, 4 * MIB, { pieceLengthBytes: PIECE_BYTES });
  const seed = await startSeed(scope, set);
  let isBroken = true;
  const leech = await startFaulty(scope, 'positional', (job) => (isBroken && isWrite(job) ? 'EIO' : null));
  const { torrent, file } = await fetchFrom(scope, leech, seed, set);
  const warnings: string[] = [];
  torrent.on('warning', (error) => warnings.push(error.message));
  await until('it is paused', DEADLINE_MS, () => torrent.stats().health[0]?.code === 'paused');
  assert.match(
    torrent.stats().health[0]!.message,
    /^paused: write .*image\.bin: .*; it is tried again (?:now|in \d+ s)$/,
  );
  assert.equal(torrent.state, 'downloading');
  isBroken = false;
  await withDeadline(torrent.done, 'the download ends', DEADLINE_MS);
  assert.deepEqual(await readTree(file), await readTree(set.path));
  assert.equal(warnings.length, 1);
  assert.match(warnings[0]!, /^image\.bin: paused: write /);
});

test('a torrent that is paused can be stopped, and a full disk still fails it', async (t) => {
  const scope = openScope(t);
  const set = await fileSet(scope, 4 * MIB, { pieceLengthBytes: PIECE_BYTES });
  const seed = await startSeed(scope, set);
  let errno = 'EIO';
  const leech = await startFaulty(scope, 'positional', (job) => (isWrite(job) ? errno : null));
  const first = await fetchFrom(scope, leech, seed, set);
  await until('it is paused', DEADLINE_MS, () => first.torrent.stats().health[0]?.code === 'paused');
  await withDeadline(first.torrent.stop(), 'it stops', DEADLINE_MS);
  errno = 'ENOSPC';
  const second = await fetchFrom(scope, leech, seed, set);
  await assert.rejects(withDeadline(second.torrent.done, 'it fails', DEADLINE_MS), { code: 'NO_SPACE' });
});

test('a download that finds no descriptor while it prepares waits, says so, and goes on', async (t) => {
  const scope = openScope(t);
  const set = await fileSet(scope, MIB, { pieceLengthBytes: PIECE_BYTES });
  const seed = await startSeed(scope, set);
  let tries = 0;
  const engine = await startEngine(
    { port: 0, host: '127.0.0.1', threads: 1 },
    {
      openStorage: async (metainfo, output, forWriting) => {
        if (++tries <= 2) {
          throw new HaulError('SYSTEM_LIMIT', `open ${output}: too many open files`, { errno: 'EMFILE' });
        }
        return openStorage({ metainfo, output, pool: createWorkPool({ threads: 1 }), kind: 'positional', forWriting });
      },
    },
  );
  scope.defer(() => engine.close());
  const peers = [{ host: '127.0.0.1', port: seed.port! }];
  const torrent = engine.add(set.metainfo, { output: await tempFolder(scope), trackers: [], peers });
  const warnings: string[] = [];
  torrent.on('warning', ({ message }) => {
    warnings.push(message);
    assert.deepEqual(
      torrent.stats().health.map(({ code, isBlocking }) => `${code} ${isBlocking}`),
      ['paused true'],
    );
  });
  await withDeadline(torrent.done, 'the download ends', DEADLINE_MS);
  assert.equal(warnings.length, 2);
  assert.match(warnings[0]!, /paused: open .*: too many open files/);
  assert.deepEqual(
    torrent
      .stats()
      .health.map(({ code }) => code)
      .filter((code) => code === 'paused'),
    [],
  );
});

test('connections that cannot be accepted are a problem that is shown', async (t) => {
  const scope = openScope(t);
  const listening = t.mock.method(net.Server.prototype, 'listen');
  const set = await fileSet(scope, MIB);
  const seed = await startSeed(scope, set);
  const server = listening.mock.calls[0]!.this as net.Server;
  const codes = (): string[] => seed.torrents[0]!.stats().health.map(({ code }) => code);
  assert.ok(!codes().includes('not-accepting'));
  server.emit('error', Object.assign(new Error('accept EMFILE'), { code: 'EMFILE' }));
  const found = seed.torrents[0]!.stats().health.find(({ code }) => code === 'not-accepting');
  assert.match(
    found?.message ?? '',
    /^peers that dial us cannot be let in: accept connections on port \d+: this process has too many/,
  );
});

/**
 * Torrents known by their info-hash only: woken by a handshake, one wake for all, bounded, asleep again when nobody
 * needs them.
 */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { openScope, type Scope } from '../../lab/scope.js';
import { tempFolder } from '../../lab/temp.js';
import { until, withDeadline } from '../../lab/wait.js';
import type { Engine, Torrent, WokenTorrent } from '../../src/api.js';
import { LIMITS } from '../../src/config.js';
import type { HaulError } from '../../src/errors.js';
import { writeInterested, writeKeepAlive } from '../../src/wire/encoder.js';
import { type DataSet, fileSet, startEngine } from '../support/engines.js';
import { connectRawPeer, type RawPeer } from '../support/raw-peer.js';

const KIB = 1024;
const DEADLINE_MS = 20_000;

function asSeed(set: DataSet, sleepAfterMs?: number): WokenTorrent {
  const options = { output: set.folder, mode: 'seed', trustData: true, trackers: [] } as const;
  return { metainfo: set.metainfo, options, ...(sleepAfterMs === undefined ? {} : { sleepAfterMs }) };
}

async function fetchFrom(scope: Scope, engine: Engine, set: DataSet): Promise<void> {
  const leech = await startEngine(scope);
  const output = await tempFolder(scope);
  const peers = [{ host: '127.0.0.1', port: engine.port! }];
  const torrent = leech.add(set.metainfo, { output, trackers: [], peers });
  await withDeadline(torrent.done, 'the download', DEADLINE_MS);
  assert.deepEqual(await readFile(path.join(output, 'image.bin')), await readFile(set.path));
  await leech.close();
}

test('a dormant torrent wakes for a peer, serves it, sleeps again and wakes again', async (t) => {
  const scope = openScope(t);
  const set = await fileSet(scope, 300 * KIB, { pieceLengthBytes: 64 * KIB });
  const engine = await startEngine(scope);
  const woken: string[] = [];
  engine.registerDormant(set.metainfo.infoHash, async (infoHash) => {
    woken.push(infoHash);
    return asSeed(set, 0);
  });
  assert.equal(engine.torrents.length, 0);
  assert.equal(engine.stats().dormant, 1);
  await fetchFrom(scope, engine, set);
  await until('it sleeps again', DEADLINE_MS, () => engine.torrents.length === 0);
  await fetchFrom(scope, engine, set);
  await until('it sleeps again', DEADLINE_MS, () => engine.torrents.length === 0);
  assert.deepEqual(woken, [set.metainfo.infoHashHex, set.metainfo.infoHashHex]);
  assert.equal(engine.stats().uploadedBytes, 2 * 300 * KIB);
});

test('whoever comes at once waits for one wake, and what was sent behind the handshake is not lost', async (t) => {
  const scope = openScope(t);
  const set = await fileSet(scope, 64 * KIB, { pieceLengthBytes: 64 * KIB });
  const engine = await startEngine(scope);
  let wakes = 0;
  let open!: () => void;
  const opened = new Promise<void>((resolve) => (open = resolve));
  engine.registerDormant(set.metainfo.infoHashHex, async () => {
    wakes++;
    await opened;
    return asSeed(set);
  });
  const peers = await Promise.all(
    Array.from({ length: 8 }, (_, number) =>
      connectRawPeer(scope, { port: engine.port!, metainfo: set.metainfo, peerId: `-XX0001-peer${number}1234567` }),
    ),
  );
  for (const peer of peers) {
    writeInterested(peer.out);
    peer.flush();
  }
  await until('they are here', DEADLINE_MS, () => engine.stats().connections === 8);
  open();
  await until('all are peers and have been heard', DEADLINE_MS, () => {
    const seen = engine.torrents[0]?.peers() ?? [];
    return seen.length === 8 && seen.every(({ peerInterested }) => peerInterested);
  });
  assert.equal(wakes, 1);
});

test('the owner may wake it, and other hashes, other torrents and closed engines are no harm', async (t) => {
  const scope = openScope(t);
  const set = await fileSet(scope, 64 * KIB);
  const engine = await startEngine(scope);
  const { infoHash } = set.metainfo;
  assert.equal(await engine.wake(infoHash), null);
  engine.registerDormant(infoHash, async () => asSeed(set));
  const torrent = await engine.wake(infoHash);
  assert.equal(torrent?.metainfo.infoHashHex, set.metainfo.infoHashHex);
  assert.equal(await engine.wake(infoHash), torrent);
  assert.equal(engine.forgetDormant(infoHash), true);
  assert.equal(engine.forgetDormant(infoHash), false);
  assert.equal(engine.torrents.length, 1);
  const isBad = (error: HaulError): boolean => error.code === 'BAD_ARGUMENT';
  for (const bad of ['', 'f'.repeat(39), 'g'.repeat(40), Buffer.alloc(19), Buffer.alloc(32)])
    assert.throws(() => engine.registerDormant(bad, async () => null), isBad);
  await engine.close();
  assert.throws(
    () => engine.registerDormant(infoHash, async () => null),
    (error: HaulError) => error.code === 'CLOSED',
  );
});

test('a wake that fails closes the connections that wait, is told, and not repeated for every stranger', async (t) => {
  const scope = openScope(t);
  const set = await fileSet(scope, 64 * KIB);
  const other = await fileSet(scope, 96 * KIB);
  const warnings: string[] = [];
  const log = (level: string, message: string): void => {
    if (level === 'warn') warnings.push(message);
  };
  const engine = await startEngine(scope, { log });
  let wakes = 0;
  engine.registerDormant(set.metainfo.infoHash, async () => {
    wakes++;
    // Its owner is confused.
    return asSeed(other);
  });
  for (let count = 0; count < 3; count++) {
    const options = { port: engine.port!, metainfo: set.metainfo, peerId: '-XX0001-peer01234567' };
    const peer = await connectRawPeer(scope, options);
    await withDeadline(peer.closed, 'the connection is closed', DEADLINE_MS);
  }
  assert.equal(wakes, 1);
  assert.equal(warnings.length, 1);
  assert.match(warnings[0]!, /^dormant torrent [0-9a-f]{40} cannot be woken: it was woken as torrent/);
  assert.equal(engine.torrents.length, 0);
});

test('a flood of handshakes for dormant torrents wakes a few at once, within bounded connections', async (t) => {
  const scope = openScope(t);
  const set = await fileSet(scope, 64 * KIB);
  const engine = await startEngine(scope, { maxConnections: 100 });
  let running = 0;
  let most = 0;
  let open!: () => void;
  const opened = new Promise<void>((resolve) => (open = resolve));
  const wake = async (): Promise<null> => {
    most = Math.max(most, ++running);
    await opened;
    running--;
    return null;
  };
  const hashes = Array.from({ length: 40 }, (_, number) => Buffer.alloc(20, number + 1));
  for (const hash of hashes) engine.registerDormant(hash, wake);
  const peers = await Promise.all(
    hashes.map((infoHash) => {
      const metainfo = { ...set.metainfo, infoHash };
      return connectRawPeer(scope, { port: engine.port!, metainfo, peerId: '-XX0001-peer01234567' });
    }),
  );
  // A quarter of the connections may wait.
  await until('the others were turned away', DEADLINE_MS, () => engine.stats().connections === 25);
  assert.equal(most, 8);
  open();
  await withDeadline(Promise.all(peers.map((peer) => peer.closed)), 'all are answered', DEADLINE_MS);
  assert.equal(most, 8);
});

test('what the owner added by itself while it was asked is not put to sleep', async (t) => {
  const scope = openScope(t);
  const [own, other] = [await fileSet(scope, 64 * KIB), await fileSet(scope, 96 * KIB)];
  const engine = await startEngine(scope);
  engine.registerDormant(own.metainfo.infoHash, async () => {
    const { metainfo, options } = asSeed(own);
    await engine.add(metainfo, options).done;
    return asSeed(own, 0);
  });
  engine.registerDormant(other.metainfo.infoHash, async () => asSeed(other, 0));
  const owned = await engine.wake(own.metainfo.infoHash);
  assert.equal(owned?.state, 'seeding');
  assert.notEqual(await engine.wake(other.metainfo.infoHash), null);
  // Whatever is idle is looked at in the same tick.
  await until('the other sleeps', DEADLINE_MS, () => engine.torrents.length === 1);
  assert.equal(owned.state, 'seeding');
  assert.equal(engine.torrents[0], owned);
});

test('so many are awake at once: the one idle longest goes to sleep, none is woken when all have peers', async (t) => {
  const scope = openScope(t);
  const sets = [await fileSet(scope, 64 * KIB), await fileSet(scope, 96 * KIB), await fileSet(scope, 128 * KIB)];
  const warnings: string[] = [];
  const log = (level: string, message: string): void => {
    if (level === 'warn') warnings.push(message);
  };
  const engine = await startEngine(scope, { maxAwakeTorrents: 2, log });
  for (const set of sets) engine.registerDormant(set.metainfo.infoHash, async () => asSeed(set, 3_600_000));
  const names = (): string[] => engine.torrents.map(({ metainfo }) => metainfo.infoHashHex);
  const [a, b, c] = sets.map(({ metainfo }) => metainfo);
  for (const { infoHash } of [a!, b!, c!])
    await withDeadline((await engine.wake(infoHash))!.done, 'it seeds', DEADLINE_MS);
  await until('the first sleeps', DEADLINE_MS, () => engine.torrents.length === 2);
  assert.deepEqual(names(), [b!.infoHashHex, c!.infoHashHex]);
  for (const metainfo of [b!, c!])
    await connectRawPeer(scope, { port: engine.port!, metainfo, peerId: '-XX0001-peer01234567' });
  const isBusy = (): boolean => engine.torrents.every((torrent) => torrent.peers().length === 1);
  await until('both have peers', DEADLINE_MS, isBusy);
  assert.equal(await engine.wake(a!.infoHash), null);
  assert.deepEqual(names(), [b!.infoHashHex, c!.infoHashHex]);
  assert.match(warnings.join(), /cannot be woken: 2 others are awake, and all are busy$/);
});

test('one that is forgotten while it is awake does not sleep any more', async (t) => {
  const scope = openScope(t);
  const [kept, other] = [await fileSet(scope, 64 * KIB), await fileSet(scope, 96 * KIB)];
  const engine = await startEngine(scope);
  for (const set of [kept, other]) engine.registerDormant(set.metainfo.infoHash, async () => asSeed(set, 0));
  const torrent = await engine.wake(kept.metainfo.infoHash);
  engine.forgetDormant(kept.metainfo.infoHash);
  await withDeadline(torrent!.done, 'it seeds', DEADLINE_MS);
  assert.notEqual(await engine.wake(other.metainfo.infoHash), null);
  // Whatever is idle is looked at in the same tick.
  await until('the other sleeps', DEADLINE_MS, () => engine.torrents.length === 1);
  assert.equal(engine.torrents[0], torrent);
  assert.equal(torrent?.state, 'seeding');
});

test('one that was paused, checked or changed while it was awake sleeps again all the same', async (t) => {
  const scope = openScope(t);
  const set = await fileSet(scope, 64 * KIB);
  const engine = await startEngine(scope);
  engine.registerDormant(set.metainfo.infoHash, async () => asSeed(set, 500));
  const changes = [
    async (torrent: Torrent): Promise<void> => {
      await torrent.pause();
      torrent.resume();
    },
    (torrent: Torrent): Promise<void> => torrent.recheck(),
  ];
  for (const change of changes) {
    const torrent = await engine.wake(set.metainfo.infoHash);
    await change(torrent!);
    await until('it sleeps again', DEADLINE_MS, () => engine.torrents.length === 0);
  }
});

test('one that its owner has paused takes no place of those that are awake', async (t) => {
  const scope = openScope(t);
  const [first, second] = [await fileSet(scope, 64 * KIB), await fileSet(scope, 96 * KIB)];
  const engine = await startEngine(scope, { maxAwakeTorrents: 1 });
  for (const set of [first, second]) engine.registerDormant(set.metainfo.infoHash, async () => asSeed(set, 60_000));
  const torrent = await engine.wake(first.metainfo.infoHash);
  await torrent!.pause();
  assert.notEqual(await engine.wake(second.metainfo.infoHash), null);
  assert.equal(torrent!.state, 'paused');
});

test('who waits for a torrent to wake and hangs up is gone at once', async (t) => {
  const scope = openScope(t);
  const set = await fileSet(scope, 64 * KIB);
  const engine = await startEngine(scope);
  engine.registerDormant(set.metainfo.infoHash, () => new Promise(() => {}));
  const options = { port: engine.port!, metainfo: set.metainfo, peerId: '-XX0001-peer01234567' };
  const peer = await connectRawPeer(scope, options);
  writeInterested(peer.out);
  peer.flush();
  await until('it waits', DEADLINE_MS, () => engine.stats().connections === 1);
  peer.close();
  await until('it is gone', LIMITS.handshakeTimeoutMs / 2, () => engine.stats().connections === 0);
});

test('what one may send before the torrent is awake is bounded, and up to there nothing is lost', async (t) => {
  const scope = openScope(t);
  const set = await fileSet(scope, 64 * KIB, { pieceLengthBytes: 64 * KIB });
  const engine = await startEngine(scope);
  let open!: () => void;
  const opened = new Promise<void>((resolve) => (open = resolve));
  engine.registerDormant(set.metainfo.infoHash, async () => {
    await opened;
    return asSeed(set);
  });
  const connect = (peerId: string): Promise<RawPeer> =>
    connectRawPeer(scope, { port: engine.port!, metainfo: set.metainfo, peerId });
  const [most, more] = [await connect('-XX0001-most01234567'), await connect('-XX0001-more01234567')];
  await until('both wait', DEADLINE_MS, () => engine.stats().connections === 2);
  // "Interested" has five bytes: the last one is still to come.
  const [begun, rest] = [Buffer.from([0, 0, 0, 1]), Buffer.from([2])];
  for (const peer of [most, more]) {
    for (let bytes = begun.length; bytes < LIMITS.parkedBytes; bytes += 4) writeKeepAlive(peer.out);
    peer.sendBytes(Buffer.concat([peer.out.take(), begun]));
  }
  more.sendBytes(rest);
  await withDeadline(more.closed, 'who sends more is cut off', DEADLINE_MS);
  open();
  const heard = (): boolean | undefined => engine.torrents[0]?.peers()[0]?.peerInterested;
  await until('the other is let in', DEADLINE_MS, () => heard() !== undefined);
  most.sendBytes(rest);
  await until('it was heard', DEADLINE_MS, heard);
});

test('what is in no row is looked up when a peer wants it, once in ten seconds where it is not found', async (t) => {
  const scope = openScope(t);
  const set = await fileSet(scope, 300 * KIB, { pieceLengthBytes: 64 * KIB });
  const other = await fileSet(scope, 64 * KIB, { pieceLengthBytes: 64 * KIB });
  const engine = await startEngine(scope);
  const asked: string[] = [];
  engine.registerUnknown(async (infoHash) => {
    asked.push(infoHash);
    return infoHash === set.metainfo.infoHashHex ? asSeed(set, 0) : null;
  });
  assert.equal(engine.stats().dormant, 0);
  await fetchFrom(scope, engine, set);
  await until('it sleeps again', DEADLINE_MS, () => engine.torrents.length === 0);
  await fetchFrom(scope, engine, set);
  assert.deepEqual(asked, [set.metainfo.infoHashHex, set.metainfo.infoHashHex]);
  for (let time = 0; time < 2; time++) assert.equal(await engine.wake(other.metainfo.infoHashHex), null);
  assert.equal(asked.length, 3);
  // A row goes first.
  const second = await startEngine(scope);
  second.registerDormant(other.metainfo.infoHashHex, async () => asSeed(other));
  second.registerUnknown(async () => assert.fail('it is not asked'));
  assert.equal((await second.wake(other.metainfo.infoHashHex))?.metainfo, other.metainfo);
  second.registerUnknown(null);
  assert.equal(await second.wake(set.metainfo.infoHashHex), null);
});

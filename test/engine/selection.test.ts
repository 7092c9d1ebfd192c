/**
 * Downloads of some files of a torrent, then of others, over both storages: what is made, what is kept, what is said of
 * it.
 */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { startChild } from '../../lab/child.js';
import { openScope, type Scope } from '../../lab/scope.js';
import { tempFolder } from '../../lab/temp.js';
import { startTestTracker } from '../../lab/tracker.js';
import { sha256File } from '../../lab/tree.js';
import { until, withDeadline } from '../../lab/wait.js';
import type { AddOptions, Engine, Torrent } from '../../src/api.js';
import { HaulError } from '../../src/errors.js';
import type { FilePriorities } from '../../src/metainfo/selection.js';
import { partFilePath } from '../../src/storage/resume.js';
import { type DataSet, startEngine, startSeed, treeSet } from '../support/engines.js';
import { connectRawPeer, eventNumbers } from '../support/raw-peer.js';

const KIB = 1024;
const PIECE_BYTES = 64 * KIB;
const DEADLINE_MS = 30_000;
const EMBEDDER = fileURLToPath(new URL('./embedder.js', import.meta.url));

/** In pieces: a 0-10, b 10-30, c 30-31, d 31-63; every border lies inside a piece. */
const FILES = [
  { path: 'a.bin', lengthBytes: 10 * PIECE_BYTES + 100 },
  { path: 'sub/b.bin', lengthBytes: 20 * PIECE_BYTES + 1000 },
  { path: 'sub/c.bin', lengthBytes: 70_000 },
  { path: 'sub/deep/d.bin', lengthBytes: 2 * 1024 * KIB + 77 },
  { path: 'z-empty', lengthBytes: 0 },
];
const makeSet = (scope: Scope): Promise<DataSet> => treeSet(scope, FILES, { pieceLengthBytes: PIECE_BYTES });

/** Files by the first letter of their names. */
function only(letters: string): FilePriorities {
  return ({ path: parts }) => (letters.includes(parts.at(-1)![0]!) ? 'normal' : 'skip');
}

interface Run {
  readonly engine: Engine;
  readonly torrent: Torrent;
}

async function fetch(scope: Scope, set: DataSet, seed: Engine, options: AddOptions, storage = 'auto'): Promise<Run> {
  const engine = await startEngine(scope, { storage: storage as 'auto' });
  const peers = [{ host: '127.0.0.1', port: seed.port! }];
  const torrent = engine.add(set.metainfo, { peers, trackers: [], ...options });
  await withDeadline(torrent.done, 'the download ends', DEADLINE_MS);
  return { engine, torrent };
}

async function assertFiles(set: DataSet, output: string, letters: string): Promise<void> {
  for (const { path: parts } of set.metainfo.files) {
    const file = path.join(output, ...parts);
    if (!letters.includes(parts.at(-1)![0]!)) assert.ok(!existsSync(file), `${file} was made`);
    else assert.equal(await sha256File(file), await sha256File(path.join(set.folder, ...parts)), file);
  }
}

const piecesOf = (bytes: number): number => Math.ceil(bytes / PIECE_BYTES);

for (const storage of ['mapped', 'positional'] as const) {
  describe(`over ${storage} storage`, () => {
    test('a selection is downloaded, another one, then the rest; what is verified is kept', async (t) => {
      const scope = openScope(t);
      const set = await makeSet(scope);
      const seed = await startSeed(scope, set, { storage });
      const output = await tempFolder(scope);
      const first = await fetch(scope, set, seed, { output, priorities: only('c') }, storage);
      const { wantedPieces, wantedBytes, verifiedBytes, lengthBytes, secondsLeft } = first.torrent.stats();
      assert.equal(wantedPieces, 2, 'c lies across one border');
      assert.deepEqual([verifiedBytes, secondsLeft], [wantedBytes, 0]);
      assert.ok(wantedBytes < lengthBytes);
      await first.engine.close();
      await assertFiles(set, output, 'c');
      assert.ok(existsSync(partFilePath(set.metainfo, output)));
      assert.ok(!existsSync(path.join(output, 'tree/sub/deep')), 'no folder for skipped files');

      const again = await fetch(scope, set, seed, { output, priorities: only('c') }, storage);
      assert.equal(again.torrent.stats().downloadedBytes, 0);
      await again.engine.close();

      const second = await fetch(scope, set, seed, { output, priorities: only('cd') }, storage);
      assert.ok(second.torrent.stats().downloadedBytes <= (second.torrent.stats().wantedPieces - 1) * PIECE_BYTES);
      await second.engine.close();
      await assertFiles(set, output, 'cd');

      const { wantedBytes: kept } = second.torrent.stats();
      const rest = await fetch(scope, set, seed, { output }, storage);
      const borders = 1;
      assert.ok(rest.torrent.stats().downloadedBytes <= lengthBytes - kept + borders * PIECE_BYTES);
      await rest.engine.close();
      await assertFiles(set, output, 'abcdz');
      assert.ok(!existsSync(partFilePath(set.metainfo, output)), 'the part file has served its time');

      const record = (await readdir(output)).sort();
      assert.deepEqual(record, [`.${set.metainfo.infoHashHex.slice(0, 16)}.haul-resume`, 'tree']);
    });

    test('a file of somebody else in the place of a skipped one stays as it is', async (t) => {
      const scope = openScope(t);
      const set = await makeSet(scope);
      const seed = await startSeed(scope, set, { storage });
      const output = await tempFolder(scope);
      await mkdir(path.join(output, 'tree'));
      const mine = Buffer.alloc(FILES[0]!.lengthBytes + 5, 'mine');
      await writeFile(path.join(output, 'tree/a.bin'), mine);
      const { engine } = await fetch(scope, set, seed, { output, priorities: only('b') }, storage);
      await engine.close();
      assert.ok((await readFile(path.join(output, 'tree/a.bin'))).equals(mine));
      assert.equal(
        await sha256File(path.join(output, 'tree/sub/b.bin')),
        await sha256File(path.join(set.folder, 'tree/sub/b.bin')),
      );
    });

    test('a partial seed serves what it has, border pieces included, to a leech of the same selection', async (t) => {
      const scope = openScope(t);
      const set = await makeSet(scope);
      const origin = await startSeed(scope, set, { storage });
      const part = await fetch(scope, set, origin, { output: await tempFolder(scope), priorities: only('c') }, storage);
      await origin.close();
      const output = await tempFolder(scope);
      const leech = await fetch(scope, set, part.engine, { output, priorities: only('c') }, storage);
      assert.equal(part.torrent.stats().uploadedBytes, leech.torrent.stats().wantedBytes);
      await leech.engine.close();
      await assertFiles(set, output, 'c');
    });
  });
}

test('files of high priority are complete before others begin, and low ones end last', async (t) => {
  const scope = openScope(t);
  const set = await makeSet(scope);
  const seed = await startSeed(scope, set);
  const engine = await startEngine(scope);
  const torrent = engine.add(set.metainfo, {
    output: await tempFolder(scope),
    trackers: [],
    priorities: ({ path: parts }) => (parts.at(-1) === 'c.bin' ? 'high' : parts.at(-1) === 'd.bin' ? 'low' : 'normal'),
    sequential: true,
  });
  const order: number[] = [];
  torrent.on('verified', (piece) => order.push(piece));
  torrent.addPeer('127.0.0.1', seed.port!);
  await withDeadline(torrent.done, 'the download ends', DEADLINE_MS);
  // Pieces that are open together may end in any order: one place apart is as good.
  const high = [30, 31].filter((piece) => order.slice(0, 8).includes(piece));
  assert.deepEqual(high, [30, 31], order.join(' '));
  const lows = order.slice(-16);
  assert.ok(
    lows.every((piece) => piece > 31),
    order.join(' '),
  );
});

test('a finished selection is no seed: neither to trackers nor to peers', async (t) => {
  const scope = openScope(t);
  const set = await makeSet(scope);
  const seed = await startSeed(scope, set);
  const tracker = await startTestTracker(scope);
  const options = { output: await tempFolder(scope), trackers: [[tracker.url()]] };
  const { engine, torrent } = await fetch(scope, set, seed, { ...options, priorities: only('c') });
  await until('the seed is let go', DEADLINE_MS, () => torrent.stats().peers === 0);
  const peer = await connectRawPeer(scope, {
    port: engine.port!,
    metainfo: set.metainfo,
    peerId: '-XX0001-partialseed1',
    fast: true,
  });
  const said = await peer.event('bitfield');
  assert.ok(!peer.recorder.events.some((event) => event.startsWith('have all')), said);
  await engine.close();
  const { wantedBytes, lengthBytes } = torrent.stats();
  const events = tracker.announces.map(({ event, left }) => `${event} ${left}`);
  assert.equal(events[0], `started ${lengthBytes}`);
  assert.equal(events.at(-1), `stopped ${lengthBytes - wantedBytes}`);
  assert.ok(!events.some((event) => event.startsWith('completed')), events.join(', '));

  const rest = await fetch(scope, set, seed, options);
  await tracker.announced('completed', DEADLINE_MS, ({ event, left }) => event === 'completed' && left === 0);
  await rest.engine.close();
});

test('nothing is asked for that is not wanted', async (t) => {
  const scope = openScope(t);
  const set = await makeSet(scope);
  const engine = await startEngine(scope);
  const torrent = engine.add(set.metainfo, { output: await tempFolder(scope), trackers: [], priorities: only('c') });
  await until('it downloads', DEADLINE_MS, () => torrent.state === 'downloading');
  const peer = await connectRawPeer(scope, {
    port: engine.port!,
    metainfo: set.metainfo,
    peerId: '-XX0001-wrongpieces1',
  });
  const { bitfieldBytes } = set.metainfo.geometry;
  const message = (id: number, body: Buffer): Buffer => {
    const head = Buffer.alloc(5);
    head.writeUInt32BE(body.length + 1);
    head[4] = id;
    return Buffer.concat([head, body]);
  };
  const bits = Buffer.alloc(bitfieldBytes);
  bits[0] = 0xff;
  peer.sendBytes(Buffer.concat([message(5, bits), message(1, Buffer.alloc(0))]));
  await until('it is heard', DEADLINE_MS, () => torrent.peers().some(({ peerChoking }) => !peerChoking));
  assert.equal(torrent.peers()[0]!.amInterested, false);
  const have = Buffer.alloc(4);
  have.writeUInt32BE(30);
  peer.sendBytes(message(4, have));
  assert.deepEqual(eventNumbers(await peer.event('request')).slice(0, 1), [30]);
  assert.ok(peer.recorder.events.every((event) => !event.startsWith('request') || event.startsWith('request 30 ')));
});

test('empty files need no piece and are made, alone and beside a selection that is complete', async (t) => {
  const scope = openScope(t);
  const set = await makeSet(scope);
  const engine = await startEngine(scope);
  const [output, other] = [await tempFolder(scope), await tempFolder(scope)];
  const torrent = engine.add(set.metainfo, { output, trackers: [], priorities: only('z') });
  await withDeadline(torrent.done, 'the download ends', DEADLINE_MS);
  assert.equal(torrent.stats().wantedBytes, 0);
  await engine.close();
  await assertFiles(set, output, 'z');

  const seed = await startSeed(scope, set);
  const first = await fetch(scope, set, seed, { output: other, priorities: only('abcd') });
  await first.engine.close();
  await assertFiles(set, other, 'abcd');
  const rest = await fetch(scope, set, seed, { output: other });
  assert.equal(rest.torrent.stats().downloadedBytes, 0);
  await rest.engine.close();
  await assertFiles(set, other, 'abcdz');
});

test('a download of a selection that is killed continues, alone and as the whole', async (t) => {
  const scope = openScope(t);
  const set = await makeSet(scope);
  const seed = await startSeed(scope, set);
  const output = await tempFolder(scope);
  const torrentFile = path.join(await tempFolder(scope), 'tree.torrent');
  await writeFile(torrentFile, set.torrent);
  // A worker may have written all that came before the first piece is told: a part of the file comes in each round.
  seed.setLimits({ uploadBytesPerSec: 4 * PIECE_BYTES });
  let verified = 0;
  for (const pieces of [1, 6]) {
    const args = [EMBEDDER, torrentFile, output, String(seed.port), 'only=b.bin', String(pieces)];
    const child = startChild(scope, process.execPath, args);
    let seen = 0;
    await child.line(`${pieces} pieces`, DEADLINE_MS, (line) => line.startsWith('verified ') && ++seen >= pieces);
    process.kill(child.pid, 'SIGKILL');
    await child.exited;
    verified += seen;
  }
  seed.setLimits({ uploadBytesPerSec: null });
  const { engine, torrent } = await fetch(scope, set, seed, { output, priorities: only('b') });
  const { downloadedBytes, wantedPieces } = torrent.stats();
  assert.ok(downloadedBytes <= (wantedPieces - verified) * PIECE_BYTES, 'verified pieces are not fetched again');
  await engine.close();
  await assertFiles(set, output, 'b');
  const rest = await fetch(scope, set, seed, { output });
  assert.ok(
    rest.torrent.stats().downloadedBytes < torrent.stats().lengthBytes - (piecesOf(20 * PIECE_BYTES) - 2) * PIECE_BYTES,
  );
  await rest.engine.close();
  await assertFiles(set, output, 'abcdz');
});

test('options that make no sense are refused at once, and leave nothing behind', async (t) => {
  const scope = openScope(t);
  const set = await makeSet(scope);
  const engine = await startEngine(scope);
  const output = path.join(await tempFolder(scope), 'not made');
  const bad: Partial<AddOptions>[] = [
    { priorities: ['skip'] },
    { priorities: () => 'skip' },
    { priorities: () => 'normal', mode: 'seed' },
    { sequential: 'yes' as unknown as boolean },
  ];
  for (const options of bad) {
    assert.throws(
      () => engine.add(set.metainfo, { output, ...options }),
      (error) => error instanceof HaulError && error.code === 'BAD_ARGUMENT' && !error.message.includes('\n'),
    );
  }
  assert.equal(engine.torrents.length, 0);
  assert.ok(!existsSync(output));
});

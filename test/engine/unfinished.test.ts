/**
 * A download that is stopped inside its pieces goes on inside them: what was stored is not fetched twice, and not
 * believed either.
 */
import assert from 'node:assert/strict';
import { mkdir, open, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, test } from 'node:test';
import { openScope, type Scope } from '../../lab/scope.js';
import { tempFolder } from '../../lab/temp.js';
import { readTree } from '../../lab/tree.js';
import { until, withDeadline } from '../../lab/wait.js';
import type { Engine } from '../../src/api.js';
import { Bitfield } from '../../src/metainfo/bitfield.js';
import type { PieceIndex } from '../../src/metainfo/geometry.js';
import type { UnfinishedPiece } from '../../src/metainfo/unfinished.js';
import { loadResume, saveResume } from '../../src/storage/resume.js';
import { stampFiles } from '../../src/storage/stamp-files.js';
import { type DataSet, fileSet, startEngine, startSeed, treeSet } from '../support/engines.js';

const MIB = 1024 * 1024;
const PIECE_BYTES = 2 * MIB;
const DEADLINE_MS = 60_000;

type Kind = 'mapped' | 'positional';

/** Downloads so much at a limited rate, then stops. Returns what was stored. */
async function fetchSome(scope: Scope, kind: Kind, set: DataSet, seed: Engine, output: string, bytes: number) {
  const engine = await startEngine(scope, { storage: kind });
  const torrent = engine.add(set.metainfo, {
    output,
    trackers: [],
    peers: [{ host: '127.0.0.1', port: seed.port! }],
    downloadBytesPerSec: 2 * MIB,
  });
  await until('so much is stored', DEADLINE_MS, () => torrent.stats().downloadedBytes >= bytes);
  await torrent.stop();
  await engine.close();
  return torrent.stats();
}

async function finish(scope: Scope, kind: Kind, set: DataSet, seed: Engine, output: string) {
  const engine = await startEngine(scope, { storage: kind });
  const banned: string[] = [];
  const torrent = engine.add(set.metainfo, { output, trackers: [], peers: [{ host: '127.0.0.1', port: seed.port! }] });
  torrent.on('peer', (address, event) => {
    if (event === 'banned') banned.push(address);
  });
  await withDeadline(torrent.done, 'the download ends', DEADLINE_MS);
  const name = path.basename(set.path);
  assert.deepEqual(await readTree(path.join(output, name)), await readTree(set.path));
  await torrent.stop();
  await engine.close();
  return { ...torrent.stats(), banned };
}

for (const kind of ['mapped', 'positional'] as const) {
  describe(kind, () => {
    test('nothing is fetched twice, however often it was stopped', async (t) => {
      const scope = openScope(t);
      const set = await fileSet(scope, 7 * MIB - 777, { pieceLengthBytes: PIECE_BYTES });
      const seed = await startSeed(scope, set);
      const output = await tempFolder(scope);
      const first = await fetchSome(scope, kind, set, seed, output, 0.7 * MIB);
      const second = await fetchSome(scope, kind, set, seed, output, 1.4 * MIB);
      assert.ok(first.downloadedBytes + second.downloadedBytes > second.verifiedBytes, 'some are unfinished');
      const last = await finish(scope, kind, set, seed, output);
      assert.equal(first.downloadedBytes + second.downloadedBytes + last.downloadedBytes, 7 * MIB - 777);
      assert.equal(last.corruptBytes, 0);
    });

    test('nor in a tree whose pieces lie in many files', async (t) => {
      const scope = openScope(t);
      const files = Array.from({ length: 9 }, (_, index) => ({ path: `f${index}`, lengthBytes: 350_001 + index }));
      const set = await treeSet(scope, files, { pieceLengthBytes: MIB });
      const seed = await startSeed(scope, set);
      const output = await tempFolder(scope);
      const first = await fetchSome(scope, kind, set, seed, output, 1.4 * MIB);
      const last = await finish(scope, kind, set, seed, output);
      assert.equal(first.downloadedBytes + last.downloadedBytes, set.metainfo.geometry.lengthBytes);
    });

    test('a block spoilt on disk meanwhile fails the hash: the piece is fetched again, nobody is banned', async (t) => {
      const scope = openScope(t);
      const set = await fileSet(scope, 4 * MIB, { pieceLengthBytes: PIECE_BYTES });
      const seed = await startSeed(scope, set);
      const output = await tempFolder(scope);
      const first = await fetchSome(scope, kind, set, seed, output, 0.7 * MIB);
      await spoil(set, output);
      const last = await finish(scope, kind, set, seed, output);
      assert.deepEqual(last.banned, []);
      assert.equal(last.corruptBytes, PIECE_BYTES);
      assert.ok(first.downloadedBytes + last.downloadedBytes <= 4 * MIB + PIECE_BYTES);
    });
  });
}

/** Every block of every piece, as a record that somebody made up may claim. */
function allBlocks({ metainfo: { geometry } }: DataSet): UnfinishedPiece[] {
  return Array.from({ length: geometry.pieceCount }, (_, piece) => {
    const blocks = new Bitfield(geometry.blockCount(piece as PieceIndex));
    blocks.setAll();
    return { piece: piece as PieceIndex, blocks };
  });
}

test('a record claiming blocks nobody stored costs hashes: nobody is banned, nothing foreign written', async (t) => {
  const scope = openScope(t);
  const files = ['a', 'b'].map((name) => ({ path: name, lengthBytes: 700_001 }));
  const set = await treeSet(scope, files, { pieceLengthBytes: 64 * 1024 });
  const seed = await startSeed(scope, set);
  const { metainfo } = set;
  const none = new Bitfield(metainfo.geometry.pieceCount);
  for (const [isForeign, repeat] of [
    [false, 1],
    [false, 3],
    [true, 1],
  ] as const) {
    const output = await tempFolder(scope);
    await mkdir(path.join(output, 'tree'));
    const precious = Buffer.alloc(700_001, 'precious');
    await writeFile(path.join(output, 'tree/a'), isForeign ? precious : Buffer.alloc(700_001));
    await writeFile(path.join(output, 'tree/b'), Buffer.alloc(700_001));
    const stamps = [...(await stampFiles(metainfo, output, null))];
    // Whoever made it up does not know the number of a file that is not his.
    if (isForeign) stamps[0] = { ...stamps[0]!, device: 0n, inode: 0n, birthNs: 0n };
    const unfinished = Array.from({ length: repeat }, () => allBlocks(set)).flat();
    await saveResume(metainfo, output, { synced: none, isClean: true, stamps, unfinished });
    if (isForeign) {
      await assert.rejects(finish(scope, 'mapped', set, seed, output), { code: 'FILE_EXISTS' });
      assert.ok((await readFile(path.join(output, 'tree/a'))).equals(precious));
      continue;
    }
    const { banned, corruptBytes, downloadedBytes } = await finish(scope, 'mapped', set, seed, output);
    assert.deepEqual(banned, []);
    assert.equal(corruptBytes, metainfo.geometry.lengthBytes);
    assert.equal(downloadedBytes, metainfo.geometry.lengthBytes);
  }
});

/** Writes into a block that the record knows, in a way that the record does not show. */
async function spoil(set: DataSet, output: string): Promise<void> {
  const { trusted, unfinished } = await loadResume(set.metainfo, output);
  const { piece, blocks } = unfinished[0]!;
  const { geometry } = set.metainfo;
  const block = Array.from({ length: blocks.bitCount }, (_, at) => at).find((at) => blocks.has(at))!;
  const file = await open(path.join(output, 'image.bin'), 'r+');
  await file.write(Buffer.from('spoilt'), 0, 6, geometry.pieceBegin(piece) + geometry.blockBegin(block as never) + 9);
  await file.close();
  const stamps = await stampFiles(set.metainfo, output, null);
  await saveResume(set.metainfo, output, { synced: trusted, isClean: true, stamps, unfinished });
}

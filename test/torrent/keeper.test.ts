import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HaulError } from '../../src/errors.js';
import { Bitfield } from '../../src/metainfo/bitfield.js';
import type { PieceIndex } from '../../src/metainfo/geometry.js';
import type { UnfinishedPiece } from '../../src/metainfo/unfinished.js';
import type { Storage } from '../../src/storage/port.js';
import { Unfinished } from '../../src/swarm/unfinished.js';
import { Keeper } from '../../src/torrent/keeper.js';

interface Stage {
  readonly have: Bitfield;
  readonly keeper: Keeper;
  readonly saved: string[];
  readonly heard: string[];
  /** What the next sync gives. */
  synced: number[];
  /** How the next syncs fail; null: they do not. */
  syncFailure: HaulError | null;
  saveFails: boolean;
  /** How a record fails. */
  saveFailure: HaulError;
  /** What is wrong with the files. */
  trouble: HaulError | null;
}

function stage(pieces: string, isKept = true, wantedPieces = pieces.length): Stage {
  const have = new Bitfield(pieces.length);
  for (let piece = 0; piece < pieces.length; piece++) if (pieces[piece] === '#') have.set(piece);
  const self: Omit<Stage, 'keeper'> = {
    have,
    saved: [],
    heard: [],
    synced: [],
    syncFailure: null,
    saveFails: false,
    saveFailure: new HaulError('NO_PERMISSION', 'write resume: permission denied'),
    trouble: null,
  };
  const storage = {
    sync: () =>
      self.syncFailure === null ? Promise.resolve(self.synced as PieceIndex[]) : Promise.reject(self.syncFailure),
    inspect: () => Promise.resolve({ stamps: [], trouble: self.trouble }),
  } as unknown as Storage;
  const keeper = new Keeper({
    storage,
    have,
    wantedPieces,
    unfinished: new Unfinished(have),
    isKept,
    save: ({ synced, isClean }) => {
      if (self.saveFails) return Promise.reject(self.saveFailure);
      const marks = Array.from({ length: synced.bitCount }, (_, piece) => (synced.has(piece) ? '#' : '.')).join('');
      self.saved.push(`${marks} ${isClean ? 'clean' : 'open'}`);
      return Promise.resolve();
    },
    onTrouble: (error) => self.heard.push(`trouble ${error.code}`),
    onWarning: (error) => self.heard.push(`warning ${error.code}`),
  });
  return Object.assign(self, { keeper });
}

test('a piece is recorded only after it was synced', async () => {
  const self = stage('#...');
  await self.keeper.open();
  self.have.set(1);
  self.have.set(2);
  self.keeper.pieceVerified();
  self.synced = [2];
  await self.keeper.close(true);
  assert.deepEqual(self.saved, ['#... open', '#.#. clean']);
});

test('nothing is synced or written while nothing new is verified', async () => {
  const self = stage('#...');
  self.keeper.tick(0);
  self.keeper.tick(100_000);
  await self.keeper.finish();
  assert.deepEqual(self.saved, ['#... clean']);
});

test('a record that cannot be written is trouble while pieces are missing', async () => {
  const self = stage('#...');
  self.saveFails = true;
  await assert.rejects(self.keeper.open(), { code: 'NO_PERMISSION' });
  await self.keeper.finish();
  assert.deepEqual(self.heard, ['trouble NO_PERMISSION']);
});

test('a selection is complete, and its record clean, without the pieces that nobody wants', async () => {
  const self = stage('##..', true, 3);
  await self.keeper.open();
  self.have.set(2);
  self.keeper.pieceVerified();
  self.synced = [2];
  await self.keeper.finish();
  assert.deepEqual(self.saved, ['##.. open', '###. clean']);
  self.saveFails = true;
  await self.keeper.finish();
  assert.deepEqual(self.heard, ['warning NO_PERMISSION']);
});

test('a record that cannot be written is a warning when all is verified and synced', async () => {
  const self = stage('####');
  self.saveFails = true;
  await self.keeper.open();
  await self.keeper.finish();
  assert.deepEqual(self.heard, ['warning NO_PERMISSION', 'warning NO_PERMISSION']);
});

test('a seed of somebody else’s data writes nothing beside it', async () => {
  const self = stage('####', false);
  await self.keeper.open();
  await self.keeper.finish();
  await self.keeper.close(true);
  assert.deepEqual(self.saved, []);
});

test('a seed of somebody else’s data is idle again after a piece was withdrawn', async () => {
  const self = stage('####', false);
  self.have.clear(2);
  self.keeper.pieceLost(2);
  assert.equal(self.keeper.isIdle, false);
  self.keeper.tick(0);
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(self.keeper.isIdle, true);
  assert.deepEqual([self.saved, self.heard], [[], []]);
});

test('a record for which there is no room is a warning told once, and tried again as the rest goes on', async () => {
  const self = stage('....');
  const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  self.saveFails = true;
  self.saveFailure = new HaulError('NO_SPACE', 'write the resume record: no space left on the device');
  await self.keeper.open();
  self.have.set(1);
  self.keeper.pieceVerified();
  self.synced = [1];
  self.keeper.tick(0);
  await settled();
  self.keeper.tick(5_000);
  await settled();
  assert.deepEqual(self.heard, ['warning NO_SPACE']);
  assert.deepEqual(self.saved, []);
  self.saveFails = false;
  // Nothing new was verified: the record is still owed.
  self.keeper.tick(10_000);
  await settled();
  assert.deepEqual(self.saved, ['.#.. open']);
  self.keeper.tick(15_000);
  await settled();
  assert.deepEqual(self.saved, ['.#.. open']);
  self.saveFails = true;
  self.have.set(2);
  self.keeper.pieceVerified();
  self.synced = [2];
  await self.keeper.close(true);
  assert.deepEqual(self.heard, ['warning NO_SPACE', 'warning NO_SPACE']);
});

test('while no file can be opened a sync is tried again, also the last one; that is told once', async () => {
  const self = stage('##..', true, 3);
  const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  self.have.set(2);
  self.syncFailure = new HaulError('SYSTEM_LIMIT', 'open /data: too many open files', { errno: 'EMFILE' });
  self.keeper.pieceVerified();
  self.keeper.tick(0);
  await settled();
  let isFinished = false;
  const finished = self.keeper.finish().then(() => {
    isFinished = true;
  });
  await settled();
  self.keeper.tick(5_000);
  await settled();
  assert.deepEqual([self.heard, isFinished], [['warning SYSTEM_LIMIT'], false]);
  self.syncFailure = null;
  self.synced = [2];
  self.keeper.tick(6_000);
  await settled();
  assert.equal(isFinished, false, 'not before its time');
  self.keeper.tick(10_000);
  await finished;
  assert.equal(self.saved.at(-1), '###. clean');
  assert.deepEqual(self.heard, ['warning SYSTEM_LIMIT']);
});

test('a wait for files ends with the torrent', async () => {
  const self = stage('##..', true, 3);
  self.have.set(2);
  self.syncFailure = new HaulError('SYSTEM_LIMIT', 'open /data: too many open files', { errno: 'EMFILE' });
  const finished = self.keeper.finish();
  await new Promise((resolve) => setImmediate(resolve));
  self.keeper.pieceVerified();
  await assert.rejects(self.keeper.close(true), { code: 'SYSTEM_LIMIT' });
  await finished;
});

test('blocks of unfinished pieces are written before the last sync and recorded at a clean end only', async () => {
  for (const [isClean, writeFails, expected] of [
    [true, false, ['keep 1', 'sync', 'clean 1,2']],
    [true, true, ['keep 1', 'sync', 'clean 2']],
    [false, false, ['sync', 'open ']],
  ] as const) {
    const have = new Bitfield(3);
    const steps: string[] = [];
    const unfinished = new Unfinished(have);
    const part = (piece: number) => ({ piece: piece as PieceIndex, blocks: new Bitfield(2, new Uint8Array([0x80])) });
    unfinished.remember([part(2)]);
    unfinished.gatherOpen = () => [part(1)];
    const storage = {
      keepUnfinished: (pieces: readonly UnfinishedPiece[]) => {
        steps.push(`keep ${pieces.map(({ piece }) => piece)}`);
        return writeFails ? Promise.reject(new HaulError('NO_SPACE', 'no space')) : Promise.resolve();
      },
      sync: () => {
        steps.push('sync');
        return Promise.resolve([]);
      },
      inspect: () => Promise.resolve({ stamps: [], trouble: null }),
    } as unknown as Storage;
    const keeper = new Keeper({
      storage,
      have,
      wantedPieces: 3,
      unfinished,
      isKept: true,
      save: (claim) => {
        steps.push(`${claim.isClean ? 'clean' : 'open'} ${(claim.unfinished ?? []).map(({ piece }) => piece)}`);
        return Promise.resolve();
      },
      onTrouble: () => {},
      onWarning: () => {},
    });
    await keeper.close(isClean);
    assert.deepEqual(steps, expected);
  }
});

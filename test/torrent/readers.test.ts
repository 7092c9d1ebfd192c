/** Readers beside a scheduler and a clock made up: what is urgent, and for how long. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Bitfield } from '../../src/metainfo/bitfield.js';
import { Geometry, type PieceIndex } from '../../src/metainfo/geometry.js';
import { Readers, type ReadSession, type ReadTorrent } from '../../src/torrent/readers.js';

const PIECE_BYTES = 1024 * 1024;
const PIECES = 40;

class Scene {
  nowMs = 1000;
  readonly have = new Bitfield(PIECES);
  readonly verified = new Set<number>();
  urgent: readonly number[] = [];
  hurries = 0;
  readonly readers: Readers;

  constructor() {
    const geometry = new Geometry(PIECES * PIECE_BYTES, PIECE_BYTES);
    const scheduler = {
      setUrgent: (pieces: readonly number[]) => {
        this.urgent = pieces;
      },
      makeWay: () => void this.hurries++,
      fillHungry: () => {},
      view: { downloadRate: () => 0, isVerified: (piece: number) => this.verified.has(piece) },
    };
    const live = {
      have: this.have,
      storage: { mostPieces: 16, files: { read: async () => {} } },
      exchange: { scheduler, isClosed: false, isComplete: false, now: () => this.nowMs },
      rest: { isResting: false, rise: async () => {} },
    } as unknown as ReadSession;
    const file = { path: ['a'], lengthBytes: geometry.lengthBytes, beginBytes: 0, isPad: false, symlinkPath: null };
    this.readers = new Readers({
      metainfo: { name: 'a', geometry, files: [file], isMultiFile: false },
      state: 'downloading',
      error: null,
      live,
      isResting: false,
      priorities: null,
    } as unknown as ReadTorrent);
  }

  comes(...pieces: number[]): void {
    for (const piece of pieces) {
      this.have.set(piece as PieceIndex);
      this.verified.add(piece);
      this.readers.verified(piece);
    }
  }
}

test('a reader that was dropped loses its urgency after a while, and has it again when it reads', async () => {
  const scene = new Scene();
  const reader = scene.readers.open(0, {});
  const first = reader.next();
  await null;
  assert.deepEqual(scene.urgent, [0, 1]);
  scene.comes(0);
  await first;
  assert.deepEqual(scene.urgent, [1]);
  scene.nowMs += 29_000;
  scene.comes(20);
  assert.deepEqual(scene.urgent, [1]);
  scene.nowMs += 2_000;
  scene.comes(21);
  assert.deepEqual(scene.urgent, []);
  const second = reader.next();
  await null;
  assert.deepEqual(scene.urgent, [1]);
  scene.comes(1);
  await second;
});

test('a reader that waits keeps its urgency however long that takes', async () => {
  const scene = new Scene();
  const waiting = scene.readers.open(0, {}).next();
  for (let i = 20; i < 30; i++) {
    await null;
    scene.nowMs += 20_000;
    scene.comes(i);
    assert.deepEqual(scene.urgent, [0, 1]);
  }
  scene.comes(0);
  await waiting;
});

test('a reader does not wait for a piece that was good and has gone bad', async () => {
  const scene = new Scene();
  scene.comes(0);
  scene.have.clear(0 as PieceIndex);
  await assert.rejects(scene.readers.open(0, {}).next(), { code: 'BAD_DATA', message: /piece 0 has gone bad/ });
});

test('a reader that reuses its memory gives every chunk in the same, any other in memory of its own', async () => {
  const scene = new Scene();
  scene.comes(0);
  for (const reusesMemory of [true, false]) {
    const reader = scene.readers.open(0, { reusesMemory, end: PIECE_BYTES });
    const chunks: Uint8Array[] = [];
    for await (const chunk of reader) chunks.push(chunk);
    assert.equal(chunks.length, 4);
    const places = new Set(chunks.map(({ buffer }) => buffer));
    assert.equal(places.size, reusesMemory ? 1 : 4);
  }
});

test('a reader that reuses its memory takes no more than it reads', async () => {
  const scene = new Scene();
  scene.comes(0);
  const { value } = await scene.readers.open(0, { reusesMemory: true, start: 5, end: 105 }).next();
  assert.equal(value?.length, 100);
  assert.ok(value.buffer.byteLength < 8192);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Geometry } from '../../src/metainfo/geometry.js';
import type { PinOutcome, Storage } from '../../src/storage/port.js';
import type { Exchange } from '../../src/torrent/exchange.js';
import type { Peer } from '../../src/torrent/peer.js';
import { PinBook } from '../../src/torrent/pinned-share.js';
import { RequestQueue } from '../../src/torrent/request-queue.js';
import { pump, pumpAll } from '../../src/torrent/serve.js';

const PIECE_BYTES = 16_384;

const NOBODYS_PIECE = 1_000_000;

/**
 * Reads one piece at a time, at first one that nobody waits for, and keeps it until it was sent once.
 * Writes down whose turn it was: peer N asks for piece N.
 */
class NarrowStorage {
  readonly readUnits = { lengthBytes: PIECE_BYTES, count: 1000 };
  readonly pinnedUnits = 0;
  readonly turns: number[] = [];
  asked = 0;
  #loading = NOBODYS_PIECE;
  #ready = -1;

  pin(piece: number): PinOutcome {
    this.asked++;
    if (piece === this.#ready) {
      this.#ready = -1;
      return 'ready';
    }
    if (this.#loading === piece) return 'loading';
    if (this.#loading !== -1) return 'full';
    this.#loading = piece;
    this.turns.push(piece);
    return 'loading';
  }

  loaded(): void {
    this.#ready = this.#loading;
    this.#loading = -1;
  }

  readAhead(): void {}
  slices(): void {}
}

function scene(peerCount: number, requestsEach: number) {
  const geometry = new Geometry(peerCount * PIECE_BYTES, PIECE_BYTES);
  const storage = new NarrowStorage();
  const peers: Peer[] = [];
  const pins = new PinBook(geometry, storage as unknown as Storage);
  const exchange = {
    storage,
    pins,
    peers,
    firstToPump: 0,
    isClosed: false,
    trouble: { isHolding: false },
    scheduler: { bytesUploaded: () => {}, blockServed: () => {} },
    uploads: { isDry: false, take: () => {} },
    now: () => 0,
  } as unknown as Exchange;
  for (let piece = 0; piece < peerCount; piece++) {
    const requests = new RequestQueue(() => 0.5);
    for (let i = 0; i < requestsEach; i++) requests.push(piece, 0, PIECE_BYTES);
    const link = { isClosing: false, queuedBytes: 0, sendBlock: () => {} };
    peers.push({ exchange, requests, link, pinned: pins.join('192.0.2.1'), waitsFor: 'nothing' } as unknown as Peer);
  }
  for (const peer of peers) pump(peer);
  return { exchange, storage };
}

test('peers that wait for the same narrow disk are read for in turns', () => {
  const { exchange, storage } = scene(4, 3);
  for (let i = 0; i <= 12; i++) {
    storage.loaded();
    pumpAll(exchange);
  }
  assert.deepEqual(storage.turns, [0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3]);
  assert.ok(exchange.peers.every((peer) => peer!.requests.length === 0 && peer!.waitsFor === 'nothing'));
});

test('where one peer finds no room the others do not ask', () => {
  const { exchange, storage } = scene(50, 3);
  storage.asked = 0;
  pumpAll(exchange);
  assert.equal(storage.asked, 1);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LIMITS } from '../../src/config.js';
import { Geometry } from '../../src/metainfo/geometry.js';
import type { PinOutcome, Storage } from '../../src/storage/port.js';
import type { Exchange } from '../../src/swarm/exchange.js';
import type { Peer } from '../../src/swarm/peer.js';
import { PinBook } from '../../src/swarm/pinned-share.js';
import { RequestQueue } from '../../src/swarm/request-queue.js';
import { giveWay, pump, pumpAll, sent } from '../../src/swarm/serve.js';

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

const UNIT_BYTES = 1024 * 1024;
const nextTurn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

/**
 * Peers of one host each, and memory for six units at a time, two for each peer. A block of each of many pieces is
 * asked for.
 */
function shortOfMemory(peerCount: number, mostUnits = Number.POSITIVE_INFINITY) {
  const geometry = new Geometry(peerCount * 100 * UNIT_BYTES, UNIT_BYTES);
  const storage = {
    get readUnits() {
      return { lengthBytes: UNIT_BYTES, count: 8, residentBytes: this.pinnedUnits * UNIT_BYTES };
    },
    pinnedUnits: 0,
    pin(): PinOutcome {
      if (this.pinnedUnits >= mostUnits) return 'full';
      this.pinnedUnits++;
      return 'ready';
    },
    unpin(): void {
      this.pinnedUnits--;
    },
    readAhead: () => {},
    slices: () => {},
  };
  const pins = new PinBook(geometry, storage as unknown as Storage);
  const peers: Peer[] = [];
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
  /** By peer: pieces on their way, and how many were sent. */
  const onTheWay: number[][] = [];
  const served: number[] = [];
  const closed: string[] = [];
  for (let slot = 0; slot < peerCount; slot++) {
    const host = `192.0.2.${slot}`;
    const requests = new RequestQueue(() => 0.5, UNIT_BYTES);
    for (let i = 0; i < 100; i++) requests.push(slot * 100 + i, 0, PIECE_BYTES);
    onTheWay.push([]);
    served.push(0);
    const link = {
      isClosing: false,
      queuedBytes: 0,
      takenBytes: 0,
      sendBlock: (piece: number) => void onTheWay[slot]!.push(piece),
      close: (reason: string) => void closed.push(`${host} ${reason}`),
    };
    peers.push({ exchange, requests, link, pinned: pins.join(host), waitsFor: 'nothing' } as unknown as Peer);
  }
  /** The kernel takes the oldest block of each peer that has one. */
  const take = async (): Promise<void> => {
    for (let slot = 0; slot < peerCount; slot++) {
      const piece = onTheWay[slot]!.shift();
      if (piece === undefined) continue;
      served[slot]!++;
      sent(peers[slot]!, [piece, 0, PIECE_BYTES]);
      await nextTurn();
    }
  };
  for (const peer of peers) pump(peer);
  return { exchange, peers, served, closed, take };
}

test('where memory is short those who wait come before whoever let go of some', async () => {
  const { served, take } = shortOfMemory(6);
  for (let round = 0; round < 20; round++) await take();
  assert.ok(Math.max(...served) - Math.min(...served) <= 2, served.join(' '));
});

test('while others wait for memory a slow line keeps its connection, one that takes next to nothing not', async () => {
  const { exchange, peers, closed } = shortOfMemory(4);
  const takesBytes = [100, 70, 200, 0].map((kib) => kib * 1024);
  const seconds = async (): Promise<void> => {
    for (let second = 0; second < 3 * LIMITS.idleHolderSeconds; second++) {
      for (const [slot, { link, pinned }] of peers.entries()) {
        (link as { takenBytes: number }).takenBytes += takesBytes[slot]!;
        pinned.uptake.secondPassed(link.takenBytes, pinned.units > 0);
      }
      assert.ok(exchange.pins.isShort);
      giveWay(exchange);
      await nextTurn();
    }
  };
  await seconds();
  assert.deepEqual(closed, []);
  takesBytes[1] = 20 * 1024;
  await seconds();
  assert.deepEqual([...new Set(closed)], ['192.0.2.1 reads too slowly while others wait']);
});

test('who waits for room that other torrents hold gets it of those here that take next to nothing', async () => {
  const { exchange, peers, closed } = shortOfMemory(3, 2);
  assert.deepEqual(
    peers.map(({ waitsFor }) => waitsFor),
    ['nothing', 'room', 'room'],
  );
  assert.ok(!exchange.pins.isShort, 'there would be room by the books');
  for (let second = 0; second <= LIMITS.idleHolderSeconds + 2; second++) {
    for (const { link, pinned } of peers) {
      (link as { takenBytes: number }).takenBytes += 20 * 1024;
      pinned.uptake.secondPassed(link.takenBytes, pinned.units > 0);
    }
    giveWay(exchange);
    await nextTurn();
  }
  assert.deepEqual([...new Set(closed)], ['192.0.2.0 reads too slowly while others wait']);
});

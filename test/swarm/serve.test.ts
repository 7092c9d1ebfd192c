import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LIMITS } from '../../src/config.js';
import { Geometry, type PeerSlot } from '../../src/metainfo/geometry.js';
import type { PinOutcome } from '../../src/storage/port.js';
import type { Remote } from '../../src/swarm/remote.js';
import { type Outflow, Server, type ServerOwner } from '../../src/swarm/serve.js';

const PIECE_BYTES = 16_384;

const NOBODYS_PIECE = 1_000_000;

/**
 * Reads one piece at a time, at first one that nobody waits for, and keeps it until it was sent once.
 * Writes down whose turn it was: peer N asks for piece N.
 */
class NarrowStorage {
  readonly units = { lengthBytes: PIECE_BYTES, count: 1000 };
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

/** A server that reads of it, for which nothing else is in the way. */
function serverOver(geometry: Geometry, reads: unknown): Server {
  const owner = {
    geometry,
    storage: { reads },
    isClosed: false,
    trouble: { isHolding: false },
    scheduler: { bytesUploaded: () => {}, blockServed: () => {} },
    uploads: { isDry: false, take: () => {} },
    now: () => 0,
    random: () => 0.5,
    soon: setImmediate,
  };
  return new Server(owner as unknown as ServerOwner);
}

function scene(peerCount: number, requestsEach: number) {
  const geometry = new Geometry(peerCount * PIECE_BYTES, PIECE_BYTES);
  const storage = new NarrowStorage();
  const server = serverOver(geometry, storage);
  const outflows: Outflow[] = [];
  for (let piece = 0; piece < peerCount; piece++) {
    const remote = { host: '192.0.2.1', isClosing: false, queuedBytes: 0, sendBlock: () => {} };
    const outflow = server.join(piece as PeerSlot, remote as unknown as Remote);
    for (let i = 0; i < requestsEach; i++) outflow.requests.push(piece, 0, PIECE_BYTES);
    outflows.push(outflow);
  }
  for (const outflow of outflows) server.pump(outflow);
  return { server, outflows, storage };
}

test('peers that wait for the same narrow disk are read for in turns', () => {
  const { server, outflows, storage } = scene(4, 3);
  for (let i = 0; i <= 12; i++) {
    storage.loaded();
    server.pumpAll();
  }
  assert.deepEqual(storage.turns, [0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3]);
  assert.ok(outflows.every(({ requests, waitsFor }) => requests.length === 0 && waitsFor === 'nothing'));
});

test('where one peer finds no room the others do not ask', () => {
  const { server, storage } = scene(50, 3);
  storage.asked = 0;
  server.pumpAll();
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
    get units() {
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
  const server = serverOver(geometry, storage);
  const outflows: Outflow[] = [];
  /** By peer: pieces on their way, and how many were sent. */
  const onTheWay: number[][] = [];
  const served: number[] = [];
  const closed: string[] = [];
  for (let slot = 0; slot < peerCount; slot++) {
    const host = `192.0.2.${slot}`;
    onTheWay.push([]);
    served.push(0);
    const remote = {
      host,
      isClosing: false,
      queuedBytes: 0,
      takenBytes: 0,
      sendBlock: (piece: number) => void onTheWay[slot]!.push(piece),
      close: (reason: string) => void closed.push(`${host} ${reason}`),
    };
    const outflow = server.join(slot as PeerSlot, remote as unknown as Remote);
    for (let i = 0; i < 100; i++) outflow.requests.push(slot * 100 + i, 0, PIECE_BYTES);
    outflows.push(outflow);
  }
  /** The kernel takes the oldest block of each peer that has one. */
  const take = async (): Promise<void> => {
    for (let slot = 0; slot < peerCount; slot++) {
      const piece = onTheWay[slot]!.shift();
      if (piece === undefined) continue;
      served[slot]!++;
      server.sent(outflows[slot]!, [piece, 0, PIECE_BYTES]);
      await nextTurn();
    }
  };
  for (const outflow of outflows) server.pump(outflow);
  return { server, outflows, served, closed, take };
}

test('where memory is short those who wait come before whoever let go of some', async () => {
  const { served, take } = shortOfMemory(6);
  for (let round = 0; round < 20; round++) await take();
  assert.ok(Math.max(...served) - Math.min(...served) <= 2, served.join(' '));
});

test('while others wait for memory a slow line keeps its connection, one that takes next to nothing not', async () => {
  const { server, outflows, closed } = shortOfMemory(4);
  const takesBytes = [100, 70, 200, 0].map((kib) => kib * 1024);
  const seconds = async (): Promise<void> => {
    for (let second = 0; second < 3 * LIMITS.idleHolderSeconds; second++) {
      for (const [slot, { remote, pinned }] of outflows.entries()) {
        (remote as { takenBytes: number }).takenBytes += takesBytes[slot]!;
        pinned.uptake.secondPassed(remote.takenBytes, pinned.units > 0);
      }
      assert.ok(server.pins.isShort);
      server.giveWay();
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
  const { server, outflows, closed } = shortOfMemory(3, 2);
  assert.deepEqual(
    outflows.map(({ waitsFor }) => waitsFor),
    ['nothing', 'room', 'room'],
  );
  assert.ok(!server.pins.isShort, 'there would be room by the books');
  for (let second = 0; second <= LIMITS.idleHolderSeconds + 2; second++) {
    for (const { remote, pinned } of outflows) {
      (remote as { takenBytes: number }).takenBytes += 20 * 1024;
      pinned.uptake.secondPassed(remote.takenBytes, pinned.units > 0);
    }
    server.giveWay();
    await nextTurn();
  }
  assert.deepEqual([...new Set(closed)], ['192.0.2.0 reads too slowly while others wait']);
});

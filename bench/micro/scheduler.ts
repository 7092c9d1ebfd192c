/**
 * CPU nanoseconds per block through the whole scheduler: picked, arriving, stored, with every piece opened, made ready
 * and verified on the way. 1,000 peers, half of them seeds, the others with a random half of the pieces. Budget: 2 µs
 * per block at 100,000 pieces.
 *
 *   npm run bench -- scheduler [--turns 5] [--small]
 */
import { createHash } from 'node:crypto';
import { Bitfield } from '../../src/metainfo/bitfield.js';
import { type BlockIndex, Geometry, type PeerSlot, type PieceIndex } from '../../src/metainfo/geometry.js';
import { Scheduler } from '../../src/scheduler/scheduler.js';
import { microBench, type Turn } from '../support/micro.js';

const MIB = 1024 * 1024;
const PEERS = 1000;
/** Blocks per socket read: the receive buffer holds up to 64. */
const BLOCKS_PER_READ = 16;

function mulberry(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Each peer's outstanding requests as a ring of piece and block numbers. */
class Outbox {
  readonly #numbers = new Int32Array(8192);
  #read = 0;
  #write = 0;

  push(piece: number, block: number): void {
    this.#numbers[this.#write % 8192] = piece;
    this.#numbers[(this.#write + 1) % 8192] = block;
    this.#write += 2;
  }

  get size(): number {
    return (this.#write - this.#read) / 2;
  }

  /** Piece at 0, block at 1. */
  peek(which: 0 | 1): number {
    return this.#numbers[(this.#read + which) % 8192]!;
  }

  shift(): void {
    this.#read += 2;
  }
}

/** Half seeds, half with a random half of the pieces; all unchoke us. */
function joinAll(scheduler: Scheduler, pieceCount: number, random: () => number): void {
  for (let peer = 0; peer < PEERS; peer++) {
    const slot = peer as PeerSlot;
    scheduler.addPeer(slot, 0);
    if (peer % 2 === 0) scheduler.peerHaveAll(slot);
    else {
      const bits = new Bitfield(pieceCount);
      for (let piece = 0; piece < pieceCount; piece++) if (random() < 0.5) bits.set(piece);
      scheduler.peerBitfield(slot, bits.bytes);
    }
    scheduler.peerUnchoked(slot, 0);
  }
}

function run(pieceCount: number, blockGoal: number): Turn {
  const random = mulberry(7);
  const geometry = new Geometry(pieceCount * MIB, MIB);
  const outboxes = Array.from({ length: PEERS }, () => new Outbox());
  const opening: PieceIndex[] = [];
  const hash = createHash('sha1');
  const have = new Bitfield(pieceCount);
  const scheduler = new Scheduler({
    geometry,
    have,
    random,
    limits: { maxSlots: PEERS, openPieces: 96, uploadSlots: 4, requestsPerPeer: 2000 },
    sink: {
      request: (slot, piece, block) => outboxes[slot]!.push(piece, block),
      cancel: () => {},
      interested: () => {},
      choke: () => {},
      closePiece: () => {},
      drop: () => {},
      openPiece: (piece) => {
        opening.push(piece);
        return true;
      },
    },
  });
  let nowMs = 0;
  const joinBegin = performance.now();
  joinAll(scheduler, pieceCount, random);
  const joinMs = performance.now() - joinBegin;

  let blocks = 0;
  const becomeReady = (): void => {
    if (opening.length === 0) return;
    for (const piece of opening) scheduler.pieceReady(piece);
    opening.length = 0;
    scheduler.fillHungry(nowMs);
  };
  const readPeer = (slot: PeerSlot): void => {
    const outbox = outboxes[slot]!;
    for (let count = 0; count < BLOCKS_PER_READ && outbox.size > 0; count++) {
      const piece = outbox.peek(0) as PieceIndex;
      const block = outbox.peek(1) as BlockIndex;
      outbox.shift();
      if (scheduler.blockArriving(slot, piece, block) !== 'wanted') continue;
      blocks++;
      if (!scheduler.blockStored(slot, piece, block, nowMs)) continue;
      scheduler.pieceVerified(piece);
      hash.update(`${piece} `);
    }
    scheduler.fill(slot, nowMs);
  };

  const begin = process.cpuUsage();
  while (blocks < blockGoal && !scheduler.isComplete) {
    for (let peer = 0; peer < PEERS; peer++) {
      readPeer(peer as PeerSlot);
      becomeReady();
    }
    nowMs += 50;
    if (nowMs % 1000 !== 0) continue;
    scheduler.tick(nowMs);
    becomeReady();
  }
  const used = process.cpuUsage(begin);
  const cpuNsPerBlock = ((used.user + used.system) * 1000) / blocks;
  return {
    figures: { cpuNsPerBlock, microsPerJoin: (joinMs * 1000) / PEERS, blocks },
    checksum: hash.digest('hex'),
  };
}

export function main(argv: readonly string[]): Promise<void> {
  const sizes = { parameter: 'pieces', small: [1000, 10_000], full: [1000, 10_000, 100_000] };
  return microBench('scheduler', argv, sizes, (pieces, isSmall) => run(pieces, isSmall ? 20_000 : 1_000_000));
}

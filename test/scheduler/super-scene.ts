/** A super-seed and scripted peers. Keeps its own books of what was revealed, and checks each reveal against them. */
import assert from 'node:assert/strict';
import { Bitfield } from '../../src/metainfo/bitfield.js';
import { Geometry, type PeerSlot, type PieceIndex } from '../../src/metainfo/geometry.js';
import { Scheduler } from '../../src/scheduler/scheduler.js';
import type { SchedulerSink } from '../../src/scheduler/sink.js';
import { seeded } from './world.js';

const PIECE_BYTES = 16_384;

export interface ScenePeer {
  readonly has: Set<number>;
  readonly revealed: Set<number>;
  /** When it got a piece that was revealed to it. */
  readonly gotMs: Map<number, number>;
  /** Pieces revealed to it after super-seeding had ended. */
  shownAtEnd: number;
}

export class SuperScene {
  readonly scheduler: Scheduler;
  readonly peers = new Map<number, ScenePeer>();
  readonly pieceCount: number;
  /** `slot:piece`, in order. */
  readonly log: string[] = [];
  /** Bytes a second that unchoked peers take. */
  rate = 1;
  nowMs = 0;
  /** When somebody took something, or nobody was here. */
  usedMs = 0;

  constructor(pieceCount: number, options: { seed?: number; uploadSlots?: number; maxSlots?: number } = {}) {
    const have = new Bitfield(pieceCount);
    have.setAll();
    this.pieceCount = pieceCount;
    const sink: Partial<SchedulerSink> = {
      choke: () => {},
      interested: () => {},
      reveal: (slot, piece) => this.#revealed(slot, piece),
    };
    this.scheduler = new Scheduler({
      geometry: new Geometry(pieceCount * PIECE_BYTES, PIECE_BYTES),
      have,
      sink: sink as SchedulerSink,
      random: seeded(options.seed ?? 1),
      limits: {
        maxSlots: options.maxSlots ?? 16,
        openPieces: 8,
        uploadSlots: options.uploadSlots ?? Number.POSITIVE_INFINITY,
        requestsPerPeer: 50,
      },
      isSuperSeeding: true,
    });
  }

  get isActive(): boolean {
    return this.scheduler.isSuperSeeding;
  }

  copies(piece: number): number {
    return [...this.peers.values()].filter((peer) => peer.has.has(piece)).length;
  }

  reveals(piece: number): number {
    return [...this.peers.values()].filter((peer) => peer.revealed.has(piece)).length;
  }

  get pieces(): number[] {
    return Array.from({ length: this.pieceCount }, (_, piece) => piece);
  }

  #revealed(slot: number, piece: number): void {
    const peer = this.peers.get(slot);
    assert.ok(peer !== undefined, `revealed to slot ${slot}, who is not there`);
    assert.ok(!peer.revealed.has(piece), `revealed piece ${piece} to slot ${slot} twice`);
    if (this.isActive) {
      assert.ok(!peer.has.has(piece), `revealed to slot ${slot} what it has`);
      assert.equal(this.copies(piece), 0, `revealed piece ${piece}, which is out`);
      const fresh = this.pieces.filter((other) => this.copies(other) === 0 && this.reveals(other) === 0);
      if (!fresh.includes(piece)) assert.deepEqual(fresh, [], `piece ${piece} again, before those`);
    } else peer.shownAtEnd++;
    peer.revealed.add(piece);
    this.log.push(`${slot}:${piece}`);
  }

  join(slot: number, isInterested = true, isFast = false): ScenePeer {
    const peer = {
      has: new Set<number>(),
      revealed: new Set<number>(),
      gotMs: new Map<number, number>(),
      shownAtEnd: 0,
    };
    this.peers.set(slot, peer);
    this.scheduler.addPeer(slot as PeerSlot, this.nowMs);
    this.scheduler.setFast(slot as PeerSlot, isFast);
    if (isInterested) this.scheduler.peerInterested(slot as PeerSlot, true, this.nowMs);
    return peer;
  }

  leave(slot: number): void {
    this.peers.delete(slot);
    this.scheduler.removePeer(slot as PeerSlot, this.nowMs);
  }

  interest(slot: number, isInterested: boolean): void {
    this.scheduler.peerInterested(slot as PeerSlot, isInterested, this.nowMs);
  }

  have(slot: number, piece: number): void {
    const peer = this.peers.get(slot)!;
    if (!peer.has.has(piece) && peer.revealed.has(piece)) peer.gotMs.set(piece, this.nowMs);
    peer.has.add(piece);
    this.scheduler.peerHave(slot as PeerSlot, piece as PieceIndex);
  }

  bitfield(slot: number, pieces: readonly number[]): void {
    const bits = new Bitfield(this.pieceCount);
    const peer = this.peers.get(slot)!;
    peer.has.clear();
    for (const piece of pieces) {
      bits.set(piece);
      peer.has.add(piece);
    }
    this.scheduler.peerBitfield(slot as PeerSlot, bits.bytes);
  }

  /** Revealed to the peer, and it has them not. */
  open(slot: number): number[] {
    const { has, revealed } = this.peers.get(slot)!;
    return [...revealed].filter((piece) => !has.has(piece));
  }

  pass(ms: number): void {
    this.nowMs += ms;
    if (this.peers.size === 0) this.usedMs = this.nowMs;
    for (const slot of this.peers.keys()) {
      if (this.isChoked(slot)) continue;
      this.scheduler.bytesUploaded(slot as PeerSlot, this.rate, this.nowMs);
      if (this.rate > 0) this.usedMs = this.nowMs;
    }
    this.scheduler.tick(this.nowMs);
  }

  isChoked(slot: number): boolean {
    return this.scheduler.view.isChoking(slot as PeerSlot);
  }

  mayServe(slot: number, piece: number): boolean {
    return this.scheduler.mayServe(slot as PeerSlot, piece as PieceIndex);
  }
}

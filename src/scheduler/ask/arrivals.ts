/**
 * What blocks that come mean for the parts of the scheduler: their requests, rates, how much to ask for, how patient to
 * be.
 */
import type { BlockIndex, Geometry, PeerSlot, PieceIndex } from '../../metainfo/geometry.js';
import type { Traffic } from '../peers/traffic.js';
import type { OpenPieces } from '../pieces/open-pieces.js';
import type { BlockVerdict } from '../sink.js';
import type { Incoming } from './incoming.js';
import type { Pipeline } from './pipeline.js';
import type { Requests } from './requests.js';
import type { Snubbing } from './snubbing.js';

export interface ArrivalsParts {
  readonly geometry: Geometry;
  readonly open: OpenPieces;
  readonly incoming: Incoming;
  readonly traffic: Traffic;
  readonly requests: Requests;
  readonly pipeline: Pipeline;
  readonly snubbing: Snubbing;
}

export class Arrivals {
  readonly #p: ArrivalsParts;

  constructor(parts: ArrivalsParts) {
    this.#p = parts;
  }

  begins(slot: PeerSlot, piece: PieceIndex, block: BlockIndex, nowMs: number): BlockVerdict {
    const verdict = this.#p.requests.arrive(slot, piece, block, nowMs);
    if (verdict === 'duplicate') this.#p.snubbing.delivered(slot, 1, nowMs);
    return verdict;
  }

  /** True when the piece is now complete. */
  stored(slot: PeerSlot, piece: PieceIndex, block: BlockIndex, nowMs: number): boolean {
    const { open, requests, traffic, geometry } = this.#p;
    const isComplete = requests.store(slot, piece, block);
    traffic.gave(slot, geometry.blockLength(piece, block), nowMs);
    this.#answered(slot, 1, nowMs);
    if (isComplete) open.verifying(open.recordOf(piece));
    return isComplete;
  }

  /** Returns how many of the blocks were wanted and are stored now. */
  storedRun(slot: PeerSlot, piece: PieceIndex, first: BlockIndex, count: number, nowMs: number): number {
    const { requests, traffic, geometry } = this.#p;
    const stored = requests.storeRun(slot, piece, first, count);
    if (stored === 0) return 0;
    traffic.gave(slot, geometry.runLength(piece, first, stored), nowMs);
    this.#answered(slot, stored, nowMs);
    return stored;
  }

  /** True when all blocks of the piece, which is open, are stored. */
  becomesWhole(piece: PieceIndex): boolean {
    const { open } = this.#p;
    const record = open.recordOf(piece);
    if (open.stored(record) < open.blockCount[record]!) return false;
    open.verifying(record);
    return true;
  }

  /** Blocks that came together have one answer time. */
  #answered(slot: number, blocks: number, nowMs: number): void {
    const { incoming, pipeline, snubbing } = this.#p;
    const askedMs = incoming.askedMs[slot]!;
    if (!Number.isNaN(askedMs)) pipeline.responded(slot, nowMs - askedMs);
    snubbing.delivered(slot, blocks, nowMs);
  }
}

/** A view of the peers' state: who has what, who chokes whom, who is interested, how much came and went. */
import type { BlockIndex, PeerSlot, PieceIndex } from '../metainfo/geometry.js';
import type { UnfinishedPiece } from '../metainfo/unfinished.js';
import type { SchedulerParts } from './parts.js';
import type { TrafficTotals } from './peers/traffic.js';

/** Seeds hear our HAVE messages while they are at most one peer of so many. */
const SEEDS_TOLD = 8;

type Viewed = Pick<SchedulerParts, 'peers' | 'availability' | 'traffic' | 'open' | 'ledger' | 'allowance' | 'holdings'>;

export class SchedulerView {
  readonly #p: Viewed;

  constructor(parts: Viewed) {
    this.#p = parts;
  }

  peerIsSeed(slot: PeerSlot): boolean {
    return this.#p.peers.isSeed(slot);
  }

  /**
   * Our HAVE messages go to this peer at once. Seeds need none, but learn from them who passes pieces on (hoarders.ts);
   * where seeds are many their choice matters little, and a HAVE to each costs us more than it is worth: then they hear
   * later (`swarm/seed-news.ts`).
   */
  isTold(slot: PeerSlot): boolean {
    return !this.#p.peers.isSeed(slot) || SEEDS_TOLD * this.#p.availability.seedCount <= this.#p.peers.active.size;
  }

  peerPieceCount(slot: PeerSlot): number {
    return this.#p.peers.pieces[slot]!;
  }

  peerHas(slot: PeerSlot, piece: PieceIndex): boolean {
    return this.#p.peers.has(slot, piece);
  }

  /** It was good once in this session: it is not fetched again, even where it has gone bad since. */
  isVerified(piece: PieceIndex): boolean {
    return this.#p.holdings.isVerified[piece] !== 0;
  }

  /** Copies of a piece among connected peers. */
  copies(piece: PieceIndex): number {
    return this.#p.availability.copies(piece);
  }

  /** We choke the peer. */
  isChoking(slot: PeerSlot): boolean {
    return this.#p.peers.isChoking[slot] !== 0;
  }

  /** We are interested in the peer. */
  isInterestedIn(slot: PeerSlot): boolean {
    return this.#p.peers.isInterested[slot] !== 0;
  }

  isPeerChoking(slot: PeerSlot): boolean {
    return this.#p.peers.isPeerChoking[slot] !== 0;
  }

  isPeerInterested(slot: PeerSlot): boolean {
    return this.#p.peers.isPeerInterested[slot] !== 0;
  }

  /** Our own limit decides how many are asked: those that are not owe us nothing. */
  get isMetered(): boolean {
    return this.#p.allowance.isFinite;
  }

  /** Firm and late requests: what the peer may still answer. */
  requestsInFlight(slot: PeerSlot): number {
    return this.#p.ledger.firm[slot]! + this.#p.ledger.lax[slot]!;
  }

  isSnubbed(slot: PeerSlot): boolean {
    return this.#p.peers.isSnubbed[slot] !== 0;
  }

  /** How often the peer was late since it joined: what it was asked for before the last time may be asked for again. */
  timesLate(slot: PeerSlot): number {
    return this.#p.peers.snubs[slot]!;
  }

  /**
   * Who sent a block of an open piece; -1: nobody yet or in an earlier run, or someone who left and whose slot another
   * peer has now.
   */
  senderOf(piece: PieceIndex, block: BlockIndex): PeerSlot | -1 {
    const record = this.#p.open.recordOf(piece);
    return record < 0 ? -1 : (this.#p.open.sender[this.#p.open.indexOf(record, block)]! as PeerSlot);
  }

  /** What is stored of pieces that are ready and not complete. */
  unfinished(): readonly UnfinishedPiece[] {
    return this.#p.open.unfinished();
  }

  /** Bytes per second, rolling average over 20 s. Without a slot: of all peers. */
  downloadRate(slot: PeerSlot | null, nowMs: number): number {
    return this.#p.traffic.downloadRate(slot, nowMs);
  }

  uploadRate(slot: PeerSlot | null, nowMs: number): number {
    return this.#p.traffic.uploadRate(slot, nowMs);
  }

  /** Bytes of blocks that the peer took from us since it joined. */
  tookBytes(slot: PeerSlot): number {
    return this.#p.traffic.tookBytes(slot);
  }

  /** Bytes of blocks that the peer gave us since it joined. */
  gaveBytes(slot: PeerSlot): number {
    return this.#p.traffic.gaveBytes(slot);
  }

  get totals(): TrafficTotals {
    return this.#p.traffic.totals;
  }
}

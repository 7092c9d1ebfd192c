/**
 * What the owner may ask of the peers' state: who has what, who chokes whom, who is interested, how much came and went;
 * and the few facts that the owner tells.
 */
import type { BlockIndex, PeerSlot, PieceIndex } from '../metainfo/geometry.js';
import type { UnfinishedPiece } from '../metainfo/unfinished.js';
import type { Allowance } from './ask/allowance.js';
import type { Ledger } from './ask/ledger.js';
import type { Peers } from './peers/peers.js';
import type { Traffic, TrafficTotals } from './peers/traffic.js';
import type { Availability } from './pieces/availability.js';
import type { OpenPieces } from './pieces/open-pieces.js';
import type { Picker } from './pieces/picker.js';

/** Seeds hear our HAVE messages while they are at most one peer of so many. */
const SEEDS_TOLD = 8;

export interface FactsParts {
  readonly peers: Peers;
  readonly availability: Availability;
  readonly traffic: Traffic;
  readonly open: OpenPieces;
  readonly ledger: Ledger;
  readonly allowance: Allowance;
  readonly picker: Picker;
}

export abstract class SchedulerFacts {
  readonly #peers: Peers;
  readonly #availability: Availability;
  readonly #traffic: Traffic;
  readonly #open: OpenPieces;
  readonly #ledger: Ledger;
  readonly #allowance: Allowance;
  readonly #picker: Picker;

  constructor(parts: FactsParts) {
    this.#peers = parts.peers;
    this.#availability = parts.availability;
    this.#traffic = parts.traffic;
    this.#open = parts.open;
    this.#ledger = parts.ledger;
    this.#allowance = parts.allowance;
    this.#picker = parts.picker;
  }

  peerIsSeed(slot: PeerSlot): boolean {
    return this.#peers.isSeed(slot);
  }

  /**
   * Our HAVE messages go to this peer. Seeds need none, but learn from them who passes pieces on (hoarders.ts); where
   * seeds are many their choice matters little, and a HAVE to each costs us more than it is worth.
   */
  isTold(slot: PeerSlot): boolean {
    return !this.#peers.isSeed(slot) || SEEDS_TOLD * this.#availability.seedCount <= this.#peers.active.size;
  }

  peerPieceCount(slot: PeerSlot): number {
    return this.#peers.pieces[slot]!;
  }

  peerHas(slot: PeerSlot, piece: PieceIndex): boolean {
    return this.#peers.has(slot, piece);
  }

  /** Copies of a piece among connected peers. */
  copies(piece: PieceIndex): number {
    return this.#availability.copies(piece);
  }

  /** We choke the peer. */
  isChoking(slot: PeerSlot): boolean {
    return this.#peers.isChoking[slot] !== 0;
  }

  /** We are interested in the peer. */
  isInterestedIn(slot: PeerSlot): boolean {
    return this.#peers.isInterested[slot] !== 0;
  }

  isPeerChoking(slot: PeerSlot): boolean {
    return this.#peers.isPeerChoking[slot] !== 0;
  }

  isPeerInterested(slot: PeerSlot): boolean {
    return this.#peers.isPeerInterested[slot] !== 0;
  }

  /** Told once a second or so: what the peer asked for waits for us, so that it is not to blame for taking nothing. */
  setHeldUp(slot: PeerSlot, isHeldUp: boolean): void {
    this.#peers.isHeldUp[slot] = isHeldUp ? 1 : 0;
  }

  /**
   * Told before each tick: for so long since the last one we left unread what the peer sent, for the sake of our own
   * limit. Whatever we wait for from it, that time does not count.
   */
  setHeldBack(slot: PeerSlot, heldMs: number, nowMs: number): void {
    this.#peers.isHeldBack[slot] = heldMs > 0 ? 1 : 0;
    if (heldMs <= 0) return;
    this.#peers.shiftClocks(slot, heldMs, nowMs);
    this.#ledger.shiftClocks(slot, heldMs, nowMs);
    this.#allowance.heldBack();
  }

  /** Pieces in order, or rarest first, from the next one on. */
  setSequential(isSequential: boolean): void {
    this.#picker.isSequential = isSequential;
  }

  /** Our own limit is another one now, bytes per second; Infinity: none. Call `fillHungry` then. */
  setDownloadLimit(bytesPerSec: number): void {
    this.#allowance.setLimit(bytesPerSec);
  }

  /** Our own limit decides how many are asked: those that are not owe us nothing. */
  get isMetered(): boolean {
    return this.#allowance.isFinite;
  }

  /** Firm and late requests: what the peer may still answer. */
  requestsInFlight(slot: PeerSlot): number {
    return this.#ledger.firm[slot]! + this.#ledger.lax[slot]!;
  }

  isSnubbed(slot: PeerSlot): boolean {
    return this.#peers.isSnubbed[slot] !== 0;
  }

  /** How often the peer was late since it joined: what it was asked for before the last time may be asked for again. */
  timesLate(slot: PeerSlot): number {
    return this.#peers.snubs[slot]!;
  }

  /**
   * Who sent a block of an open piece; -1: nobody yet or in an earlier run, or someone who left and whose slot another
   * peer has now.
   */
  senderOf(piece: PieceIndex, block: BlockIndex): PeerSlot | -1 {
    const record = this.#open.recordOf(piece);
    return record < 0 ? -1 : (this.#open.sender[this.#open.indexOf(record, block)]! as PeerSlot);
  }

  /** What is stored of pieces that are ready and not complete. */
  unfinished(): readonly UnfinishedPiece[] {
    return this.#open.unfinished();
  }

  /** Bytes per second, rolling average over 20 s. Without a slot: of all peers. */
  downloadRate(slot: PeerSlot | null, nowMs: number): number {
    return this.#traffic.downloadRate(slot, nowMs);
  }

  uploadRate(slot: PeerSlot | null, nowMs: number): number {
    return this.#traffic.uploadRate(slot, nowMs);
  }

  /** Bytes of blocks that the peer took from us since it joined. */
  tookBytes(slot: PeerSlot): number {
    return this.#traffic.tookBytes(slot);
  }

  /** Bytes of blocks that the peer gave us since it joined. */
  gaveBytes(slot: PeerSlot): number {
    return this.#traffic.gaveBytes(slot);
  }

  get totals(): TrafficTotals {
    return this.#traffic.totals;
  }
}

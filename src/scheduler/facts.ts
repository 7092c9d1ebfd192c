/** What the owner may ask of the peers' state: who has what, who chokes whom, who is interested. */
import type { PeerSlot, PieceIndex } from '../metainfo/geometry.js';
import type { Availability } from './availability.js';
import type { Peers } from './peers.js';

export abstract class SchedulerFacts {
  readonly #peers: Peers;
  readonly #availability: Availability;

  constructor(peers: Peers, availability: Availability) {
    this.#peers = peers;
    this.#availability = availability;
  }

  peerIsSeed(slot: PeerSlot): boolean {
    return this.#peers.isSeed(slot);
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

  isSnubbed(slot: PeerSlot): boolean {
    return this.#peers.isSnubbed[slot] !== 0;
  }
}

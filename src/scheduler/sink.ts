/**
 * What the scheduler asks of its owner. Calls are made synchronously from the scheduler's methods; the owner must not
 * call back into it from here.
 */
import type { BlockIndex, PeerSlot, PieceIndex } from '../metainfo/geometry.js';

export type DropReason = 'corrupt' | 'redundant' | 'stalled';

export interface SchedulerSink {
  /**
   * @param count blocks from `block` on, in one message; more than one only of a peer that serves such runs
   * (`setRunBlocks`)
   */
  request(slot: PeerSlot, piece: PieceIndex, block: BlockIndex, count: number): void;
  cancel(slot: PeerSlot, piece: PieceIndex, block: BlockIndex): void;
  interested(slot: PeerSlot, isInterested: boolean): void;
  choke(slot: PeerSlot, isChoked: boolean): void;
  /**
   * Make this piece's range ready for stores; answer later with `pieceReady` or `pieceAbandoned`. False: no room now.
   */
  openPiece(piece: PieceIndex): boolean;
  /**
   * Give up a ready piece nobody can finish, so that its room serves peers who starve. What was stored of it is
   * forgotten. Never called for a piece that is opening, being verified, or has a block arriving. The scheduler has
   * already let go of it.
   */
  closePiece(piece: PieceIndex): void;
  /**
   * Super-seeding (BEP 16): say HAVE for this piece to this peer; its requests for the piece may be served from now on.
   * Also from `addPeer`.
   */
  reveal?(slot: PeerSlot, piece: PieceIndex): void;
  /**
   * Close this connection soon, then call `removePeer`: a block of it began and never ended, and others wait for that
   * block.
   */
  drop(slot: PeerSlot, reason: DropReason): void;
}

/** What became of a block that starts to arrive. */
export type BlockVerdict =
  | 'wanted' // asked of this peer (perhaps long ago) and nobody else is writing it: store it, then call blockStored
  | 'duplicate' // asked of this peer, but already stored or being written by another: discard, then call blockDiscarded
  | 'unrequested'; // never asked of this peer: discard, then call blockDiscarded

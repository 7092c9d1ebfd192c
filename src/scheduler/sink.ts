/** What the scheduler asks of its owner. Calls are made synchronously from the scheduler's methods; the owner must not call back into it from here. */
import type { BlockIndex, PeerSlot, PieceIndex } from '../metainfo/geometry.js';

export type DropReason = 'corrupt' | 'redundant' | 'stalled';

export interface SchedulerSink {
  request(slot: PeerSlot, piece: PieceIndex, block: BlockIndex): void;
  cancel(slot: PeerSlot, piece: PieceIndex, block: BlockIndex): void;
  interested(slot: PeerSlot, isInterested: boolean): void;
  choke(slot: PeerSlot, isChoked: boolean): void;
  /** Make this piece's range ready for stores; answer later with `pieceReady` or `pieceAbandoned`. False: no room now. */
  openPiece(piece: PieceIndex): boolean;
}

/** What became of a block that starts to arrive. */
export type BlockVerdict =
  | 'wanted' // requested from this peer and nobody else is writing it: store it, then call blockStored
  | 'duplicate' // requested, but already stored or being written by another peer: discard, waste is counted
  | 'unrequested'; // never requested from this peer, or long cancelled

/** What comes from one peer: the block that is arriving, and what is allowed of it. */
import type { BlockIndex, PeerSlot, PieceIndex } from '../metainfo/geometry.js';
import type { Remote } from './remote.js';

/** The block that is arriving from one peer. */
export interface Arrival {
  piece: PieceIndex;
  block: BlockIndex;
  /** Where the next byte goes, inside the piece. */
  begin: number;
  isStoring: boolean;
  /** Of the block, and where it ends inside the piece; and the message. */
  lengthBytes: number;
  blockEnd: number;
  end: number;
}

export class Inflow<R extends Remote = Remote> {
  readonly slot: PeerSlot;
  readonly remote: R;
  readonly arrival: Arrival = {
    piece: 0 as PieceIndex,
    block: 0 as BlockIndex,
    begin: 0,
    isStoring: false,
    lengthBytes: 0,
    blockEnd: 0,
    end: 0,
  };
  unrequestedBlocks = 0;
  /** Blocks in a row that the peer serves in one message (`haul_request_bytes`): 1 when it knows no such runs. */
  runBlocks = 1;

  constructor(slot: PeerSlot, remote: R) {
    this.slot = slot;
    this.remote = remote;
  }
}

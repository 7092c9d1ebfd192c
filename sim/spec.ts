/**
 * What a simulated swarm is made of: sizes, caps, times and manners. Plain data; bytes and bytes per second are real
 * ones, before scaling.
 */
import type { Priority } from '../src/scheduler/pieces/priority.js';

/** The last three are not for checked swarms: requests get lost. */
export type Manner =
  | 'good'
  | 'stall' // takes requests and sends nothing
  | 'corrupt' // some of the blocks it sends are not what they should be
  | 'idle' // it is interested, and asks for nothing
  | 'again' // what it got it asks for once more, and keeps nothing
  | 'frozen'; // it says nothing at all any more, and its connections stay

export interface HostSpec {
  readonly upBytesPerSec: number;
  readonly downBytesPerSec: number;
  readonly isSeed?: boolean;
  /** Default 0. */
  readonly joinMs?: number;
  readonly zone?: string;
  readonly manner?: Manner;
  /** Default: the swarm's. 0: a free rider. */
  readonly uploadSlots?: number;
  readonly isSuperSeeding?: boolean;
  readonly isSequential?: boolean;
  /** Pieces from the front to the back in a swarm with a web seed (`forward.ts`). */
  readonly isForward?: boolean;
  /** Others take it for a web seed: it chokes nobody, and needs `runBlocks`. */
  readonly isWebSeed?: boolean;
  /** Of every piece; default: normal. */
  readonly priorities?: readonly Priority[];
  /** Supports BEP 6. Default true. */
  readonly isFast?: boolean;
  /** Blocks in a row that it sends in one message to who knows that (`haul_request_bytes`). Default 1: none. */
  readonly runBlocks?: number;
  /** Pieces it has at the start, besides a seed, who has all. */
  readonly have?: readonly number[];
  /** Default: room for the open pieces of the swarm, and all that is read is resident. */
  readonly memory?: MemorySpec;
}

/** Memory of an engine with several torrents, and what it takes to read into it. */
export interface MemorySpec {
  /** For open pieces and units of all torrents. */
  readonly bytes: number;
  /** At most, see `ResidentUnits`: a run of blocks must lie in three at most. */
  readonly unitBytes: number;
  /** To read a unit, and how many at once. */
  readonly readMs: number;
  readonly loads: number;
  /** Until a unit that is given up is let go of, and until its memory is back. 0: at once. */
  readonly releaseMs: number;
  readonly neighbours: readonly NeighbourSpec[];
}

/** Another torrent of the engine: what it wants at most, and for how long at most it keeps a piece or a unit. */
export interface NeighbourSpec {
  readonly pieceBytes: number;
  readonly unitBytes: number;
  readonly mostPieces: number;
  readonly mostUnits: number;
  readonly holdMs: number;
}

export interface StorageSpec {
  /** From `openPiece` to `pieceReady`. */
  readonly openMs: number;
  /** Share of opens that are refused for want of room, or end as abandoned; 0 to 1. */
  readonly refusals?: number;
  readonly abandons?: number;
}

export interface HashSpec {
  /** For one piece. */
  readonly pieceMs: number;
}

export interface SwarmSpec {
  readonly seed: number;
  readonly imageBytes: number;
  readonly pieceBytes: number;
  /** What moves as one block: 16 KiB, or a multiple of it that divides the piece. Default 16 KiB. */
  readonly unitBytes?: number;
  readonly hosts: readonly HostSpec[];
  /** One way, between hosts of one zone and of two. */
  readonly latencyMs: number;
  readonly farLatencyMs?: number;
  /** Hosts tell the tracker their zone. Default true; false: zones make distances, and nobody is told. */
  readonly areZonesTold?: boolean;
  readonly uploadSlots?: number;
  readonly numwant?: number;
  readonly maxPeers?: number;
  readonly dialsPerSecond?: number;
  /** Memory for open pieces, bytes. */
  readonly openPieceBytes?: number;
  /**
   * Most bytes under way on one connection. Default: what its bandwidth and delay need, at least two blocks and 256
   * KiB.
   */
  readonly windowBytes?: number;
  readonly storage?: StorageSpec;
  readonly hash?: HashSpec;
  /** 'direct': messages are calls. 'wire': messages are bytes, through the real encoder and decoder, cut at random. */
  readonly transport?: 'direct' | 'wire';
  /** Invariants after every event. Slow: for small swarms. */
  readonly isChecked?: boolean;
  /** Virtual time after which the run has failed. */
  readonly limitMs: number;
  /** Virtual time without a verified piece after which nobody will ever finish. Default 30 minutes. */
  readonly stillMs?: number;
  /** A planted bug, for the canary: the invariants must catch it. */
  readonly canary?: Canary;
}

export type Canary =
  | 'lost-request' // one request in a hundred never leaves, and nobody is told
  | 'early-have' // a piece is said to be there before its hash was looked at
  | 'ghost-piece' // a host believes in one piece that its peer does not have
  | 'kept-memory' // memory of a piece that was closed is not given back
  | 'twice'; // a block is asked of two peers outside of the endgame

/** What a scheduler is made of: plain values and the owner's ears. */
import type { Bitfield } from '../metainfo/bitfield.js';
import type { Geometry, PieceIndex } from '../metainfo/geometry.js';
import type { SchedulerSink } from './sink.js';

export interface SchedulerLimits {
  /** Slots are in [0, maxSlots). */
  readonly maxSlots: number;
  /** Most pieces open at once, those being verified included; at least 1. */
  readonly openPieces: number;
  /** Peers unchoked at once; Infinity: all that are interested. */
  readonly uploadSlots: number;
  /** Most requests outstanding at one peer. */
  readonly requestsPerPeer: number;
  /** The owner reads no faster than that, bytes per second; default: as fast as it comes. */
  readonly downloadBytesPerSec?: number;
}

export interface SchedulerOptions {
  readonly geometry: Geometry;
  /** Verified pieces, owned by the caller and read once, here; later ones come through `pieceVerified`. */
  readonly have: Bitfield;
  readonly sink: SchedulerSink;
  /** In [0, 1). */
  readonly random: () => number;
  readonly limits: SchedulerLimits;
  /** One `Priority` per piece, read once, here; later ones come through `setPriority`. Default: all normal. */
  readonly priorities?: Uint8Array;
  /** Inside a priority pieces are opened by index instead of rarest first. */
  readonly isSequential?: boolean;
  /**
   * Pieces from the front to the back as far as that costs a swarm with a web seed nothing (`forward.ts`), and the
   * number by which others know us (`Scheduler.addPeer`). Default: rarest first.
   */
  readonly forward?: { readonly ownNumber: number } | null;
  /** Pieces of which blocks are here from an earlier run: opened first. Default: none. */
  readonly begun?: readonly PieceIndex[];
  /** BEP 16: say to nobody what we have, and reveal it by `sink.reveal`. Without effect unless `have` is full. */
  readonly isSuperSeeding?: boolean;
}

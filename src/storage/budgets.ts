/**
 * How much memory one storage may hold when there is plenty; `memory.ts` is what there is. Defaults come from
 * `config.ts`; tests make them small.
 */
import { BLOCK_LENGTH_BYTES, DEFAULTS } from '../config.js';
import type { Geometry } from '../metainfo/geometry.js';

export interface Budgets {
  readonly openPieceBytes: number;
  readonly readCacheBytes: number;
  readonly residentUnitBytes: number;
  /** A lower bound is twice the read cache, an upper one a tenth of the machine's memory. */
  readonly dirtyBytes: number;
  /** A multiple of every page size: 64 KiB. */
  readonly windowBytes: number;
  readonly windowCount: number;
  /** What is to be served and in the page cache already needs no worker. */
  readonly asksPageCache: boolean;
}

export const DEFAULT_BUDGETS: Budgets = { ...DEFAULTS, asksPageCache: true };

/** Small pieces: a scheduler never has more than this many open. */
const OPEN_PIECES = 1024;

/**
 * Pieces open at once: what the budget allows, but two in any case, so that one can be verified while the next is
 * filled.
 */
export function openPieceLimit(geometry: Geometry, budgets: Budgets): number {
  return Math.min(OPEN_PIECES, Math.max(2, Math.floor(budgets.openPieceBytes / geometry.pieceLengthBytes)));
}

/** Pieces are split into units of equal size, in whole blocks, so that none is a sliver. */
export function evenUnit(pieceLengthBytes: number, unitBytes: number): number {
  const share = pieceLengthBytes / Math.ceil(pieceLengthBytes / unitBytes);
  return Math.min(pieceLengthBytes, Math.ceil(share / BLOCK_LENGTH_BYTES) * BLOCK_LENGTH_BYTES);
}

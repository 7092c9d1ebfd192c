/** Whoever makes the memory of resident units present and lets it go, as `ResidentUnits` sees it. Types only. */
import type { PieceIndex } from '../metainfo/geometry.js';
import type { Share } from './pool-share.js';

/** `there`: it is in memory already, and `loaded` is not called. */
export type Loading = boolean | 'there';

export interface UnitOwner {
  /** Makes the unit's range present, then calls `loaded`. False: no room for the job now, nothing happened. */
  load(slot: number, piece: PieceIndex, begin: number, lengthBytes: number): Loading;
  /** The unit is not wanted any more. True: its memory is gone. False: the owner calls `beginRelease`, `released`. */
  evict(slot: number): boolean;
  /** The piece will be written: the memory of its units is not wanted, and no more the business of this book. */
  forgotten(slot: number): void;
  /** Something that was refused may be asked for again. Called from inside `unpin` and others: defer. */
  roomCame(): void;
}

/** What the engine's memory allows; see `memory-pool.ts`. */
export type UnitRoom = Pick<
  Share,
  'takeUnit' | 'adoptUnit' | 'giveUnit' | 'unitLeaves' | 'unitStays' | 'unitLeft' | 'unitIsFree' | 'reachUnits'
>;

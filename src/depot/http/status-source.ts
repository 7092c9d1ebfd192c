/** Where the figures of `/status` come from. Types only. */
import type { PieceMap } from '../../engine/piece-map.js';
import type { Status } from '../status.js';

export interface PieceMapAnswer extends PieceMap {
  readonly name: string;
  readonly infoHash: string;
}

export interface StatusSource {
  /** @param prefix of full names that may be seen */
  status(prefix: string): Promise<Status>;
  /** Null: it is not awake, or may not be seen. */
  pieces(infoHash: string, prefix: string): Promise<PieceMapAnswer | null>;
}

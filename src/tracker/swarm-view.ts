/** What a reply is made of. */
import type { PeerTable } from './peer-table.js';

/** Reused: valid until the next call. */
export interface SwarmView {
  complete: number;
  incomplete: number;
  downloaded: number;
  /** Where the seed of this process listens, or null (see `Swarms.register`). */
  seedPort: number | null;
  /** It is no seed yet: seeds are told of it, too. */
  isOurLeech: boolean;
  readonly picks4: number[];
  readonly picks6: number[];
  count4: number;
  count6: number;
  table4: PeerTable;
  table6: PeerTable;
}

/** One swarm of the tracker: its peers, and what is known of it beside. Pure. */
import { PeerTable } from './peer-table.js';
import type { Representatives } from './representatives.js';
import { newCopy, type SwarmCopy } from './shared/copy.js';

export interface Swarm {
  readonly infoHash: string;
  readonly table4: PeerTable;
  readonly table6: PeerTable;
  /** BEP 48: completed downloads. */
  downloaded: number;
  isRegistered: boolean;
  seedPort: number | null;
  /** Index in the list of swarms. */
  listAt: number;
  /** What is known of what other trackers know of it. */
  readonly copy: SwarmCopy;
  /** Since one address had a crowd of entries among those of table4, or table6; else null. */
  speakers4: Representatives | null;
  speakers6: Representatives | null;
}

export function newSwarm(infoHash: string, listAt: number, secret: number): Swarm {
  const tables = { table4: new PeerTable(6, secret), table6: new PeerTable(18, secret) };
  const speakers = { speakers4: null, speakers6: null };
  return {
    infoHash,
    ...tables,
    ...speakers,
    downloaded: 0,
    isRegistered: false,
    seedPort: null,
    listAt,
    copy: newCopy(),
  };
}

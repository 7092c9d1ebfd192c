/** What is said to a tracker and what it answers, whatever the protocol (BEP 3, 7, 15, 23, 48). Types only. */
import type { Address } from '../net/address.js';

export type AnnounceEvent = 'started' | 'stopped' | 'completed';

export interface AnnounceRequest {
  /** 20 bytes. */
  readonly infoHash: Uint8Array;
  /** 20 bytes. */
  readonly peerId: Uint8Array;
  /** A name or address that the tracker shall give to others instead of the one it sees (BEP 3). */
  readonly ip?: string;
  /** The port we listen on; 0 when we do not. */
  readonly port: number;
  readonly uploadedBytes: number;
  readonly downloadedBytes: number;
  readonly leftBytes: number;
  /** Peers wanted. */
  readonly numwant: number;
  /** Absent in the regular announces between events. */
  readonly event?: AnnounceEvent;
  /** 32-bit unsigned: lets the tracker recognise us when our address changes. */
  readonly key?: number;
  /** What this tracker gave as `tracker id`, to be given back. */
  readonly trackerId?: Uint8Array;
  /**
   * Where this host is (`zone.ts`); trackers other than ours ignore it, as they ignore all parameters that they do not
   * know.
   */
  readonly zone?: string;
}

export interface AnnounceReply {
  /** Null when the tracker did not say. */
  readonly intervalMs: number | null;
  readonly minIntervalMs: number | null;
  /** Seeds and leeches the tracker knows; null when it did not say. */
  readonly complete: number | null;
  readonly incomplete: number | null;
  /** Printable, at most 200 characters. */
  readonly warning: string | null;
  readonly trackerId: Uint8Array | null;
  /** Our address as the tracker sees it (BEP 24), canonical; null when it did not say. */
  readonly externalIp: string | null;
  /** Addresses that can be dialled, at most LIMITS.knownAddresses: of more a random sample. */
  readonly peers: readonly Address[];
}

export interface ScrapeEntry {
  readonly complete: number;
  /** Completed downloads ever. */
  readonly downloaded: number;
  readonly incomplete: number;
}

/** What the torrent says of itself at the moment of an announce. */
export interface AnnounceFigures {
  readonly uploadedBytes: number;
  readonly downloadedBytes: number;
  readonly leftBytes: number;
  /** The port we listen on, 0 for none. */
  readonly port: number;
  /** Peers wanted. */
  readonly numwant: number;
  /** Peers are few: ask again as early as the tracker permits. */
  readonly isHungry?: boolean;
  /** No peer is connected. */
  readonly isAlone?: boolean;
}

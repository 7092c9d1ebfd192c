/** What `/status` says: the figures of now, for the page and whoever else looks. Types only. */

/** Something on its way in: an upload to a depot, a fetch of an agent. */
export interface StatusUpload {
  readonly name: string;
  /** Null: nobody has said. */
  readonly lengthBytes: number | null;
  readonly receivedBytes: number;
  /** Since it began; null: not told. */
  readonly seconds: number | null;
}

/** What would go, and why. */
export interface StatusNext {
  readonly name: string;
  readonly lengthBytes: number;
  readonly reason: 'age' | 'idle' | 'watermark';
  /** ISO 8601; null: when there is no more room. */
  readonly at: string | null;
  /** What is in its way now: "in use", "replicas", "clock". */
  readonly obstacle: string | null;
}

/** A torrent that is awake. */
export interface StatusTorrent {
  readonly name: string;
  readonly infoHash: string;
  readonly lengthBytes: number;
  readonly verifiedBytes: number;
  readonly peers: number;
  readonly downloadBytesPerSec: number;
  readonly uploadBytesPerSec: number;
  readonly uploadedBytes: number;
}

export interface StatusProblem {
  /** When it happened last, ISO 8601. */
  readonly time: string;
  /** How often. */
  readonly count: number;
  /** Of HTTP; 0: there was no answer. */
  readonly status: number;
  readonly text: string;
}

export interface StatusDisk {
  /** Own blobs, and what comes in. */
  readonly usedBytes: number;
  /** Of where they lie; null: without bound. */
  readonly freeBytes: number | null;
  readonly totalBytes: number | null;
  /** Above so many own bytes names go, until the low mark; null: there is none. */
  readonly highBytes: number | null;
  readonly lowBytes: number | null;
  /** And above this share of the disk, whoever fills it, 0 to 1; null: no matter. */
  readonly highShare: number | null;
}

export interface Status {
  readonly kind: 'depot' | 'agent';
  readonly version: string;
  /** ISO 8601. */
  readonly time: string;
  readonly stored: { readonly names: number; readonly blobs: number; readonly blobBytes: number };
  readonly disk: StatusDisk;
  /** HTTP requests under way, but for those that listen to events. */
  readonly requests: number;
  /** Peers that are connected, and that the tracker knows. */
  readonly connections: number;
  readonly peers: number;
  readonly downloadBytesPerSec: number;
  readonly uploadBytesPerSec: number;
  readonly uploadedBytes: number;
  readonly uploads: readonly StatusUpload[];
  readonly torrents: readonly StatusTorrent[];
  readonly torrentCount: number;
  readonly next: readonly StatusNext[];
  readonly problems: readonly StatusProblem[];
}

/** What an agent is made of, for those who tell of it. Types only. */
import type { Engine } from '../../api.js';
import type { Listeners } from '../http/listeners.js';
import type { BlobCache } from './blob-cache.js';
import type { CacheDisk } from './cache-disk.js';
import type { DepotPort } from './depot-port.js';
import type { Directory } from './directory.js';
import type { Fetches } from './fetches.js';
import type { NamesFile } from './names-file.js';
import type { Presence } from './presence.js';
import type { Receipts } from './receipts.js';
import type { Seeds } from './seeds.js';

/** What stands behind the door. */
export interface AgentParts {
  readonly cache: BlobCache;
  readonly disk: CacheDisk;
  readonly engine: Engine;
  readonly client: DepotPort;
  readonly names: NamesFile;
  readonly fetches: Fetches;
  readonly receipts: Receipts;
  readonly seeds: Seeds;
  readonly presence: Presence;
  readonly directory: Directory;
  readonly listeners: Listeners;
  /** Since the start. */
  readonly sums: { sentBytes: number; peerBytes: number; webSeedBytes: number; failures: number };
}

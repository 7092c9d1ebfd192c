/** What the routes need of the depot behind them. `depot.ts` puts it together; tests give their own. */
import type { Catalogue } from '../catalogue/port.js';
import type { FolderTorrents } from '../folders/folder-torrents.js';
import type { Upcoming } from '../keep/decide.js';
import type { NameFilter } from '../keep/keeper.js';
import type { ByPeers } from '../p2p/port.js';
import type { Depository } from '../publish-port.js';
import type { Listeners } from './listeners.js';
import type { StatusSource } from './status-source.js';
import type { Token } from './tokens.js';

/** Announces and scrapes, as the tracker's service has them. */
export interface TrackerDoor {
  /** @param query behind the "?". @param remote, local addresses of the connection. @param passkey or '' */
  announce(query: string, remote: string, local: () => string, passkey: string): Buffer;
  scrape(query: string, passkey: string): Buffer;
  /** Whether it knows this passkey; any where none is needed. */
  permits(passkey: string): boolean;
}

/** One thing that must work before requests can be served. */
export interface Check {
  readonly name: string;
  readonly isReady: boolean;
  /** For people; '' where there is nothing to say. What is ready may still lack something. */
  readonly message: string;
}

/** What routes do with artifacts. */
export type Artifacts = Pick<Depository, 'publish' | 'find' | 'read' | 'remove' | 'pin' | 'torrent'>;

export interface Inside {
  readonly depository: Artifacts;
  /** It counts as fetched now. @param name full */
  readonly used?: (name: string) => void;
  /** Without it nothing is published by peers. */
  readonly byPeers?: ByPeers;
  readonly catalogue: Pick<Catalogue, 'list' | 'byInfoHash' | 'counts'>;
  /** What goes next by itself, the first first, of the names that are wanted. */
  readonly upcoming: (limit: number, isWanted: NameFilter) => Promise<readonly Upcoming[]>;
  /** Without: folders have no torrents. */
  readonly folders?: Pick<FolderTorrents, 'request' | 'find' | 'torrent'>;
  /** Null: there is none. */
  readonly tracker: TrackerDoor | null;
  /** Of a token, for announce URLs; null: announces need none. */
  readonly passkeyOf: (token: Token | null) => string | null;
  /** Base URLs of depots with the same catalogue and store. */
  readonly others?: readonly string[];
  readonly listeners: Listeners;
  readonly readiness: () => Promise<readonly Check[]>;
  /** In the text format of Prometheus. */
  readonly metrics: () => Promise<{ readonly type: string; readonly text: string }>;
  /** For the page; without it there is no `/status`. */
  readonly status?: StatusSource;
  /** Longest artifact that is taken. */
  readonly artifactBytesMax: number;
  readonly version: string;
}

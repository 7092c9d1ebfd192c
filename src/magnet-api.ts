/** A download that begins with a magnet link, as users of the package see it. Types only. */
import type { EventEmitter } from 'node:events';
import type { HaulError } from './errors.js';
import type { Metainfo } from './metainfo/metainfo.js';
import type { Torrent, TorrentSources } from './torrent-api.js';

/**
 * - `fetching`: peers are looked for and asked for the metadata.
 * - `added`: it is here, and the torrent is one of the engine.
 * - `stopped`, `failed`: it is over before that.
 */
export type MagnetState = 'fetching' | 'added' | 'stopped' | 'failed';

export interface MagnetStats {
  readonly state: MagnetState;
  /** Length of the metadata as a peer says it; 0 when none has. */
  readonly metadataBytes: number;
  readonly receivedBytes: number;
  /** Connected peers, and those of them that have metadata. */
  readonly peers: number;
  readonly offeringPeers: number;
  readonly knownAddresses: number;
  /** Why nothing comes, one line; null: something does, or it is not waited for. */
  readonly waitingFor: string | null;
}

export interface MagnetEvents {
  state: [state: MagnetState];
  /** It is known what the torrent is; it is added next. */
  metadata: [metainfo: Metainfo];
  /** It was added to the engine. */
  added: [torrent: Torrent];
  /** A tracker answered or failed; message is one line. */
  tracker: [url: string, outcome: 'ok' | 'warning' | 'failure', message: string];
  peer: [address: string, change: 'connected' | 'disconnected' | 'banned', reason: string];
  warning: [error: HaulError];
  failed: [error: HaulError];
}

/** A magnet link of an engine, from `add` until its metadata is here; then there is a `Torrent`. */
export interface MagnetDownload extends EventEmitter<MagnetEvents> {
  readonly infoHashHex: string;
  /** What the link calls it, printable; the torrent may have another name. */
  readonly displayName: string | null;
  /** Absolute path of the folder that will hold the data. */
  readonly output: string;
  readonly state: MagnetState;
  readonly error: HaulError | null;
  /**
   * The torrent, once it is known what it is. Rejects with a HaulError: BAD_TORRENT, LIMIT (the metadata is of no use),
   * BAD_ARGUMENT (the options do not fit it), CLOSED (stopped), ABORTED. Need not be awaited.
   */
  readonly torrent: Promise<Torrent>;
  /** `done` of the torrent, or why there will be none. Need not be awaited. */
  readonly done: Promise<void>;
  /** Figures of now. */
  stats(): MagnetStats;
  /** Trackers and addresses, and what became of each. */
  sources(): TorrentSources;
  /** Dials a peer: an address or a host name. @throws HaulError BAD_ARGUMENT */
  addPeer(host: string, port: number): void;
  /** Gives up. Nothing happens once the torrent was added: it goes on. Idempotent. */
  stop(): Promise<void>;
}

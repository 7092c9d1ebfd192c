/**
 * One session of a torrent as its parts see it, and the parts as they see each other: `torrent.ts` is it, and alone
 * knows them by name. Each part says which of this it takes.
 */
import type { HealthProblem, TorrentEvents, TorrentState, TrackerReport, WebSeedReport } from '../api.js';
import type { Bitfield } from '../metainfo/bitfield.js';
import type { Metainfo } from '../metainfo/metainfo.js';
import type { Selection } from '../metainfo/selection.js';
import type { Storage } from '../storage/port.js';
import type { ExchangeOwner } from '../swarm/exchange.js';
import type { Unfinished } from '../swarm/unfinished.js';
import type { Contacts } from './contacts.js';
import type { Content } from './content.js';
import type { Dialler, Environment } from './environment.js';
import type { TorrentExchange, TorrentRemote } from './remotes.js';

/** Bytes, see `TorrentStats`. */
export interface Totals {
  readonly downloadedBytes: number;
  readonly uploadedBytes: number;
  readonly wastedBytes: number;
  readonly corruptBytes: number;
}

export interface Session extends ExchangeOwner<TorrentRemote> {
  readonly metainfo: Metainfo;
  readonly output: string;
  /** Null: everything is wanted. */
  readonly selection: Selection | null;
  /** Verified pieces; of a selection the wanted ones only, for the others have no place. */
  readonly have: Bitfield;
  readonly unfinished: Unfinished;
  readonly environment: Environment;
  readonly dialler: Dialler;
  readonly content: Content;
  /** Of exchanges that were given up. */
  readonly past: Totals;
  checkedPieces: number;
  readonly state: TorrentState;
  readonly wantedPieces: number;
  /** Every wanted piece is verified. */
  readonly isComplete: boolean;
  readonly isStopping: boolean;
  readonly isSyncing: boolean;
  /** Nobody is connected, all of it is here, and nothing is under way. */
  readonly canRest: boolean;
  /** Null: no peers are taken yet, or none for now. */
  readonly exchange: TorrentExchange | null;
  readonly storage: Storage | null;
  /** Fires when the session ends, or lies down. */
  readonly signal: AbortSignal;

  readonly roster: { readonly knownAddresses: number };
  readonly announces: { reports(): readonly TrackerReport[] };
  readonly condition: {
    readonly contacts: Contacts;
    health(): readonly HealthProblem[];
    patiently<T>(step: () => Promise<T>, signal: AbortSignal): Promise<T>;
  };
  readonly webSources: { reports(): readonly WebSeedReport[]; readonly downloadedBytes: number };
  /** Of ours that are bad on disk. */
  readonly badPieces: number;
  readonly rest: { readonly isResting: boolean };

  enter(state: TorrentState): void;
  tell<K extends keyof TorrentEvents>(event: K, ...args: TorrentEvents[K]): void;
  /** Lets go of all that `takeUp` brings back; who says so closes the storage. */
  layDown(): void;
  /** A seed that rested serves again. */
  takeUp(storage: Storage): void;
  restFailed(error: unknown): void;
}

/** What the roster takes of it. */
export type HostSession = Pick<
  Session,
  | 'metainfo'
  | 'environment'
  | 'dialler'
  | 'state'
  | 'isStopping'
  | 'isComplete'
  | 'exchange'
  | 'condition'
  | 'rest'
  | 'tell'
>;

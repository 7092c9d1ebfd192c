/** What every contender of the rivals bench offers, so that one loop can run them all. */
import type { Namespace } from '../../../lab/namespace.js';
import type { Scope } from '../../../lab/scope.js';
import type { PeerAddress } from '../../../lab/tracker.js';
import type { LoopFigures } from '../sides.js';

export interface RivalJob {
  readonly role: 'seed' | 'leech';
  /** Names the tracker, as reached from where the rival runs. */
  readonly torrent: string;
  /** The same without a tracker, for those that can be given peers. */
  readonly untracked: string;
  readonly tracker: string;
  /** Holds the original, or receives the copy. */
  readonly folder: string;
  /** For a leech: the seed. Those that cannot be given peers hear of it from the tracker. */
  readonly peers: readonly PeerAddress[];
  /** Between this pair. More than 1: `peers` are so many addresses of one seed. */
  readonly connections: number;
  readonly namespace: Namespace | undefined;
}

export interface Running {
  readonly pid: number;
  readonly port: number;
  /** A leech that ends by itself when it has all: what it used is known from its end. */
  readonly endsItself?: boolean;
  /** Resident bytes of the idle process, where it tells. */
  readonly idleBytes?: number | undefined;
  /** Resolves when the client says that all is there and checked, or ends by itself. Rejects when it ends before. */
  complete(): Promise<void>;
  /** Of one that tells: resolves when all is on the device too. */
  readonly synced?: (() => Promise<void>) | undefined;
  /** Ends it; one of ours tells of its event loop. */
  stop(): Promise<LoopFigures | undefined>;
}

export interface Rival {
  readonly name: string;
  /** True: it refuses loopback peers and runs in a network namespace. */
  readonly needsNamespace: boolean;
  /** True: two of it hold as many connections between them as they are told. */
  readonly takesConnections: boolean;
  /** Why it cannot run here, or null. */
  missing(): Promise<string | null>;
  version(): Promise<string>;
  /** A seed: resolves when it has all data and takes peers. A leech: when it was told to begin. */
  start(scope: Scope, job: RivalJob): Promise<Running>;
}

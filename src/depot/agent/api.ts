/** The agent as users of the package see it. Types only. */
import type { EngineOptions } from '../../api.js';
import type { Log } from '../../log.js';

/** One request, for a log. Nothing in it is secret. */
export interface AgentRequest {
  readonly method: string;
  /** Without the query; as it came, so not fit for a terminal. */
  readonly path: string;
  /** 0: the connection ended before there was an answer. */
  readonly status: number;
  readonly sentBytes: number;
  readonly receivedBytes: number;
  readonly seconds: number;
  /** Address of the client. */
  readonly remote: string;
  /** The client went before it had its answer. */
  readonly isAborted: boolean;
}

/** Where the bytes of one answer of an agent came from, and how long it took. */
export interface AgentReceipt {
  /** As in the header `X-Swarmhaul-Receipt`. */
  readonly id: string;
  /** Full name. */
  readonly name: string;
  readonly sha256: string;
  /** Of the blob. */
  readonly lengthBytes: number;
  /** Milliseconds since 1970. */
  readonly startedMs: number;
  /** Until the first byte was there; null: none was. */
  readonly firstByteSeconds: number | null;
  readonly seconds: number;
  /** That left for the client. */
  readonly sentBytes: number;
  /** What came while it was answered: from other agents and clients, by HTTP from the depot; and what was here. */
  readonly peerBytes: number;
  readonly webSeedBytes: number;
  readonly localBytes: number;
  /** 'done', 'gone': the client left before the end, 'failed'. */
  readonly outcome: 'done' | 'gone' | 'failed';
  /** The depot could not be asked whether the name still means this. */
  readonly isStale: boolean;
}

/** Options of `startAgent`. */
export interface AgentOptions {
  /**
   * "http://depot:7070": an http(s) URL without user and query. Or several, of depots that share what they have, 16 at
   * most: the nearest that answers is asked, and what breaks off is gone on with at another.
   */
  readonly depot: string | readonly string[];
  /** Of the depots; sent to them and to nobody else. Default: none. */
  readonly token?: string;
  /** Folder of the agent alone. Made when it is missing. One agent at a time. */
  readonly cache: string;
  /** What the cache may hold, bytes, 64 MiB or more; what was used longest ago goes first. Default: half the disk. */
  readonly cacheBytes?: number;
  /** Local address for HTTP; default 127.0.0.1. Whoever reaches it reads what the agent's token may read. */
  readonly host?: string;
  /** TCP port of HTTP, 0 for any free one; default 7071. */
  readonly httpPort?: number;
  /** Names by which clients may reach it, beside addresses, localhost and this machine's name. */
  readonly allowHosts?: readonly string[];
  /** Of the engine that fetches and gives: `port`, `zone`, limits, memory, `ca`. */
  readonly engine?: EngineOptions;
  /** Receives one line per noteworthy event; requests go to `onRequest`. */
  readonly log?: Log;
  /** A request has ended. */
  readonly onRequest?: (request: AgentRequest) => void;
  /** An answer with bytes has ended. */
  readonly onReceipt?: (receipt: AgentReceipt) => void;
  /** Closes it; before it listens, `startAgent` rejects with ABORTED. */
  readonly signal?: AbortSignal;
}

/** What an agent holds and does. */
export interface AgentStats {
  /** Whole blobs and parts of blobs. */
  readonly blobs: number;
  readonly usedBytes: number;
  readonly cacheBytes: number;
  /** Blobs under way. */
  readonly fetches: number;
  /** Sent to clients of HTTP. */
  readonly sentBytes: number;
  /** Came from other peers, and by HTTP from the depot. */
  readonly peerBytes: number;
  readonly webSeedBytes: number;
  /** Given to other peers. */
  readonly uploadedBytes: number;
  /** None of its depots answers. Null: it has not been asked yet. */
  readonly isDepotAway: boolean | null;
  /** In the order in which they were named. */
  readonly depots: readonly AgentDepot[];
}

/** What an agent knows of one of its depots. */
export interface AgentDepot {
  readonly url: string;
  /** It does not answer. Null: it has not been asked yet. */
  readonly isAway: boolean | null;
  /** How long it takes to answer, a mean of the latest; null: not measured, as where there is one depot alone. */
  readonly answerMs: number | null;
  /** It is asked first. */
  readonly isFirst: boolean;
}

/** An agent that is running. */
export interface Agent extends AsyncDisposable {
  /** "http://127.0.0.1:7071": where this machine reaches it. */
  readonly url: string;
  /** The address and port that HTTP listens on. */
  readonly host: string;
  readonly port: number;
  /** Where peers reach it, or null. */
  readonly peerPort: number | null;
  /** Figures of now. */
  stats(): AgentStats;
  /** Lets answers under way end for `graceMs` (default 5 s), then ends them. Idempotent. */
  close(graceMs?: number): Promise<void>;
}

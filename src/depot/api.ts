/** What the depot is to those who start one: its options, and what they get. */
import type { EngineOptions } from '../api.js';
import type { Log } from '../log.js';

/** Where a depot listens unless it is told. */
export const DEPOT_HTTP_PORT = 7070;

/** What a depot may do without a token. */
export type AnonymousAccess = 'none' | 'read' | 'all';

/** One request, for a log. Nothing in it is secret. */
export interface DepotRequest {
  readonly method: string;
  /** Without the query, passkeys left out; as it came, so not fit for a terminal. */
  readonly path: string;
  /** 0: the connection ended before there was an answer. */
  readonly status: number;
  readonly sentBytes: number;
  readonly receivedBytes: number;
  readonly seconds: number;
  /** Address of the client. */
  readonly remote: string;
  /** Id of its token, or null. */
  readonly token: string | null;
  /** The client went before it had its answer. */
  readonly isAborted: boolean;
  /** What kind of problem was the answer, "NOT_FOUND", or null. */
  readonly problem: string | null;
}

/** Options of `startDepot`. */
export interface DepotOptions {
  /** Folder of the depot alone: blobs, catalogue, uploads under way. Made when it is missing. */
  readonly data: string;
  /**
   * "postgres://user@host/database": where the catalogue is, instead of LevelDB in `data`. Needs the package `pg`.
   * Several depots may share it. Never logged or shown.
   */
  readonly catalogue?: string;
  /**
   * "s3://bucket/prefix?endpoint=https://host&region=name&path-style=true": where blobs lie, not in `data`, which has
   * a cache then. Needs the package \@aws-sdk/client-s3, which finds keys in its own ways. Several depots may share
   * it with their catalogue.
   */
  readonly store?: string;
  /** Bytes of the cache in `data` of blobs that lie elsewhere; 64 MiB or more, default 16 GiB. */
  readonly storeCacheBytes?: number;
  /** Local address for HTTP; default 127.0.0.1. Beyond loopback nothing is written without a token. */
  readonly host?: string;
  /** TCP port of HTTP, 0 for any free one; default 7070. */
  readonly httpPort?: number;
  /** File with tokens, as `haul token create` makes it; read again when it changes. */
  readonly tokens?: string;
  /** Tokens themselves, one a line: "TOKEN SCOPE,SCOPE [PREFIX]", scopes of read, write, delete and admin. */
  readonly tokenLines?: string;
  /** What is permitted without a token. Default: 'all' on loopback where there are no tokens, else 'read'. */
  readonly anonymous?: AnonymousAccess;
  /** "https://depot.example.org": what links begin with, behind a proxy. Default: as each client reached us. */
  readonly publicUrl?: string;
  /**
   * "http://depot-2:7070": depots with the same catalogue and store. Torrents name their trackers (BEP 12, a tier each)
   * and web seeds behind ours; of a store on S3 these depots are asked first. Default: none.
   */
  readonly otherDepots?: readonly string[];
  /** Names by which clients may reach it, beside addresses, localhost, this machine's name and that of `publicUrl`. */
  readonly allowHosts?: readonly string[];
  /** Origins ("https://ci.example.org") whose pages may read and write. Default: none. */
  readonly corsOrigins?: readonly string[];
  /** PEM files; read again when they change. Default: no TLS. */
  readonly tls?: { readonly cert: string; readonly key: string };
  /** Days that an artifact stays whose publisher named none; default: for ever. */
  readonly retentionDays?: number;
  /** Days after which an artifact goes that nobody fetched, unless it is pinned; default: never. */
  readonly idleDays?: number;
  /** Above so many bytes of blobs the longest unused go until a tenth less is left; default: no bound. */
  readonly maxBytes?: number;
  /** The same for what is used of the disk, by anybody; 1 to 100. Default: no matter. */
  readonly maxDiskPercent?: number;
  /** Longest artifact, bytes; default 16 TiB. */
  readonly artifactBytesMax?: number;
  /** Artifacts shorter than this have no torrent, bytes; default 4 MiB. */
  readonly torrentFromBytes?: number;
  /** The tracker answers by UDP too, on the port of HTTP; default false. */
  readonly udp?: boolean;
  /**
   * "redis://cache.example.org": Redis or Valkey, by which the trackers of several depots know each other's peers.
   * Needs the package `@redis/client`. Default: this tracker is on its own.
   */
  readonly peers?: string;
  /** Of the engine that seeds. `host` is that of HTTP unless it says another. */
  readonly engine?: EngineOptions;
  /** Receives one line per noteworthy event; requests go to `onRequest`. */
  readonly log?: Log;
  /** Called when a request is over. */
  readonly onRequest?: (request: DepotRequest) => void;
  /** Closes it, with the usual grace; before it listens, `startDepot` rejects with ABORTED. */
  readonly signal?: AbortSignal;
}

/** What a depot holds and does. */
export interface DepotStats {
  /** Names, and blobs that are named. */
  readonly names: number;
  readonly blobs: number;
  /** Each blob counted once. */
  readonly blobBytes: number;
  /** HTTP requests under way, but for those that listen to events. */
  readonly requests: number;
  /** Peers that the tracker knows. */
  readonly peers: number;
  /** Sent to peers. */
  readonly uploadedBytes: number;
}

/** A depot that is running. */
export interface Depot extends AsyncDisposable {
  /** "http://127.0.0.1:7070": where this machine reaches it. */
  readonly url: string;
  /** The address and port that HTTP listens on. */
  readonly host: string;
  readonly port: number;
  /** Where peers reach it, or null. */
  readonly peerPort: number | null;
  readonly anonymous: AnonymousAccess;
  /** Figures of now. */
  stats(): Promise<DepotStats>;
  /**
   * To be called some seconds before `close`, so that whoever shares out requests goes elsewhere: `/readyz` is 503 from
   * now on, and answers end their connections. All else goes on.
   */
  drain(): void;
  /** Takes nothing new, lets what is under way end for `graceMs` (default 30 s), then ends it. Idempotent. */
  close(graceMs?: number): Promise<void>;
}

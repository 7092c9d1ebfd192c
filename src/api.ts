/** The public face of the engine: what `import { createEngine } from 'swarmhaul'` gives. Types only. */

import type { EventEmitter } from 'node:events';
import type { HaulError } from './errors.js';
import type { Log } from './log.js';
import type { MagnetDownload } from './magnet-api.js';
import type { Metainfo } from './metainfo/metainfo.js';
import type { FilePriorities } from './metainfo/selection.js';
import type { RateGate, RateLimits } from './rates-api.js';
import type { StorageKind } from './storage/port.js';
import type { PieceOrder, RemoveOptions, RemoveResult, Torrent } from './torrent-api.js';
import type { FileStamp } from './work/file-stamp.js';

export type * from './magnet-api.js';
export type * from './rates-api.js';
export type * from './torrent-api.js';

export interface EngineOptions {
  /**
   * TCP port for incoming peers. A number, 0 for any free port, false for none; default: the first free one of
   * 6881–6889.
   */
  readonly port?: number | false;
  /**
   * Our address, or the name of an interface ("eth0": its first address of each family), or a name that leads to this
   * machine. It is listened on, and all connections come from it: to peers, trackers, web seeds, and in the DHT.
   * Nobody is connected to by a family of which it has no address, but this machine itself. Default: all addresses.
   */
  readonly host?: string;
  /** Hash and prefault threads; default: cores − 1, at least 1. */
  readonly threads?: number;
  /** Peers unchoked at once per torrent, as long as they use what they get; default 8. */
  readonly uploadSlots?: number | 'unlimited';
  /** 'auto' chooses by file system. */
  readonly storage?: StorageKind | 'auto';
  /**
   * Memory for pieces and for what is being served, over all torrents, bytes; 16 MiB or more. Two pieces and two units
   * of up to 1 MiB of each torrent are held beyond it where they must be. Default: 256 MiB, or an eighth of the
   * machine's memory (the container's) where that is less. The heap of V8 is the host's: its new space grows to 32 MiB
   * in a busy process, which `node --max-semi-space-size=4` keeps at 8; `haul` does so by itself.
   */
  readonly memoryBytes?: number;
  /** Rate limits over all torrents, bytes per second, > 0. Default: none. */
  readonly downloadBytesPerSec?: number;
  readonly uploadBytesPerSec?: number;
  /** Connections of all torrents together. Default: 4000, fewer where the process may not open so many files. */
  readonly maxConnections?: number;
  /** Peers of one torrent. Default: 500. */
  readonly maxConnectionsPerTorrent?: number;
  /**
   * Connections of one torrent that one address (IPv6: one /64) keeps when its table is full and others knock. No limit
   * while there is room: a fleet behind one address may be larger. Default: an eighth of `maxConnectionsPerTorrent`.
   */
  readonly maxConnectionsPerAddress?: number;
  /**
   * Dormant torrents that are awake at once, of those with `sleepAfterMs`. One more puts the one to sleep that has had
   * no peer for longest, or else one whose peers neither gave nor took for a minute; it is not woken when all are in
   * use. Default: 256.
   */
  readonly maxAwakeTorrents?: number;
  /**
   * Where this host is, from the large to the small: "eu-1/rack7", up to 4 parts of letters, digits, dots, dashes and
   * underscores, 64 in all. Told to HTTP trackers; ours lets peers of one zone find each other first. Default: nothing
   * is said.
   */
  readonly zone?: string;
  /**
   * What trackers are told instead of the address that they see and the port that is listened on: behind NAT, or in a
   * container. A name or an address; many trackers believe addresses of their own network only.
   */
  readonly announceAs?: { readonly host?: string; readonly port?: number };
  /** Certificates (PEM) that https trackers and web seeds may be signed with, besides the authorities Node knows. */
  readonly ca?: readonly string[];
  /**
   * Peers of public torrents are looked for, and ours are announced, in the distributed hash table (BEP 5, 32, 42, 43).
   * Nobody is asked but the nodes that are named here, those that were kept, and those that they lead to. Never for
   * private torrents. Default: none.
   */
  readonly dht?: DhtOptions;
  /**
   * The gateway (a home router) is asked to let peers in: by NAT-PMP (RFC 6886) or UPnP, whichever it speaks, for the
   * port for peers and that of the DHT. Trackers and the DHT are then told the port outside, and trackers its public
   * address. Renewed while the engine is open, deleted when it closes. Trouble is in `stats().nat` and in the health
   * of torrents, and fails nothing. Default: nobody is asked.
   */
  readonly nat?: NatOptions;
  /**
   * Peers of public torrents are looked for, and ours are announced, on the networks that this machine is on (BEP 14,
   * multicast to UDP port 6771, no further than the network itself). Of an engine with a `host` on the network of that
   * address alone. Where that cannot be, `stats().lsd` tells why, and nothing fails. Default false.
   */
  readonly lsd?: boolean;
  /** Who may be a peer at all. Default: everybody. See `Engine.setPeerFilter`. */
  readonly peerFilter?: PeerFilterOptions;
  /**
   * Peers of public torrents are told of each other, and tell us of others (BEP 11, peer exchange). Never in private
   * torrents. Default true.
   */
  readonly pex?: boolean;
  /** Receives one line per noteworthy event; never per block. */
  readonly log?: Log;
  /** Seed of all randomness in the engine; default: from the system. 32-bit unsigned integer. */
  readonly seed?: number;
}

/**
 * Lists of addresses: each entry is an address, a network ("10.0.0.0/8", "fd00::/8") or a range ("10.0.0.1-10.0.0.9");
 * 500,000 of each list at most. An IPv4-mapped IPv6 address is the IPv4 address.
 */
export interface PeerFilterOptions {
  /** Only these may be peers; an empty list allows nobody. Default: everybody who is not denied. */
  readonly allow?: readonly string[];
  /** These may not, also where `allow` names them. Default: nobody. */
  readonly deny?: readonly string[];
}

export interface NatOptions {
  /** IPv4 address of the gateway. Default: that of the default route; where the system does not tell, UPnP only. */
  readonly gateway?: string;
}

export interface DhtOptions {
  /** UDP port; 0 for any free one. Default: the number of the port for peers if it is free, else any. */
  readonly port?: number;
  /** Nodes to begin with: addresses, or names of hosts; at most 64. Without any we wait for others to find us. */
  readonly nodes?: readonly { readonly host: string; readonly port: number }[];
  /** A file that keeps the nodes that are known over a restart. Default: none does. */
  readonly stateFile?: string;
  /** Ask, and do not answer (BEP 43): for who is here for a short time only, or cannot be reached. Default false. */
  readonly readOnly?: boolean;
}

export interface AddOptions extends PieceOrder {
  /** Folder that receives the data (the file, or the torrent's folder). Made when missing. */
  readonly output: string;
  /** Peers to connect to besides those of the trackers. */
  readonly peers?: readonly { readonly host: string; readonly port: number }[];
  /** Replaces the torrent's trackers when given; [] for none. */
  readonly trackers?: readonly (readonly string[])[];
  /**
   * URLs of web servers that have the data too (BEP 19), besides those of the torrent. They may be of a private
   * network; those of the torrent only where a tracker of it has the same host.
   */
  readonly webSeeds?: readonly string[];
  /** 'seed': data must be complete, files are opened read-only. Default 'download'. */
  readonly mode?: 'download' | 'seed';
  /** Seed mode: trust the data instead of hashing it first. */
  readonly trustData?: boolean;
  /**
   * Trusted data: the very files that the torrent was made of, in the order of `Metainfo.files`. Where one is another
   * file now, or was written since, `done` rejects with BAD_DATA; without this, what is there now is served.
   */
  readonly hashed?: readonly FileStamp[];
  /**
   * Seed mode with `trustData`: bytes come from there, and nothing is on disk; `output` is a name only. Default: from
   * the files in `output`.
   */
  readonly source?: ContentSource;
  /**
   * BEP 16, for the first push of an image: pieces are revealed to one peer at a time until each was seen at some peer,
   * then the torrent is an ordinary seed ('spread'). Without effect unless the data is complete at the start; of no use
   * where others already have it.
   */
  readonly superSeeding?: boolean;
  /**
   * How much each file is wanted: 'skip', 'low', 'normal' or 'high', as a list in the order of `Metainfo.files` or as a
   * function. Higher ones come first; a skipped file is neither made nor touched. A piece has the highest priority of
   * its files: what it holds of skipped ones goes to a hidden part file in `output`, which is removed when a later
   * download completes without skipping. Another selection later keeps what is verified, but for pieces whose bytes
   * then lie elsewhere. Download mode only. Default: all 'normal'.
   */
  readonly priorities?: FilePriorities;
  /** Rate limits of this torrent, within those of the engine, bytes per second, > 0. Default: none. */
  readonly downloadBytesPerSec?: number;
  readonly uploadBytesPerSec?: number;
  /**
   * Download mode: overwrite what is in the place of the torrent's files. Default false: a file is overwritten, and cut
   * when it is longer, only if our own record knows it, a piece of it matches (an earlier version) or it holds nothing
   * but zeros, and only if it has no other name on disk (a hard link) that would change with it; otherwise `done`
   * rejects with FILE_EXISTS and nothing was changed. What is overwritten gets bytes of its own where it has another
   * name.
   */
  readonly overwrite?: boolean;
  /**
   * What the torrent must be, where it comes from somewhere that need not be trusted: its info-hash, 40 hexadecimal
   * digits, 32 of base32, or 20 bytes; or 64 digits or 32 bytes, the SHA-256 of the info dictionary (the version 2
   * info-hash of a hybrid). `add` throws MISMATCH when it is another one.
   */
  readonly infoHash?: Uint8Array | string;
  /**
   * SHA-256 of the file, 64 hexadecimal digits: of the only one there is, or of the only one that is not skipped. It is
   * hashed while it arrives, from its begin as far as it is verified, and compared before `done`. When it is another,
   * `done` rejects with MISMATCH and the file is not under its name any more: it was renamed, with `.mismatch` behind
   * it (`facts.path`). Download mode only.
   */
  readonly sha256?: string;
  /** Stops the torrent; `done` rejects with ABORTED. */
  readonly signal?: AbortSignal;
}

/** Where the bytes of a seed are, if not in files. */
export interface ContentSource {
  /**
   * Fills all of `target` with what the torrent has there, verified: what is wrong is a bad piece of ours to all peers.
   * What rejects with the code NETWORK is tried again; anything else ends the torrent.
   * @param file as in `Metainfo.files`
   * @param signal nobody waits any more: `target` is not written to after it rejected
   */
  read(file: number, beginBytes: number, target: Uint8Array, signal: AbortSignal): Promise<void>;
}

/** Options of `Engine.add` with a magnet link. */
export interface MagnetOptions extends AddOptions {
  /**
   * Called when the metadata is here, before anything is made on disk: what it gives replaces these options. What it
   * throws ends the download. `priorities` that are not given follow the `so` of the link (BEP 53).
   */
  readonly choose?: (metainfo: Metainfo) => Pick<AddOptions, 'priorities' | 'trackers' | 'webSeeds' | 'sequential'>;
}

export interface EngineStats {
  readonly port: number | null;
  readonly torrents: number;
  /** Rows of `registerDormant`, awake or not. */
  readonly dormant: number;
  readonly connections: number;
  readonly downloadedBytes: number;
  readonly uploadedBytes: number;
  readonly downloadBytesPerSec: number;
  readonly uploadBytesPerSec: number;
  /** Null: it is not on (`EngineOptions.dht`). */
  readonly dht: DhtStats | null;
  /** Null: it is not on (`EngineOptions.nat`). */
  readonly nat: NatStats | null;
  /** Null: everybody may be a peer (`setPeerFilter`). */
  readonly peerFilter: PeerFilterStats | null;
  /** Null: it is not on (`EngineOptions.lsd`). */
  readonly lsd: LsdStats | null;
}

export interface LsdStats {
  /** Ways out of this machine that are used: one for each address of IPv4, and for each interface with IPv6. */
  readonly networks: number;
  /** Datagrams that were sent to each of them. */
  readonly sent: number;
  /** Datagrams of others that announced a torrent of ours. */
  readonly heard: number;
  /** Datagrams of others that were not believed, by reason: see `LsdDropped`. */
  readonly dropped: LsdDropped;
  /** Why nobody of the local network is heard, one line; empty: all is well. */
  readonly message: string;
}

export interface LsdDropped {
  /** Not of the form of BEP 14: another method, no info-hash, port 0, too long. */
  readonly malformed: number;
  /** Sent from an address that is on none of our networks. */
  readonly offLink: number;
  /** Too many of one address or of all, too many ports of one address, too many peers of one torrent. */
  readonly flood: number;
}

export interface PeerFilterStats {
  /** Ranges of `allow`, those that touch as one; null: there is no such list. */
  readonly allowedRanges: number | null;
  /** Ranges of `deny`, those that touch as one. */
  readonly deniedRanges: number;
  /** Incoming connections that were refused. */
  readonly refused: number;
}

export interface NatStats {
  /** "NAT-PMP" or "UPnP"; null: no gateway has mapped anything now. */
  readonly protocol: string | null;
  /** The port for peers as it is outside; null: it is not mapped. */
  readonly externalPort: number | null;
  /** The address of the gateway outside, if it told a public one. */
  readonly externalAddress: string | null;
  /** Why ports are not mapped, one line; empty while they are, or while a gateway is looked for. */
  readonly message: string;
}

export interface DhtStats {
  /** UDP port. */
  readonly port: number;
  /** Nodes in the routing tables, of IPv4 and IPv6. */
  readonly nodes: number;
  /** Peers that others have announced to us. */
  readonly storedPeers: number;
}

/** What a dormant torrent is. */
export interface WokenTorrent {
  /** Its info-hash is the one that was registered. */
  readonly metainfo: Metainfo;
  readonly options: AddOptions;
  /**
   * Stopped, and dormant again, when it has seeded to nobody for so long; sooner when `maxAwakeTorrents` are awake.
   * Default: it stays awake, and whoever knows the hash decides that. Without meaning where the owner has added the
   * torrent itself meanwhile.
   */
  readonly sleepAfterMs?: number;
}

/**
 * Asked when somebody wants a dormant torrent. Null or a rejection: it cannot be had now; it is not asked again for 10
 * s, nor while it has not answered.
 */
export type WakeDormant = (infoHashHex: string) => Promise<WokenTorrent | null>;

/** Events of an engine, in the order in which they happen. */
export interface EngineEvents {
  /** A torrent was added, by `add` or because a dormant one was woken. */
  added: [torrent: Torrent];
  /** A torrent is gone: stopped, failed or removed. */
  removed: [torrent: Torrent];
  /** `done` of a torrent. */
  done: [torrent: Torrent];
  /** `failed` of a torrent. */
  failed: [torrent: Torrent, error: HaulError];
  /** Once, when all is closed. */
  closed: [];
}

/** The port, the threads, the memory and the connections that torrents share. */
export interface Engine extends EventEmitter<EngineEvents>, AsyncDisposable {
  /** The port peers reach us on, or null. */
  readonly port: number | null;
  readonly torrents: readonly Torrent[];
  /** Magnet links whose metadata is not here yet. */
  readonly magnets: readonly MagnetDownload[];
  /**
   * The torrent with this info-hash (20 bytes, or 40 hexadecimal digits), or null. A dormant one is not there.
   * @throws HaulError BAD_ARGUMENT
   */
  get(infoHash: Uint8Array | string): Torrent | null;
  /**
   * One place has one download, or any number of seeds, in all engines and processes; a download that is complete
   * counts as a seed.
   * @param torrent what `parseTorrent` gave, or the bytes of a .torrent
   * @throws HaulError BAD_ARGUMENT (an option, or the torrent is already there), MISMATCH, CLOSED; of bytes also
   * BAD_BENCODE, BAD_TORRENT and LIMIT. Disk trouble comes through `done`, and so does IN_USE, whose facts name the
   * owner: pid, infoHash, name.
   */
  add(torrent: Metainfo | Uint8Array, options: AddOptions): Torrent;
  /**
   * What the torrent is comes from its peers (BEP 9), and is kept in the output folder, so that the next start needs
   * none. Trackers, web seeds, peers and wanted files of the link are used as those of a .torrent; a private torrent
   * keeps to the trackers. Until then it is one of `magnets`, not of `torrents`.
   * @param magnet a link `magnet:?xt=urn:btih:…`
   * @throws HaulError BAD_ARGUMENT (the link, an option, or the torrent is already there), LIMIT, CLOSED
   */
  add(magnet: string, options: MagnetOptions): MagnetDownload;
  /**
   * Stops a torrent, if it is not over yet, and forgets it.
   * @throws HaulError BAD_ARGUMENT (it is none of this engine); with `deleteData` IN_USE (somebody else seeds the same
   * files) and trouble of the disk: the torrent is gone then, and what could not be deleted is there
   */
  remove(torrent: Torrent, options?: RemoveOptions): Promise<RemoveResult>;
  /** Other limits over all torrents, at once. @throws HaulError BAD_ARGUMENT */
  setLimits(limits: RateLimits): void;
  /** Others of this process share the limits by these. */
  readonly gates: { readonly downloads: RateGate; readonly uploads: RateGate };
  /**
   * Other lists of who may be a peer, in place of those before; null: everybody. Connections of those who may not be
   * end at once, incoming ones are refused before anything is spent on them, and nobody else is dialled, wherever the
   * address comes from: the lists win over peers named by hand, too. Trackers, web seeds and nodes of the DHT are no
   * peers.
   * @throws HaulError BAD_ARGUMENT, LIMIT: the lists stay as they were
   */
  setPeerFilter(filter: PeerFilterOptions | null): void;
  /**
   * Remembers a torrent by its info-hash (20 bytes, or 40 hexadecimal digits) and no more: a row in a table, without
   * timer or descriptor. When a peer shakes hands for it, `wake` says what it is, it is added, and the peer waits
   * meanwhile, within the 10 s of a handshake. One wake serves all who come; 8 torrents are woken at once, and a wake
   * that does not end counts for 70 s. The row stays until `forgetDormant`, also while the torrent is awake.
   * @throws HaulError BAD_ARGUMENT, CLOSED
   */
  registerDormant(infoHash: Uint8Array | string, wake: WakeDormant): void;
  /**
   * As `registerDormant`, for every info-hash that is neither there nor registered: what a peer wants is looked up when
   * it comes, and nothing is kept here of what sleeps. Strangers can ask for anything, at any rate: 8 are asked for at
   * once, 256 wait, and one that was not found is not asked for again for 10 s. Null: nobody is asked.
   * @throws HaulError CLOSED
   */
  registerUnknown(wake: WakeDormant | null): void;
  /** Not woken any more; one that is awake stays. False: it was not there. */
  forgetDormant(infoHash: Uint8Array | string): boolean;
  /**
   * The torrent, woken as by a peer; null: it is not there, or cannot be had within 10 s. Never rejects but for a
   * BAD_ARGUMENT.
   */
  wake(infoHash: Uint8Array | string): Promise<Torrent | null>;
  /** Figures of now, over all torrents. */
  stats(): EngineStats;
  /** Stops all torrents and closes sockets, threads and files. Idempotent. */
  close(): Promise<void>;
  /** `close`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void>;
}

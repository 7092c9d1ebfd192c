/**
 * A torrent as users of the package see it: what it is, what it says of itself, what can be changed while it runs.
 * Types only.
 */
import type { EventEmitter } from 'node:events';
import type { ErrorFacts, HaulError } from './errors.js';
import type { Metainfo } from './metainfo/metainfo.js';
import type { FilePriorities, FilePriority } from './metainfo/selection.js';
import type { RateLimits } from './rates-api.js';

/**
 * Where a torrent is in its life.
 * - `preparing`: takes its place on disk, makes folders and files.
 * - `checking`: what is on disk is hashed.
 * - `downloading`, `seeding`: it exchanges data.
 * - `paused`: nothing is exchanged, files are closed, trackers were told; `resume` goes on.
 * - `moving`: its data is on the way to another folder.
 * - `stopping`, `stopped`, `failed`: it is over.
 */
export type TorrentState =
  | 'preparing'
  | 'checking'
  | 'downloading'
  | 'seeding'
  | 'paused'
  | 'moving'
  | 'stopping'
  | 'stopped'
  | 'failed';

export interface TorrentStats {
  readonly state: TorrentState;
  readonly lengthBytes: number;
  /** Bytes of the wanted pieces: with that many verified the download is complete. */
  readonly wantedBytes: number;
  /** Bytes of verified pieces. */
  readonly verifiedBytes: number;
  readonly pieceCount: number;
  readonly wantedPieces: number;
  readonly verifiedPieces: number;
  /** Pieces checked so far while `state` is 'checking'. */
  readonly checkedPieces: number;
  /** Payload bytes since it was added. */
  readonly downloadedBytes: number;
  readonly uploadedBytes: number;
  /** What of the downloaded came from web seeds. */
  readonly webSeedBytes: number;
  /** Rolling averages over 20 s. */
  readonly downloadBytesPerSec: number;
  readonly uploadBytesPerSec: number;
  /** Received and thrown away: endgame duplicates, late blocks. */
  readonly wastedBytes: number;
  /** Bytes of pieces that failed their hash. */
  readonly corruptBytes: number;
  /** Pieces of ours that were good and are bad on disk now: no longer served. */
  readonly badPieces: number;
  readonly peers: number;
  readonly seeds: number;
  readonly knownAddresses: number;
  /** Pieces are still revealed one at a time. */
  readonly superSeeding: boolean;
  /** Estimated seconds until all that is wanted is verified; Infinity when nothing arrives, 0 when complete. */
  readonly secondsLeft: number;
  /**
   * What is wrong now, the most telling first; empty when all is well, and while it prepares or checks without trouble
   * or has stopped.
   */
  readonly health: readonly HealthProblem[];
}

export type HealthCode =
  | 'paused' // rests until the disk can be used again
  | 'disk-slow' // the device is behind
  | 'memory-short' // other torrents hold the memory for open pieces, this one gets on with the least
  | 'bad-pieces' // pieces of ours have gone bad on disk and are not served any more
  | 'all-banned' // every peer we knew sent corrupt data
  | 'unreachable-peers' // peers are known, none answers
  | 'no-peers' // none is known, or none has answered yet
  | 'no-seed' // no connected peer has anything that is missing here
  | 'choked' // peers have what is missing and do not serve us
  | 'no-progress' // peers serve us and nothing comes
  | 'not-accepting' // connections of others could not be accepted in the last minute
  | 'port-not-mapped' // a gateway was to let peers in (`EngineOptions.nat`) and has not
  | 'dht-alone' // the DHT is on, and no node of it is known or answers
  | 'no-trackers'
  | 'unusable-trackers' // of kinds that cannot be contacted, such as WebSocket
  | 'tracker-failing'
  | 'tracker-silent' // has not answered yet
  | 'web-seed-failing';

export interface HealthProblem {
  readonly code: HealthCode;
  /** Nothing is downloaded as long as it lasts. */
  readonly isBlocking: boolean;
  /** One line. */
  readonly message: string;
  readonly facts: ErrorFacts;
}

/** One tracker and how it answered last. */
export interface TrackerReport {
  /** Without what may be secret: user, password and query. */
  readonly url: string;
  /** 'waiting': asked or still to be asked, no answer yet. 'unsupported': of a kind that we cannot contact. */
  readonly outcome: 'ok' | 'failure' | 'waiting' | 'unsupported';
  /** One line; empty while waiting. */
  readonly message: string;
  /** Failures since the last answer. */
  readonly failures: number;
}

/** One web seed (BEP 19), and how it does. */
export interface WebSeedReport {
  /** Without what may be secret: user, password and query. */
  readonly url: string;
  /**
   * 'in-use': blocks are asked of it. 'waiting': not asked yet, or not needed. 'failing': it is tried again later.
   * 'banned': it gave bad data or another file, and is not used for this torrent any more.
   */
  readonly state: 'in-use' | 'waiting' | 'failing' | 'banned';
  /** Why it fails, one phrase; empty while all is well. */
  readonly message: string;
  /** Payload bytes since the torrent was added or went on after a pause. */
  readonly downloadedBytes: number;
}

/** Addresses whose last dial or connection ended for the same reason. */
export interface AddressFailure {
  readonly reason: string;
  readonly addresses: number;
  /** "host:port" of the one that failed last. */
  readonly example: string;
}

export interface BannedPeer {
  /** When the ban ends: after half an hour, twice as long each time, up to two hours. */
  readonly until: Date;
  /** "host:port" */
  readonly address: string;
  readonly reason: string;
}

/** Where data could come from, and what became of each source. */
export interface TorrentSources {
  readonly trackers: readonly TrackerReport[];
  readonly webSeeds: readonly WebSeedReport[];
  readonly addresses: {
    /** That may be dialled: neither banned nor our own. */
    readonly known: number;
    /**
     * Dials begun; connections that became peers, of either side; dials that failed. Since it was added or went on
     * last.
     */
    readonly dialled: number;
    readonly connected: number;
    readonly failed: number;
    readonly banned: number;
    /** The commonest first. */
    readonly failures: readonly AddressFailure[];
    /** The latest bans, oldest first, at most 20. */
    readonly bans: readonly BannedPeer[];
  };
}

export interface PeerStats {
  readonly address: string;
  readonly client: string;
  readonly isIncoming: boolean;
  readonly isSeed: boolean;
  readonly amChoking: boolean;
  readonly amInterested: boolean;
  readonly peerChoking: boolean;
  readonly peerInterested: boolean;
  /** Blocks that it gave us and took from us since it was connected, bytes. */
  readonly downloadedBytes: number;
  readonly uploadedBytes: number;
  /** Rolling averages over 20 s. */
  readonly downloadBytesPerSec: number;
  readonly uploadBytesPerSec: number;
  readonly requestsInFlight: number;
}

export interface TorrentEvents {
  state: [state: TorrentState];
  /** A piece passed its hash. */
  verified: [piece: number];
  /** All wanted pieces verified and on the device. */
  done: [];
  /** Super-seeding ended: every piece was seen at some peer. */
  spread: [];
  /** A tracker answered or failed; message is one line. */
  tracker: [url: string, outcome: 'ok' | 'warning' | 'failure', message: string];
  peer: [address: string, change: 'connected' | 'disconnected' | 'banned', reason: string];
  warning: [error: HaulError];
  /** It rests: because `pause` was called (null), or because the disk refused: then `done` rejected with this error. */
  paused: [error: HaulError | null];
  /** The torrent cannot go on; verified data is kept. */
  failed: [error: HaulError];
}

/** One file of a torrent and how far it is. */
export interface FileProgress {
  /** As in `Metainfo.files`. */
  readonly path: readonly string[];
  readonly lengthBytes: number;
  /** Bytes of it that lie in verified pieces. */
  readonly verifiedBytes: number;
  readonly priority: FilePriority;
  readonly isComplete: boolean;
}

/** Options of `Engine.remove`. */
export interface RemoveOptions {
  /**
   * Also delete what the torrent has on disk: its files, folders that are empty then, its record. A file that is not
   * the very one that the torrent used (replaced, moved here by somebody) stays, and so does what is not the torrent's.
   * Default false.
   */
  readonly deleteData?: boolean;
}

/** What `Engine.remove` deleted. */
export interface RemoveResult {
  /** Paths of deleted files. */
  readonly deleted: readonly string[];
  /** Paths of files that stand in the torrent's places and were not deleted: nothing shows that they are its own. */
  readonly kept: readonly string[];
}

/** A range of a file, bytes; default: all of it. */
export interface ReadOptions {
  readonly start?: number;
  /** Behind the last byte, as in `Array.slice`. */
  readonly end?: number;
  /** Chunks come in the same memory, and hold until the next is asked for. Default: each in memory of its own. */
  readonly reusesMemory?: boolean;
}

/** Which pieces come first, of equal priority. Default: the rarest. */
export interface PieceOrder {
  /** Pieces of equal priority in order instead of rarest first: for reading along, at the cost of the swarm. */
  readonly sequential?: boolean;
  /**
   * From the front to the back, as far as that costs a swarm with a web seed nothing: for one who takes the bytes as
   * they become verified and can wait, of an image that all fetch at once. Downloads that do so take turns at the web
   * seed, so that it gives fewer bytes twice. Without a web seed: rarest first, as ever. Default false.
   */
  readonly forward?: boolean;
}

/** Options of `Torrent.recheck`. */
export interface RecheckOptions {
  /** How many of the wanted bytes are checked. An error thrown here calls the check off. */
  readonly onProgress?: (doneBytes: number, totalBytes: number) => void;
  /** Calls the check off: the promise rejects with ABORTED, and the torrent goes on with what was believed before. */
  readonly signal?: AbortSignal;
}

/** Options of `Torrent.moveData`. */
export interface MoveDataOptions {
  /** How many of the bytes are at the new place. An error thrown here ends the move as `signal` does. */
  readonly onProgress?: (doneBytes: number, totalBytes: number) => void;
  /** Ends the move: the promise rejects with ABORTED, all is at the old place and nothing at the new one. */
  readonly signal?: AbortSignal;
}

/** What `Torrent.moveData` left behind. */
export interface MoveDataResult {
  /**
   * Paths of files that stand in the torrent's places in the old folder and stayed there: not known for its own,
   * written while they were moved, or not to be removed.
   */
  readonly kept: readonly string[];
}

/** One torrent of an engine, from `add` until it was stopped. */
export interface Torrent extends EventEmitter<TorrentEvents> {
  readonly metainfo: Metainfo;
  /** Absolute path of the folder that holds the data; another one after `moveData`. */
  readonly output: string;
  readonly state: TorrentState;
  /** Why it is `paused` or `failed`; null when nothing went wrong. */
  readonly error: HaulError | null;
  /**
   * Resolves when every wanted piece is verified and synced; rejects with a HaulError when that cannot happen any more,
   * or not until `resume` is called: it is `paused` then, and another promise is here once it goes on. Another one is
   * also here when a torrent that was done is checked again or gets other priorities. Need not be awaited.
   */
  readonly done: Promise<void>;
  /** Figures of now; over all its life, pauses included. */
  stats(): TorrentStats;
  /** Connected peers; none while it is paused. */
  peers(): PeerStats[];
  /** Trackers and addresses, and what became of each. */
  sources(): TorrentSources;
  /** Each file, in the order of `Metainfo.files`, padding included. */
  files(): FileProgress[];
  /**
   * Reads a file while it arrives: verified bytes in order, in pieces of memory of up to 256 KiB. What the reader needs
   * next is fetched before all else, from the first `next` on. Any number of readers at once; one that does not ask is
   * not read for, and one that ends (`return`, a `break` of `for await`), or takes nothing for 30 s until it reads
   * again, is not fetched for any more. Works as well
   * when the file is here already, and while it seeds; while the torrent is paused by its user or checked, it waits.
   * @param file its index in `Metainfo.files`, or its path with '/' (the torrent's own folder may be left out)
   * @returns for one reader. It rejects with what ended the torrent, or paused it after trouble with the disk; with
   * CLOSED when it was stopped; with BAD_DATA when what was good has gone bad on disk
   * @throws HaulError BAD_ARGUMENT: no such file or range, padding, a link; a skipped file, until `setPriorities` makes
   * it wanted
   */
  read(file: number | string, options?: ReadOptions): AsyncIterableIterator<Uint8Array>;
  /** Dials a peer: an address or a host name. @throws HaulError BAD_ARGUMENT */
  addPeer(host: string, port: number): void;
  /**
   * Ends the connections to a peer, and does not dial it again until `addPeer` names it. It may still come by itself.
   * @throws HaulError BAD_ARGUMENT
   */
  removePeer(host: string, port: number): void;
  /**
   * Closes peers, forces what is verified to the device, closes the files and tells the trackers. Resolves when that is
   * done. Nothing happens to one that is paused or over.
   */
  pause(): Promise<void>;
  /**
   * Goes on after `pause`, or after a full disk or other disk trouble. What was verified is not fetched again; some of
   * it is hashed as at every start. @throws HaulError CLOSED: it is over
   */
  resume(): void;
  /**
   * Hashes all that is wanted again, whatever was recorded or trusted; what is bad is fetched anew. Ends the
   * connections; `stats().checkedPieces` tells how far it is. Resolves when it exchanges data again. One that is paused
   * is checked when it goes on, and the promise resolves at once.
   * @throws HaulError CLOSED: it is over, or was paused meanwhile; ABORTED; BAD_ARGUMENT; a seed with bad data fails
   * with BAD_DATA
   */
  recheck(options?: RecheckOptions): Promise<void>;
  /**
   * Moves what the torrent has on disk to another folder, which is made when missing; nothing is fetched or hashed
   * again. On one file system the data gets another name, else it is copied, and forced to the device before the old
   * files are removed. Wherever the process ends, the data is whole in one of the two places: the new one if the
   * torrent's file or folder is there. Connections end; the state is 'moving' meanwhile, also of a torrent that is
   * paused and of one that is to be paused. Resolves when it exchanges data from the new place, or stays paused there.
   * `stop` ends a move that is not over; another change waits for its end.
   * @param dir the folder that receives the file, or the torrent's folder
   * @throws HaulError BAD_ARGUMENT (an option, or a place inside the data); FILE_EXISTS: the name is taken there;
   * IN_USE: somebody else uses the data, or the new place lies in or around that of another torrent; NO_SPACE;
   * BAD_DATA and NOT_FOUND: a seed's file is not the one any more; ABORTED, CLOSED and trouble of the disk. After each
   * of them all is at the old place, and used from there
   */
  moveData(dir: string, options?: MoveDataOptions): Promise<MoveDataResult>;
  /**
   * Other priorities: see `AddOptions.priorities`. What is verified stays, but for pieces whose bytes then lie
   * elsewhere (those that a skipped file shares). A file that was skipped and is wanted now is fetched; one that is
   * skipped now stays on disk as far as it came. Where the same files are skipped as before they count from the next
   * piece on, and the connections stay; else these end. Resolves when the torrent runs with them, or at once while it
   * is paused.
   * @throws HaulError BAD_ARGUMENT (it seeds, or not one known priority for each file, or all skipped); CLOSED; what
   * ended it
   */
  setPriorities(priorities: FilePriorities): Promise<void>;
  /** Other limits, at once. @throws HaulError BAD_ARGUMENT */
  setLimits(limits: RateLimits): void;
  /** Pieces of equal priority in order, or rarest first, from the next piece on. @throws HaulError BAD_ARGUMENT */
  setSequential(isSequential: boolean): void;
  /**
   * Other trackers: those of before hear that we leave, these that we come. [] for none.
   * @param trackers tiers of URLs (BEP 12) @throws HaulError BAD_ARGUMENT
   */
  setTrackers(trackers: readonly (readonly string[])[]): void;
  /**
   * Other web seeds in the place of those of `AddOptions.webSeeds`: one that is not among them is left at once, and
   * what it was asked for is asked of others. Those of the torrent itself stay. @throws HaulError BAD_ARGUMENT
   */
  setWebSeeds(webSeeds: readonly string[]): void;
  /** The trackers that it announces to, in tiers. */
  readonly trackers: readonly (readonly string[])[];
  /** Announces now, whatever the interval; nothing happens while it is paused. */
  announce(): void;
  /** Announces 'stopped', closes peers, syncs, writes the resume file. Idempotent. */
  stop(): Promise<void>;
}

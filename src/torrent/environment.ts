/**
 * What a torrent needs from outside, as interfaces: surroundings, a dialler, and its content (`content.ts`). `engine/`
 * alone names the implementations.
 */
import type { TrackerReport } from '../api.js';
import type { FoundBy, PeerSource, PeerSourceOwner } from '../discovery/source.js';
import type { HaulError } from '../errors.js';
import type { Log } from '../log.js';
import type { Metainfo } from '../metainfo/metainfo.js';
import type { Address } from '../net/address.js';
import type { OwnEndpoint } from '../net/own-endpoint.js';
import type { Door } from '../peer/handshakes.js';
import type { TorrentThrottles } from '../peer/limits.js';
import type { PeerLink } from '../peer/link.js';
import type { Standings } from '../webseed/standings.js';
import type { WebSeeds } from '../webseed/web-seeds.js';
import type { ContentOf } from './content.js';

/** Known addresses of one torrent and when each may be dialled. */
export interface Addresses {
  readonly count: number;
  add(address: Address, source: 'explicit' | FoundBy): unknown;
  next(nowMs: number): Address | null;
  /** When `next` may have something, given that it had nothing; Infinity: when one is added. */
  nextAtMs(): number;
  dialled(address: Address): void;
  connected(address: Address, nowMs: number): void;
  /** @param isAlone there is no other peer: it is tried again soon. */
  failed(address: Address, nowMs: number, isAlone: boolean): void;
  /** The dial did not begin, for want of something of ours: it may be dialled again. */
  postponed(address: Address): void;
  /** The connection to this address is silent: another one is dialled beside it, without a pause. */
  dialAgain(address: Address): void;
  disconnected(address: Address, nowMs: number, isAlone: boolean): void;
  /** Not to be dialled before that time, unless the user named it. */
  ban(address: Address, untilMs: number): void;
  /** Of no use any more: never to be dialled again. */
  retire(address: Address): void;
  /** The address whose ban ends first may be dialled now. False: none is banned. */
  pardon(): boolean;
  markSelf(address: Address): void;
  /** The user names it no more: it is forgotten, or, while it is dialled or connected, becomes one like any other. */
  disown(address: Address): void;
}

/** Talks to the trackers of one torrent. */
export interface Announces extends PeerSource {
  completed(nowMs: number): void;
  /** Says nothing more, no goodbye either: somebody else announces the torrent from now on, as the same peer. */
  abandon(): void;
  /** The next announce comes at once. */
  announceNow(nowMs: number): void;
  /** Every tracker of the torrent, also those that cannot be contacted, and how it answered last. */
  reports(): readonly TrackerReport[];
}

/** Who hears what a source of each kind finds. */
export interface SourceOwners {
  ownerOf(foundBy: FoundBy): PeerSourceOwner;
}

export interface AnnounceOwner extends PeerSourceOwner {
  onOutcome(url: string, outcome: 'ok' | 'warning' | 'failure', message: string): void;
}

/** The DHT as it is spoken of with peers (BEP 5, message `port`). */
export interface DhtOfPeers {
  /** The UDP port that a peer at that address is told; null: none, for our node answers nobody there. */
  portFor(host: string): number | null;
  /** A peer says where its node is. @param port 0 to 65535 */
  heardOf(host: string, port: number): void;
}

/** What the torrents of an engine have in common, and `throttles`, which each has of its own. */
export interface Environment {
  readonly log: Log;
  readonly now: () => number;
  readonly random: () => number;
  readonly peerId: Buffer;
  /** What others are told; null: nobody can dial us. It changes with what a gateway maps. */
  readonly listenPort: number | null;
  /** Why no gateway maps our port although one was to, one line; null: all is well. */
  readonly mappingTrouble: string | null;
  readonly uploadSlots: number;
  readonly maxPeers: number;
  /** Places in a full table that one address keeps when others knock. */
  readonly maxPeersPerAddress: number;
  readonly throttles: TorrentThrottles;
  /** Nodes of the DHT that we know, in which public torrents are announced; null: it is not on. */
  readonly dhtNodes: number | null;
  /** Public torrents are announced on the local network. */
  readonly usesLsd: boolean;
  /** Peers of public torrents tell each other of others. */
  readonly usesPex: boolean;
  /** How peers of public torrents hear of our node. Null: it is not on. */
  readonly dht: DhtOfPeers | null;
  /** A seed without a peer for so long rests. */
  readonly restAfterMs: number;
  /** How others see us, for the order of BEP 40. */
  readonly own: Pick<OwnEndpoint, 'heard' | 'priorityOf'>;
  makeAddresses(): Addresses;
  /** Whether somebody at this address may be a peer: others are not remembered. */
  permits(host: string): boolean;
  /**
   * IP addresses of a host name (or of an address, itself). Rejects when there are none, or none in time.
   * @param isAgain it was asked for before: others go first
   */
  resolveHost(host: string, isAgain?: boolean): Promise<readonly string[]>;
  makeAnnounces(
    torrent: Pick<Metainfo, 'infoHash'>,
    trackers: readonly (readonly string[])[],
    owner: AnnounceOwner,
  ): Announces;
  /** What else finds peers of a torrent, besides its trackers; nothing for a private one. */
  makeSources(torrent: Pick<Metainfo, 'infoHash' | 'name' | 'isPrivate'>, owners: SourceOwners): readonly PeerSource[];
  /** The web seeds of a torrent. @param named by the user, besides those of the torrent */
  makeWebSeeds(
    metainfo: Metainfo,
    named: readonly string[],
    standings: Standings,
    throttles: TorrentThrottles,
  ): WebSeeds;
  /** Something has happened to this torrent: it is to be ticked again, should it have been quiet. */
  stir(door: Door): void;
  /** The torrent is gone: take it off the list. */
  onStopped(door: Door): void;
  onTrouble(error: HaulError): void;
}

/** The connections of an engine, which its torrents share. */
export interface Dialler {
  /** Takes one dial from the engine's budget (30 a second); false: not now. */
  take(door: Door, isNamed: boolean): boolean;
  /** Most dials of one torrent under way. */
  readonly halfOpen: number;
  dial(door: Door, address: Address): void;
  /** Why connections of others could not be accepted lately, in one clause; null: they could. */
  readonly trouble: string | null;
  /** False: the engine has more connections than it may, the one at the door included. */
  readonly hasRoom: boolean;
  /** Ends the connection of another torrent that is of no use there; false: there is none. */
  dropUselessElsewhere(door: Door): boolean;
  /** A link has closed. */
  forget(link: PeerLink): void;
  /** Ends the handshakes under way for this torrent. */
  closeHandshakes(door: Door): void;
}

export interface Services {
  readonly environment: Environment;
  readonly dialler: Dialler;
  readonly contentOf: ContentOf;
}

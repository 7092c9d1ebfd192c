/**
 * Fetches the info dictionary of a torrent of which only the info-hash is known (BEP 9). Finds peers by trackers and by
 * what the magnet and the user name, connects to some of them, lets others in, and asks all that have it. The door of
 * the torrent until its session begins; what the peers say is put together in `magnet/assembly.ts`.
 */
import type { TorrentSources } from '../../api.js';
import { LIMITS } from '../../config.js';
import type { AnnounceFigures } from '../../discovery/announce.js';
import type { FoundBy, PeerSource, PeerSourceOwner } from '../../discovery/source.js';
import { Assembly } from '../../magnet/assembly.js';
import type { Magnet } from '../../magnet/link.js';
import { infoHashOf } from '../../metainfo/info-hash.js';
import { type Address, formatAddress } from '../../net/address.js';
import { groupOf } from '../../net/remote-group.js';
import type { Door } from '../../peer/handshakes.js';
import type { PeerLink } from '../../peer/link.js';
import { VERSION } from '../../version.js';
import { ExtendedGreeting } from '../../wire/extensions.js';
import type { Handshake } from '../../wire/handshake.js';
import type { MetadataMessage } from '../../wire/metadata.js';
import type { WireSink } from '../../wire/sink.js';
import { Bans } from '../bans.js';
import { Contacts } from '../contacts.js';
import type { Addresses, AnnounceOwner, Announces, Dialler, Environment } from '../environment.js';
import { NamedPeers } from '../named-peers.js';
import { EXTENSIONS } from '../peer-extensions.js';
import { MetadataPeer, type MetadataPeerOwner } from './metadata-peer.js';

/** Where a peer of the torrent was found. */
export interface Found {
  readonly address: Address;
  readonly foundBy: FoundBy;
}

/** Rate limits are those of a torrent, which is not there yet. */
export type FetchEnvironment = Omit<Environment, 'throttles'>;

export interface MetadataFetchOptions {
  readonly magnet: Magnet;
  readonly trackers: readonly (readonly string[])[];
  /** Named by the user. */
  readonly peers: readonly Address[];
  readonly environment: FetchEnvironment;
  readonly dialler: Dialler;
  readonly onMetadata: (infoBytes: Buffer) => void;
  readonly onTracker: (url: string, outcome: 'ok' | 'warning' | 'failure', message: string) => void;
  readonly onPeer: (address: string, change: 'connected' | 'disconnected' | 'banned', reason: string) => void;
}

/** Handed to the session; of more, those that were found first. */
const FOUND_KEPT = 1_000;
/** Nobody knows how much is left. A tracker takes who has nothing left for a seed. */
const SOME_BYTES = 16 * 1024;
const NUMWANT = 50;
const SELF = 'connected to ourselves';

export class MetadataFetch implements Door, MetadataPeerOwner, AnnounceOwner {
  readonly infoHash: Buffer;
  readonly contacts = new Contacts();
  /** Who gave metadata that is not that of the torrent. */
  readonly bans = new Bans();
  readonly #options: MetadataFetchOptions;
  readonly #book: Addresses;
  readonly #announces: Announces;
  readonly #sources: readonly PeerSource[];
  readonly #assembly: Assembly<MetadataPeer>;
  readonly #peers = new Set<MetadataPeer>();
  /** Those of the user, and those of the magnet. */
  readonly #named: NamedPeers;
  readonly #linked: NamedPeers;
  readonly #found = new Map<string, Found>();
  readonly #greeting: ExtendedGreeting;
  #dialling = 0;
  #isOver = false;

  constructor(options: MetadataFetchOptions) {
    const { magnet, environment, trackers } = options;
    this.#options = options;
    this.infoHash = magnet.infoHash;
    this.#book = environment.makeAddresses();
    this.#assembly = new Assembly((metadata) => infoHashOf(metadata).equals(magnet.infoHash));
    this.#announces = environment.makeAnnounces(magnet, trackers, this);
    const { infoHash, infoHashHex } = magnet;
    // Whether it is private nobody knows yet; who gives a magnet away gives away that the torrent is there.
    const unknown = { infoHash, name: magnet.displayName ?? infoHashHex, isPrivate: false };
    this.#sources = environment.makeSources(unknown, { ownerOf: (foundBy) => this.#ownerOf(foundBy) });
    this.#named = this.#lookUpTo((address) => this.#book.add(address, 'explicit'));
    this.#linked = this.#lookUpTo((address) => this.#learn(address, 'magnet'));
    this.#greeting = new ExtendedGreeting({
      m: { ut_metadata: EXTENSIONS.ut_metadata },
      version: `Swarmhaul ${VERSION}`,
      port: environment.listenPort,
      reqq: LIMITS.requestsPerPeer,
    });
  }

  start(): void {
    const { magnet, peers, environment } = this.#options;
    for (const { host, port } of peers) this.addPeer(host, port);
    for (const { host, port } of magnet.peers) void this.#linked.add(host, port).then(() => this.#dialSome());
    for (const source of [this.#announces, ...this.#sources]) source.start(environment.now(), () => this.#figures());
  }

  /** A peer named by the user. */
  addPeer(host: string, port: number): void {
    void this.#named.add(host, port).then(() => this.#dialSome());
  }

  /** Every engine tick (100 ms). */
  tick(nowMs: number, isSecond: boolean): void {
    if (this.#isOver) return;
    this.#dialSome();
    if (!isSecond) return;
    for (const source of [this.#announces, ...this.#sources]) source.tick(nowMs);
    this.#named.tick(nowMs);
    this.#linked.tick(nowMs);
    for (const peer of this.#assembly.tick(nowMs)) peer.link.close('does not answer requests for metadata');
    for (const peer of this.#peers) {
      // It has some, and waits for us to ask for it.
      if (this.#assembly.isWaiting(peer)) peer.usefulMs = nowMs;
      if (nowMs - peer.usefulMs >= LIMITS.metadataIdleMs) peer.link.close('has no metadata to give');
      else this.#askOf(peer, nowMs);
    }
  }

  /** Ends the connections; others announce and dial from here on. */
  handOver(): readonly Found[] {
    this.#close('the metadata is here');
    this.#announces.abandon();
    // What the DHT was told is not taken back: nothing is said here.
    for (const source of this.#sources) void source.stop(this.#options.environment.now());
    return [...this.#found.values()];
  }

  /** Ends all, and tells the trackers. Never rejects. */
  async stop(): Promise<void> {
    this.#close('the torrent was stopped');
    const nowMs = this.#options.environment.now();
    await Promise.all([this.#announces, ...this.#sources].map((source) => source.stop(nowMs)));
  }

  #close(reason: string): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#options.dialler.closeHandshakes(this);
    for (const { link, listenPort } of this.#peers) {
      // It came by itself: the session may dial it.
      if (link.isIncoming && listenPort !== null) this.#learn({ host: link.host, port: listenPort }, 'magnet');
      link.close(reason);
    }
  }

  get peerCount(): number {
    return this.#peers.size;
  }

  get knownAddresses(): number {
    return this.#book.count;
  }

  progress(): { readonly receivedBytes: number; readonly lengthBytes: number } {
    return this.#assembly.progress();
  }

  /** Connected peers that said that they have it. */
  get offering(): number {
    return [...this.#peers].filter((peer) => this.#assembly.offers(peer)).length;
  }

  sources(): TorrentSources {
    const { dialled, connected, failed, banned, failures } = this.contacts;
    const bans = this.contacts.bans.filter(({ until }) => until.getTime() > Date.now());
    const addresses = { known: this.#book.count, dialled, connected, failed, banned, failures, bans };
    return { trackers: this.#announces.reports(), webSeeds: [], addresses };
  }

  // ---- who is known ----

  #lookUpTo(onAddress: (address: Address) => void): NamedPeers {
    const { environment } = this.#options;
    return new NamedPeers({
      resolveHost: environment.resolveHost,
      now: environment.now,
      onAddress,
      onGone: (address) => this.#book.disown(address),
      onTrouble: (peer, reason, isFirst) => environment.log(isFirst ? 'warn' : 'debug', `peer ${peer}: ${reason}`),
      isPeer: (address) =>
        [...this.#peers].some(({ link }) => link.host === address.host && link.port === address.port),
    });
  }

  #learn(address: Address, foundBy: FoundBy): void {
    if (!this.#options.environment.permits(address.host)) return;
    this.#book.add(address, foundBy);
    const key = formatAddress(address);
    if (this.#found.size < FOUND_KEPT && !this.#found.has(key)) this.#found.set(key, { address, foundBy });
  }

  onPeers(addresses: readonly Address[]): void {
    this.#ownerOf('tracker').onPeers(addresses);
  }

  #ownerOf(foundBy: FoundBy): PeerSourceOwner {
    return {
      onPeers: (addresses) => {
        for (const address of addresses) this.#learn(address, foundBy);
        this.#dialSome();
      },
    };
  }

  onOutcome(url: string, outcome: 'ok' | 'warning' | 'failure', message: string): void {
    this.#options.onTracker(url, outcome, message);
  }

  #figures(): AnnounceFigures {
    const port = this.#options.environment.listenPort ?? 0;
    const isAlone = this.#peers.size === 0;
    const figures = { uploadedBytes: 0, downloadedBytes: 0, leftBytes: SOME_BYTES, numwant: NUMWANT };
    return { ...figures, port, isHungry: true, isAlone };
  }

  #dialSome(): void {
    const { dialler, environment } = this.#options;
    const nowMs = environment.now();
    while (!this.#isOver && this.#countOf(false) + this.#dialling < LIMITS.metadataPeers) {
      const address = this.#book.next(nowMs);
      if (address === null || !dialler.take(this, this.#named.has(address))) return;
      this.#book.dialled(address);
      this.#dialling++;
      this.contacts.dialled++;
      dialler.dial(this, address);
    }
  }

  /** Those that came by themselves, or those that we dialled: neither takes the places of the other. */
  #countOf(isIncoming: boolean): number {
    let count = 0;
    for (const { link } of this.#peers) if (link.isIncoming === isIncoming && !link.isClosing) count++;
    return count;
  }

  // ---- Door ----

  get isAdmitting(): boolean {
    return !this.#isOver;
  }

  get opening(): null {
    return null;
  }

  get usesDht(): boolean {
    return this.#options.environment.dht !== null;
  }

  admit(link: PeerLink, handshake: Handshake): WireSink | null {
    const { environment } = this.#options;
    const nowMs = environment.now();
    const address = { host: link.host, port: link.port };
    if (!link.isIncoming) this.#dialling--;
    const refusal = this.#refusal(link, handshake);
    if (refusal !== null) {
      if (refusal === SELF && !link.isIncoming) this.#book.markSelf(address);
      else if (!link.isIncoming) this.#failed(link, refusal);
      if (link.isIncoming) link.flush();
      link.close(refusal);
      return null;
    }
    if (!link.isIncoming) this.#book.connected(address, nowMs);
    const peer = new MetadataPeer(link, handshake, this, nowMs, environment.dht);
    this.#peers.add(peer);
    this.#assembly.add(peer);
    this.contacts.becamePeer(link.address);
    peer.greet(this.#greeting);
    this.#options.onPeer(link.address, 'connected', peer.client);
    return peer;
  }

  #refusal(link: PeerLink, { peerId, supportsExtended }: Handshake): string | null {
    const { environment } = this.#options;
    if (peerId.equals(environment.peerId)) return SELF;
    // Never one that the user named.
    const isByHand = !link.isIncoming && this.#named.has(link);
    const ban = isByHand ? null : this.bans.refusal(link.host, peerId, environment.now());
    if (ban !== null) return ban;
    if (!supportsExtended) return 'knows no extensions, so it gives no metadata';
    if (this.#countOf(link.isIncoming) < LIMITS.metadataPeers) return null;
    return link.isIncoming && (this.#dropSilent() || this.#dropCrowded(groupOf(link.host)))
      ? null
      : 'no room for more peers';
  }

  /** One that came by itself and has said nothing of metadata makes place. */
  #dropSilent(): boolean {
    const nowMs = this.#options.environment.now();
    for (const peer of this.#peers) {
      const { link, joinedMs } = peer;
      if (!link.isIncoming || link.isClosing || this.#assembly.offers(peer)) continue;
      if (nowMs - joinedMs < LIMITS.metadataSettleMs) continue;
      link.close('has no metadata to give while others want to come in');
      return true;
    }
    return false;
  }

  /** The last that came of the host that has most places, two more at least than who wants to come in. */
  #dropCrowded(newcomer: string): boolean {
    const lastOf = new Map<string, { count: number; link: PeerLink }>();
    for (const { link } of this.#peers) {
      if (!link.isIncoming || link.isClosing) continue;
      const group = groupOf(link.host);
      lastOf.set(group, { count: (lastOf.get(group)?.count ?? 0) + 1, link });
    }
    const [most] = [...lastOf.values()].sort((a, b) => b.count - a.count);
    if (most === undefined || most.count < (lastOf.get(newcomer)?.count ?? 0) + 2) return false;
    most.link.close('others of its host are here, and others want to come in');
    return true;
  }

  dialFailed(host: string, port: number, reason: string): void {
    this.#dialling--;
    const address = { host, port };
    this.contacts.dialFailed(formatAddress(address), reason);
    this.#book.failed(address, this.#options.environment.now(), this.#peers.size === 0);
    const isTold = this.#named.has(address) && !this.#isOver;
    this.#options.environment.log(isTold ? 'warn' : 'debug', `peer ${formatAddress(address)}: ${reason}`, address);
  }

  #failed({ host, port, address }: PeerLink, reason: string): void {
    this.contacts.dialFailed(address, reason);
    this.#book.failed({ host, port }, this.#options.environment.now(), this.#peers.size === 0);
  }

  // ---- MetadataPeerOwner ----

  onSize(peer: MetadataPeer, lengthBytes: number | null): void {
    this.#heed(peer, this.#assembly.sized(peer, lengthBytes));
  }

  onData(peer: MetadataPeer, { piece, totalBytes, bytes }: MetadataMessage & { readonly type: 'data' }): void {
    const verdict = this.#assembly.data(peer, piece, totalBytes, bytes);
    if (verdict.kind === 'more' && verdict.isAnswer) peer.usefulMs = this.#options.environment.now();
    this.#heed(peer, verdict);
  }

  onReject(peer: MetadataPeer, piece: number): void {
    this.#heed(peer, this.#assembly.rejected(peer, piece, this.#options.environment.now()));
  }

  onGone(peer: MetadataPeer, reason: string): void {
    const { environment, dialler } = this.#options;
    const { link } = peer;
    this.#peers.delete(peer);
    this.#assembly.remove(peer);
    dialler.forget(link);
    this.contacts.left(link.address, reason);
    if (!link.isIncoming) this.#book.disconnected(link, environment.now(), this.#peers.size === 0);
    environment.log('debug', 'peer of metadata gone', { address: link.address, client: peer.client, reason });
    this.#options.onPeer(link.address, 'disconnected', reason);
  }

  #heed(peer: MetadataPeer, verdict: ReturnType<Assembly<MetadataPeer>['sized']>): void {
    if (this.#isOver) return;
    const nowMs = this.#options.environment.now();
    if (verdict.kind === 'whole') this.#options.onMetadata(verdict.metadata);
    else if (verdict.kind === 'drop') {
      const { link } = peer;
      link.close(verdict.reason);
      if (!verdict.isLie) return;
      // One that came by itself, too: it is not let in again, here or by the session.
      const untilMs = this.bans.add(link.host, peer.peerId, nowMs);
      this.contacts.ban(link.address, verdict.reason, new Date(Date.now() + untilMs - nowMs));
      if (!link.isIncoming) this.#book.ban(link, untilMs);
      this.#options.onPeer(link.address, 'banned', verdict.reason);
    } else this.#askOf(peer, nowMs);
  }

  /** As much as may be under way. */
  #askOf(peer: MetadataPeer, nowMs: number): void {
    while (peer.takesRequests) {
      const piece = this.#assembly.next(peer, nowMs);
      if (piece === -1) return;
      peer.ask(piece);
    }
  }
}

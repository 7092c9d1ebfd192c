/**
 * Who may be a peer of this torrent: dials known addresses within the budget, admits or refuses after the handshake
 * (ourselves, duplicates, banned, no room).
 */
import { LIMITS } from '../config.js';
import type { FoundBy } from '../discovery/source.js';
import { type Address, formatAddress } from '../net/address.js';
import type { Door } from '../peer/handshakes.js';
import type { PeerLink } from '../peer/link.js';
import { silentSources } from '../swarm/silence.js';
import type { Handshake } from '../wire/handshake.js';
import type { WireSink } from '../wire/sink.js';
import { Admission, SELF } from './admission.js';
import type { Bans } from './bans.js';
import { deferred } from './endings.js';
import type { Addresses } from './environment.js';
import { dhtOf, Introductions } from './introductions.js';
import { NamedPeers } from './named-peers.js';
import type { PeerExchange } from './pex.js';
import { wirePeers } from './remotes.js';
import type { HostSession } from './session.js';
import { dropUseless, hasUseless, makeRoom, type TurnoverOptions } from './turnover.js';
import { judgeTwin } from './twins.js';
import type { WirePeer, WireRemote } from './wire-remote.js';

/** Time between two banned addresses that are dialled because there is nobody else. */
const PARDON_MS = 60_000;

/** Errors of a dial that are ours: no descriptors, no memory, no local port. Others give theirs back within seconds. */
const OUR_SHORTAGE = /\b(?:EMFILE|ENFILE|ENOMEM|ENOBUFS)\b/;
const SHORTAGE_PAUSE_MS = 5_000;

/** Dials under way while every place is taken. */
const SPARE_DIALS = 4;

/** Dials while the files are being prepared. */
const EARLY_DIALS = 4;

export class Roster implements Door {
  readonly infoHash: Buffer;
  /** What its peers tell of others; null: a private torrent, or it is switched off. */
  pex: PeerExchange | null = null;
  readonly #torrent: HostSession;
  readonly #admission: Admission;
  /** These two are made when somebody is known: of thousands of seeds most know nobody. */
  #book: Addresses | null = null;
  #pardonedMs = Number.NEGATIVE_INFINITY;
  #soughtMs = Number.NEGATIVE_INFINITY;
  /** Peers that the user named: it should be heard why they do not answer. */
  #named: NamedPeers | null = null;
  /** We had no descriptor or no memory for a connection: no dials before this. */
  #shortUntilMs = 0;
  /** Dialled and not yet through their handshake. */
  #dialling = 0;
  /** Made for the first peer. */
  #introductions: Introductions | null = null;
  /** It took peers once. */
  #isOpen = false;
  #opening: ReturnType<typeof deferred> | null = null;
  /** Whom we dialled before that. */
  #early: Set<string> | null = null;

  /** @param bans of those who lied about what the torrent is, or in earlier sessions; they are kept out of this too */
  constructor(torrent: HostSession, bans: Bans | null = null) {
    this.#torrent = torrent;
    this.#admission = new Admission(torrent, bans);
    this.infoHash = torrent.metainfo.infoHash;
  }

  get #addresses(): Addresses {
    this.#book ??= this.#torrent.environment.makeAddresses();
    return this.#book;
  }

  #makeNamed(): NamedPeers {
    const torrent = this.#torrent;
    const { resolveHost, now, log } = torrent.environment;
    return new NamedPeers({
      resolveHost,
      now,
      onAddress: (address) => this.#addresses.add(address, 'explicit'),
      onGone: (address) => this.#addresses.disown(address),
      onTrouble: (peer, reason, isFirst) => log(isFirst ? 'warn' : 'debug', `peer ${peer}: ${reason}`),
      isPeer: ({ host, port }) => {
        const isIt = ({ remote }: WirePeer): boolean =>
          remote.host === host && (remote.listenPort ?? remote.link.port) === port;
        return wirePeers(torrent.exchange).some(isIt);
      },
    });
  }

  #isNamed(address: Address): boolean {
    return this.#named?.has(address) === true;
  }

  /** For the next session of this torrent; null: nobody was ever banned. */
  get bans(): Bans | null {
    return this.#admission.bans;
  }

  get usesDht(): boolean {
    return dhtOf(this.#torrent) !== null;
  }

  get isAdmitting(): boolean {
    return this.#torrent.exchange !== null && !this.#torrent.isStopping;
  }

  get opening(): Promise<void> | null {
    if (this.#isOpen || this.#torrent.isStopping) return null;
    this.#opening ??= deferred();
    return this.#opening.promise;
  }

  /** The torrent takes peers from now on. */
  open(): void {
    this.#isOpen = true;
    this.#opening?.resolve();
    this.#opening = null;
    this.dialSome(this.#torrent.environment.now());
  }

  get knownAddresses(): number {
    return this.#book?.count ?? 0;
  }

  /** Addresses that were found so: they are dialled as far as there is room. */
  add(addresses: readonly Address[], foundBy: FoundBy): void {
    const { environment } = this.#torrent;
    for (const address of addresses) if (environment.permits(address.host)) this.#addresses.add(address, foundBy);
    environment.stir(this);
    this.dialSome(environment.now());
  }

  /** A peer named by the user; a host name is looked up first. */
  async addByHand(host: string, port: number): Promise<void> {
    this.#named ??= this.#makeNamed();
    await this.#named.add(host, port);
    this.#torrent.environment.stir(this);
    this.dialSome(this.#torrent.environment.now());
  }

  /** The user wants nothing of this peer any more: it is not dialled until it is named again, and connections end. */
  remove(host: string, port: number): void {
    const all = [{ host, port }, ...(this.#named?.remove(host, port) ?? [])];
    for (const address of all) {
      // One that was named by hand could not be banned.
      this.#addresses.disown(address);
      this.#addresses.ban(address, Number.POSITIVE_INFINITY);
    }
    for (const { remote } of wirePeers(this.#torrent.exchange)) {
      const ports = [remote.link.port, remote.listenPort];
      if (all.some((address) => address.host === remote.host && ports.includes(address.port)))
        remote.close('the user removed it');
    }
  }

  /**
   * Somebody is to be dialled and the engine's budget was spent: worth another look at its next tick, not in a second.
   */
  isHeldBack = false;

  /** Dials while there is room, budget and somebody to dial. */
  dialSome(nowMs: number): void {
    const { exchange, environment, dialler } = this.#torrent;
    this.isHeldBack = false;
    if (this.#torrent.isStopping) return;
    // One that rests dials too: it rises when somebody answers.
    if (exchange === null && !this.#torrent.rest.isResting) {
      this.#dialEarly(nowMs);
      return;
    }
    this.#named?.tick(nowMs);
    if (nowMs < this.#shortUntilMs) return;
    // In a table full of peers that are of no use some are dialled all the same: their places are decided at the door.
    const isFullLeech = exchange !== null && !exchange.hasRoom && !exchange.isComplete;
    const spare = isFullLeech && this.hasUseless(nowMs) ? SPARE_DIALS : 0;
    const mostDialling = dialler.halfOpen;
    while ((exchange?.peerCount ?? 0) + this.#dialling < environment.maxPeers + spare) {
      const address = this.#book?.next(nowMs) ?? this.#pardoned(nowMs);
      if (address === null) return;
      const isNamed = this.#isNamed(address);
      if (this.#dialling >= mostDialling && !isNamed) return;
      this.isHeldBack = !dialler.take(this, isNamed);
      if (this.isHeldBack) return;
      this.#dial(address);
    }
  }

  /**
   * Whom the user named is greeted while the files are being prepared: there is something to ask for soon, unless what
   * is here is being checked first.
   */
  #dialEarly(nowMs: number): void {
    while (this.#torrent.state === 'preparing' && (this.#early?.size ?? 0) < EARLY_DIALS) {
      const address = this.#book?.next(nowMs) ?? null;
      if (address === null || this.#early?.has(formatAddress(address)) === true || !this.#isNamed(address)) return;
      if (!this.#torrent.dialler.take(this, true)) return;
      this.#early ??= new Set();
      this.#early.add(formatAddress(address));
      this.#dial(address);
    }
  }

  #dial(address: Address): void {
    this.#addresses.dialled(address);
    this.#dialling++;
    this.#torrent.condition.contacts.dialled++;
    this.#torrent.dialler.dial(this, address);
  }

  /** Nobody is dialled before that, unless an address is added; not in the future: somebody is. */
  quietUntilMs(nowMs: number): number {
    if (this.#dialling > 0 || this.#named !== null || (this.#book !== null && this.#book.next(nowMs) !== null))
      return nowMs;
    return this.#book?.nextAtMs() ?? Number.POSITIVE_INFINITY;
  }

  /**
   * Of those that lied some are better than nobody: every piece is checked, and what they spoil is not asked of them
   * again at once.
   */
  #pardoned(nowMs: number): Address | null {
    const { exchange, isComplete } = this.#torrent;
    const isAlone = exchange?.peerCount === 0 && this.#dialling === 0 && !isComplete;
    const book = this.#book;
    if (!isAlone || nowMs - this.#pardonedMs < PARDON_MS || book === null || !book.pardon()) return null;
    this.#pardonedMs = nowMs;
    return book.next(nowMs);
  }

  // ---- Door ----

  admit(link: PeerLink, handshake: Handshake): WireSink | null {
    const nowMs = this.#torrent.environment.now();
    const address = { host: link.host, port: link.port };
    if (!link.isIncoming) this.#dialling--;
    const twin = this.#admission.twinOf(handshake);
    const refusal = this.#admission.refusal(link, handshake, twin, this.#isNamed(link));
    if (refusal === SELF && !link.isIncoming) this.#addresses.markSelf(address);
    const peer = refusal === null ? this.#seat(link, handshake, twin, nowMs) : null;
    const { contacts } = this.#torrent.condition;
    if (peer === null) {
      if (!link.isIncoming) contacts.dialFailed(link.address, refusal ?? 'no room for more peers');
      if (!link.isIncoming && refusal !== SELF) this.#addresses.failed(address, nowMs, this.#isAlone);
      // Its handshake is answered all the same.
      if (link.isIncoming) link.flush();
      link.close(refusal ?? 'no room for more peers');
      return null;
    }
    contacts.becamePeer(link.address);
    this.#torrent.environment.stir(this);
    if (!link.isIncoming) this.#addresses.connected(address, nowMs);
    return peer;
  }

  /** In a full table, or a full engine, another one may have to go. Null: nobody does. */
  #seat(link: PeerLink, handshake: Handshake, twin: WirePeer | null, nowMs: number): WirePeer | null {
    const { environment, dialler } = this.#torrent;
    const options = this.#turnover();
    if (options === null) return null;
    const { exchange } = options;
    const isFull = !exchange.hasRoom;
    const takesPlace = isFull || !dialler.hasRoom;
    // Asked first: nobody shall go for one that cannot stay.
    if (!exchange.hasSlot(takesPlace)) return null;
    const hasPlace =
      !takesPlace || twin !== null || makeRoom(link, options, nowMs) || (!isFull && dialler.dropUselessElsewhere(this));
    if (!hasPlace) return null;
    const isBetter = twin !== null && judgeTwin(link, twin, environment.peerId, nowMs) === 'replaces';
    if (isBetter) twin.remote.close('replaced by the connection that both sides keep');
    this.#introductions ??= new Introductions(this.#torrent);
    const remote = this.#introductions.meet(link, handshake, this.pex);
    const peer = exchange.addPeer(remote, takesPlace);
    if (peer === null) return null;
    remote.joined(peer, environment.throttles.downloads);
    if (!isBetter) peer.replaces = twin?.remote ?? null;
    return peer;
  }

  /** Somebody is of no use here. */
  hasUseless(nowMs: number): boolean {
    const options = this.#turnover();
    return options !== null && hasUseless(options, nowMs);
  }

  /** Lets go of a peer that is of no use here; false: there is none. */
  dropUseless(nowMs: number): boolean {
    const options = this.#turnover();
    return options !== null && dropUseless(options, nowMs);
  }

  #turnover(): TurnoverOptions | null {
    const { exchange, environment } = this.#torrent;
    if (exchange === null) return null;
    const isNamed = ({ link, listenPort }: WireRemote): boolean =>
      this.#isNamed({ host: link.host, port: listenPort ?? link.port });
    return { exchange, share: environment.maxPeersPerAddress, isNamed, own: environment.own };
  }

  dialFailed(host: string, port: number, reason: string, wasReady: boolean): void {
    const { environment } = this.#torrent;
    this.#dialling--;
    // It may have been as early as we were, and not ready for us: such a dial counts for nothing, and comes again.
    const key = formatAddress({ host, port });
    const wasEarly = (this.#isOpen ? this.#early?.delete(key) : this.#early?.has(key)) === true;
    if (!wasReady || wasEarly) {
      this.#addresses.postponed({ host, port });
      if (this.#isOpen) this.dialSome(environment.now());
      return;
    }
    if (OUR_SHORTAGE.test(reason)) {
      // No fault of the peer: it keeps its place in the book.
      this.#addresses.postponed({ host, port });
      this.#shortUntilMs = environment.now() + SHORTAGE_PAUSE_MS;
    } else this.#addresses.failed({ host, port }, environment.now(), this.#isAlone);
    this.#torrent.condition.contacts.dialFailed(key, reason);
    // What we end ourselves is no trouble of the peer.
    const isTold = this.#isNamed({ host, port }) && !this.#torrent.isStopping;
    environment.log(isTold ? 'warn' : 'debug', `peer ${host}:${port}: ${reason}`, { host, port });
  }

  /** @param redundancy neither side needed the other: see `Exchange` */
  peerGone({ link, client }: WireRemote, redundancy: 'seed' | 'partial' | null, reason: string): void {
    this.#torrent.environment.log('debug', 'peer gone', { address: link.address, client, reason });
    // From where an incoming peer connected nobody can be dialled.
    if (link.isIncoming) return;
    this.#torrent.condition.contacts.left(link.address, reason);
    const nowMs = this.#torrent.environment.now();
    const address = { host: link.host, port: link.port };
    // Two complete sides never need each other again: not a ban in name, but the same to the dialler.
    if (redundancy === 'seed') this.#addresses.retire(address);
    // Replaced by a newer connection to the same address, which stands.
    else if (this.#isDialled(address)) return;
    else this.#addresses.disconnected(address, nowMs, this.#isAlone);
    // Once it wants something again it comes by itself.
    if (redundancy === 'partial') this.#addresses.ban(address, nowMs + LIMITS.uploadOnlyPauseMs);
  }

  /** Nobody else is connected; one that is just leaving still counts. */
  get #isAlone(): boolean {
    const { exchange, isComplete } = this.#torrent;
    return !isComplete && (exchange === null || exchange.peers.every((peer) => peer === null || peer.remote.isClosing));
  }

  #isDialled({ host, port }: Address): boolean {
    return wirePeers(this.#torrent.exchange).some(({ remote: { link } }) => {
      return !link.isIncoming && !link.isClosing && link.host === host && link.port === port;
    });
  }

  /** Once a second. */
  tick(nowMs: number): void {
    this.#introductions?.tick(this.pex);
    this.#seekSilent(nowMs);
  }

  /**
   * All sources are silent: to those that we dialled a second connection is tried, at once and again while it lasts.
   */
  #seekSilent(nowMs: number): void {
    const { exchange } = this.#torrent;
    if (exchange === null || nowMs - this.#soughtMs < LIMITS.silentTwinMs) return;
    for (const { remote } of silentSources(exchange, nowMs)) {
      const { link } = remote;
      if (link === null || link.isIncoming) continue;
      this.#soughtMs = nowMs;
      this.#addresses.dialAgain({ host: link.host, port: link.port });
    }
  }

  /** It is known by content that the peer sent bad blocks. */
  ban({ link, client, peerId }: WireRemote, reason: string): void {
    const { host } = link;
    const untilMs = this.#admission.ban(host, peerId);
    // What an incoming peer says of its port is a claim: it must not close the door to somebody else at its host.
    if (!link.isIncoming) this.#addresses.ban({ host, port: link.port }, untilMs);
    const { environment, condition } = this.#torrent;
    const { address } = link;
    const until = new Date(Date.now() + untilMs - environment.now());
    condition.contacts.ban(address, reason, until);
    environment.log('warn', `peer ${address} banned: ${reason}`, { code: 'PEER_BANNED', address, client, reason });
    this.#torrent.tell('peer', address, 'banned', reason);
  }
}

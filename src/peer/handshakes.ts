/**
 * Links whose handshake is not done: dialled and accepted ones, from TCP connect to the 68 bytes of BEP 3.
 * Owns their time-outs and the limit of connections per engine. After the handshake the torrent owns the link.
 */
import type net from 'node:net';
import { LIMITS } from '../config.js';
import { NO_OWN_ADDRESS, type Own } from '../net/own-host.js';
import { DENIED, type PeerFilter } from '../net/peer-filter.js';
import { groupOf } from '../net/remote-group.js';
import { encodeHandshake, type Handshake } from '../wire/handshake.js';
import { isOurClient } from '../wire/peer-id.js';
import type { WireSink } from '../wire/sink.js';
import type { Flusher } from './flusher.js';
import { type LinkHandlers, PeerLink } from './link.js';
import { WaitingRoom } from './waiting-room.js';

/** A torrent as seen from its front door. */
export interface Door {
  readonly infoHash: Buffer;
  /** False while the torrent takes no peers. */
  readonly isAdmitting: boolean;
  /** Resolves when it takes peers; null: it does, or it may never. Who was dialled meanwhile is let in then. */
  readonly opening: Promise<void> | null;
  /** Its peers are told that we have a node of the DHT (BEP 5). */
  readonly usesDht: boolean;
  /** Takes the link over (and sets its handlers), or closes it with a reason and returns null. */
  admit(link: PeerLink, handshake: Handshake): WireSink | null;
  /** A dialled connection ended before its handshake; or before we were ready for it, which is no fault of the peer. */
  dialFailed(host: string, port: number, reason: string, wasReady: boolean): void;
}

export interface HandshakesOptions {
  readonly flusher: Flusher;
  readonly peerId: Buffer;
  /** A name for each connection instead of `peerId`: only in a bench, where two engines hold many between them. */
  readonly makePeerId?: (() => Buffer) | undefined;
  readonly maxConnections: number;
  /** Who may be a peer at all (`net/peer-filter.ts`). Default: everybody. */
  readonly filter?: Pick<PeerFilter, 'permits' | 'lets'> | undefined;
  /** From which of our addresses others are dialled (`net/own-host.ts`). Default: whichever the system takes. */
  readonly own?: Own | undefined;
  readonly lookUp: (infoHash: Buffer) => Door | null;
  /**
   * A torrent that sleeps: resolves with its door when it takes peers, null when it does not; never rejects. Null at
   * once: there is none. `gone` tells that the peer waits no longer.
   */
  readonly wake?: (infoHash: Buffer, gone: AbortSignal) => Promise<Door | null> | null;
  readonly onEvent: (message: string, facts: Record<string, unknown>) => void;
}

/** Otherwise they are bounded by a quarter of all connections: who waits takes the place of others. */
const PARKED_AT_LEAST = 4;
const NOT_HERE = 'asked for a torrent that is not here';
/** It answered our dial, and our own files were not ready for it in time. */
const NOT_READY = 'the files are not ready yet';

export class Handshakes implements LinkHandlers {
  readonly #options: HandshakesOptions;
  /** Links in handshake, with the torrent for those that we dialled. */
  readonly #pending = new Map<PeerLink, Door | null>();
  /** The accepted ones among them. */
  readonly #waiting = new WaitingRoom<PeerLink>();
  /** Links whose torrent is being woken; and how many of them an address has (IPv6: a /64). */
  readonly #parked = new Map<PeerLink, AbortController>();
  readonly #parkedOf = new Map<string, number>();
  /** All links alive, those that torrents own included. */
  readonly #links = new Set<PeerLink>();

  constructor(options: HandshakesOptions) {
    this.#options = options;
  }

  /** Links alive, in handshake or open. */
  get connectionCount(): number {
    return this.#links.size;
  }

  get hasRoom(): boolean {
    return this.#links.size < this.#options.maxConnections;
  }

  /** Torrents own fewer links than there may be. */
  get hasPlace(): boolean {
    return this.#links.size - this.#pending.size < this.#options.maxConnections;
  }

  /** One that may not be dialled has failed at once. */
  dial(door: Door, host: string, port: number): void {
    if (this.#options.filter?.permits(host) === false) {
      door.dialFailed(host, port, DENIED, true);
      return;
    }
    const from = this.#options.own?.().from(host);
    if (from === null) {
      door.dialFailed(host, port, NO_OWN_ADDRESS, true);
      return;
    }
    const link = PeerLink.dial(host, port, this.#options.flusher, this, from);
    this.#links.add(link);
    this.#pending.set(link, door);
  }

  accept(socket: net.Socket): void {
    const { remoteAddress } = socket;
    if (remoteAddress === undefined || this.#options.filter?.lets(remoteAddress) === false || !this.#letsIn()) {
      socket.destroy();
      return;
    }
    const link = PeerLink.accept(socket, this.#options.flusher, this);
    this.#links.add(link);
    this.#pending.set(link, null);
    this.#waiting.enter(link);
    this.#waiting.overdue(link.host, link.startedMs)?.close('silent while others want to come in');
  }

  /** In a full engine too, some: only after the handshake it is known whose place they might take. */
  #letsIn(): boolean {
    if (this.#links.size < this.#options.maxConnections + LIMITS.doorstepConnections) return true;
    const longest = this.#waiting.longest();
    longest?.close('silent while others want to come in');
    return longest !== null;
  }

  tick(nowMs: number): void {
    for (const link of this.#pending.keys()) {
      if (nowMs - link.startedMs <= LIMITS.handshakeTimeoutMs) continue;
      link.close(this.#parked.has(link) ? NOT_READY : 'no handshake within 10 s');
    }
  }

  /** The lists of who may be a peer have changed: connections of those who may not be end. */
  enforceFilter(): void {
    for (const link of [...this.#links]) if (this.#options.filter?.permits(link.host) === false) link.close(DENIED);
  }

  /** Called by a torrent's peer when its link has closed. */
  forget(link: PeerLink): void {
    this.#links.delete(link);
  }

  /** Closes all links in handshake, or those of one torrent. */
  close(door?: Door): void {
    for (const [link, dialled] of this.#pending) {
      if (door === undefined || dialled === door) link.close('closing down');
    }
  }

  // ---- LinkHandlers, until the torrent takes over ----

  onConnected(link: PeerLink): void {
    const door = this.#pending.get(link);
    if (door) this.#greet(link, door);
  }

  onHandshake(link: PeerLink, handshake: Handshake): WireSink | null {
    const dialled = this.#pending.get(link) ?? null;
    const door = dialled ?? this.#options.lookUp(handshake.infoHash);
    const isAsked = dialled === null || dialled.infoHash.equals(handshake.infoHash);
    if (door?.isAdmitting && isAsked) return this.#letIn(link, handshake, door, dialled === null);
    const opening = isAsked && dialled !== null ? dialled.opening : null;
    if (opening !== null) this.#awaitOpening(link, handshake, dialled!, opening);
    else if (isAsked && this.#options.wake !== undefined) this.#wake(link, handshake, this.#options.wake);
    else link.close(NOT_HERE);
    return null;
  }

  /** Links that wait for a torrent to take peers. */
  get parkedCount(): number {
    return this.#parked.size;
  }

  get #mostParked(): number {
    return Math.max(PARKED_AT_LEAST, Math.min(LIMITS.parkedHandshakes, this.#options.maxConnections / 4));
  }

  /** We dialled while our files were being prepared: a round trip or two were saved, if they are ready soon. */
  #awaitOpening(link: PeerLink, handshake: Handshake, door: Door, opening: Promise<void>): void {
    if (this.#parked.size >= this.#mostParked) link.close(NOT_READY);
    else
      void this.#park(
        link,
        handshake,
        opening.then(() => door),
        new AbortController(),
      );
  }

  /** Nothing is begun for a link that may not wait for it. */
  #wake(link: PeerLink, handshake: Handshake, wake: NonNullable<HandshakesOptions['wake']>): void {
    const ofGroup = this.#parkedOf.get(groupOf(link.host)) ?? 0;
    if (this.#parked.size >= this.#mostParked || ofGroup >= LIMITS.parkedPerAddress) {
      link.close('too many wait for torrents to wake');
      return;
    }
    const gone = new AbortController();
    const waking = wake(handshake.infoHash, gone.signal);
    if (waking === null) link.close(NOT_HERE);
    else void this.#park(link, handshake, waking, gone);
  }

  /** The link waits until the torrent is awake, no longer than a handshake may take. */
  async #park(
    link: PeerLink,
    handshake: Handshake,
    waking: Promise<Door | null>,
    gone: AbortController,
  ): Promise<void> {
    const group = groupOf(link.host);
    this.#parkedOf.set(group, (this.#parkedOf.get(group) ?? 0) + 1);
    this.#parked.set(link, gone);
    // It has said all it has to say: silence is ours now.
    this.#waiting.leave(link);
    link.park();
    const door = await waking;
    this.#unpark(link);
    if (link.isClosing) return;
    // To one that we dialled we have said our words.
    const isIncoming = this.#pending.get(link) == null;
    const sink = door?.isAdmitting ? this.#letIn(link, handshake, door, isIncoming) : null;
    if (sink !== null) link.proceed(sink);
    else link.close(NOT_HERE);
  }

  #unpark(link: PeerLink): void {
    const gone = this.#parked.get(link);
    if (gone === undefined) return;
    this.#parked.delete(link);
    const group = groupOf(link.host);
    const left = this.#parkedOf.get(group)! - 1;
    if (left > 0) this.#parkedOf.set(group, left);
    else this.#parkedOf.delete(group);
    gone.abort();
  }

  #letIn(link: PeerLink, handshake: Handshake, door: Door, isIncoming: boolean): WireSink | null {
    if (isIncoming) {
      this.#greet(link, door);
      // Also to a peer that is refused: its peer id is how the dialler learns that it dialled itself, or the same peer
      // twice. At once, for others lose what comes together with it; one of ours hears all first words in one write.
      if (!isOurClient(handshake.peerId)) link.flush();
    }
    // From here on the end of the link is no failed dial, whether it is admitted or not.
    this.#pending.set(link, null);
    this.#waiting.leave(link);
    const sink = door.admit(link, handshake);
    if (sink !== null) this.#pending.delete(link);
    return sink;
  }

  onReadEnd(): void {}

  onSent(): void {}

  onClosed(link: PeerLink, reason: string): void {
    const door = this.#pending.get(link) ?? null;
    this.#pending.delete(link);
    this.#waiting.leave(link);
    this.#unpark(link);
    this.forget(link);
    this.#options.onEvent('peer dropped before its handshake', { address: link.address, reason });
    door?.dialFailed(link.host, link.port, reason, reason !== NOT_READY);
  }

  #greet(link: PeerLink, door: Door): void {
    const extensions = { extended: true, fast: true, dht: door.usesDht };
    const peerId = this.#options.makePeerId?.() ?? this.#options.peerId;
    link.sendBytes(encodeHandshake({ infoHash: door.infoHash, peerId, extensions }));
  }
}

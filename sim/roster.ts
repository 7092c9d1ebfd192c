/**
 * How a virtual host finds peers: the real address book and announcer, the dial budget of the engine, a virtual
 * tracker.
 */
import { LIMITS } from '../src/config.js';
import { AddressBook } from '../src/discovery/address-book.js';
import type { AnnounceReply, AnnounceRequest } from '../src/discovery/announce.js';
import { Announcer } from '../src/discovery/announcer.js';
import type { Bitfield } from '../src/metainfo/bitfield.js';
import type { Geometry } from '../src/metainfo/geometry.js';
import type { Exchange } from '../src/swarm/exchange.js';
import { addressOf, hostOf, peerIdOf } from './addresses.js';
import type { Events } from './events.js';
import type { SimPeer } from './peer.js';
import type { SwarmSpec } from './spec.js';
import type { SimTracker } from './tracker.js';

const TRACKER_URL = 'http://tracker.sim/announce';
const NUMWANT = 50;
/** As in `torrent/torrent.ts`. */
const FEW_PEERS = 4;
const DIAL_AGAIN_MS = 100;

/** What a roster needs of its host, and of those that it dials. */
export interface RosterHost {
  readonly id: number;
  readonly zone: string | undefined;
  readonly geometry: Geometry;
  readonly have: Bitfield;
  readonly exchange: Exchange<SimPeer>;
  readonly banned: ReadonlySet<number>;
  readonly uploadedBytes: number;
  readonly nowMs: number;
  readonly isAlive: boolean;
  readonly isDone: boolean;
  readonly isComplete: boolean;
}

/** What a roster needs of the swarm. */
export interface RosterSwarm<H extends RosterHost> {
  readonly spec: SwarmSpec;
  readonly infoHash: Uint8Array;
  readonly events: Events;
  readonly tracker: SimTracker;
  readonly hosts: readonly H[];
  readonly latencyMs: number;
  readonly maxPeers: number;
  latencyBetween(a: H, b: H): number;
  connect(dialler: H, other: H): void;
  /** A promise was settled: its consequences belong to this event. */
  promised(): void;
}

export class SimRoster<H extends RosterHost> {
  readonly connected = new Map<number, SimPeer>();
  readonly #host: H;
  readonly #swarm: RosterSwarm<H>;
  readonly #book: AddressBook;
  readonly #announcer: Announcer;
  readonly #dialsPerSecond: number;
  #dials: number;
  #dialsMs = 0;
  #dialling = 0;
  #isDialPlanned = false;

  constructor(host: H, swarm: RosterSwarm<H>, random: () => number) {
    this.#host = host;
    this.#swarm = swarm;
    this.#book = new AddressBook({ random });
    this.#dials = this.#dialsPerSecond = swarm.spec.dialsPerSecond ?? LIMITS.dialsPerSecond;
    this.#announcer = new Announcer({
      trackers: [[TRACKER_URL]],
      infoHash: swarm.infoHash,
      peerId: peerIdOf(host.id),
      announce: (_url, request) => this.#announce(request),
      random,
      now: () => host.nowMs,
      onPeers: (addresses) => {
        for (const address of addresses) this.#book.add(address, 'tracker');
        this.dialSome(host.nowMs);
      },
      onOutcome: () => {},
    });
  }

  start(nowMs: number): void {
    this.#dialsMs = nowMs;
    this.#announcer.start(nowMs, () => this.#figures());
  }

  tick(nowMs: number): void {
    this.#announcer.tick(nowMs);
    this.dialSome(nowMs);
  }

  completed(nowMs: number): void {
    this.#announcer.completed(nowMs);
  }

  #figures() {
    const { have, geometry, exchange, uploadedBytes } = this.#host;
    const { peerCount } = exchange;
    return {
      uploadedBytes,
      downloadedBytes: 0,
      leftBytes: (geometry.pieceCount - have.count) * geometry.pieceLengthBytes,
      port: 6881,
      numwant: this.#swarm.spec.numwant ?? NUMWANT,
      isHungry: !this.#host.isDone && peerCount < FEW_PEERS,
      isAlone: peerCount === 0,
    };
  }

  #announce(request: AnnounceRequest): Promise<AnnounceReply> {
    const swarm = this.#swarm;
    return new Promise((resolve) => {
      swarm.events.callAt(swarm.events.nowMs + 2 * swarm.latencyMs, () => {
        if (!this.#host.isAlive) return;
        swarm.promised();
        const { id, zone } = this.#host;
        const said = swarm.spec.areZonesTold === false ? undefined : zone;
        resolve(swarm.tracker.announce(id, said, request, swarm.events.nowMs));
      });
    });
  }

  /** Dials while there is room, budget and somebody to dial. */
  dialSome(nowMs: number): void {
    const swarm = this.#swarm;
    this.#dials = Math.min(this.#dialsPerSecond, this.#dials + ((nowMs - this.#dialsMs) / 1000) * this.#dialsPerSecond);
    this.#dialsMs = nowMs;
    while (this.#host.isAlive && this.#host.exchange.peerCount + this.#dialling < swarm.maxPeers) {
      const address = this.#book.next(nowMs);
      if (address === null) return;
      if (this.#dials < 1) {
        this.#dialLater();
        return;
      }
      this.#dials--;
      this.#book.dialled(address);
      this.#dialling++;
      const other = swarm.hosts[hostOf(address)]!;
      // A round trip for the connection and one for the handshakes.
      swarm.events.callAt(nowMs + 4 * swarm.latencyBetween(this.#host, other), () => this.#dialled(other));
    }
  }

  #dialLater(): void {
    if (this.#isDialPlanned) return;
    this.#isDialPlanned = true;
    this.#swarm.events.callAt(this.#host.nowMs + DIAL_AGAIN_MS, () => {
      this.#isDialPlanned = false;
      this.dialSome(this.#host.nowMs);
    });
  }

  #dialled(other: H): void {
    this.#dialling--;
    const swarm = this.#swarm;
    const { nowMs } = this.#host;
    const address = addressOf(other.id);
    if (!this.#host.isAlive) return;
    const isRefused =
      !other.isAlive ||
      this.connected.has(other.id) ||
      other.exchange.peerCount >= swarm.maxPeers ||
      this.#host.exchange.peerCount >= swarm.maxPeers ||
      this.#host.banned.has(other.id) ||
      other.banned.has(this.#host.id);
    if (other === this.#host) this.#book.markSelf(address);
    else if (isRefused) this.#book.failed(address, nowMs, this.#isAlone);
    else {
      this.#book.connected(address, nowMs);
      swarm.connect(this.#host, other);
    }
  }

  /** As in `torrent/roster.ts`. */
  get #isAlone(): boolean {
    return !this.#host.isDone && this.#host.exchange.peerCount === 0;
  }

  gone(peer: SimPeer, isRedundant: boolean): void {
    this.connected.delete(peer.other.id);
    if (!peer.isDialled) return;
    const address = addressOf(peer.other.id);
    // Somebody who has all that he wants may still change his mind.
    if ((isRedundant && this.#host.isComplete) || this.#host.banned.has(peer.other.id)) this.#book.retire(address);
    else this.#book.disconnected(address, this.#host.nowMs, this.#isAlone);
  }
}

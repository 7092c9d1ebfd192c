/**
 * One virtual machine with a download or a seed: the real exchange and address book over virtual storage and a virtual
 * hash pool. Owns what the exchange tells of its progress; finding peers is in roster.ts.
 */
import { DEFAULTS } from '../src/config.js';
import type { HaulError } from '../src/errors.js';
import { Bitfield } from '../src/metainfo/bitfield.js';
import type { BlockIndex, Geometry, PieceIndex } from '../src/metainfo/geometry.js';
import type { TorrentThrottles } from '../src/peer/limits.js';
import { makeRandom } from '../src/random.js';
import { NORMAL, type Priority, SKIP } from '../src/scheduler/pieces/priority.js';
import type { Scheduler } from '../src/scheduler/scheduler.js';
import { Exchange, type ExchangeOwner } from '../src/swarm/exchange.js';
import type { Peer } from '../src/swarm/peer.js';
import { Unfinished } from '../src/swarm/unfinished.js';
import type { Books, BooksHost } from './books.js';
import type { Events } from './events.js';
import type { VirtualMemoryOptions } from './memory.js';
import type { PeerSwarm, SimPeer } from './peer.js';
import { type RosterHost, type RosterSwarm, SimRoster } from './roster.js';
import type { HostSpec, Manner, SwarmSpec } from './spec.js';
import { GOOD, VirtualStorage } from './storage.js';

/** One of so many blocks of a corrupt host is bad. */
const CORRUPT_SHARE = 0.1;

/** What a host needs of its swarm. */
export interface HostSwarm extends PeerSwarm, RosterSwarm<Host> {
  readonly spec: SwarmSpec;
  readonly events: Events;
  readonly geometry: Geometry;
  readonly throttles: TorrentThrottles;
  readonly blockBytes: number;
  /** Real bytes per simulated byte. */
  readonly scale: number;
  /** Room of every host, pieces. */
  readonly openPieces: number;
  readonly openMs: number;
  readonly hashMs: number;
  readonly readyKind: number;
  readonly verifiedKind: number;
  /** Hosts that are expected to finish and have not. */
  unfinished: number;
  /** Something happened at this host: it is checked after the event. */
  touch(host: Host): void;
  /** False: HAVE is to be said to each. */
  broadcast(host: Host, piece: number): boolean;
  pieceVerified(host: Host, piece: number): void;
  hostDone(host: Host): void;
}

export class Host implements ExchangeOwner<SimPeer>, BooksHost, RosterHost {
  readonly id: number;
  readonly swarm: HostSwarm;
  readonly spec: HostSpec;
  readonly isFast: boolean;
  /** A scenario may change it. */
  manner: Manner;
  readonly zone: string | undefined;
  readonly geometry: Geometry;
  readonly have: Bitfield;
  readonly exchange: Exchange<SimPeer>;
  readonly roster: SimRoster<Host>;
  readonly storage: VirtualStorage;
  /** Blocks that it sends in one message to who knows that. */
  readonly runBlocks: number;
  isAlive = false;
  /** Virtual times; NaN until then. */
  joinedMs = Number.NaN;
  firstPieceMs = Number.NaN;
  nearlyMs = Number.NaN;
  completeMs = Number.NaN;
  uploadedBytes = 0;
  farBytes = 0;
  banned = new Set<number>();
  /** Of a scenario. */
  onVerified: ((piece: number) => void) | null = null;
  /** The independent books of a checked swarm. */
  books: Books | null = null;
  readonly #random: () => number;
  #hashFreeMs = 0;
  #wantedCount: number;
  #broadcastPiece = -1;
  readonly #priorities: Priority[];

  constructor(swarm: HostSwarm, id: number, spec: HostSpec) {
    this.swarm = swarm;
    this.id = id;
    this.spec = spec;
    this.manner = spec.manner ?? 'good';
    this.isFast = spec.isFast ?? true;
    this.runBlocks = spec.runBlocks ?? 1;
    this.zone = spec.zone;
    this.geometry = swarm.geometry;
    this.#random = makeRandom(Math.imul(swarm.spec.seed + 1, 0x9e3779b1) ^ Math.imul(id + 1, 0x85ebca6b));
    this.have = new Bitfield(this.geometry.pieceCount);
    if (spec.isSeed === true) this.have.setAll();
    else for (const piece of spec.have ?? []) this.have.set(piece);
    this.storage = this.#makeStorage();
    this.#priorities = Array.from(
      { length: this.geometry.pieceCount },
      (_, piece) => spec.priorities?.[piece] ?? NORMAL,
    );
    this.#wantedCount = this.#countWanted();
    this.exchange = new Exchange({
      name: `host ${id}`,
      geometry: this.geometry,
      storage: this.storage,
      have: this.have,
      unfinished: new Unfinished(this.have),
      random: this.#random,
      now: () => this.nowMs,
      soon: (call) => this.#soon(call),
      maxPeers: swarm.maxPeers,
      uploadSlots:
        spec.isWebSeed === true
          ? Number.POSITIVE_INFINITY
          : (spec.uploadSlots ?? swarm.spec.uploadSlots ?? DEFAULTS.uploadSlots),
      isSequential: spec.isSequential ?? false,
      isSuperSeeding: spec.isSuperSeeding ?? false,
      forward: spec.isForward === true ? { ownNumber: id } : null,
      priorities: spec.priorities === undefined ? undefined : Uint8Array.from(spec.priorities),
      throttles: swarm.throttles,
      owner: this,
    });
    this.roster = new SimRoster(this, swarm, this.#random);
  }

  #makeStorage(): VirtualStorage {
    const { swarm } = this;
    const { refusals = 0, abandons = 0 } = swarm.spec.storage ?? {};
    return new VirtualStorage({
      geometry: this.geometry,
      mostPieces: swarm.openPieces,
      memory: this.#memoryOptions(),
      random: this.#random,
      refusals,
      abandons,
      onRefused: () => this.books?.refused(),
      onWhole: (piece) => {
        if (swarm.spec.canary === 'early-have' && this.#random() < 0.1) this.#tellHave(piece);
      },
      planOpened: (piece) => swarm.events.at(this.nowMs + swarm.openMs, swarm.readyKind, this.id, piece),
      planHashed: (piece) => {
        this.#hashFreeMs = Math.max(this.nowMs, this.#hashFreeMs) + swarm.hashMs;
        swarm.events.at(this.#hashFreeMs, swarm.verifiedKind, this.id, piece);
      },
      soon: (call) => this.#soon(call),
    });
  }

  #memoryOptions(): VirtualMemoryOptions | undefined {
    const spec = this.spec.memory;
    if (spec === undefined) return;
    const { geometry, swarm } = this;
    const later = (ms: number, call: () => void): void => this.#later(ms, call);
    const isForgetful = swarm.spec.canary === 'kept-memory';
    return { geometry, spec, scale: swarm.scale, random: this.#random, isForgetful, later };
  }

  /** At this time, after this event. */
  #soon(call: () => void): void {
    this.#later(0, call);
  }

  #later(ms: number, call: () => void): void {
    this.swarm.events.callAt(this.nowMs + ms, () => {
      this.swarm.touch(this);
      if (this.isAlive) call();
    });
  }

  get scheduler(): Scheduler {
    return this.exchange.scheduler;
  }

  get nowMs(): number {
    return this.swarm.events.nowMs;
  }

  /** It has every piece. */
  get isComplete(): boolean {
    return this.have.isFull;
  }

  /** It has all that it wants. */
  get isDone(): boolean {
    return this.#wantedCount === 0;
  }

  random(): number {
    return this.#random();
  }

  lengthAt(piece: number, begin: number): number {
    return this.geometry.blockLength(piece as PieceIndex, (begin / this.swarm.blockBytes) as BlockIndex);
  }

  contentToSend(): number {
    const isBad = this.manner === 'corrupt' && this.#random() < CORRUPT_SHARE;
    return isBad ? 2 + Math.floor(this.#random() * 0x40000000) : GOOD;
  }

  peerAt(host: number): SimPeer | null {
    return this.roster.connected.get(host) ?? null;
  }

  tick(): void {
    if (!this.isAlive || this.manner === 'frozen') return;
    this.storage.memory?.tick(this.nowMs);
    this.exchange.tick(this.nowMs);
    this.roster.tick(this.nowMs);
  }

  /** The host vanishes: what is still to happen here does not. */
  vanish(): void {
    this.isAlive = false;
    this.exchange.isClosed = true;
  }

  pieceOpened(piece: PieceIndex): void {
    if (this.isAlive) this.storage.opened(piece);
  }

  pieceHashed(piece: PieceIndex): void {
    if (this.isAlive) this.storage.hashed(piece);
  }

  /**
   * HAVE to all peers as one event, for the first of them that is told. False: it is to be said to each.
   */
  broadcasts(piece: number): boolean {
    if (this.manner === 'frozen') return true;
    if (this.spec.isSuperSeeding === true) return false;
    if (piece === this.#broadcastPiece) return true;
    if (!this.swarm.broadcast(this, piece)) return false;
    this.#broadcastPiece = piece;
    return true;
  }

  #tellHave(piece: PieceIndex): void {
    for (const peer of this.exchange.peers)
      if (peer !== null && this.scheduler.view.isTold(peer.slot)) peer.remote.have(piece);
  }

  // ---- ExchangeOwner ----

  onPieceVerified(piece: PieceIndex): void {
    if (this.isWanted(piece)) this.#wantedCount--;
    if (Number.isNaN(this.firstPieceMs)) this.firstPieceMs = this.nowMs;
    if (Number.isNaN(this.nearlyMs) && this.have.count >= this.geometry.pieceCount * 0.99) this.nearlyMs = this.nowMs;
    this.swarm.pieceVerified(this, piece);
    this.onVerified?.(piece);
    if (!this.isDone || !Number.isNaN(this.completeMs)) return;
    this.completeMs = this.nowMs;
    this.swarm.hostDone(this);
  }

  onComplete(): void {
    if (this.isComplete) this.roster.completed(this.nowMs);
  }

  onPeerConnected(): void {}

  onPeerGone(peer: Peer<SimPeer>): void {
    this.books?.left(peer.remote);
    this.roster.gone(peer.remote, this.exchange.isRedundant(peer));
  }

  onBanned(remote: SimPeer): void {
    this.banned.add(remote.other.id);
  }

  onPoisonedSource(): void {}
  onPieceDoubted(): void {}
  onSuperSeedingEnded(): void {}
  onDiskPause(): void {}

  onDiskError(error: HaulError): void {
    throw error;
  }

  // ---- wishes ----

  isWanted(piece: number): boolean {
    return this.#priorities[piece] !== SKIP;
  }

  /** Somebody has changed his mind. */
  setPriority(piece: PieceIndex, priority: Priority): void {
    const wasDone = this.isDone;
    this.#priorities[piece] = priority;
    this.scheduler.setPriority(piece, priority, this.nowMs);
    this.scheduler.fillHungry(this.nowMs);
    this.#wantedCount = this.#countWanted();
    if (this.isDone === wasDone || !this.isAlive) return;
    this.completeMs = wasDone ? Number.NaN : this.nowMs;
    if (wasDone) this.swarm.unfinished++;
    else this.swarm.hostDone(this);
  }

  #countWanted(): number {
    let count = 0;
    for (let piece = 0; piece < this.geometry.pieceCount; piece++) {
      if (this.isWanted(piece) && !this.have.has(piece)) count++;
    }
    return count;
  }

  /** The planted bug: as if it were the endgame. */
  askAnother(asked: SimPeer, piece: PieceIndex, begin: number, lengthBytes: number): void {
    const { scheduler, books } = this;
    if (books === null || books.isEndgame || scheduler.view.isSnubbed(asked.slot)) return;
    const other = this.exchange.peers.find(
      (peer) =>
        peer !== null &&
        peer.remote !== asked &&
        !books.isAsked(peer.remote, piece, this.geometry.blockAt(begin)) &&
        scheduler.view.peerHas(peer.slot, piece) &&
        !scheduler.view.isPeerChoking(peer.slot) &&
        !scheduler.view.isSnubbed(peer.slot),
    );
    if (other) books.requested(other.remote, piece, begin, lengthBytes);
  }
}

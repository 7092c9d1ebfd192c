/**
 * One virtual machine with a download or a seed: the real scheduler and address book, virtual storage and hash pool.
 * What it decides becomes messages; finding peers is in roster.ts. The order of steps is that of `swarm/receive.ts`.
 */
import { DEFAULTS, LIMITS } from '../src/config.js';
import { Bitfield } from '../src/metainfo/bitfield.js';
import type { BlockIndex, Geometry, PeerSlot, PieceIndex } from '../src/metainfo/geometry.js';
import { makeRandom } from '../src/random.js';
import { NORMAL, type Priority, SKIP } from '../src/scheduler/pieces/priority.js';
import { Scheduler } from '../src/scheduler/scheduler.js';
import type { DropReason, SchedulerSink } from '../src/scheduler/sink.js';
import { type BadPieceOwner, BadPieces } from '../src/swarm/bad-pieces.js';
import type { Books } from './books.js';
import { SimPeer } from './peer.js';
import { SimRoster } from './roster.js';
import type { HostSpec, Manner } from './spec.js';
import { GOOD, VirtualStorage } from './storage.js';
import type { Swarm } from './swarm.js';

/** One of so many blocks of a corrupt host is bad. */
const CORRUPT_SHARE = 0.1;

export class Host implements SchedulerSink {
  readonly id: number;
  readonly swarm: Swarm;
  readonly spec: HostSpec;
  readonly isFast: boolean;
  readonly manner: Manner;
  readonly zone: string | undefined;
  readonly geometry: Geometry;
  readonly have: Bitfield;
  readonly scheduler: Scheduler;
  readonly roster: SimRoster;
  readonly storage: VirtualStorage;
  readonly peers: (SimPeer | null)[] = [];
  peerCount = 0;
  isAlive = false;
  /** Virtual times; NaN until then. */
  joinedMs = Number.NaN;
  firstPieceMs = Number.NaN;
  nearlyMs = Number.NaN;
  completeMs = Number.NaN;
  uploadedBytes = 0;
  farBytes = 0;
  banned = new Set<number>();
  /** The independent books of a checked swarm. */
  books: Books | null = null;
  readonly #random: () => number;
  readonly badPieces: BadPieces<SimPeer>;
  readonly #freeSlots: PeerSlot[] = [];
  #hashFreeMs = 0;
  #wantedCount: number;
  readonly #priorities: Priority[];

  constructor(swarm: Swarm, id: number, spec: HostSpec) {
    this.swarm = swarm;
    this.id = id;
    this.spec = spec;
    this.manner = spec.manner ?? 'good';
    this.isFast = spec.isFast ?? true;
    this.zone = spec.zone;
    this.geometry = swarm.geometry;
    this.#random = makeRandom(Math.imul(swarm.spec.seed + 1, 0x9e3779b1) ^ Math.imul(id + 1, 0x85ebca6b));
    this.have = new Bitfield(this.geometry.pieceCount);
    if (spec.isSeed === true) this.have.setAll();
    else for (const piece of spec.have ?? []) this.have.set(piece);
    this.storage = new VirtualStorage(this.geometry);
    this.badPieces = new BadPieces(this.geometry, this.#distrust());
    this.#priorities = Array.from(
      { length: this.geometry.pieceCount },
      (_, piece) => spec.priorities?.[piece] ?? NORMAL,
    );
    this.#wantedCount = this.#countWanted();
    this.scheduler = new Scheduler({
      geometry: this.geometry,
      have: this.have,
      sink: this,
      random: this.#random,
      limits: {
        maxSlots: swarm.maxPeers,
        openPieces: swarm.openPieces,
        uploadSlots: spec.uploadSlots ?? swarm.spec.uploadSlots ?? DEFAULTS.uploadSlots,
        requestsPerPeer: LIMITS.requestsPerPeer,
      },
      isSequential: spec.isSequential ?? false,
      isSuperSeeding: spec.isSuperSeeding ?? false,
      ...(spec.priorities === undefined ? {} : { priorities: Uint8Array.from(spec.priorities) }),
    });
    this.roster = new SimRoster(this, this.#random);
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

  /** The bits to greet a peer with; empty: we have nothing, or say so. */
  greeting(): Uint8Array {
    return this.have.count === 0 || this.scheduler.isSuperSeeding ? NO_BITS : this.have.bytes.slice();
  }

  contentToSend(): number {
    const isBad = this.manner === 'corrupt' && this.#random() < CORRUPT_SHARE;
    return isBad ? 2 + Math.floor(this.#random() * 0x40000000) : GOOD;
  }

  // ---- peers ----

  addPeer(other: Host, isDialled: boolean): SimPeer {
    const slot = this.#freeSlots.pop() ?? (this.peers.length as PeerSlot);
    const peer = new SimPeer(this, other, slot, isDialled);
    this.peers[slot] = peer;
    this.peerCount++;
    return peer;
  }

  /** The peer can hear us now. */
  greet(peer: SimPeer): void {
    peer.out.pieces();
    this.scheduler.addPeer(peer.slot, this.nowMs);
    this.scheduler.setFast(peer.slot, peer.isFast);
  }

  peerAt(host: number): SimPeer | null {
    return this.roster.connected.get(host) ?? null;
  }

  /** Closes a connection after this event: the scheduler may be in the middle of a call. */
  close(peer: SimPeer, isRedundant: boolean): void {
    if (peer.isClosing) return;
    peer.isClosing = true;
    this.swarm.events.callAt(this.nowMs, () => this.swarm.disconnect(peer, isRedundant));
  }

  /** The connection is gone. */
  removePeer(peer: SimPeer, isRedundant: boolean): void {
    if (!peer.isOpen) return;
    peer.isOpen = false;
    peer.isClosing = true;
    peer.requests.clear();
    peer.out.close();
    this.books?.left(peer);
    this.badPieces.forget(peer, null);
    this.scheduler.removePeer(peer.slot, this.nowMs);
    this.peers[peer.slot] = null;
    this.peerCount--;
    this.#freeSlots.push(peer.slot);
    this.roster.gone(peer, isRedundant);
    if (this.isAlive) this.scheduler.fillHungry(this.nowMs);
  }

  tick(): void {
    if (!this.isAlive) return;
    this.badPieces.tick(this.nowMs);
    this.scheduler.tick(this.nowMs);
    this.scheduler.fillHungry(this.nowMs);
    this.roster.tick(this.nowMs);
  }

  // ---- the way of a block, up ----

  blockSent(peer: SimPeer, piece: number, bytes: number): void {
    if (this.scheduler.isChoking(peer.slot)) throw new Error(`host ${this.id} serves a peer that it chokes`);
    this.uploadedBytes += bytes;
    this.scheduler.blockServed(peer.slot, piece as PieceIndex);
    this.scheduler.bytesUploaded(peer.slot, bytes, this.nowMs);
  }

  // ---- the way of a block, down ----

  /** @param content null: nobody wants it. */
  blockArrived(peer: SimPeer, piece: PieceIndex, block: BlockIndex, bytes: number, content: number | null): void {
    if (peer.other.zone !== this.zone) this.farBytes += bytes;
    if (content === null) {
      this.scheduler.blockDiscarded(peer.slot, piece, block, bytes, this.nowMs);
      return;
    }
    this.storage.store(piece, block, content);
    if (!this.scheduler.blockStored(peer.slot, piece, block, this.nowMs)) return;
    if (!this.storage.isStored(piece)) throw new Error(`host ${this.id}: piece ${piece} is not whole`);
    this.#hashFreeMs = Math.max(this.nowMs, this.#hashFreeMs) + this.swarm.hashMs;
    this.swarm.events.at(this.#hashFreeMs, this.swarm.verifiedKind, this.id, piece);
    if (this.swarm.spec.canary === 'early-have' && this.#random() < 0.1) this.#tellHave(piece);
  }

  pieceReady(piece: PieceIndex): void {
    if (!this.isAlive || !this.storage.becameReady(piece)) return;
    if (this.#random() < (this.swarm.spec.storage?.abandons ?? 0)) {
      this.storage.close(piece);
      this.scheduler.pieceAbandoned(piece);
    } else this.scheduler.pieceReady(piece);
    this.scheduler.fillHungry(this.nowMs);
  }

  pieceHashed(piece: PieceIndex): void {
    if (!this.isAlive) return;
    if (this.storage.isGood(piece)) this.#pieceGood(piece);
    else this.#pieceBad(piece);
  }

  #pieceGood(piece: PieceIndex): void {
    if (this.badPieces.has(piece)) {
      this.#ban(this.badPieces.good(piece, this.#senders(piece), this.storage.digests(piece)));
    }
    this.have.set(piece);
    this.storage.close(piece);
    this.scheduler.pieceVerified(piece);
    if (this.isWanted(piece)) this.#wantedCount--;
    if (Number.isNaN(this.firstPieceMs)) this.firstPieceMs = this.nowMs;
    if (Number.isNaN(this.nearlyMs) && this.have.count >= this.geometry.pieceCount * 0.99) this.nearlyMs = this.nowMs;
    this.swarm.pieceVerified(this, piece);
    this.#tellHave(piece);
    if (this.isDone && Number.isNaN(this.completeMs)) {
      this.completeMs = this.nowMs;
      this.swarm.hostDone(this);
    }
    if (this.isComplete) this.#dropRedundant();
    else this.scheduler.fillHungry(this.nowMs);
  }

  #tellHave(piece: number): void {
    if (this.swarm.broadcast(this, piece)) return;
    for (const peer of this.peers) if (peer !== null && this.scheduler.isTold(peer.slot)) peer.out.have(piece);
  }

  #pieceBad(piece: PieceIndex): void {
    const senders = this.#senders(piece);
    const digests = this.storage.digests(piece);
    this.storage.restart(piece);
    this.scheduler.pieceFailed(piece);
    this.badPieces.failed(piece, senders, digests, this.nowMs);
    this.scheduler.fillHungry(this.nowMs);
  }

  #senders(piece: PieceIndex): (SimPeer | null)[] {
    return Array.from({ length: this.geometry.blockCount(piece) }, (_, block) => {
      const slot = this.scheduler.senderOf(piece, block as BlockIndex);
      return slot === -1 ? null : (this.peers[slot] ?? null);
    });
  }

  /** As in `swarm/receive.ts`; nobody here has a bad disk, so nobody is told. */
  #distrust(): BadPieceOwner<SimPeer> {
    return {
      hostOf: (peer) => String(peer.other.id),
      copies: (piece) => this.scheduler.copies(piece),
      hasPiece: (peer, piece) => peer.isOpen && this.scheduler.peerHas(peer.slot, piece),
      worth: ({ slot }) => (this.scheduler.isPeerChoking(slot) ? -1 : this.scheduler.downloadRate(slot, this.nowMs)),
      withhold: ({ slot }, piece) => this.scheduler.peerLacks(slot, piece),
      restore: (peer, piece) => {
        if (peer.isOpen) this.scheduler.peerHave(peer.slot, piece);
      },
      tellSharer: () => {},
      onPoisonedSource: () => {},
    };
  }

  #ban(guilty: Iterable<SimPeer>): void {
    for (const peer of guilty) {
      this.banned.add(peer.other.id);
      this.close(peer, false);
    }
  }

  #dropRedundant(): void {
    this.roster.completed(this.nowMs);
    for (const peer of this.peers) {
      if (peer !== null && this.scheduler.peerIsSeed(peer.slot)) this.close(peer, true);
    }
  }

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

  // ---- SchedulerSink ----

  request(slot: PeerSlot, piece: PieceIndex, block: BlockIndex): void {
    const peer = this.peers[slot]!;
    this.#ask(peer, piece, block);
    if (this.swarm.spec.canary === 'twice') this.#askAnother(slot, piece, block);
  }

  #ask(peer: SimPeer, piece: PieceIndex, block: BlockIndex): void {
    this.books?.requested(peer, piece, block);
    if (this.swarm.spec.canary === 'lost-request' && this.#random() < 0.01) return;
    peer.out.request(piece, this.geometry.blockBegin(block), this.geometry.blockLength(piece, block));
  }

  /** The planted bug: as if it were the endgame. */
  #askAnother(slot: PeerSlot, piece: PieceIndex, block: BlockIndex): void {
    const { scheduler, books } = this;
    if (books === null || books.isEndgame || scheduler.isSnubbed(slot)) return;
    const other = this.peers.find(
      (peer) =>
        peer !== null &&
        peer.slot !== slot &&
        !books.isAsked(peer, piece, block) &&
        scheduler.peerHas(peer.slot, piece) &&
        !scheduler.isPeerChoking(peer.slot) &&
        !scheduler.isSnubbed(peer.slot),
    );
    if (other) this.#ask(other, piece, block);
  }

  cancel(slot: PeerSlot, piece: PieceIndex, block: BlockIndex): void {
    const peer = this.peers[slot]!;
    this.books?.cancelled(peer, piece, block);
    peer.out.cancel(piece, this.geometry.blockBegin(block), this.geometry.blockLength(piece, block));
  }

  interested(slot: PeerSlot, isInterested: boolean): void {
    this.peers[slot]!.out.interested(isInterested);
  }

  choke(slot: PeerSlot, isChoked: boolean): void {
    const peer = this.peers[slot]!;
    peer.out.choke(isChoked);
    if (isChoked) peer.dropRequests();
  }

  openPiece(piece: PieceIndex): boolean {
    if (this.#random() < (this.swarm.spec.storage?.refusals ?? 0)) {
      this.books?.refused();
      return false;
    }
    this.storage.begin(piece);
    this.swarm.events.at(this.nowMs + this.swarm.openMs, this.swarm.readyKind, this.id, piece);
    return true;
  }

  closePiece(piece: PieceIndex): void {
    this.storage.close(piece);
  }

  drop(slot: PeerSlot, _reason: DropReason): void {
    this.close(this.peers[slot]!, false);
  }

  /** Super-seeding: one more piece that this peer may know of. */
  reveal(slot: PeerSlot, piece: PieceIndex): void {
    this.peers[slot]!.out.have(piece);
  }
}

const NO_BITS = new Uint8Array(0);

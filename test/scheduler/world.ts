/**
 * A small swarm around one scheduler, from a seed: scripted peers, a storage that opens pieces late, a verifier that
 * finds bad ones. It plays the owner, keeps its own slow and obvious books, and checks every call of the scheduler
 * against them.
 */
import assert from 'node:assert/strict';
import { Bitfield } from '../../src/metainfo/bitfield.js';
import { type BlockIndex, Geometry, type PeerSlot, type PieceIndex } from '../../src/metainfo/geometry.js';
import { NORMAL, type Priority, SKIP } from '../../src/scheduler/pieces/priority.js';
import { Scheduler } from '../../src/scheduler/scheduler.js';
import type { DropReason, SchedulerSink } from '../../src/scheduler/sink.js';
import { checkRun } from './run-steps.js';
import { seeded } from './seeded.js';
import { isAwaited, isEndgame, type JoinOptions } from './world-reference.js';

export { seeded };

export interface WorldOptions {
  readonly seed: number;
  readonly lengthBytes: number;
  readonly pieceLengthBytes: number;
  readonly maxSlots?: number;
  readonly openPieces?: number;
  readonly uploadSlots?: number;
  readonly requestsPerPeer?: number;
  readonly downloadBytesPerSec?: number;
  readonly have?: readonly number[];
  readonly priorities?: Uint8Array;
  readonly isSequential?: boolean;
  readonly forward?: { readonly ownNumber: number } | null;
}

interface Ask {
  readonly askedMs: number;
  /** The peer was snubbed while this stood: others may be asked. */
  isLate: boolean;
}

interface FakePeer {
  readonly has: Set<number>;
  /** What the peer is going to send, in order. */
  readonly queue: { piece: number; block: number }[];
  /** Asked, neither answered nor taken back: by key. */
  readonly asked: Map<number, Ask>;
  isFast: boolean;
  isChoking: boolean;
  /** Blocks it serves in one message. */
  runBlocks: number;
}

export class World implements SchedulerSink {
  readonly geometry: Geometry;
  readonly scheduler: Scheduler;
  readonly random: () => number;
  readonly peers = new Map<number, FakePeer>();
  readonly log: string[] = [];
  readonly opening = new Set<number>();
  readonly ready = new Map<number, Set<number>>();
  readonly verifying = new Set<number>();
  readonly verified = new Set<number>();
  readonly dropped = new Set<number>();
  readonly priorities: Uint8Array;
  readonly cancels: { slot: number; piece: number; block: number }[] = [];
  nowMs = 0;
  awaited: readonly number[] = [];
  /** `openPiece` says no. */
  isFull = false;
  closedPieces = 0;
  /** Requests for more than one block. */
  runs = 0;
  /** Requests made for a block that another peer was asked for too. */
  doubled = 0;
  readonly #openPieces: number;
  #wasRefused = false;

  constructor(options: WorldOptions) {
    this.random = seeded(options.seed);
    this.geometry = new Geometry(options.lengthBytes, options.pieceLengthBytes);
    this.#openPieces = Math.min(options.openPieces ?? 8, this.geometry.pieceCount);
    this.priorities = options.priorities ?? new Uint8Array(this.geometry.pieceCount).fill(NORMAL);
    const have = new Bitfield(this.geometry.pieceCount);
    for (const piece of options.have ?? []) {
      have.set(piece);
      this.verified.add(piece);
    }
    this.scheduler = new Scheduler({
      geometry: this.geometry,
      have,
      sink: this,
      random: this.random,
      limits: {
        maxSlots: options.maxSlots ?? 16,
        openPieces: options.openPieces ?? 8,
        uploadSlots: options.uploadSlots ?? 4,
        requestsPerPeer: options.requestsPerPeer ?? 50,
        downloadBytesPerSec: options.downloadBytesPerSec ?? Number.POSITIVE_INFINITY,
      },
      ...(options.priorities === undefined ? {} : { priorities: options.priorities }),
      isSequential: options.isSequential ?? false,
      forward: options.forward ?? null,
    });
  }

  // The sink

  request(slot: PeerSlot, piece: PieceIndex, first: BlockIndex, count: number): void {
    if (count > 1) checkRun(this, slot, piece, first, count);
    for (let block = first; block < first + count; block++) this.#requestBlock(slot, piece, block as BlockIndex);
  }

  #requestBlock(slot: PeerSlot, piece: PieceIndex, block: BlockIndex): void {
    const peer = this.#peer(slot);
    const stored = this.ready.get(piece);
    assert.ok(!peer.isChoking, `asked slot ${slot}, who chokes us`);
    assert.ok(peer.has.has(piece), `asked slot ${slot} for piece ${piece}, which it lacks`);
    assert.ok(stored !== undefined, `asked for piece ${piece}, which is not ready`);
    assert.ok(!stored.has(block), `asked for a stored block`);
    const key = this.key(piece, block);
    const own = peer.asked.get(key);
    assert.ok(
      own === undefined || own.isLate || this.scheduler.view.isSnubbed(slot),
      `asked slot ${slot} twice for ${piece}:${block}`,
    );
    this.#checkOthers(slot, key);
    peer.asked.set(key, { askedMs: this.nowMs, isLate: this.scheduler.view.isSnubbed(slot) });
    peer.queue.push({ piece, block });
  }

  cancel(slot: PeerSlot, piece: PieceIndex, block: BlockIndex): void {
    const peer = this.#peer(slot);
    assert.ok(peer.asked.delete(this.key(piece, block)), 'cancelled what was never asked');
    this.cancels.push({ slot, piece, block });
    // Often the block is on its way already.
    if (this.random() < 0.5) return;
    const at = peer.queue.findIndex((entry) => entry.piece === piece && entry.block === block);
    if (at >= 0) peer.queue.splice(at, 1);
  }

  interested(slot: PeerSlot, isInterested: boolean): void {
    this.log.push(`${slot} ${isInterested ? 'interested' : 'bored'}`);
  }

  choke(slot: PeerSlot, isChoked: boolean): void {
    this.log.push(`${slot} ${isChoked ? 'choke' : 'unchoke'}`);
  }

  openPiece(piece: PieceIndex): boolean {
    if (this.isFull) {
      this.#wasRefused = true;
      return false;
    }
    assert.ok(
      !this.opening.has(piece) && !this.ready.has(piece) && !this.verified.has(piece),
      `piece ${piece} reopened`,
    );
    assert.notEqual(this.priorities[piece], SKIP, `skipped piece ${piece} opened`);
    this.opening.add(piece);
    assert.ok(this.openCount <= this.#openPieces, 'too many pieces open');
    return true;
  }

  closePiece(piece: PieceIndex): void {
    assert.ok(this.ready.delete(piece), 'closed a piece that is not ready');
    assert.ok(!this.isArriving(piece), `closed piece ${piece} while a block of it arrives`);
    this.closedPieces++;
  }

  drop(slot: PeerSlot, _reason: DropReason): void {
    this.dropped.add(slot);
  }

  get openCount(): number {
    return this.opening.size + this.ready.size + this.verifying.size;
  }

  key(piece: number, block: number): number {
    return piece * this.geometry.blocksPerPiece + block;
  }

  /** The reference for "may be asked of two peers": endgame, late answers, or aged requests while there is no room. */
  #checkOthers(slot: number, key: number): void {
    for (const [other, peer] of this.peers) {
      const ask = peer.asked.get(key);
      if (other === slot || ask === undefined) continue;
      this.doubled++;
      if (ask.isLate || this.scheduler.view.isSnubbed(other as PeerSlot)) continue;
      if (this.scheduler.view.isSnubbed(slot as PeerSlot)) continue;
      const isFull = this.openCount >= this.#openPieces || this.#wasRefused;
      if (isFull && this.nowMs - ask.askedMs >= 2000) continue;
      if (isAwaited(this, key)) continue;
      assert.ok(isEndgame(this), `asked for ${key} twice outside of the endgame`);
    }
  }

  isNeeded(piece: number): boolean {
    return this.priorities[piece] !== SKIP && !this.verified.has(piece);
  }

  /** Blocks whose bytes are under way, by key. */
  readonly arriving = new Map<number, number>();

  #peer(slot: number): FakePeer {
    const peer = this.peers.get(slot);
    assert.ok(peer !== undefined, `slot ${slot} is not there`);
    return peer;
  }

  // The network

  join(slot: number, pieces: 'all' | readonly number[], options: JoinOptions = {}): void {
    const all = pieces === 'all' ? Array.from({ length: this.geometry.pieceCount }, (_, index) => index) : pieces;
    const isFast = options.fast ?? false;
    const runBlocks = options.runBlocks ?? 1;
    this.peers.set(slot, { has: new Set(all), queue: [], asked: new Map(), isFast, isChoking: true, runBlocks });
    this.scheduler.addPeer(slot as PeerSlot, this.nowMs, options.number ?? null);
    this.scheduler.setRunBlocks(slot as PeerSlot, runBlocks, options.runs ?? 'none');
    this.scheduler.setFast(slot as PeerSlot, isFast);
    const bits = new Bitfield(this.geometry.pieceCount);
    for (const piece of all) bits.set(piece);
    if (pieces === 'all' && isFast) this.scheduler.peerHaveAll(slot as PeerSlot);
    else if (all.length > 0) this.scheduler.peerBitfield(slot as PeerSlot, bits.bytes);
  }

  leave(slot: number): void {
    for (const [key, sender] of this.arriving) if (sender === slot) this.arriving.delete(key);
    this.#peer(slot).asked.clear();
    this.scheduler.removePeer(slot as PeerSlot, this.nowMs);
    this.peers.delete(slot);
    this.dropped.delete(slot);
  }

  have(slot: number, piece: number): void {
    this.#peer(slot).has.add(piece);
    this.scheduler.peerHave(slot as PeerSlot, piece as PieceIndex);
  }

  /** What it was asked for of the piece it may still answer. */
  lack(slot: number, piece: number): void {
    const peer = this.#peer(slot);
    peer.has.delete(piece);
    for (const key of [...peer.asked.keys()])
      if (Math.floor(key / this.geometry.blocksPerPiece) === piece) peer.asked.delete(key);
    this.scheduler.peerLacks(slot as PeerSlot, piece as PieceIndex);
  }

  unchoke(slot: number): number {
    this.#peer(slot).isChoking = false;
    this.scheduler.peerUnchoked(slot as PeerSlot, this.nowMs);
    return this.fill(slot);
  }

  choke_(slot: number): void {
    const peer = this.#peer(slot);
    peer.isChoking = true;
    if (!peer.isFast) {
      peer.asked.clear();
      // A client may have some of them in its socket already.
      peer.queue.splice(Math.floor(this.random() * 3));
    }
    this.scheduler.peerChoked(slot as PeerSlot, this.nowMs);
    if (peer.isFast) while (peer.queue.length > 0) this.reject(slot);
  }

  reject(slot: number): void {
    const entry = this.#peer(slot).queue.shift();
    if (entry === undefined) return;
    this.#peer(slot).asked.delete(this.key(entry.piece, entry.block));
    this.scheduler.requestRejected(slot as PeerSlot, entry.piece as PieceIndex, entry.block as BlockIndex, this.nowMs);
  }

  /** Somebody reads these. @param isElsewhere than before */
  read(pieces: readonly number[], isElsewhere: boolean): void {
    this.awaited = pieces.slice(0, 1);
    this.scheduler.setUrgent(pieces as PieceIndex[], pieces.slice(0, 1) as PieceIndex[], this.nowMs);
    if (isElsewhere) this.scheduler.makeWay(this.nowMs);
    this.scheduler.fillHungry(this.nowMs);
  }

  fill(slot: number): number {
    return this.scheduler.fill(slot as PeerSlot, this.nowMs);
  }

  /** The oldest request of the peer begins to arrive. Returns its verdict, or null when there is none. */
  begin(slot: number): { piece: number; block: number; verdict: string } | null {
    const peer = this.#peer(slot);
    if ([...this.arriving.values()].includes(slot)) return null;
    const entry = peer.queue.shift();
    if (entry === undefined) return null;
    const { piece, block } = entry;
    const key = this.key(piece, block);
    const verdict = this.scheduler.blockArriving(slot as PeerSlot, piece as PieceIndex, block as BlockIndex);
    peer.asked.delete(key);
    const isWelcome = this.ready.has(piece) && !this.ready.get(piece)!.has(block) && !this.arriving.has(key);
    assert.equal(verdict, isWelcome ? 'wanted' : 'duplicate', `${piece}:${block} from slot ${slot}`);
    if (verdict === 'wanted') this.arriving.set(key, slot);
    else this.scheduler.blockDiscarded(slot as PeerSlot, piece, block, 16384, this.nowMs);
    return { piece, block, verdict };
  }

  /** The block under way from this peer ends. */
  end(slot: number): void {
    for (const [key, sender] of this.arriving) {
      if (sender !== slot) continue;
      this.arriving.delete(key);
      const piece = Math.floor(key / this.geometry.blocksPerPiece) as PieceIndex;
      const block = (key % this.geometry.blocksPerPiece) as BlockIndex;
      const stored = this.ready.get(piece)!;
      stored.add(block);
      assert.equal(this.scheduler.view.senderOf(piece, block), slot);
      const isComplete = this.scheduler.blockStored(slot as PeerSlot, piece, block, this.nowMs);
      assert.equal(isComplete, stored.size === this.geometry.blockCount(piece));
      if (isComplete) {
        this.ready.delete(piece);
        this.verifying.add(piece);
      }
      return;
    }
  }

  deliver(slot: number): string | null {
    const begun = this.begin(slot);
    if (begun?.verdict === 'wanted') this.end(slot);
    return begun?.verdict ?? null;
  }

  prioritize(piece: number, priority: Priority): void {
    this.priorities[piece] = priority;
    this.scheduler.setPriority(piece as PieceIndex, priority, this.nowMs);
    // Nothing is stored of it: no reason to keep it.
    if (priority === SKIP && this.ready.get(piece)?.size === 0 && !this.isArriving(piece))
      assert.fail(`${piece} is open`);
  }

  isArriving(piece: number): boolean {
    return [...this.arriving.keys()].some((key) => Math.floor(key / this.geometry.blocksPerPiece) === piece);
  }

  // The storage and the verifier

  /** @param left blocks that an earlier run left */
  makeReady(piece: number, left: readonly number[] = []): void {
    this.opening.delete(piece);
    const blockCount = this.geometry.blockCount(piece as PieceIndex);
    const stored = new Bitfield(blockCount);
    for (const block of left) stored.set(block);
    const isComplete = stored.isFull;
    if (isComplete) this.verifying.add(piece);
    else this.ready.set(piece, new Set(left));
    assert.equal(this.scheduler.pieceReady(piece as PieceIndex, left.length === 0 ? null : stored), isComplete);
  }

  abandon(piece: number): void {
    this.opening.delete(piece);
    this.scheduler.pieceAbandoned(piece as PieceIndex);
  }

  verify(piece: number, isGood: boolean): readonly number[] {
    assert.ok(this.verifying.delete(piece));
    if (isGood) {
      this.verified.add(piece);
      this.scheduler.pieceVerified(piece as PieceIndex);
      return [];
    }
    this.ready.set(piece, new Set());
    return this.scheduler.pieceFailed(piece as PieceIndex);
  }

  /** Everything the storage and the verifier have to do is done; then the hungry are filled. */
  settle(): void {
    for (const piece of [...this.verifying]) this.verify(piece, true);
    for (const piece of [...this.opening]) this.makeReady(piece);
    this.#wasRefused = false;
    this.scheduler.fillHungry(this.nowMs);
  }

  pass(ms: number): void {
    this.nowMs += ms;
    this.#wasRefused = false;
    this.scheduler.tick(this.nowMs);
    for (const [slot, peer] of this.peers) {
      if (this.scheduler.view.isSnubbed(slot as PeerSlot)) for (const ask of peer.asked.values()) ask.isLate = true;
    }
  }

  /** Both sides agree, and so do the scheduler's parts. */
  check(): void {
    this.scheduler.checkInvariants();
    const { view, isComplete } = this.scheduler;
    assert.ok(isComplete === this.priorities.every((_, piece) => !this.isNeeded(piece)), 'complete');
    for (const [slot, peer] of this.peers) {
      assert.equal(view.requestsInFlight(slot as PeerSlot), peer.asked.size, `in flight at slot ${slot}`);
      assert.equal(view.peerPieceCount(slot as PeerSlot), peer.has.size);
      const isWanted = [...peer.has].some((piece) => this.isNeeded(piece));
      assert.equal(view.isInterestedIn(slot as PeerSlot), isWanted);
    }
  }
}

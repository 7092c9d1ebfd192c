/**
 * Independent books of one host in a checked swarm: what it asked of whom, kept from its messages alone, and compared
 * after every event with the scheduler and with the other ends of its connections. Slow and obvious.
 */
import type { BlockIndex, PieceIndex } from '../src/metainfo/geometry.js';
import type { PeerBooks, PeerHost, PeerSwarm, SimPeer } from './peer.js';
import type { VirtualStorage } from './storage.js';

/** While room is exhausted a request may be taken over after this long (scheduler/ask/endgame.ts). */
const AGED_MS = 2_000;

interface Ask {
  readonly askedMs: number;
  /** How often the peer had been late. When that is more now, others may be asked, and the peer again. */
  readonly timesLate: number;
  /** Asked to try a late peer: the block stays free for others. */
  readonly isProbe: boolean;
}

/** What books need of their host. */
export interface BooksHost extends PeerHost {
  readonly storage: VirtualStorage;
  readonly swarm: PeerSwarm & { readonly blockBytes: number };
  isWanted(piece: number): boolean;
}

export class Books implements PeerBooks {
  readonly #host: BooksHost;
  readonly #asked = new Map<SimPeer, Map<number, Ask>>();
  /** Blocks that have begun and not ended. */
  readonly #arriving = new Map<SimPeer, number>();
  #wasRefusedMs = Number.NEGATIVE_INFINITY;

  constructor(host: BooksHost) {
    this.#host = host;
  }

  /** One block, or a run. */
  requested(peer: SimPeer, piece: PieceIndex, begin: number, lengthBytes: number): void {
    this.#eachBlock(piece, begin, lengthBytes, (block) => this.#requestedBlock(peer, piece, block));
  }

  #requestedBlock(peer: SimPeer, piece: PieceIndex, block: BlockIndex): void {
    const { scheduler, storage, nowMs } = this.#host;
    const key = this.#key(piece, block);
    assert(!scheduler.view.isPeerChoking(peer.slot), `asks host ${peer.other.id}, who chokes it`);
    assert(scheduler.view.peerHas(peer.slot, piece), `asks host ${peer.other.id} for piece ${piece}, which it lacks`);
    assert(storage.isReady(piece), `asks for piece ${piece}, which is not ready`);
    assert(storage.content(piece, block) === 0, 'asks for a block that is stored');
    const own = this.#of(peer).get(key);
    const isSnubbed = scheduler.view.isSnubbed(peer.slot);
    assert(
      own === undefined || this.#isLate(peer, own) || isSnubbed,
      `asks host ${peer.other.id} twice for ${piece}:${block}`,
    );
    this.#lookAtDisk();
    this.#checkOthers(peer, key, isSnubbed);
    this.#of(peer).set(key, { askedMs: nowMs, timesLate: scheduler.view.timesLate(peer.slot), isProbe: isSnubbed });
  }

  isAsked(peer: SimPeer, piece: PieceIndex, block: BlockIndex): boolean {
    return this.#of(peer).has(this.#key(piece, block));
  }

  refused(): void {
    this.#wasRefusedMs = this.#host.nowMs;
  }

  cancelled(peer: SimPeer, piece: number, begin: number): void {
    const block = this.#host.geometry.blockAt(begin);
    assert(this.#of(peer).delete(this.#key(piece, block)), 'cancels what it never asked for');
  }

  /** A block begins. */
  answered(peer: SimPeer, piece: number, begin: number): void {
    const key = this.#key(piece, this.#host.geometry.blockAt(begin));
    this.#of(peer).delete(key);
    this.#arriving.set(peer, key);
  }

  /** It ends. */
  arrived(peer: SimPeer): void {
    this.#arriving.delete(peer);
  }

  rejected(peer: SimPeer, piece: number, begin: number, lengthBytes: number): void {
    this.#eachBlock(piece, begin, lengthBytes, (block) => this.#of(peer).delete(this.#key(piece, block)));
  }

  /** Without the fast extension a choke voids every request. */
  choked(peer: SimPeer): void {
    if (!peer.supportsFast) this.#of(peer).clear();
  }

  left(peer: SimPeer): void {
    this.#asked.delete(peer);
    this.#arriving.delete(peer);
  }

  /** The peer was late since, perhaps within this event. */
  #isLate(peer: SimPeer, ask: Ask): boolean {
    return ask.isProbe || this.#host.scheduler.view.timesLate(peer.slot) > ask.timesLate;
  }

  /** The reference for "may be asked of two peers": endgame, late answers, aged requests while there is no room. */
  #checkOthers(peer: SimPeer, key: number, isSnubbed: boolean): void {
    const { nowMs } = this.#host;
    for (const [other, asked] of this.#asked) {
      const ask = asked.get(key);
      if (other === peer || ask === undefined) continue;
      if (isSnubbed || this.#isLate(other, ask)) continue;
      const { storage } = this.#host;
      const isFull = storage.roomPieces <= 0 || nowMs - this.#wasRefusedMs <= 1000;
      if (isFull && nowMs - ask.askedMs >= AGED_MS) continue;
      assert(this.isEndgame, `block ${key} is asked of two peers outside of the endgame`);
    }
  }

  /** Every block that is needed is stored, arriving or asked for. */
  get isEndgame(): boolean {
    const { geometry, have, storage } = this.#host;
    const arriving = new Set(this.#arriving.values());
    for (let piece = 0 as PieceIndex; piece < geometry.pieceCount; piece++) {
      if (have.has(piece) || !this.#host.isWanted(piece)) continue;
      if (!storage.isReady(piece)) return false;
      for (let block = 0; block < geometry.blockCount(piece); block++) {
        if (storage.content(piece, block) !== 0) continue;
        const key = this.#key(piece, block);
        if (!arriving.has(key) && ![...this.#asked.values()].some((asked) => asked.has(key))) return false;
      }
    }
    return true;
  }

  /** While the disk is in trouble nothing is opened: as if it were refused. */
  #lookAtDisk(): void {
    if (this.#host.exchange.trouble.isHolding) this.refused();
  }

  /** Everything that must hold between events. @throws Error */
  check(): void {
    const { scheduler } = this.#host;
    this.#lookAtDisk();
    scheduler.checkInvariants();
    this.#host.storage.memory?.check(this.#host.storage.openCount);
    for (const peer of this.#host.exchange.peers) {
      if (peer === null) continue;
      this.#checkRequests(peer.remote);
      this.#checkPieces(peer.remote);
    }
  }

  /** Both sides agree: what the scheduler waits for is on its way there, queued there, or on its way back. */
  #checkRequests(peer: SimPeer): void {
    const asked = this.#of(peer);
    const inFlight = this.#host.scheduler.view.requestsInFlight(peer.slot);
    assert(inFlight === asked.size, `waits for ${inFlight} blocks of host ${peer.other.id}, asked for ${asked.size}`);
    if (asked.size === 0) return;
    const alive = new Set<number>();
    const visit = (piece: number, begin: number, lengthBytes: number): void => {
      this.#eachBlock(piece, begin, lengthBytes, (block) => alive.add(this.#key(piece, block)));
    };
    peer.out.requestsUnderWay(visit);
    peer.far.peer.outflow.requests.forEach(visit);
    peer.far.out.blocksUnderWay(visit);
    peer.restOfMessage(visit);
    if (!peer.far.out.isQuiet) return; // A choke or a reject may be on its way.
    for (const key of asked.keys()) {
      assert(alive.has(key), `a request to host ${peer.other.id} was lost: block ${key}`);
    }
  }

  /** Nobody believes in pieces that are not there; when nothing is on its way, everybody knows of all. */
  #checkPieces(peer: SimPeer): void {
    const believed = this.#host.scheduler.view.peerPieceCount(peer.slot) + this.#withheldFrom(peer);
    const count = peer.other.have.count;
    assert(believed <= count, `believes that host ${peer.other.id} has ${believed} pieces, it has ${count}`);
    const { far } = peer;
    if (!peer.hasSaidPieces || !far.out.isQuiet || peer.other.spec.isSuperSeeding === true) return;
    if (peer.other.scheduler.view.peerIsSeed(far.slot)) return; // We need no HAVE.
    // We may be a seed that it does not count as one now.
    if (peer.other.exchange.receiver.withheldFrom(far.peer.inflow) > 0) return;
    assert(believed === count, `does not know of ${count - believed} pieces of host ${peer.other.id}`);
  }

  #of(peer: SimPeer): Map<number, Ask> {
    let asked = this.#asked.get(peer);
    if (asked === undefined) {
      asked = new Map();
      this.#asked.set(peer, asked);
    }
    return asked;
  }

  #withheldFrom(peer: SimPeer): number {
    return this.#host.exchange.receiver.withheldFrom(peer.peer.inflow);
  }

  #eachBlock(piece: number, begin: number, lengthBytes: number, visit: (block: BlockIndex) => void): void {
    const { geometry } = this.#host;
    const first: number = geometry.blockAt(begin);
    const end = first + Math.ceil(lengthBytes / this.#host.swarm.blockBytes);
    for (let block = first; block < end && block < geometry.blockCount(piece as PieceIndex); block++)
      visit(block as BlockIndex);
  }

  #key(piece: number, block: number): number {
    return piece * this.#host.geometry.blocksPerPiece + block;
  }
}

function assert(isTrue: boolean, message: string): asserts isTrue {
  if (!isTrue) throw new Error(message);
}

/**
 * A torrent while it exchanges data: the table of connected peers, the scheduler and the counters.
 * Turns what the scheduler decides into messages. The way of a block down is in `receive.ts`, the way up in `serve.ts`.
 * Invariant: `peers[slot]` and the scheduler know exactly the same slots.
 */
import { LIMITS } from '../config.js';
import { HaulError } from '../errors.js';
import type { Bitfield } from '../metainfo/bitfield.js';
import type { BlockIndex, Geometry, PeerSlot, PieceIndex } from '../metainfo/geometry.js';
import type { TorrentThrottles } from '../peer/limits.js';
import type { Throttle } from '../peer/throttle.js';
import { Scheduler } from '../scheduler/scheduler.js';
import type { DropReason, SchedulerSink } from '../scheduler/sink.js';
import type { Storage } from '../storage/port.js';
import { DiskTrouble, mayPass } from './disk-trouble.js';
import type { Inflow } from './inflow.js';
import { Peer, type PeerOwner } from './peer.js';
import { Receiver, type ReceiverOwner } from './receive.js';
import type { Remote } from './remote.js';
import { SeedNews } from './seed-news.js';
import { Server, type ServerOwner } from './serve.js';
import { silentSources } from './silence.js';
import type { Unfinished } from './unfinished.js';

/** What the exchange tells its owner, the torrent. */
export interface ExchangeOwner<R extends Remote> {
  onPieceVerified(piece: PieceIndex): void;
  /** Every wanted piece is verified; not yet synced. */
  onComplete(): void;
  onPeerGone(peer: Peer<R>, reason: string): void;
  onPeerConnected(remote: R): void;
  onBanned(remote: R, reason: string): void;
  /** The only source of a piece gave so many bad copies; it is asked again after the pause. */
  onPoisonedSource(remote: R, piece: PieceIndex, copies: number, pauseMs: number): void;
  /** A peer says that our copy of this piece, which we have, is bad. */
  onPieceDoubted(remote: R, piece: PieceIndex): void;
  onDiskError(error: HaulError): void;
  /** The disk fails again and again in a way that may pass: nothing is opened or read until it does. */
  onDiskPause(error: HaulError): void;
  /** Every piece was seen at some peer; we are an ordinary seed now. */
  onSuperSeedingEnded(): void;
}

export interface ExchangeOptions<R extends Remote> {
  /** Of the torrent, for messages. */
  readonly name: string;
  readonly geometry: Geometry;
  readonly storage: Storage;
  readonly have: Bitfield;
  readonly unfinished: Unfinished;
  readonly random: () => number;
  readonly now: () => number;
  readonly maxPeers: number;
  readonly uploadSlots: number;
  /** Calls when this turn of the event loop has read all that is ready to be read. Default: `setImmediate`. */
  readonly soon?: (call: () => void) => void;
  /** BEP 16; without effect unless `have` is full. */
  readonly isSuperSeeding: boolean;
  /** By piece, see `Selection.pieces`; undefined: all normal. */
  readonly priorities: Uint8Array | undefined;
  /** Pieces in order instead of rarest first. */
  readonly isSequential: boolean;
  /** From the front to the back in a swarm with a web seed (`forward.ts`), and the end of our peer id; null: no. */
  readonly forward: { readonly ownNumber: number } | null;
  readonly throttles: TorrentThrottles;
  readonly owner: ExchangeOwner<R>;
}

export class Exchange<R extends Remote = Remote> implements SchedulerSink, PeerOwner<R>, ReceiverOwner<R>, ServerOwner {
  readonly geometry: Geometry;
  readonly storage: Storage;
  readonly have: Bitfield;
  readonly unfinished: Unfinished;
  readonly scheduler: Scheduler;
  readonly receiver: Receiver<R>;
  readonly server: Server;
  readonly now: () => number;
  readonly random: () => number;
  readonly soon: (call: () => void) => void;
  readonly uploads: Throttle;
  readonly trouble: DiskTrouble;
  readonly peers: (Peer<R> | null)[] = [];
  /** Of the wire. */
  peerCount = 0;
  webSeedCount = 0;
  isClosed = false;
  readonly #owner: ExchangeOwner<R>;
  readonly #name: string;
  readonly #downloads: Throttle;
  readonly #freeSlots: PeerSlot[] = [];
  readonly #seedNews = new SeedNews();
  readonly #maxPeers: number;
  #wasSuperSeeding: boolean;
  #wasLimited = false;
  #whenEmpty: (() => void) | null = null;

  constructor(options: ExchangeOptions<R>) {
    this.#name = options.name;
    this.geometry = options.geometry;
    this.storage = options.storage;
    this.have = options.have;
    this.unfinished = options.unfinished;
    this.#owner = options.owner;
    this.now = options.now;
    this.random = options.random;
    this.soon = options.soon ?? setImmediate;
    this.uploads = options.throttles.uploads;
    this.trouble = new DiskTrouble(options.now);
    this.trouble.onPause = (error) => this.#owner.onDiskPause(error);
    this.#downloads = options.throttles.downloads;
    this.#maxPeers = options.maxPeers;
    this.scheduler = new Scheduler({
      geometry: this.geometry,
      have: options.have,
      sink: this,
      random: options.random,
      limits: {
        // Who yields its place has a slot until its connection is closed.
        maxSlots: options.maxPeers + LIMITS.doorstepConnections + LIMITS.webSeeds,
        openPieces: this.storage.mostPieces,
        uploadSlots: options.uploadSlots,
        requestsPerPeer: LIMITS.requestsPerPeer,
        downloadBytesPerSec: this.#downloads.bytesPerSec,
      },
      isSuperSeeding: options.isSuperSeeding,
      isSequential: options.isSequential,
      forward: options.forward,
      begun: options.unfinished.waiting.map(({ piece }) => piece),
      ...(options.priorities === undefined ? {} : { priorities: options.priorities }),
    });
    this.unfinished.gatherOpen = () => this.scheduler.view.unfinished();
    this.#wasSuperSeeding = this.scheduler.isSuperSeeding;
    this.receiver = new Receiver(this);
    this.server = new Server(this);
    this.storage.onReadable = () => this.server.pumpAll();
    this.storage.onRoom = () => {
      if (!this.isClosed) this.scheduler.fillHungry(this.now());
    };
    this.storage.onPiecesWanted = () => {
      if (!this.isClosed) this.scheduler.giveWay(this.now());
    };
    this.storage.onError = (error) => this.diskFailed(error);
  }

  /** Every wanted piece is verified. */
  get isComplete(): boolean {
    return this.scheduler.isComplete;
  }

  get hasRoom(): boolean {
    return this.peerCount < this.#maxPeers && !this.isClosed;
  }

  get #isEmpty(): boolean {
    return this.peerCount + this.webSeedCount === 0;
  }

  /** A seed with nobody to serve: a tick would find nothing to do. */
  get isQuiet(): boolean {
    return this.#isEmpty && this.isComplete && !this.scheduler.isSuperSeeding && this.trouble.pausedText === null;
  }

  /** There is a slot for one more, @param takesPlace also when those whose places were taken have not all left. */
  hasSlot(takesPlace: boolean): boolean {
    const spare = takesPlace ? LIMITS.doorstepConnections : 0;
    return !this.isClosed && this.peerCount < this.#maxPeers + spare;
  }

  /**
   * Takes a peer whose handshake is done. Returns where its messages go, or null when there is no slot.
   * @param takesPlace another one is about to leave in its favour.
   */
  addPeer<Q extends R>(remote: Q, takesPlace: boolean): Peer<Q> | null {
    return this.hasSlot(takesPlace) ? this.#add(remote) : null;
  }

  /** Takes a web seed, which needs no place among the peers. Null: there are enough. */
  addWebSeed<Q extends R>(remote: Q): Peer<Q> | null {
    return this.isClosed || this.webSeedCount === LIMITS.webSeeds ? null : this.#add(remote);
  }

  #add<Q extends R>(remote: Q): Peer<Q> {
    const slot = this.#freeSlots.pop() ?? (this.peers.length as PeerSlot);
    const peer = new Peer<R>(this, remote, slot);
    this.peers[slot] = peer;
    if (remote.isWebSeed) this.webSeedCount++;
    else this.peerCount++;
    // What we have is said first (BEP 3, 6): a super-seed may reveal a piece as soon as the scheduler knows the peer.
    remote.greet(this.scheduler.isSuperSeeding || this.have.count === 0 ? null : this.have);
    this.#seedNews.joined(slot);
    this.scheduler.addPeer(slot, this.now(), remote.idEnd ?? null);
    if (remote.supportsFast) this.scheduler.setFast(slot, true);
    // Who comes to a seed wants something of it: unchoked behind our first words it may ask a round trip sooner.
    if (remote.asksAtOnce && this.isComplete && !this.scheduler.isSuperSeeding) peer.assumeInterest();
    this.#owner.onPeerConnected(remote);
    return peer as unknown as Peer<Q>;
  }

  /** The connection is closed: the slot may be used again. */
  removePeer(peer: Peer<R>, reason: string): void {
    if (this.peers[peer.slot] !== peer) return;
    this.#owner.onPeerGone(peer, reason);
    this.receiver.peerGone(peer.inflow);
    this.scheduler.removePeer(peer.slot, this.now());
    this.peers[peer.slot] = null;
    this.#freeSlots.push(peer.slot);
    if (peer.remote.isWebSeed) this.webSeedCount--;
    else this.peerCount--;
    if (this.#isEmpty) this.#whenEmpty?.();
    if (!this.isClosed) this.scheduler.fillHungry(this.now());
  }

  inflowAt(slot: PeerSlot): Inflow<R> | null {
    return this.peers[slot]?.inflow ?? null;
  }

  /** Once a second or so. */
  tick(nowMs: number): void {
    if (this.trouble.tick()) this.server.pumpAll();
    this.receiver.tick(nowMs);
    if (this.#downloads.isLimited || this.#wasLimited) this.#tellHeldBack(nowMs);
    this.#wasLimited = this.#downloads.isLimited;
    this.scheduler.tick(nowMs);
    this.scheduler.fillHungry(nowMs);
    for (const peer of this.peers) peer?.tick(nowMs);
    this.#seedNews.tick(this.peers);
    this.server.giveWay();
    if (!this.#wasSuperSeeding || this.scheduler.isSuperSeeding) return;
    this.#wasSuperSeeding = false;
    this.dropRedundantPeers();
    this.#owner.onSuperSeedingEnded();
  }

  /** What a peer sent and we left unread for our limit's sake is not late. */
  #tellHeldBack(nowMs: number): void {
    for (const peer of this.peers) {
      if (peer !== null) this.scheduler.setHeldBack(peer.slot, peer.remote.takeHeldMs(nowMs), nowMs);
    }
  }

  /** Everybody who should hear it is told, in one batch (BEP 3); peers that neither side needs any more are let go. */
  pieceVerified(piece: PieceIndex): void {
    this.#owner.onPieceVerified(piece);
    if (this.isClosed) return;
    this.#seedNews.verified(piece);
    for (const peer of this.peers) {
      if (peer === null || !this.scheduler.view.isTold(peer.slot)) continue;
      peer.remote.have(piece);
      this.#seedNews.heard(peer.slot);
    }
    if (this.isComplete) {
      this.#owner.onComplete();
      this.dropRedundantPeers();
    } else this.scheduler.fillHungry(this.now());
  }

  /** Our copy of a piece is bad: nobody gets it any more, and who can hear it hears it (BEP 54). */
  withdraw(piece: PieceIndex): void {
    this.have.clear(piece);
    this.server.dropPiece(piece);
    for (const peer of this.peers) peer?.remote.dontHave(piece);
  }

  dropRedundantPeers(): void {
    for (const peer of this.peers) peer?.dropIfRedundant();
  }

  /**
   * A seed wants nothing of us; when we want nothing more either, whole or a selection, we have nothing to say to each
   * other. A super-seed counts on its peers.
   */
  isRedundant(peer: Peer<R>): boolean {
    return this.redundancy(peer) !== null;
  }

  /** 'partial': it has not all there is and says that it wants no more (BEP 21), which may change. Null: it is not. */
  redundancy(peer: Peer<R>): 'seed' | 'partial' | null {
    if (!this.isComplete || this.scheduler.isSuperSeeding) return null;
    return this.scheduler.view.peerIsSeed(peer.slot) ? 'seed' : peer.isUploadOnly ? 'partial' : null;
  }

  onBanned(remote: R, reason: string): void {
    this.#owner.onBanned(remote, reason);
  }

  onPoisonedSource(remote: R, piece: PieceIndex, copies: number, pauseMs: number): void {
    this.#owner.onPoisonedSource(remote, piece, copies, pauseMs);
  }

  onPieceDoubted(remote: R, piece: PieceIndex): void {
    this.#owner.onPieceDoubted(remote, piece);
  }

  diskFailed(error: HaulError, piece?: PieceIndex, again?: () => void): void {
    if (!this.isClosed && mayPass(error)) this.trouble.add(error, piece, again);
    else this.#owner.onDiskError(error);
  }

  /**
   * A file was cut off after it had been read ahead: the kernel found nothing to send where a block was. Which one is
   * looked for.
   */
  servedMemoryLost(): void {
    const name = this.#name;
    const error = new HaulError('BAD_DATA', `${name}: a file was cut off while it was being served`, { name });
    this.storage.inspect().then(
      ({ trouble }) => this.#owner.onDiskError(trouble ?? error),
      () => this.#owner.onDiskError(error),
    );
  }

  /** Closes every connection. Storage stays open; slices come back through `onSent` before `onClosed`. */
  close(reason: string): void {
    this.isClosed = true;
    for (const peer of this.peers) peer?.remote.close(reason);
  }

  /** Resolves when every link is closed and no job of the receive path is in the pool. Call after `close`. */
  async quiet(): Promise<void> {
    if (!this.#isEmpty) {
      await new Promise<void>((resolve) => {
        this.#whenEmpty = resolve;
      });
    }
    await this.receiver.idle();
  }

  // ---- SchedulerSink: decisions become messages ----

  request(slot: PeerSlot, piece: PieceIndex, block: BlockIndex, count: number): void {
    const { geometry } = this;
    this.peers[slot]!.remote.ask(piece, geometry.blockBegin(block), geometry.runLength(piece, block, count));
  }

  cancel(slot: PeerSlot, piece: PieceIndex, block: BlockIndex): void {
    const { geometry } = this;
    this.peers[slot]!.remote.cancel(piece, geometry.blockBegin(block), geometry.blockLength(piece, block));
  }

  interested(slot: PeerSlot, isInterested: boolean): void {
    this.peers[slot]!.remote.interested(isInterested);
  }

  choke(slot: PeerSlot, isChoked: boolean): void {
    const peer = this.peers[slot]!;
    peer.turnChanged(isChoked, this.now());
    peer.remote.choke(isChoked);
    if (isChoked) this.server.drop(peer.outflow);
  }

  reveal(slot: PeerSlot, piece: PieceIndex): void {
    this.peers[slot]!.remote.have(piece);
  }

  openPiece(piece: PieceIndex): boolean {
    return this.receiver.openPiece(piece);
  }

  closePiece(piece: PieceIndex): void {
    this.storage.closePiece(piece);
  }

  drop(slot: PeerSlot, reason: DropReason): void {
    const peer = this.peers[slot];
    if (peer == null || (reason === 'stalled' && silentSources(this, this.now()).includes(peer))) return;
    peer.remote.close(reason);
  }
}

/**
 * A torrent while it exchanges data: the table of connected peers, the scheduler and the counters.
 * Turns what the scheduler decides into messages. The way of a block down is in `receive.ts`, the way up in `serve.ts`.
 * Invariant: `peers[slot]` and the scheduler know exactly the same slots.
 */
import { LIMITS } from '../config.js';
import { HaulError } from '../errors.js';
import type { Bitfield } from '../metainfo/bitfield.js';
import type { BlockIndex, Geometry, PeerSlot, PieceIndex } from '../metainfo/geometry.js';
import type { Metainfo } from '../metainfo/metainfo.js';
import type { PeerLink } from '../peer/link.js';
import type { Throttle, TorrentThrottles } from '../peer/throttle.js';
import { Scheduler } from '../scheduler/scheduler.js';
import type { DropReason, SchedulerSink } from '../scheduler/sink.js';
import type { Storage } from '../storage/port.js';
import { VERSION } from '../version.js';
import {
  writeCancel,
  writeChoke,
  writeHave,
  writeInterested,
  writeNotInterested,
  writeRequest,
  writeUnchoke,
} from '../wire/encoder.js';
import { ExtendedGreeting } from '../wire/extensions.js';
import type { Handshake } from '../wire/handshake.js';
import { isOurClient } from '../wire/peer-id.js';
import { DiskTrouble, mayPass } from './disk-trouble.js';
import { Peer } from './peer.js';
import { EXTENSIONS } from './peer-extensions.js';
import { PinBook } from './pinned-share.js';
import { Receiver } from './receive.js';
import { dropRequests, dropRequestsFor, giveWay, pumpAll } from './serve.js';
import { silentSources } from './silence.js';
import type { Unfinished } from './unfinished.js';

/** What the exchange tells its owner, the torrent. */
export interface ExchangeOwner {
  onPieceVerified(piece: PieceIndex): void;
  /** Every wanted piece is verified; not yet synced. */
  onComplete(): void;
  onPeerGone(peer: Peer, reason: string): void;
  onPeerConnected(peer: Peer): void;
  onBanned(peer: Peer, reason: string): void;
  /** The only source of a piece gave so many bad copies; it is asked again after the pause. */
  onPoisonedSource(peer: Peer, piece: PieceIndex, copies: number, pauseMs: number): void;
  /** A peer says that our copy of this piece, which we have, is bad. */
  onPieceDoubted(peer: Peer, piece: PieceIndex): void;
  onDiskError(error: HaulError): void;
  /** The disk fails again and again in a way that may pass: nothing is opened or read until it does. */
  onDiskPause(error: HaulError): void;
  /** Every piece was seen at some peer; we are an ordinary seed now. */
  onSuperSeedingEnded(): void;
}

export interface ExchangeOptions {
  readonly metainfo: Metainfo;
  readonly storage: Storage;
  readonly have: Bitfield;
  readonly unfinished: Unfinished;
  readonly random: () => number;
  readonly now: () => number;
  readonly maxPeers: number;
  readonly uploadSlots: number;
  readonly listenPort: number | null;
  /** BEP 16; without effect unless `have` is full. */
  readonly isSuperSeeding: boolean;
  /** By piece, see `Selection.pieces`; undefined: all normal. */
  readonly priorities: Uint8Array | undefined;
  /** Pieces in order instead of rarest first. */
  readonly isSequential: boolean;
  readonly throttles: TorrentThrottles;
  readonly owner: ExchangeOwner;
}

export class Exchange implements SchedulerSink {
  readonly metainfo: Metainfo;
  readonly geometry: Geometry;
  readonly storage: Storage;
  readonly have: Bitfield;
  readonly unfinished: Unfinished;
  readonly scheduler: Scheduler;
  readonly owner: ExchangeOwner;
  readonly receiver: Receiver;
  readonly now: () => number;
  readonly random: () => number;
  readonly #listenPort: number | null;
  readonly uploads: Throttle;
  readonly trouble: DiskTrouble;
  readonly pins: PinBook;
  readonly #downloads: Throttle;
  readonly peers: (Peer | null)[] = [];
  peerCount = 0;
  /** Slot of the peer whose turn it is when there is room to read for one. */
  firstToPump = 0;
  /** `pumpAll` comes at the end of this turn of the event loop. */
  isWaking = false;
  /** Bytes of pieces that failed their hash. */
  corruptBytes = 0;
  isClosed = false;
  readonly #freeSlots: PeerSlot[] = [];
  readonly #maxPeers: number;
  #wasSuperSeeding: boolean;
  #greeting: ExtendedGreeting | null = null;
  #wasLimited = false;
  #whenEmpty: (() => void) | null = null;

  constructor(options: ExchangeOptions) {
    this.metainfo = options.metainfo;
    this.geometry = options.metainfo.geometry;
    this.storage = options.storage;
    this.have = options.have;
    this.unfinished = options.unfinished;
    this.owner = options.owner;
    this.now = options.now;
    this.random = options.random;
    this.#listenPort = options.listenPort;
    this.uploads = options.throttles.uploads;
    this.trouble = new DiskTrouble(options.now);
    this.trouble.onPause = (error) => this.owner.onDiskPause(error);
    this.#downloads = options.throttles.downloads;
    this.#maxPeers = options.maxPeers;
    this.pins = new PinBook(this.geometry, this.storage);
    this.scheduler = new Scheduler({
      geometry: this.geometry,
      have: options.have,
      sink: this,
      random: options.random,
      limits: {
        // Who yields its place has a slot until its connection is closed.
        maxSlots: options.maxPeers + LIMITS.doorstepConnections,
        openPieces: this.storage.mostPieces,
        uploadSlots: options.uploadSlots,
        requestsPerPeer: LIMITS.requestsPerPeer,
        downloadBytesPerSec: this.#downloads.bytesPerSec,
      },
      isSuperSeeding: options.isSuperSeeding,
      isSequential: options.isSequential,
      begun: options.unfinished.waiting.map(({ piece }) => piece),
      ...(options.priorities === undefined ? {} : { priorities: options.priorities }),
    });
    this.unfinished.gatherOpen = () => this.scheduler.unfinished();
    this.#wasSuperSeeding = this.scheduler.isSuperSeeding;
    this.receiver = new Receiver(this);
    this.storage.onReadable = () => pumpAll(this);
    this.storage.onRoom = () => {
      if (!this.isClosed) this.scheduler.fillHungry(this.now());
    };
    this.storage.onPiecesWanted = () => {
      if (!this.isClosed) this.scheduler.giveWay(this.now());
    };
    this.storage.onError = (error) => this.diskFailed(error);
  }

  /** What we say of ourselves (BEP 10), to each peer the same but for its own address. */
  get greeting(): ExtendedGreeting {
    this.#greeting ??= new ExtendedGreeting({
      m: EXTENSIONS,
      version: `Swarmhaul ${VERSION}`,
      port: this.#listenPort,
      reqq: LIMITS.requestsPerPeer,
      requestBytes: LIMITS.runBytes,
    });
    return this.#greeting;
  }

  /** Every wanted piece is verified. */
  get isComplete(): boolean {
    return this.scheduler.isComplete;
  }

  get hasRoom(): boolean {
    return this.peerCount < this.#maxPeers && !this.isClosed;
  }

  /** A seed with nobody to serve: a tick would find nothing to do. */
  get isQuiet(): boolean {
    return (
      this.peerCount === 0 && this.isComplete && !this.scheduler.isSuperSeeding && this.trouble.pausedText === null
    );
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
  addPeer(link: PeerLink, handshake: Handshake, takesPlace: boolean): Peer | null {
    if (!this.hasSlot(takesPlace)) return null;
    const slot = this.#freeSlots.pop() ?? (this.peers.length as PeerSlot);
    const peer = new Peer(this, link, handshake, slot);
    this.peers[slot] = peer;
    this.peerCount++;
    link.handlers = peer;
    link.downloads = this.#downloads;
    // What we have is said first (BEP 3, 6): a super-seed may reveal a piece as soon as the scheduler knows the peer.
    peer.greet();
    this.scheduler.addPeer(slot, this.now());
    if (handshake.supportsFast) this.scheduler.setFast(slot, true);
    // Who comes to a seed wants something of it: unchoked behind our first words it may ask a round trip sooner. One of
    // ours only: WebTorrent never learns of an unchoke that arrives together with our handshake, and waits for ever.
    if (link.isIncoming && this.isComplete && !this.scheduler.isSuperSeeding && isOurClient(handshake.peerId))
      peer.assumeInterest();
    this.owner.onPeerConnected(peer);
    return peer;
  }

  /** The link is closed: the slot may be used again. */
  removePeer(peer: Peer, reason: string): void {
    if (this.peers[peer.slot] !== peer) return;
    this.owner.onPeerGone(peer, reason);
    this.receiver.peerGone(peer);
    this.scheduler.removePeer(peer.slot, this.now());
    this.peers[peer.slot] = null;
    this.#freeSlots.push(peer.slot);
    this.peerCount--;
    if (this.peerCount === 0) this.#whenEmpty?.();
    if (!this.isClosed) this.scheduler.fillHungry(this.now());
  }

  /** Once a second or so. */
  tick(nowMs: number): void {
    if (this.trouble.tick()) pumpAll(this);
    this.receiver.tick(nowMs);
    if (this.#downloads.isLimited || this.#wasLimited) this.#tellHeldBack(nowMs);
    this.#wasLimited = this.#downloads.isLimited;
    this.scheduler.tick(nowMs);
    this.scheduler.fillHungry(nowMs);
    for (const peer of this.peers) peer?.tick(nowMs);
    giveWay(this);
    if (!this.#wasSuperSeeding || this.scheduler.isSuperSeeding) return;
    this.#wasSuperSeeding = false;
    this.dropRedundantPeers();
    this.owner.onSuperSeedingEnded();
  }

  /** What a peer sent and we left unread for our limit's sake is not late. */
  #tellHeldBack(nowMs: number): void {
    for (const peer of this.peers) {
      if (peer !== null) this.scheduler.setHeldBack(peer.slot, peer.link.takeHeldMs(nowMs), nowMs);
    }
  }

  /**
   * Says HAVE to everybody who should hear it, in one batch (BEP 3), and lets go of peers that neither side needs any
   * more.
   */
  announceHave(piece: PieceIndex): void {
    for (const peer of this.peers) {
      if (peer === null || !this.scheduler.isTold(peer.slot)) continue;
      writeHave(peer.link.out, piece);
      peer.link.touch();
    }
  }

  /** Our copy of a piece is bad: nobody gets it any more, and who can hear it hears it (BEP 54). */
  withdraw(piece: PieceIndex): void {
    this.have.clear(piece);
    for (const peer of this.peers) {
      if (peer === null) continue;
      dropRequestsFor(peer, piece);
      peer.extensions.tellDontHave(piece);
    }
  }

  dropRedundantPeers(): void {
    for (const peer of this.peers) peer?.dropIfRedundant();
  }

  /**
   * A seed wants nothing of us; when we want nothing more either, whole or a selection, we have nothing to say to each
   * other. A super-seed counts on its peers.
   */
  isRedundant(peer: Peer): boolean {
    return this.isComplete && !this.scheduler.isSuperSeeding && this.scheduler.peerIsSeed(peer.slot);
  }

  /** @param piece whose work is to be done `again` when the disk has recovered; without it, it is asked for anew */
  diskFailed(error: HaulError, piece?: PieceIndex, again?: () => void): void {
    if (!this.isClosed && mayPass(error)) this.trouble.add(error, piece, again);
    else this.owner.onDiskError(error);
  }

  /**
   * A file was cut off after it had been read ahead: the kernel found nothing to send where a block was. Which one is
   * looked for.
   */
  servedMemoryLost(): void {
    const { name } = this.metainfo;
    const error = new HaulError('BAD_DATA', `${name}: a file was cut off while it was being served`, { name });
    this.storage.inspect().then(
      ({ trouble }) => this.owner.onDiskError(trouble ?? error),
      () => this.owner.onDiskError(error),
    );
  }

  /** Closes every connection. Storage stays open; slices come back through `onSent` before `onClosed`. */
  close(reason: string): void {
    this.isClosed = true;
    for (const peer of this.peers) peer?.link.close(reason);
  }

  /** Resolves when every link is closed and no job of the receive path is in the pool. Call after `close`. */
  async quiet(): Promise<void> {
    if (this.peerCount > 0) {
      await new Promise<void>((resolve) => {
        this.#whenEmpty = resolve;
      });
    }
    await this.receiver.idle();
  }

  // ---- SchedulerSink: decisions become messages ----

  request(slot: PeerSlot, piece: PieceIndex, block: BlockIndex, count: number): void {
    const link = this.peers[slot]!.link;
    writeRequest(link.out, piece, this.geometry.blockBegin(block), this.geometry.runLength(piece, block, count));
    link.touch();
  }

  cancel(slot: PeerSlot, piece: PieceIndex, block: BlockIndex): void {
    const link = this.peers[slot]!.link;
    writeCancel(link.out, piece, this.geometry.blockBegin(block), this.geometry.blockLength(piece, block));
    link.touch();
  }

  interested(slot: PeerSlot, isInterested: boolean): void {
    const link = this.peers[slot]!.link;
    if (isInterested) writeInterested(link.out);
    else writeNotInterested(link.out);
    link.touch();
  }

  choke(slot: PeerSlot, isChoked: boolean): void {
    const peer = this.peers[slot]!;
    peer.turnChanged(isChoked, this.now());
    if (isChoked) {
      writeChoke(peer.link.out);
      dropRequests(peer);
    } else writeUnchoke(peer.link.out);
    peer.link.touch();
  }

  reveal(slot: PeerSlot, piece: PieceIndex): void {
    const link = this.peers[slot]!.link;
    writeHave(link.out, piece);
    link.touch();
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
    peer.link.close(reason);
  }
}

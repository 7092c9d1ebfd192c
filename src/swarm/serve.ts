/**
 * The way of a block up, one method per step, in order:
 *   request arrives → queued per peer → its range is made resident → header and slices go to the peer → sent, unpinned.
 * Holds no algorithm: the choker has decided who may ask, storage decides what is resident.
 */
import { BLOCK_LENGTH_BYTES, LIMITS } from '../config.js';
import type { Bitfield } from '../metainfo/bitfield.js';
import { type BlockIndex, type Geometry, NONE, type PeerSlot, type PieceIndex } from '../metainfo/geometry.js';
import type { Throttle } from '../peer/throttle.js';
import type { Scheduler } from '../scheduler/scheduler.js';
import type { Storage } from '../storage/port.js';
import type { DiskTrouble } from './disk-trouble.js';
import { PinBook, type PinnedShare } from './pinned-share.js';
import type { Remote } from './remote.js';
import { RequestQueue } from './request-queue.js';

/** What a server needs of its exchange. */
export interface ServerOwner {
  readonly geometry: Geometry;
  readonly have: Bitfield;
  readonly storage: Storage;
  readonly scheduler: Scheduler;
  readonly trouble: DiskTrouble;
  readonly uploads: Throttle;
  readonly isClosed: boolean;
  readonly now: () => number;
  readonly random: () => number;
  /** Calls when all that is ready to be read has been read. */
  readonly soon: (call: () => void) => void;
}

/** What one peer asked for and did not get yet. */
export class Outflow {
  readonly slot: PeerSlot;
  readonly remote: Remote;
  readonly requests: RequestQueue;
  /** What blocks on their way to this peer keep in memory. */
  readonly pinned: PinnedShare;
  /** It knows requests for several blocks in a row. */
  takesRuns = false;
  /** What the oldest request waits for: its read-ahead, room to begin one, or that others keep less in memory. */
  waitsFor: 'nothing' | 'load' | 'room' | 'turn' = 'nothing';
  /** An upload limit is reached. */
  isWaitingForTokens = false;

  constructor(slot: PeerSlot, remote: Remote, requests: RequestQueue, pinned: PinnedShare) {
    this.slot = slot;
    this.remote = remote;
    this.requests = requests;
    this.pinned = pinned;
  }

  /** It asked, and all that it waits for is with us: a rate limit, the disk, memory. */
  get isHeldUp(): boolean {
    return this.requests.length > 0 && this.remote.queuedBytes === 0;
  }

  refuse(piece: number, begin: number, length: number): void {
    if (this.remote.supportsFast) this.remote.reject(piece, begin, length);
  }
}

/** Reused by every call: only its elements are kept by the peer. */
const slices: Buffer[] = [];

export class Server {
  readonly pins: PinBook;
  readonly #owner: ServerOwner;
  /** By slot. */
  readonly #outflows: (Outflow | null)[] = [];
  /** Slot of the peer whose turn it is when there is room to read for one. */
  #firstToPump = 0;
  /** `pumpAll` comes at the end of this turn of the event loop. */
  #isWaking = false;

  constructor(owner: ServerOwner) {
    this.#owner = owner;
    this.pins = new PinBook(owner.geometry, owner.storage.reads);
  }

  join(slot: PeerSlot, remote: Remote): Outflow {
    const requests = new RequestQueue(this.#owner.random, this.pins.unitBytes);
    const outflow = new Outflow(slot, remote, requests, this.pins.join(remote.host));
    while (this.#outflows.length < slot) this.#outflows.push(null);
    this.#outflows[slot] = outflow;
    return outflow;
  }

  leave(outflow: Outflow): void {
    outflow.requests.clear();
    this.pins.leave(outflow.remote.host);
    this.#outflows[outflow.slot] = null;
  }

  /** Step 1: checked and queued, or refused (BEP 6 `reject`). */
  requestArrives(outflow: Outflow, index: number, begin: number, length: number): void {
    const { geometry, scheduler, have } = this.#owner;
    const piece = geometry.asPiece(index);
    const isRange = piece !== NONE && geometry.containsRange(piece, begin, length);
    if (!isRange || !this.#isServedAtOnce(outflow, piece, begin, length)) {
      const range = `piece ${index}, begin ${begin}, length ${length}`;
      outflow.remote.close(`asked for a range that does not exist: ${range}`);
      return;
    }
    const isOffered = have.has(piece) && scheduler.mayServe(outflow.slot, piece);
    if (scheduler.view.isChoking(outflow.slot) || !isOffered || outflow.requests.length >= LIMITS.requestsPerPeer)
      outflow.refuse(piece, begin, length);
    else outflow.requests.push(piece, begin, length);
  }

  /** More than anybody gets is for whole blocks in a row, for a peer that knows such runs. */
  #isServedAtOnce({ takesRuns }: Outflow, piece: PieceIndex, begin: number, length: number): boolean {
    if (length <= LIMITS.requestBytes) return true;
    return length <= LIMITS.runBytes && takesRuns && this.#owner.geometry.asRun(piece, begin, length) > 0;
  }

  /**
   * The whole request, or one block of a run: the others are still sent. A flood of cancels must stay cheap: few runs
   * have a block.
   */
  cancelArrives(outflow: Outflow, index: number, begin: number, length: number): void {
    const { requests, takesRuns } = outflow;
    const { geometry } = this.#owner;
    // Blocks of it that went before were sent, or refused.
    if (requests.remove(index, begin, length, (from, part) => outflow.refuse(index, from, part))) return;
    if (!takesRuns) return;
    const piece = geometry.asPiece(index);
    const block = piece === NONE ? NONE : geometry.asBlock(piece, begin, length);
    if (piece === NONE || block === NONE) return;
    for (let count = 2; count <= LIMITS.runBytes / BLOCK_LENGTH_BYTES; count *= 2) {
      const first = (block - (block % count)) as BlockIndex;
      const runLength = geometry.runLength(piece, first, count);
      if (!requests.removeBlock(piece, geometry.blockBegin(first), runLength, block - first)) continue;
      outflow.refuse(piece, begin, length);
      return;
    }
  }

  /** We choke the peer: what it asked for and did not get is void (BEP 3), said so where BEP 6 asks for it. */
  drop({ requests, remote }: Outflow): void {
    if (remote.supportsFast) {
      requests.forEach((piece, begin, length) => {
        remote.reject(piece, begin, length);
      });
    }
    requests.clear();
  }

  /** We do not have the piece any more: the same for its requests alone. */
  dropPiece(lost: PieceIndex): void {
    for (const outflow of this.#outflows) {
      if (outflow === null) continue;
      for (const { begin, length } of outflow.requests.removePiece(lost)) outflow.refuse(lost, begin, length);
    }
  }

  /** All that came at once was taken: what was asked for goes, but for who stands in a queue for memory. */
  readEnds(outflow: Outflow): void {
    // Another request is no reason to go before those that wait too.
    const isInQueue = outflow.waitsFor === 'turn' && this.pins.hasWaiting;
    if (outflow.requests.length > 0 && !isInQueue) this.pump(outflow);
  }

  /** Steps 2 and 3: sends as much as the peer takes and the resident ranges allow. */
  pump(outflow: Outflow): void {
    const { requests, remote, pinned } = outflow;
    const { storage, scheduler, uploads, trouble, isClosed } = this.#owner;
    outflow.waitsFor = 'nothing';
    if (remote.isClosing || isClosed) return;
    if (trouble.isHolding) {
      if (requests.length > 0) outflow.waitsFor = 'load';
      return;
    }
    let sentBytes = 0;
    const mostBytes = pinned.uptake.sendBytes;
    while (requests.length > 0 && remote.queuedBytes < mostBytes) {
      this.#readAhead(requests, pinned.aheadBytes);
      const piece = requests.piece as PieceIndex;
      const { begin, lengthBytes: length } = requests;
      const verdict = pinned.verdict(piece, begin, length);
      if (verdict !== 'free') {
        // `sent` comes back here when some of its own blocks have left, or wakes it when those of others have.
        if (verdict === 'turn') outflow.waitsFor = 'turn';
        break;
      }
      if (uploads.isDry) {
        this.#waitForTokens(outflow, sentBytes);
        break;
      }
      const outcome = storage.reads.pin(piece, begin, length);
      if (outcome !== 'ready') {
        outflow.waitsFor = outcome === 'full' ? 'room' : 'load';
        break;
      }
      requests.shift();
      pinned.add(piece, begin, length);
      slices.length = 0;
      storage.reads.slices(piece, begin, length, slices);
      remote.sendBlock(piece, begin, length, slices);
      uploads.take(length);
      scheduler.blockServed(outflow.slot, piece);
      sentBytes += length;
    }
    slices.length = 0;
    if (sentBytes > 0) scheduler.bytesUploaded(outflow.slot, sentBytes, this.#owner.now());
  }

  /** A rate limit is reached: the peer goes on when its turn comes, later where it sent more in this one. */
  #waitForTokens(outflow: Outflow, sentBytes: number): void {
    if (outflow.isWaitingForTokens) return;
    outflow.isWaitingForTokens = true;
    this.#owner.uploads.wait(() => {
      outflow.isWaitingForTokens = false;
      this.pump(outflow);
    }, sentBytes);
  }

  /**
   * Starts reading what is queued next, each request once, up to the peer's share: in bursts, because waking a worker
   * costs some 50 µs.
   */
  #readAhead(requests: RequestQueue, mostBytes: number): void {
    if (requests.aheadBytes > mostBytes / 2) return;
    const { storage } = this.#owner;
    // A small request reads a whole unit: who asks all over must not push out what others are about to be sent.
    while (requests.advance(mostBytes, this.pins.unitsIn(mostBytes) + 1)) {
      storage.reads.readAhead(requests.aheadPiece as PieceIndex, requests.aheadBegin, requests.aheadLengthBytes);
    }
  }

  /**
   * A read-ahead came in, or memory was let go: whoever waited goes on. Where one finds no room the others need not
   * ask. The first that went away empty is the first to ask next time: a disk that is slower than all peers together,
   * and memory, are shared evenly.
   */
  pumpAll(): void {
    const outflows = this.#outflows;
    const first = this.#firstToPump;
    let isFull = false;
    let firstInTurn = -1;
    this.pins.lookAgain();
    for (let i = 0; i < outflows.length; i++) {
      const slot = (first + i) % outflows.length;
      const outflow = outflows[slot];
      if (!outflow || outflow.waitsFor === 'nothing' || (isFull && outflow.waitsFor === 'room')) continue;
      this.pump(outflow);
      if (outflow.waitsFor === 'turn' && firstInTurn < 0) firstInTurn = slot;
      if (isFull || outflow.waitsFor !== 'room') continue;
      isFull = true;
      this.#firstToPump = slot;
    }
    if (!isFull && firstInTurn >= 0) this.#firstToPump = firstInTurn;
  }

  /** Step 4: the kernel has the bytes (or the connection is gone): their ranges may leave memory. */
  sent(outflow: Outflow, blocks: readonly number[]): void {
    const { storage } = this.#owner;
    const { pinned } = outflow;
    for (let i = 0; i < blocks.length; i += 3) {
      storage.reads.unpin(blocks[i] as PieceIndex, blocks[i + 1]!, blocks[i + 2]!);
      pinned.remove(blocks[i]!, blocks[i + 1]!, blocks[i + 2]!);
    }
    pinned.uptake.took(outflow.remote.takenBytes);
    const { hasWaiting } = this.pins;
    if (hasWaiting) this.#wakeWaiting();
    if (outflow.requests.length === 0) return;
    // What it let go of is for those that waited first: it looks again after them.
    if (hasWaiting) outflow.waitsFor = 'turn';
    else this.pump(outflow);
  }

  /** Memory was let go: once per turn of the event loop whoever waits for others looks again. */
  #wakeWaiting(): void {
    if (this.#isWaking) return;
    this.#isWaking = true;
    this.#owner.soon(() => {
      this.#isWaking = false;
      if (!this.#owner.isClosed) this.pumpAll();
    });
  }

  /**
   * Once a second: while somebody waits because others keep too much in memory, whoever asked and does not read is let
   * go of. What was handed to the kernel cannot be taken back in another way. Where all read a little, the slowest
   * goes, if it takes next to nothing: those on slow lines take turns.
   */
  giveWay(): void {
    const { pins } = this;
    pins.lookForRoom(this.#outflows.some((outflow) => outflow?.waitsFor === 'room'));
    pins.crowdedSeconds = pins.isShort ? pins.crowdedSeconds + 1 : 0;
    if (!pins.hasWaiting) return;
    let slowest: Outflow | null = null;
    let hasIdle = false;
    for (const outflow of this.#outflows) {
      if (outflow === null || !outflow.pinned.isInTheWay || outflow.remote.isClosing) continue;
      const { uptake } = outflow.pinned;
      if (uptake.idleSeconds >= LIMITS.idleHolderSeconds) {
        outflow.remote.close('reads nothing of what it asked for while others wait');
        hasIdle = true;
      } else if (
        uptake.slowSeconds >= LIMITS.idleHolderSeconds &&
        uptake.lastSecondBytes < LIMITS.leastHolderBytesPerSec
      ) {
        if (slowest === null || uptake.lastSecondBytes < slowest.pinned.uptake.lastSecondBytes) slowest = outflow;
      }
    }
    if (!hasIdle && pins.crowdedSeconds > LIMITS.idleHolderSeconds)
      slowest?.remote.close('reads too slowly while others wait');
    this.#wakeWaiting();
  }
}

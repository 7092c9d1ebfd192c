/**
 * A web seed (BEP 19) as its exchange sees it: it has everything, it never chokes us, it wants nothing. What is asked
 * of it waits in a queue, from which several requests of HTTP at once take long runs; the blocks that come go to its
 * `Peer` as those of the wire do. One lives from the first request to trouble that a second try does not mend; whether
 * there is another one, and when, is for `web-seeds.ts`.
 */
import { BLOCK_LENGTH_BYTES, LIMITS } from '../config.js';
import type { Geometry, PieceIndex } from '../metainfo/geometry.js';
import type { FileLayout, FileSegment } from '../metainfo/layout.js';
import { failed, type MovedPlace, type RangeFailure, type RangeGet, type RangeSink } from '../net/range-get.js';
import type { Throttle } from '../peer/throttle.js';
import type { Peer } from '../swarm/peer.js';
import type { Remote } from '../swarm/remote.js';
import { RunQueue } from './run-queue.js';
import { Transfer, type TransferOwner } from './transfer.js';

export interface WebRemoteOptions {
  /** Of the URL. */
  readonly host: string;
  /** As it may be shown. */
  readonly address: string;
  readonly geometry: Geometry;
  readonly layout: FileLayout;
  readonly downloads: Throttle;
  /** Until then files come whole, for it knows no ranges, and what is not wanted of them is dropped. Null: it does. */
  readonly wholeUntilMs: number | null;
  /** The piece is verified. */
  has(piece: PieceIndex): boolean;
  readonly now: () => number;
  /** A request for bytes of one file of the torrent. */
  open(segment: FileSegment, sink: RangeSink): RangeGet;
  onMoved(segment: FileSegment, place: MovedPlace): void;
}

/** A run that is asked for while others are under way is a good part of what waits, and no less than this. */
const LEAST_RUN_BYTES = 1024 * 1024;
/** What may be asked for in one request, however little is under way. */
const RUN_BYTES = 1024 * 1024;
/** The scheduler is told of room when so much has come, or an eighth of what is asked for: it asks in runs then. */
const FILL_BYTES = 64 * 1024;
const FILL_SHARE = 8;
/** A run that the scheduler knows (`Peer.setRunBlocks`). */
const BLOCKS_AT_ONCE = 16;
/** In a file that comes whole: a place that nobody asks for so long is passed over. */
const PASS_OVER_MS = 1_000;
/** Requests that fail one after the other, without a block between them. */
const FAILURES_MAX = 3;

export class WebRemote implements Remote, TransferOwner {
  readonly isWebSeed = true;
  /** No link of the wire: told apart from those that have one. */
  readonly link = null;
  readonly host: string;
  readonly address: string;
  readonly client = 'web seed';
  readonly supportsFast = true;
  readonly asksAtOnce = false;
  readonly queuedBytes = 0;
  readonly takenBytes = 0;
  readonly geometry: Geometry;
  readonly layout: FileLayout;
  isClosing = false;
  lastReadMs: number;
  /** Why it closed, when it was the server's doing. */
  failure: RangeFailure | null = null;
  /** Why it closed; one phrase. */
  closeReason = '';
  /** It gave a block. */
  hasGiven = false;
  /** Whether it still knows no ranges is to be seen. */
  isStale = false;
  readonly #isWhole: boolean;
  readonly #options: WebRemoteOptions;
  readonly #queue = new RunQueue();
  readonly #transfers = new Set<Transfer>();
  /** What transfers under way may bring and nobody wants any more: it is not asked for again. */
  readonly #cancelled = new RunQueue();
  #peer: Peer<WebRemote> | null = null;
  #failures = 0;
  /** At once; and when it may be one more again. */
  #requestsMax: number = LIMITS.webSeedRequests;
  #raiseMs = 0;
  /** When it last gave a block, or had no need to. */
  #blockMs: number;
  #isPumpDue = false;
  #unfilledBytes = 0;
  /** Since when our own limit keeps us from reading; null: it does not. */
  #throttledMs: number | null = null;
  #heldMs = 0;
  /** Since when a file that comes whole waits for what is asked for; and then goes on without. */
  #waitingMs: number | null = null;
  #passesOver = false;

  constructor(options: WebRemoteOptions) {
    this.#options = options;
    this.#isWhole = options.wholeUntilMs !== null;
    this.host = options.host;
    this.address = options.address;
    this.geometry = options.geometry;
    this.layout = options.layout;
    this.lastReadMs = options.now();
    this.#blockMs = this.lastReadMs;
  }

  /** The exchange has taken it. */
  joined(peer: Peer<WebRemote>): void {
    this.#peer = peer;
    peer.setRunBlocks(BLOCKS_AT_ONCE, this.#isWhole ? 'from-first' : 'anywhere');
    peer.onHaveAll();
    peer.onUnchoke();
    peer.onReadEnd();
  }

  // ---- what is said to it ----

  greet(): void {}
  interested(): void {}
  choke(): void {}
  have(): void {}
  reject(): void {}
  sendBlock(): void {}
  dontHave(): void {}
  badPiece(): void {}
  onExtended(): void {}

  onPort(): void {}
  flush(): void {}

  ask(piece: PieceIndex, begin: number, lengthBytes: number): void {
    const offset = this.geometry.pieceBegin(piece) + begin;
    this.#queue.push(offset, offset + lengthBytes);
    if (this.#cancelled.bytes > 0) this.#cancelled.remove(offset, offset + lengthBytes);
    this.#pumpSoon();
  }

  /** What is on its way comes all the same. */
  cancel(piece: PieceIndex, begin: number, lengthBytes: number): void {
    const offset = this.geometry.pieceBegin(piece) + begin;
    const { bytes } = this.#queue;
    this.#queue.remove(offset, offset + lengthBytes);
    if (this.#queue.bytes === bytes && this.#transfers.size > 0) this.#cancelled.push(offset, offset + lengthBytes);
  }

  close(reason: string): void {
    if (this.isClosing) return;
    this.isClosing = true;
    this.closeReason = reason;
    this.#queue.clear();
    for (const transfer of this.#transfers) transfer.abort();
    this.#transfers.clear();
    setImmediate(() => this.#peer?.gone(reason));
  }

  // ---- how it takes that ----

  get isResting(): boolean {
    return this.#throttledMs !== null;
  }

  silentMs(nowMs: number): number {
    if (this.#transfers.size === 0 || this.isResting) return 0;
    return nowMs - this.lastReadMs;
  }

  takeHeldMs(nowMs: number): number {
    if (this.#throttledMs !== null) {
      this.#heldMs += nowMs - this.#throttledMs;
      this.#throttledMs = nowMs;
    }
    const heldMs = this.#heldMs;
    this.#heldMs = 0;
    return heldMs;
  }

  /** HTTP has time-outs for answers that do not come; this is for those that come byte by byte. */
  tick(nowMs: number): void {
    if (this.#isIdle || this.isResting) this.#blockMs = nowMs;
    if (nowMs - this.#blockMs >= LIMITS.webSeedBlockMs) {
      this.#fail(failed('trouble', `no block in ${LIMITS.webSeedBlockMs / 1000} s`));
      return;
    }
    if (this.#requestsMax < LIMITS.webSeedRequests && nowMs >= this.#raiseMs) {
      this.#requestsMax++;
      this.#raiseMs = nowMs + LIMITS.webSeedRefusedMs;
      this.#pump();
    }
    if (this.#waitingMs === null || nowMs - this.#waitingMs < PASS_OVER_MS) return;
    this.#waitingMs = null;
    this.#passesOver = true;
    const [transfer] = this.#transfers;
    // What is asked for lies behind: the files come once more.
    if (transfer !== undefined && this.#queue.bytes > 0 && !this.#queue.hasFrom(transfer.at)) {
      transfer.abort();
      this.#transfers.clear();
    }
    this.#pump();
  }

  /** Nothing is asked of it: it need not give anything. */
  get #isIdle(): boolean {
    if (this.#isWhole && (this.#queue.bytes === 0 || this.#waitingMs !== null)) return true;
    return this.#transfers.size === 0;
  }

  // ---- requests ----

  /** Files that come whole: what is there is asked for as it passes. */
  #stream(): void {
    if (this.isClosing || this.isResting || this.#queue.bytes === 0) return;
    this.lastReadMs = this.#options.now();
    if (this.#transfers.size > 0) {
      for (const transfer of this.#transfers) transfer.resume();
      return;
    }
    this.isStale = this.#options.now() >= this.#options.wholeUntilMs!;
    if (this.isStale) {
      this.close('is asked for parts again');
      return;
    }
    // From the file on in which the first block begins that is asked for.
    const from = this.#fileAt(this.#queue.lowest).beginBytes;
    const cut = this.#cut(from);
    const begin = cut === from ? from : Math.min(cut + BLOCK_LENGTH_BYTES, this.#pieceEnd(from));
    const transfer = new Transfer(this, { begin, end: this.geometry.lengthBytes }, from);
    this.#transfers.add(transfer);
    transfer.start();
  }

  #fileAt(offset: number): FileLayout['files'][number] {
    return this.layout.files[this.layout.segments(offset, 1)[0]!.file]!;
  }

  #pumpSoon(): void {
    if (this.#isPumpDue) return;
    this.#isPumpDue = true;
    queueMicrotask(() => {
      this.#isPumpDue = false;
      this.#pump();
    });
  }

  #pump(): void {
    if (this.#isWhole) {
      this.#stream();
      return;
    }
    while (!this.isClosing && !this.isResting && this.#transfers.size < this.#requestsMax) {
      const asked = this.#askedBytes;
      const least = Math.max(LEAST_RUN_BYTES, asked / (2 * LIMITS.webSeedRequests));
      if (this.#transfers.size > 0 && this.#queue.bytes < least) return;
      const run = this.#queue.take(Math.max(RUN_BYTES, asked / LIMITS.webSeedRequests), this.#cut);
      if (run === null) return;
      if (this.#transfers.size === 0) this.lastReadMs = this.#options.now();
      const transfer = new Transfer(this, run);
      this.#transfers.add(transfer);
      transfer.start();
    }
  }

  /** A run ends with a block. */
  readonly #cut = (offset: number): number => {
    const { geometry } = this;
    const begin = geometry.pieceBegin(geometry.pieceAt(offset));
    return begin + Math.floor((offset - begin) / BLOCK_LENGTH_BYTES) * BLOCK_LENGTH_BYTES;
  };

  #pieceEnd(offset: number): number {
    return this.geometry.pieceEnd(this.geometry.pieceAt(offset));
  }

  get #askedBytes(): number {
    let bytes = this.#queue.bytes;
    if (this.#isWhole) return bytes;
    for (const transfer of this.#transfers) bytes += transfer.leftBytes;
    return bytes;
  }

  // ---- TransferOwner ----

  open(segment: FileSegment, sink: RangeSink): RangeGet {
    const request = this.#options.open(segment, sink);
    if (this.isResting) request.pause();
    return request;
  }

  onMoved(segment: FileSegment, place: MovedPlace): void {
    this.#options.onMoved(segment, place);
  }

  onBytes(bytes: number): void {
    this.lastReadMs = this.#options.now();
    const { downloads } = this.#options;
    if (!downloads.isLimited) return;
    downloads.take(bytes);
    if (!downloads.isDry || this.#throttledMs !== null) return;
    this.#throttledMs = this.lastReadMs;
    for (const transfer of this.#transfers) transfer.pause();
    downloads.wait(() => this.#goOn());
  }

  #goOn(): void {
    const nowMs = this.#options.now();
    this.#heldMs += nowMs - this.#throttledMs!;
    this.#throttledMs = null;
    this.lastReadMs = nowMs;
    for (const transfer of [...this.#transfers]) {
      if (this.isResting || this.isClosing) return;
      if (!this.#transfers.has(transfer)) continue;
      // The others come first next time.
      this.#transfers.delete(transfer);
      this.#transfers.add(transfer);
      transfer.resume();
    }
    this.#pump();
  }

  /** Of files that come whole the next is fetched only where something of it is asked for. */
  goesOn(offset: number): boolean {
    if (!this.#isWhole || offset >= this.geometry.lengthBytes) return true;
    const { beginBytes, lengthBytes } = this.#fileAt(offset);
    return this.#queue.runs.some(({ begin, end }) => begin < beginBytes + lengthBytes && end > offset);
  }

  /** Of a file that comes whole: what will be asked for soon is waited for. */
  mustWait(offset: number): boolean {
    const { has, now } = this.#options;
    if (!this.#isWhole) return false;
    const isAsked = this.#queue.has(offset);
    if (isAsked || has(this.geometry.pieceAt(offset))) {
      this.#waitingMs = null;
      if (isAsked) this.#passesOver = false;
      return false;
    }
    if (this.#passesOver && this.#queue.hasFrom(offset)) return false;
    this.#waitingMs ??= now();
    this.#unfilledBytes = Number.POSITIVE_INFINITY;
    return true;
  }

  get blocksAtOnce(): number {
    return this.#isWhole ? 1 : BLOCKS_AT_ONCE;
  }

  onBlocks(offset: number, source: Buffer, start: number, end: number): boolean {
    const { geometry } = this;
    const piece = geometry.pieceAt(offset);
    const peer = this.#peer!;
    this.#blockMs = this.#options.now();
    if (this.#isWhole) {
      if (!this.#queue.has(offset)) return true;
      this.#queue.remove(offset, offset + end - start);
    }
    this.#failures = 0;
    this.hasGiven = true;
    this.#unfilledBytes += end - start;
    peer.onBlockBegin(piece, offset - geometry.pieceBegin(piece), end - start);
    if (!this.isClosing) peer.onBlockBytes(source, start, end);
    return !this.isClosing;
  }

  onReadEnd(): void {
    if (this.#unfilledBytes < Math.max(FILL_BYTES, this.#askedBytes / FILL_SHARE)) return;
    this.#fill();
  }

  #fill(): void {
    this.#unfilledBytes = 0;
    if (!this.isClosing) this.#peer!.onReadEnd();
  }

  onDone(transfer: Transfer): void {
    this.#transfers.delete(transfer);
    if (this.#transfers.size === 0) this.#cancelled.clear();
    this.#fill();
    this.#pumpSoon();
  }

  onFailed(transfer: Transfer, failure: RangeFailure): void {
    this.#transfers.delete(transfer);
    if (this.isClosing) return;
    if (!this.#isWhole) this.#queue.giveBack(transfer.at, transfer.end);
    this.#queue.removeAll(this.#cancelled);
    if (this.#transfers.size === 0) this.#cancelled.clear();
    else if (failure.isRefusal) {
      // It answers others: so many at once may be too much for it, or one file is not there, which is seen at the end.
      this.#requestsMax = this.#transfers.size;
      this.#raiseMs = this.#options.now() + LIMITS.webSeedRefusedMs;
      return;
    }
    this.#failures++;
    const isOver = failure.kind !== 'trouble' || failure.retryAfterMs !== null || this.#failures >= FAILURES_MAX;
    if (isOver) this.#fail(failure);
    else this.#pumpSoon();
  }

  #fail(failure: RangeFailure): void {
    this.failure = failure;
    this.close(failure.reason);
  }
}

/**
 * One TCP connection to a peer: bytes in to the handshake and then the decoder, messages and blocks out.
 * Owns the socket and the order of what is sent. Knows nothing of torrents: the handlers decide.
 *
 * Outgoing: small messages and the 13-byte block headers gather in `out`; block payloads are slices of the map.
 *   [ out bytes … header ] [payload slice] [header] [payload slice] [ out bytes ]   → one writev per turn
 * Invariant: a slice is handed back (`onSent`) only after the kernel has taken it or the socket is closed.
 */
import type net from 'node:net';
import { performance } from 'node:perf_hooks';
import { LIMITS } from '../config.js';
import { Decoder } from '../wire/decoder.js';
import { OutBuffer, writeKeepAlive, writePieceHeader } from '../wire/encoder.js';
import type { Handshake } from '../wire/handshake.js';
import type { WireSink } from '../wire/sink.js';
import type { Flusher } from './flusher.js';
import { GatheredWrites } from './gathered-writes.js';
import { Opening } from './opening.js';
import type { ParkedBytes } from './parked.js';
import { ReadLimit } from './read-limit.js';
import { adoptSocket, connectSocket, unsentBytes } from './socket.js';
import type { Throttle } from './throttle.js';

export interface LinkHandlers {
  /** The TCP connection stands (dialled links only). */
  onConnected(link: PeerLink): void;
  /** A valid handshake arrived. Returns where the messages go, or null after closing the link or parking it. */
  onHandshake(link: PeerLink, handshake: Handshake): WireSink | null;
  /** All bytes of one socket read have been delivered. */
  onReadEnd(link: PeerLink): void;
  /**
   * Blocks have left: flat triples piece, begin, length, in order of sending. Also called for what never left, on
   * close.
   */
  onSent(link: PeerLink, blocks: readonly number[]): void;
  /** Called exactly once. */
  onClosed(link: PeerLink, reason: string): void;
}

interface WriteBatch {
  readonly lengthBytes: number;
  readonly blocks: readonly number[];
}

const NO_BLOCKS: readonly number[] = [];
/** Reading pauses while more besides blocks is unsent: who asks and does not read must not fill our memory. */
const PAUSE_READING_BYTES = LIMITS.sendBytesPerPeer;

export class PeerLink {
  readonly isIncoming: boolean;
  readonly host: string;
  readonly port: number;
  readonly out = new OutBuffer();
  handlers: LinkHandlers;
  /** Bytes in `#chunks` and `#inFlight`. */
  #givenBytes = 0;
  lastReadMs: number;
  lastWriteMs: number;
  readonly startedMs: number;
  /** The memory of a block was gone when the kernel came to send it. Known when the link has closed. */
  hasLostMemory = false;

  readonly #socket: net.Socket;
  readonly #writes: GatheredWrites;
  readonly #flusher: Flusher;
  #decoder: Decoder | null = null;
  /** Until the messages begin. */
  #opening: Opening | null = new Opening();
  #chunks: Buffer[] = [];
  #chunkBytes = 0;
  #blocks: number[] = [];
  #inFlight: WriteBatch[] = [];
  #isDirty = false;
  readonly #limit = new ReadLimit(() => this.#readOn());
  /** Of `queuedBytes`, those of blocks: whoever sends them keeps them within bounds. */
  #blockBytes = 0;
  /** Reading rests because too much of ours is unsent. */
  #isPaused = false;
  /** What the kernel has taken, of a write under way as much as was known when last asked. */
  takenBytes = 0;
  /** How much of that is of the write under way. */
  #partlyTakenBytes = 0;
  /** What the kernel had not taken when last asked, and since when it is that much. */
  #unsentBytes = 0;
  #unsentSinceMs = 0;
  #closeReason: string | null = null;
  #isClosed = false;

  /** Dials `host:port`. @param from one of our addresses; default: whichever the system takes */
  static dial(host: string, port: number, flusher: Flusher, handlers: LinkHandlers, from?: string): PeerLink {
    return new PeerLink(host, port, false, flusher, handlers, (link) =>
      connectSocket(
        host,
        port,
        (source, length) => link.#receive(source, length),
        () => link.#limit.mostBytes,
        from,
      ),
    );
  }

  /** Takes over a paused socket from the listener. */
  static accept(accepted: net.Socket, flusher: Flusher, handlers: LinkHandlers): PeerLink {
    const host = plainHost(accepted.remoteAddress);
    return new PeerLink(host, accepted.remotePort ?? 0, true, flusher, handlers, (link) =>
      adoptSocket(
        accepted,
        (source, length) => link.#receive(source, length),
        () => link.#limit.mostBytes,
      ),
    );
  }

  private constructor(
    host: string,
    port: number,
    isIncoming: boolean,
    flusher: Flusher,
    handlers: LinkHandlers,
    open: (link: PeerLink) => net.Socket,
  ) {
    this.host = host;
    this.port = port;
    this.isIncoming = isIncoming;
    this.handlers = handlers;
    this.#flusher = flusher;
    this.startedMs = performance.now();
    this.lastReadMs = this.startedMs;
    this.lastWriteMs = this.startedMs;
    this.#socket = open(this);
    this.#writes = new GatheredWrites(this.#socket);
    this.#socket.on('error', (error: NodeJS.ErrnoException) => {
      this.hasLostMemory ||= error.code === 'EFAULT';
      this.#closeReason ??= describeSocketError(error);
    });
    this.#socket.once('close', () => this.#closed());
    if (isIncoming) this.#socket.resume();
    else this.#socket.once('connect', () => this.handlers.onConnected(this));
  }

  /** The peer's address as text, "host:port". */
  get address(): string {
    return this.host.includes(':') ? `[${this.host}]:${this.port}` : `${this.host}:${this.port}`;
  }

  /** Our own address on this connection, "" when it is closed. */
  get localHost(): string {
    return plainHost(this.#socket.localAddress);
  }

  /** Bytes written to `out` or given to `send…` and not yet taken by the kernel. */
  get queuedBytes(): number {
    return this.#givenBytes + this.out.length;
  }

  get isClosing(): boolean {
    return this.#closeReason !== null || this.#isClosed;
  }

  /** Call after writing messages to `out`. */
  touch(): void {
    if (this.#isDirty || this.isClosing) return;
    this.#isDirty = true;
    this.#flusher.add(this);
  }

  /** Sends raw bytes behind what is in `out`; they are not copied and must not change. */
  sendBytes(bytes: Buffer): void {
    if (this.out.length > 0) this.#push(this.out.take());
    this.#push(bytes);
    this.touch();
  }

  /** Queues one block: header now, payload from `slices` (pinned by the caller until `onSent` names the block). */
  sendBlock(piece: number, begin: number, length: number, slices: readonly Buffer[]): void {
    writePieceHeader(this.out, piece, begin, length);
    this.#push(this.out.take());
    for (const slice of slices) this.#push(slice);
    this.#blocks.push(piece, begin, length);
    this.#blockBytes += length;
    this.touch();
  }

  #push(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#chunkBytes += chunk.length;
    this.#givenBytes += chunk.length;
  }

  /**
   * How long the kernel has taken nothing although there is something to take. Ask regularly: it compares with the last
   * time.
   */
  unsentForMs(nowMs: number): number {
    const bytes = unsentBytes(this.#socket);
    if (bytes < this.#unsentBytes) {
      this.takenBytes += this.#unsentBytes - bytes;
      this.#partlyTakenBytes += this.#unsentBytes - bytes;
    }
    if (bytes === 0 || bytes !== this.#unsentBytes) this.#unsentSinceMs = nowMs;
    this.#unsentBytes = bytes;
    return nowMs - this.#unsentSinceMs;
  }

  sendKeepAlive(): void {
    writeKeepAlive(this.out);
    this.touch();
  }

  /** One gathered write of all that is queued. Called by the flusher. */
  flush(): void {
    this.#isDirty = false;
    if (this.#isClosed || this.#socket.destroyed) return;
    if (this.out.length > 0) this.#push(this.out.take());
    const chunks = this.#chunks;
    if (chunks.length === 0) return;
    const blocks = this.#blocks;
    this.#chunks = [];
    if (blocks.length > 0) this.#blocks = [];
    this.#inFlight.push({ lengthBytes: this.#chunkBytes, blocks: blocks.length > 0 ? blocks : NO_BLOCKS });
    this.#chunkBytes = 0;
    this.lastWriteMs = performance.now();
    this.#writes.write(chunks, this.#written);
  }

  readonly #written = (error?: Error | null): void => {
    // After an error or destroy the kernel may still hold the slices: 'close' hands them back.
    if (error || this.#socket.destroyed) return;
    const batch = this.#inFlight.shift();
    if (batch === undefined) return;
    this.#givenBytes -= batch.lengthBytes;
    for (let i = 2; i < batch.blocks.length; i += 3) this.#blockBytes -= batch.blocks[i]!;
    const knownBytes = Math.min(this.#partlyTakenBytes, batch.lengthBytes);
    this.takenBytes += batch.lengthBytes - knownBytes;
    this.#partlyTakenBytes -= knownBytes;
    this.#unsentBytes = 0;
    if (this.#isPaused && this.queuedBytes - this.#blockBytes < PAUSE_READING_BYTES / 2) {
      this.#isPaused = false;
      this.#readOn();
    }
    if (batch.blocks.length > 0) this.handlers.onSent(this, batch.blocks);
  };

  /** Ends the connection now. `reason` is one phrase for logs and statistics. */
  close(reason: string): void {
    if (this.isClosing) return;
    this.#closeReason = reason;
    this.#decoder?.stop();
    this.#socket.destroy();
  }

  #closed(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#decoder?.stop();
    for (const batch of this.#inFlight) if (batch.blocks.length > 0) this.handlers.onSent(this, batch.blocks);
    if (this.#blocks.length > 0) this.handlers.onSent(this, this.#blocks);
    this.#inFlight = [];
    this.#blocks = [];
    this.#chunks = [];
    this.handlers.onClosed(this, this.#closeReason ?? 'the peer closed the connection');
  }

  /** What is read counts against this; set by the torrent that owns the link. */
  set downloads(throttle: Throttle | null) {
    this.#limit.throttle = throttle;
  }

  /** One socket read: source[0, length). Returns false to pause reading. */
  #receive(source: Buffer, length: number): boolean {
    if (this.isClosing) return true;
    this.lastReadMs = performance.now();
    let start = 0;
    if (this.#decoder === null) {
      const opening = this.#opening!;
      if (opening.parked === null) start = this.#receiveHandshake(opening, source, length);
      if (opening.parked !== null) return this.#keepParked(opening.parked, source, start, length);
      if (this.#decoder === null) return true;
    }
    if (start < length && !this.#decoder.push(source, start, length) && !this.isClosing) {
      this.close(this.#decoder.error?.reason ?? 'protocol error');
      return true;
    }
    this.handlers.onReadEnd(this);
    const { throttle } = this.#limit;
    if (throttle?.isLimited) this.#limit.count(throttle, length, this.lastReadMs);
    if (this.queuedBytes - this.#blockBytes > PAUSE_READING_BYTES) this.#isPaused = true;
    return !this.isResting;
  }

  /**
   * For `onHandshake`, which then returns null: whoever answers does so later, with `proceed` or by closing the link.
   */
  park(): void {
    this.#opening!.park();
  }

  /** Where the messages of a parked link go. */
  proceed(sink: WireSink): void {
    if (this.isClosing) return;
    const bytes = this.#opening?.takeParked() ?? null;
    if (bytes === null) return;
    this.#begin(sink);
    if (bytes.length > 0) this.#receive(bytes, bytes.length);
    this.#readOn();
  }

  /** It is read on: that is how one that hangs up is noticed. */
  #keepParked(parked: ParkedBytes, source: Buffer, start: number, end: number): true {
    if (!parked.add(source, start, end)) this.close('sends too much before the torrent is awake');
    return true;
  }

  /** How long we have read, or would have, and nothing came. */
  silentMs(nowMs: number): number {
    return this.#limit.silentMs(this.lastReadMs, nowMs);
  }

  /** How long a rate limit kept us from reading since last asked. */
  takeHeldMs(nowMs: number): number {
    return this.#limit.takeHeldMs(nowMs);
  }

  /** We do not read now: a rate limit is reached, or too much of ours is unsent. */
  get isResting(): boolean {
    return this.#isPaused || this.#limit.isReached;
  }

  #readOn(): void {
    if (!this.isResting && !this.isClosing) this.#socket.resume();
  }

  /** Returns how many bytes of this read were used. */
  #receiveHandshake(opening: Opening, source: Buffer, length: number): number {
    const used = opening.take(source, length);
    if (opening.badReason !== null) this.close(opening.badReason);
    else if (opening.handshake !== null) {
      const sink = this.handlers.onHandshake(this, opening.handshake);
      if (sink !== null && !this.isClosing) this.#begin(sink);
    }
    return used;
  }

  #begin(sink: WireSink): void {
    this.#opening = null;
    this.#decoder = new Decoder(sink);
  }
}

function plainHost(address: string | undefined): string {
  return (address ?? '').replace(/^::ffff:(?=\d+\.)/, '');
}

function describeSocketError(error: NodeJS.ErrnoException): string {
  switch (error.code) {
    case 'ECONNREFUSED':
      return 'connection refused';
    case 'ECONNRESET':
    case 'EPIPE':
      return 'connection reset';
    case 'ETIMEDOUT':
      return 'connection timed out';
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
      return 'host unreachable';
    case 'EFAULT':
      return 'the data was cut off while it was being sent';
    default:
      return error.message;
  }
}

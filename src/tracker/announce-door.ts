/**
 * Stands before the HTTP server of the tracker and answers plain announces straight from the bytes of their connection:
 * they are nearly all the traffic, and an HTTP request as an object costs three times the announce. At the first thing
 * that is no plain announce the connection, with what it has sent, goes to the HTTP server and stays there.
 * Owns the connections until then: their number, idle time-out, back-pressure, and their end. Where connections cannot
 * be had raw, all of them are HTTP's, which answers the same.
 * Invariant: of one connection at most REPLY_BYTES and one reply wait to be sent, and behind them what one read
 * brought. It is read on, and answered on, only after that has gone to the kernel and the other connections had their
 * turn.
 */
import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import { groupOf } from '../net/remote-group.js';
import { TRACKER_LIMITS } from './limits.js';
import { isBegunAnnounce, readPlainAnnounce } from './plain-announce.js';
import { type Endpoints, type Intercepted, interceptConnections, type RawSocket } from './raw-socket.js';
import { ShareTable } from './share-table.js';

export interface DoorOptions {
  /** Silent connections are closed after this, and those whose request does not end; counted in ticks of a second. */
  readonly idleTimeoutS: number;
  /** Where there are more the oldest is closed; which one says `ShareTable`. Default TRACKER_LIMITS. */
  readonly connectionsMax?: number;
  readonly connectionsPerAddress?: number;
  /** Bytes that wait for slow readers; above them the one that waits for longest is closed. Default TRACKER_LIMITS. */
  readonly waitingBytes?: number;
  readonly waitingBytesPerAddress?: number;
  /** The body of a 200. */
  readonly answer: (query: string, socket: Endpoints) => Buffer;
}

const REPLY_BYTES = TRACKER_LIMITS.replyBytesPerConnection;
/**
 * Most reads are one announce, and its answer fits here; more gets memory of its own, enough for the limit and the
 * reply that reaches it.
 */
const BUFFER_BYTES = 16 * 1024;
const LARGE_BUFFER_BYTES = REPLY_BYTES + BUFFER_BYTES;

export class AnnounceDoor {
  readonly #options: DoorOptions;
  readonly #server: Server;
  readonly #sockets: ShareTable<RawSocket>;
  /** Those that hold bytes, sent or received, for later. */
  readonly #waiting: ShareTable<RawSocket>;
  readonly #raw: Intercepted | null;
  readonly #keepHint: string;
  /** Answers that wait for their write: the first `#length` bytes. */
  #reply = Buffer.allocUnsafeSlow(BUFFER_BYTES);
  #length = 0;
  #keptHead = '';
  #lastHead = '';
  #isDraining = false;
  #isClosed = false;

  /** @param server listens already. */
  constructor(server: Server, options: DoorOptions) {
    this.#server = server;
    this.#options = options;
    const close = (socket: RawSocket): void => socket.close();
    const connections = {
      total: options.connectionsMax ?? TRACKER_LIMITS.announceConnections,
      share: options.connectionsPerAddress ?? TRACKER_LIMITS.announceConnectionsPerAddress,
    };
    this.#sockets = new ShareTable(connections, close);
    const bytes = {
      total: options.waitingBytes ?? TRACKER_LIMITS.waitingBytes,
      share: options.waitingBytesPerAddress ?? TRACKER_LIMITS.waitingBytesPerAddress,
    };
    this.#waiting = new ShareTable(bytes, close);
    this.#keepHint = `keep-alive: timeout=${options.idleTimeoutS}\r\ncontent-length: `;
    this.#writeHeads();
    const owner = {
      onBytes: (socket: RawSocket, bytes: Buffer) => this.#onBytes(socket, bytes),
      onWritten: (socket: RawSocket) => this.#goOn(socket),
      onClose: (socket: RawSocket) => this.#forget(socket),
    };
    this.#raw = interceptConnections(server, owner, (socket) => this.#accept(socket));
  }

  /** Bytes that wait for slow readers. */
  get waitingBytes(): number {
    return this.#waiting.total;
  }

  /** To be called every second. */
  tick(): void {
    this.#writeHeads();
    for (const socket of this.#sockets.holders()) if (++socket.silentTicks > this.#options.idleTimeoutS) socket.close();
  }

  /** Answers from now on end their connections. */
  drain(): void {
    this.#isDraining = true;
  }

  /** Ends the connections that are still here, and those that come. */
  close(): void {
    this.#isClosed = true;
    for (const socket of this.#sockets.holders()) socket.close();
  }

  /** Answers carry the date. */
  #writeHeads(): void {
    const head = `HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ndate: ${new Date().toUTCString()}\r\n`;
    this.#keptHead = head + this.#keepHint;
    this.#lastHead = `${head}connection: close\r\ncontent-length: `;
  }

  #accept(socket: RawSocket): void {
    if (this.#isClosed) {
      socket.close();
      return;
    }
    this.#sockets.set(socket, groupOf(socket.remoteAddress), 1);
    socket.start();
  }

  #forget(socket: RawSocket): void {
    this.#sockets.delete(socket);
    this.#waiting.delete(socket);
  }

  #onBytes(socket: RawSocket, bytes: Buffer): void {
    if (socket.unread === null) {
      // A request that trickles in is not kept alive by its bytes.
      socket.silentTicks = 0;
      this.#answer(socket, bytes);
      return;
    }
    const all = Buffer.concat([socket.unread, bytes]);
    socket.unread = null;
    this.#answer(socket, all);
  }

  /** The kernel has what was answered, and the others had their turn. */
  #goOn(socket: RawSocket): void {
    if (!socket.isOpen) return;
    const { unread } = socket;
    socket.unread = null;
    this.#waiting.delete(socket);
    socket.start();
    if (unread !== null && socket.isOpen) this.#answer(socket, unread);
  }

  /** Answers plain announces up to the limit; the first other thing, and all behind it, is HTTP's. */
  #answer(socket: RawSocket, bytes: Buffer): void {
    const text = bytes.toString('latin1');
    let at = 0;
    let isLast = false;
    while (at < text.length && !isLast && this.#length < REPLY_BYTES) {
      const request = readPlainAnnounce(text, at);
      if (request === null) break;
      at = request.end;
      isLast = request.isLast || this.#isDraining;
      this.#append(isLast ? this.#lastHead : this.#keptHead, this.#options.answer(request.query, socket));
    }
    const isFull = this.#length >= REPLY_BYTES;
    if (at > 0) socket.silentTicks = 0;
    const sentBytes = this.#send(socket);
    if (isLast) socket.end();
    else if (isFull && at < text.length) this.#answerLater(socket, bytes.subarray(at));
    else if (at < text.length) {
      const length = text.length - at;
      // A copy: what came before it is answered and need not stay.
      if (isBegunAnnounce(text, at) && length < TRACKER_LIMITS.requestBytes)
        socket.unread = Buffer.from(bytes.subarray(at));
      else this.#handOver(socket, bytes.subarray(at));
    }
    this.#note(socket, sentBytes);
  }

  /** What waits on this connection counts against its address. */
  #note(socket: RawSocket, sentBytes: number): void {
    const waitingBytes = sentBytes + (socket.unread?.buffer.byteLength ?? 0);
    if (waitingBytes > 0 && socket.isOpen) this.#waiting.set(socket, groupOf(socket.remoteAddress), waitingBytes);
    else this.#waiting.delete(socket);
  }

  #answerLater(socket: RawSocket, rest: Buffer): void {
    socket.unread = rest;
    if (socket.isWriting) return;
    socket.pause();
    setImmediate(() => this.#goOn(socket));
  }

  #append(headStart: string, body: Buffer): void {
    const head = `${headStart}${body.length}\r\n\r\n`;
    const end = this.#length + head.length + body.length;
    if (end > this.#reply.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(end, LARGE_BUFFER_BYTES));
      this.#reply.copy(larger, 0, 0, this.#length);
      this.#reply = larger;
    }
    this.#reply.write(head, this.#length, 'latin1');
    this.#reply.set(body, this.#length + head.length);
    this.#length = end;
  }

  /** Returns how much memory this takes while it waits. */
  #send(socket: RawSocket): number {
    if (this.#length === 0) return 0;
    const heldBytes = this.#reply.length;
    const isMineAgain = socket.write(this.#reply.subarray(0, this.#length));
    this.#length = 0;
    if (!isMineAgain || heldBytes > BUFFER_BYTES) this.#reply = Buffer.allocUnsafeSlow(BUFFER_BYTES);
    return isMineAgain ? 0 : heldBytes;
  }

  #handOver(socket: RawSocket, unread: Buffer): void {
    this.#forget(socket);
    const giveBack = (ordinary: Socket): void => ordinary.unshift(unread);
    // Before the listener that makes HTTP of it. The server may have no room for it: then there is no event.
    this.#server.prependListener('connection', giveBack);
    this.#raw?.adopt(socket);
    this.#server.off('connection', giveBack);
  }
}

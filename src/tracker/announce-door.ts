/**
 * Stands before the HTTP server of the tracker and answers plain announces straight from the bytes of their connection: they are nearly all the
 * traffic, and an HTTP request as an object costs three times the announce. At the first thing that is no plain announce the connection, with
 * what it has sent, goes to the HTTP server and stays there; nothing is kept here between two reads.
 * Owns the connections until then: their number, idle time-out, back-pressure, and their end. Where connections cannot be had raw, all of them
 * are HTTP's, which answers the same.
 */
import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import { readPlainAnnounce } from './plain-announce.js';
import { type Endpoints, type Intercepted, interceptConnections, type RawSocket } from './raw-socket.js';

export interface DoorOptions {
  /** Silent connections are closed after this; counted in ticks of a second. */
  readonly idleTimeoutS: number;
  /** Connections above this many are closed at once. */
  readonly connectionsMax: number;
  /** The body of a 200. */
  readonly answer: (query: string, socket: Endpoints) => Buffer;
}

/** Answers of one read are one write; more than this is rare and gets memory of its own. */
const REPLY_BYTES = 16 * 1024;

export class AnnounceDoor {
  readonly #options: DoorOptions;
  readonly #server: Server;
  readonly #sockets = new Set<RawSocket>();
  readonly #raw: Intercepted | null;
  readonly #keepHint: string;
  /** Answers that wait for their write: the first `#length` bytes. */
  #reply = Buffer.allocUnsafeSlow(REPLY_BYTES);
  #length = 0;
  #keptHead = '';
  #lastHead = '';
  #isClosed = false;

  /** @param server listens already. */
  constructor(server: Server, options: DoorOptions) {
    this.#server = server;
    this.#options = options;
    this.#keepHint = `keep-alive: timeout=${options.idleTimeoutS}\r\ncontent-length: `;
    this.#writeHeads();
    const owner = {
      onBytes: (socket: RawSocket, bytes: Buffer) => this.#onBytes(socket, bytes),
      onClose: (socket: RawSocket) => void this.#sockets.delete(socket),
    };
    this.#raw = interceptConnections(server, owner, (socket) => this.#accept(socket));
  }

  /** To be called every second. */
  tick(): void {
    this.#writeHeads();
    for (const socket of this.#sockets) if (++socket.silentTicks > this.#options.idleTimeoutS) socket.close();
  }

  /** Ends the connections that are still here, and those that come. */
  close(): void {
    this.#isClosed = true;
    for (const socket of this.#sockets) socket.close();
  }

  /** Answers carry the date. */
  #writeHeads(): void {
    const head = `HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ndate: ${new Date().toUTCString()}\r\n`;
    this.#keptHead = head + this.#keepHint;
    this.#lastHead = `${head}connection: close\r\ncontent-length: `;
  }

  #accept(socket: RawSocket): void {
    this.#sockets.add(socket);
    if (this.#isClosed || this.#sockets.size > this.#options.connectionsMax) socket.close();
    else socket.start();
  }

  /** Answers all plain announces of one read; from the first other thing on, the bytes are HTTP's. */
  #onBytes(socket: RawSocket, bytes: Buffer): void {
    const text = bytes.toString('latin1');
    let at = 0;
    let isLast = false;
    while (at < text.length && !isLast) {
      const request = readPlainAnnounce(text, at);
      if (request === null) break;
      at = request.end;
      isLast = request.isLast;
      this.#append(isLast ? this.#lastHead : this.#keptHead, this.#options.answer(request.query, socket));
    }
    this.#send(socket);
    if (isLast) socket.end();
    else if (at < text.length) this.#handOver(socket, bytes.subarray(at));
  }

  #append(headStart: string, body: Buffer): void {
    const head = `${headStart}${body.length}\r\n\r\n`;
    const end = this.#length + head.length + body.length;
    if (end > this.#reply.length) {
      const larger = Buffer.allocUnsafeSlow(end * 2);
      this.#reply.copy(larger, 0, 0, this.#length);
      this.#reply = larger;
    }
    this.#reply.write(head, this.#length, 'latin1');
    this.#reply.set(body, this.#length + head.length);
    this.#length = end;
  }

  #send(socket: RawSocket): void {
    if (this.#length === 0) return;
    const isMineAgain = socket.write(this.#reply.subarray(0, this.#length));
    this.#length = 0;
    if (!isMineAgain || this.#reply.length > REPLY_BYTES) this.#reply = Buffer.allocUnsafeSlow(REPLY_BYTES);
  }

  #handOver(socket: RawSocket, unread: Buffer): void {
    this.#sockets.delete(socket);
    const giveBack = (ordinary: Socket): void => ordinary.unshift(unread);
    // Before the listener that makes HTTP of it. The server may have no room for it: then there is no event.
    this.#server.prependListener('connection', giveBack);
    this.#raw?.adopt(socket);
    this.#server.off('connection', giveBack);
  }
}

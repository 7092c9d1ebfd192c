/**
 * Stands before the HTTP server of the tracker and answers plain announces straight from the bytes of their connection: they are nearly all the
 * traffic, and an HTTP request as an object costs three times the announce. At the first thing that is no plain announce the connection, with
 * what it has sent, goes to the HTTP server and stays there; nothing is kept here between two reads.
 * Owns the connections until then: their idle time-out, back-pressure, and their end.
 */
import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import { readPlainAnnounce } from './plain-announce.js';

export interface DoorOptions {
  /** Silent connections are closed after this. */
  readonly idleTimeoutMs: number;
  /** The body of a 200. */
  readonly answer: (query: string, socket: Socket) => Buffer;
}

type Listener = (this: Server, socket: Socket) => void;

export class AnnounceDoor {
  readonly #options: DoorOptions;
  readonly #server: Server;
  readonly #toHttp: readonly Listener[];
  readonly #sockets = new Set<Socket>();
  readonly #headEnd: string;
  #head = '';
  #isClosed = false;

  constructor(server: Server, options: DoorOptions) {
    this.#server = server;
    this.#options = options;
    this.#toHttp = server.listeners('connection') as Listener[];
    this.#headEnd = `keep-alive: timeout=${Math.floor(options.idleTimeoutMs / 1000)}\r\ncontent-length: `;
    this.tick();
    server.removeAllListeners('connection');
    server.on('connection', (socket) => this.#accept(socket));
  }

  /** To be called every second: answers carry the date. */
  tick(): void {
    this.#head = `HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ndate: ${new Date().toUTCString()}\r\n`;
  }

  /** Ends the connections that are still here, and those that come. */
  close(): void {
    this.#isClosed = true;
    for (const socket of this.#sockets) socket.destroy();
  }

  #accept(socket: Socket): void {
    if (this.#isClosed) {
      socket.destroy();
      return;
    }
    this.#sockets.add(socket);
    const onData = (bytes: Buffer): void => {
      const done = this.#answer(socket, bytes);
      if (done < 0) return;
      this.#sockets.delete(socket);
      socket.off('data', onData).off('timeout', socket.destroy).off('error', ignore);
      socket.off('drain', socket.resume).off('end', socket.destroySoon).off('close', onClose);
      this.#handOver(socket, bytes.subarray(done));
    };
    const onClose = (): void => {
      this.#sockets.delete(socket);
    };
    socket.setTimeout(this.#options.idleTimeoutMs);
    socket.on('data', onData).on('timeout', socket.destroy).on('error', ignore);
    // The server lets connections be half open, which is for HTTP to use.
    socket.on('drain', socket.resume).on('end', socket.destroySoon).on('close', onClose);
  }

  #handOver(socket: Socket, unread: Buffer): void {
    socket.setTimeout(0);
    socket.pause();
    socket.unshift(unread);
    for (const listener of this.#toHttp) listener.call(this.#server, socket);
    socket.resume();
  }

  /** Answers all plain announces of one read. Returns where something else begins, or −1. */
  #answer(socket: Socket, bytes: Buffer): number {
    const text = bytes.toString('latin1');
    for (let at = 0; at < text.length; ) {
      const request = readPlainAnnounce(text, at);
      if (request === null) return at;
      at = request.end;
      const body = this.#options.answer(request.query, socket);
      const hint = request.isLast ? 'connection: close\r\ncontent-length: ' : this.#headEnd;
      const head = `${this.#head}${hint}${body.length}\r\n\r\n`;
      const reply = Buffer.allocUnsafe(head.length + body.length);
      reply.write(head, 0, 'latin1');
      reply.set(body, head.length);
      const isRoom = socket.write(reply);
      if (request.isLast) {
        finish(socket);
        return -1;
      }
      if (!isRoom) socket.pause();
    }
    return -1;
  }
}

/** Usually the kernel has the whole answer by now, and the orderly way costs another turn of the event loop. */
function finish(socket: Socket): void {
  if (socket.writableLength === 0) socket.destroy();
  else socket.destroySoon();
}

/** What happened shows as 'close'; the client is gone and there is nobody to tell. */
function ignore(): void {}

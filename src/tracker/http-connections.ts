/**
 * The connections of the tracker's HTTP server: all that is no plain announce. Owns how many there are, and how much
 * waits on them for slow readers. Node reads 64 KiB at once and makes a request of everything in them, so one that
 * sends many requests without waiting for their answers is closed: pausing would come too late, and no client does it.
 */
import type { IncomingMessage, RequestListener, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { groupOf } from '../net/remote-group.js';
import { TRACKER_LIMITS } from './limits.js';
import { ShareTable } from './share-table.js';

/** The largest reply that is made for one request; a .torrent is shared by all who fetch it. */
const REPLY_BYTES = TRACKER_LIMITS.requestBytes;

export class HttpConnections {
  readonly #sockets = new ShareTable<Socket>(
    { total: TRACKER_LIMITS.httpConnections, share: TRACKER_LIMITS.httpConnectionsPerAddress },
    (socket) => socket.destroy(),
  );
  readonly #waiting = new ShareTable<Socket>(
    { total: TRACKER_LIMITS.waitingBytes, share: TRACKER_LIMITS.waitingBytesPerAddress },
    (socket) => socket.destroy(),
  );
  readonly #unanswered = new Map<Socket, number>();

  get count(): number {
    return this.#sockets.count;
  }

  /** Looks after the connections of this server from now on. */
  watch(server: Server): void {
    // The limit itself is kept here, where somebody else may give way; Node would refuse whoever comes last.
    server.maxConnections = TRACKER_LIMITS.httpConnections * 2;
    server.on('connection', (socket) => {
      this.#sockets.set(socket, groupOf(socket.remoteAddress ?? ''), 1);
      socket.once('close', () => {
        this.#sockets.delete(socket);
        this.#waiting.delete(socket);
        this.#unanswered.delete(socket);
      });
    });
  }

  /** The handler, for requests of which not too many are unanswered. */
  guard(handler: RequestListener): RequestListener {
    return (request: IncomingMessage, response: ServerResponse) => {
      const { socket } = request;
      if (socket.destroyed) return;
      const count = (this.#unanswered.get(socket) ?? 0) + 1;
      if (count > TRACKER_LIMITS.httpRequestsPerConnection) {
        socket.destroy();
        return;
      }
      this.#charge(socket, count);
      response.once('close', () => this.#charge(socket, (this.#unanswered.get(socket) ?? 0) - 1));
      handler(request, response);
    };
  }

  #charge(socket: Socket, count: number): void {
    if (count > 0 && !socket.destroyed) {
      const group = groupOf(socket.remoteAddress ?? '');
      // Who asks is the youngest: of all connections the one goes first that has asked for nothing for longest.
      if (this.#sockets.has(socket)) this.#sockets.set(socket, group, 1);
      this.#unanswered.set(socket, count);
      this.#waiting.set(socket, group, count * REPLY_BYTES);
    } else {
      this.#unanswered.delete(socket);
      this.#waiting.delete(socket);
    }
  }
}

/**
 * The connections of the tracker's HTTP server: all that is no plain announce. Owns how many there are, and how much
 * waits on them for slow readers. Node reads 64 KiB at once and makes a request of everything in them, so one that
 * sends many requests whose replies are made at once is closed: pausing would come too late, and no client does it.
 * Requests that wait for their turn instead (data of what is shared: of a web seed libtorrent asks for 16 MiB of
 * small files in one go) are as many as those 64 KiB hold, and no more are read until most have their answer.
 */
import type { IncomingMessage, RequestListener, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { groupOf } from '../net/remote-group.js';
import { TRACKER_LIMITS } from './limits.js';
import { ShareTable } from './share-table.js';

/** The largest reply that is made for one request; a .torrent is shared by all who fetch it. */
const REPLY_BYTES = TRACKER_LIMITS.requestBytes;

/** A request that waits for its turn, as Node and Fastify keep it. */
const TURN_BYTES = 8 * 1024;

/** Of one connection: requests without an answer. */
interface Unanswered {
  /** Their replies are made, or about to be. */
  replies: number;
  /** One is answered, the others are nothing but requests yet. */
  turns: number;
}

export class HttpConnections {
  readonly #sockets = new ShareTable<Socket>(
    { total: TRACKER_LIMITS.httpConnections, share: TRACKER_LIMITS.httpConnectionsPerAddress },
    (socket) => socket.destroy(),
  );
  readonly #waiting = new ShareTable<Socket>(
    { total: TRACKER_LIMITS.waitingBytes, share: TRACKER_LIMITS.waitingBytesPerAddress },
    (socket) => socket.destroy(),
  );
  readonly #unanswered = new Map<Socket, Unanswered>();
  readonly #takesTurns: (url: string) => boolean;

  /** @param takesTurns whether a request of this URL is answered only when those before it have their answers */
  constructor(takesTurns: (url: string) => boolean = () => false) {
    this.#takesTurns = takesTurns;
  }

  get count(): number {
    return this.#sockets.count;
  }

  /** Looks after the connections of this server from now on. */
  watch(server: Server): void {
    // The limit itself is kept here, where somebody else may give way; Node would refuse whoever comes last.
    server.maxConnections = TRACKER_LIMITS.httpConnections * 2;
    server.on('connection', (socket) => {
      this.#sockets.set(socket, groupOf(socket.remoteAddress ?? ''), 1);
      // When what was written is taken Node reads on by itself.
      socket.on('resume', () => this.#hold(socket));
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
      const unanswered = this.#unanswered.get(socket) ?? { replies: 0, turns: 0 };
      const kind = this.#takesTurns(request.url ?? '') ? 'turns' : 'replies';
      if (kind === 'replies' && unanswered.replies >= TRACKER_LIMITS.httpRequestsPerConnection) {
        socket.destroy();
        return;
      }
      unanswered[kind]++;
      this.#charge(socket, unanswered);
      this.#hold(socket);
      response.once('close', () => {
        unanswered[kind]--;
        this.#charge(socket, unanswered);
        if (kind === 'turns' && unanswered.turns === TRACKER_LIMITS.httpRequestsPerConnection) socket.resume();
      });
      handler(request, response);
    };
  }

  /** Reads no more of a connection on which many wait for their turn. */
  #hold(socket: Socket): void {
    const turns = this.#unanswered.get(socket)?.turns ?? 0;
    if (turns > TRACKER_LIMITS.httpRequestsPerConnection) socket.pause();
  }

  #charge(socket: Socket, unanswered: Unanswered): void {
    const { replies, turns } = unanswered;
    if (replies + turns > 0 && !socket.destroyed) {
      const group = groupOf(socket.remoteAddress ?? '');
      // Who asks is the youngest: of all connections the one goes first that has asked for nothing for longest.
      if (this.#sockets.has(socket)) this.#sockets.set(socket, group, 1);
      this.#unanswered.set(socket, unanswered);
      this.#waiting.set(socket, group, replies * REPLY_BYTES + turns * TURN_BYTES);
    } else {
      this.#unanswered.delete(socket);
      this.#waiting.delete(socket);
    }
  }
}

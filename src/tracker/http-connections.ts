/**
 * The connections of the tracker's HTTP server: all that is no plain announce. Owns how many there are, and how much
 * waits on them for slow readers. Node reads 64 KiB at once and makes a request of everything in them, so one that
 * sends many requests whose replies are made at once is closed: pausing would come too late, and no client does it.
 * Requests that wait for their turn instead (data of what is shared: of a web seed libtorrent asks for 16 MiB of
 * small files in one go) are as many as those 64 KiB hold, and no more are read until most have their answer.
 *
 * Who makes room for a new connection: of those without a request the one that has asked for nothing for longest, its
 * own address' first where that has its share. One in the middle of a request goes only where all are, and its address
 * has more than a share of them: long uploads and downloads are not ended by a crowd of idle ones.
 */
import type { IncomingMessage, RequestListener, Server, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import { groupOf } from '../net/remote-group.js';
import { TRACKER_LIMITS } from './limits.js';
import { type ShareLimits, ShareTable } from './share-table.js';

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

export interface ConnectionLimits extends ShareLimits {
  /** Bytes of requests behind the first one of each connection, of all and of one address once that is used up. */
  readonly waiting: ShareLimits;
}

const LIMITS: ConnectionLimits = {
  total: TRACKER_LIMITS.httpConnections,
  share: TRACKER_LIMITS.httpConnectionsPerAddress,
  waiting: { total: TRACKER_LIMITS.waitingBytes, share: TRACKER_LIMITS.waitingBytesPerAddress },
};

export class HttpConnections {
  readonly #limits: ConnectionLimits;
  /** Without a request. Room is made before anything is put in. */
  readonly #idle: ShareTable<Socket>;
  /** In the middle of one. */
  readonly #busy: ShareTable<Socket>;
  readonly #waiting: ShareTable<Socket>;
  readonly #unanswered = new Map<Socket, Unanswered>();
  /** The TCP connection below one of TLS. */
  readonly #below = new WeakMap<Socket, Socket>();
  readonly #takesTurns: (url: string) => boolean;

  /** @param takesTurns whether a request of this URL is answered only when those before it have their answers */
  constructor(takesTurns: (url: string) => boolean = () => false, limits: ConnectionLimits = LIMITS) {
    this.#takesTurns = takesTurns;
    this.#limits = limits;
    this.#idle = new ShareTable(limits, (socket) => socket.destroy());
    this.#busy = new ShareTable(limits, (socket) => socket.destroy());
    this.#waiting = new ShareTable(limits.waiting, (socket) => socket.destroy());
  }

  get count(): number {
    return this.#idle.count + this.#busy.count;
  }

  /** Looks after the connections of this server from now on. */
  watch(server: Server): void {
    // The limit itself is kept here, where somebody else may give way; Node would refuse whoever comes last.
    server.maxConnections = this.#limits.total * 2;
    server.on('connection', (socket) => {
      const group = groupOf(socket.remoteAddress ?? '');
      if (!this.#makeRoom(group)) {
        socket.destroy();
        return;
      }
      this.#idle.set(socket, group, 1);
      this.#lookAfter(socket);
      socket.once('close', () => {
        this.#idle.delete(socket);
        this.#busy.delete(socket);
      });
    });
    // Requests are another object's there: what is counted is the connection below.
    server.on('secureConnection', (socket: Socket & { _parent?: Socket | null }) => {
      if (socket._parent instanceof Socket) this.#below.set(socket, socket._parent);
      this.#lookAfter(socket);
    });
  }

  #lookAfter(socket: Socket): void {
    // When what was written is taken Node reads on by itself.
    socket.on('resume', () => this.#hold(socket));
    socket.once('close', () => {
      this.#waiting.delete(socket);
      this.#unanswered.delete(socket);
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

  /** False: whoever comes is the one for whom there is none. */
  #makeRoom(group: string): boolean {
    if (this.count < this.#limits.total) return true;
    const own = this.#idle.sumOf(group) + this.#busy.sumOf(group);
    const isShare = own >= this.#limits.share;
    const victim = isShare ? this.#idle.oldest(group) : (this.#idle.oldest() ?? this.#busiest());
    if (victim === null) return false;
    this.#idle.delete(victim);
    this.#busy.delete(victim);
    victim.destroy();
    return true;
  }

  /** All are in the middle of a request: the newest of the address that has most, if that is more than its share. */
  #busiest(): Socket | null {
    const heaviest = this.#busy.heaviest();
    if (heaviest === null || this.#busy.sumOf(heaviest) <= this.#limits.share) return null;
    return this.#busy.newest(heaviest);
  }

  #charge(socket: Socket, unanswered: Unanswered): void {
    const { replies, turns } = unanswered;
    const counted = this.#below.get(socket) ?? socket;
    const isHere = this.#idle.has(counted) || this.#busy.has(counted);
    const isBusy = replies + turns > 0 && isHere && !socket.destroyed;
    if (isBusy) this.#unanswered.set(socket, unanswered);
    else this.#unanswered.delete(socket);
    const group = groupOf(socket.remoteAddress ?? '');
    const behindFirst = Math.max(0, replies - 1) * REPLY_BYTES + Math.max(0, turns - 1) * TURN_BYTES;
    if (isBusy && behindFirst > 0) this.#waiting.set(socket, group, behindFirst);
    else this.#waiting.delete(socket);
    if (!isHere || socket.destroyed) return;
    // Who asks, or has just been answered, is the youngest.
    const [from, to] = isBusy ? [this.#idle, this.#busy] : [this.#busy, this.#idle];
    from.delete(counted);
    if (!to.has(counted)) to.set(counted, group, 1);
  }
}

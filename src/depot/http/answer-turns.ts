/**
 * Requests in a row on one connection (pipelining) are answered in turn: Node gives the connection to one answer after
 * the other, and would keep in memory what the later ones write meanwhile. Node reads some two thousand at once, and
 * their client may be gone before the first has its answer: until its turn a request costs next to nothing.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

interface Asked {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
}

/** Of one connection. */
interface Line {
  last: Asked | null;
  beforeLast: Asked | null;
  /** Told when it is closed. */
  readonly waiting: Set<() => void>;
}

export class AnswerTurns {
  readonly #lines = new WeakMap<Socket, Line>();

  /** Resolves when it has its turn; false: the connection is closed, and nobody is told any more. */
  async wait(request: IncomingMessage, response: ServerResponse): Promise<boolean> {
    const { socket } = request;
    const line = this.#lines.get(socket) ?? this.#begin(socket);
    line.beforeLast = line.last;
    line.last = { request, response };
    if (response.socket !== null || socket.destroyed) return !socket.destroyed;
    return new Promise((resolve) => {
      const gone = (): void => resolve(false);
      line.waiting.add(gone);
      response.once('socket', () => {
        line.waiting.delete(gone);
        // Else two thousand short answers would be written before anybody else's is.
        setImmediate(() => resolve(!socket.destroyed));
      });
    });
  }

  /** The answer is over. */
  over({ socket }: IncomingMessage, response: ServerResponse): void {
    const line = this.#lines.get(socket);
    if (line?.last?.response === response) line.last = null;
    if (line?.beforeLast?.response === response) line.beforeLast = null;
  }

  /** The answer to the last request that came whole on this connection; null: none is under way. */
  lastWholeOn(socket: Socket): ServerResponse | null {
    const line = this.#lines.get(socket);
    // Of more than one that is not whole yet there is no more to be read.
    for (const asked of [line?.last, line?.beforeLast]) if (asked?.request.complete === true) return asked.response;
    return null;
  }

  #begin(socket: Socket): Line {
    const line: Line = { last: null, beforeLast: null, waiting: new Set() };
    this.#lines.set(socket, line);
    socket.once('close', () => {
      for (const gone of line.waiting) gone();
    });
    return line;
  }
}

/**
 * Many buffers as one write of a socket. `cork` and a `write` of each make a record, a callback and a turn through the
 * stream of every header and every block; here the stream sees one write, and the kernel gets one `writev`.
 * Invariant: whoever writes to the socket does it here, so that the stream's writes and the lists stay in step.
 */
import type net from 'node:net';

type Done = (error?: Error | null) => void;

interface Entry {
  readonly chunk: Buffer;
  readonly encoding: BufferEncoding;
}

/** As the stream hands it to `_writev`: an array with a mark. */
interface Entries extends Array<Entry> {
  allBuffers?: boolean;
}

export class GatheredWrites {
  readonly #socket: net.Socket;
  /** The lists that the stream has not passed on yet, oldest first: one for each of its writes. */
  readonly #lists: Buffer[][] = [];
  readonly #writev: (entries: Entries, done: Done) => void;

  constructor(socket: net.Socket) {
    this.#socket = socket;
    this.#writev = socket._writev!;
    socket._write = (_chunk, _encoding, done) => this.#pass(1, done);
    socket._writev = (chunks, done) => this.#pass(chunks.length, done);
  }

  /** Not empty. The list belongs to the socket from now on. */
  write(list: Buffer[], done: Done): void {
    this.#lists.push(list);
    this.#socket.write(list[0]!, done);
  }

  #pass(count: number, done: Done): void {
    const entries: Entries = [];
    for (const list of this.#lists.splice(0, count)) {
      for (const chunk of list) entries.push({ chunk, encoding: 'binary' });
    }
    entries.allBuffers = true;
    this.#writev.call(this.#socket, entries, done);
  }
}

/**
 * One connection to the depot, for one GET after the other whose bodies are long: what comes is read into memory of
 * whoever takes it, so that a gigabyte leaves no garbage. Invariant: between two answers nothing comes; a connection on
 * which something else happened is closed.
 *
 *   idle ── ask ──> head ── all of it ──> body (stands still until somebody takes it) ── its last byte ──> idle
 */
import { connect, type Socket } from 'node:net';
import { connect as connectSecurely } from 'node:tls';
import { HEAD_BYTES_MAX, type ResponseHead, readHead } from './response-head.js';

/** Where bytes go. */
export interface Sink {
  /** Place for the next ones: at least one byte. Asked for again after each `came`. */
  room(): Uint8Array;
  /** So many lie at the begin of what `room` gave. False: no more, until `resume` is called. */
  came(bytes: number): boolean;
}

export interface ConnectionPlace {
  readonly host: string;
  readonly port: number;
  /** Null: without TLS. */
  readonly tls: { readonly ca?: readonly string[] } | null;
  readonly connectMs: number;
  /** Between two parts of an answer. */
  readonly silenceMs: number;
}

/** Whose connection it is hears of this. */
export interface ConnectionTold {
  /** Another request can be made. */
  idle(): void;
  /** None can any more; once. */
  closed(): void;
}

type Settle = { resolve: (head: ResponseHead) => void; reject: (error: Error) => void };

/** What is read while nobody has given room: heads, and the first bytes behind them. */
const SCRATCH_BYTES = 64 * 1024;
/** A connection that nothing is asked on: servers close them after 5 to 75 s, a depot after 15. */
const IDLE_MS = 10_000;
/** Answers of the kind "wait for the real one". */
const INTERIM_MAX = 8;

export class GetConnection {
  readonly #socket: Socket;
  readonly #scratch = Buffer.allocUnsafeSlow(SCRATCH_BYTES);
  readonly #silenceMs: number;
  readonly #told: ConnectionTold;
  #head: Buffer = Buffer.alloc(0);
  #interims = 0;
  #turn = 0;
  #asking: Settle | null = null;
  /** Since the last request. */
  #hasAnswered = false;
  #leftBytes = 0;
  #isKept = false;
  /** Of the body, beside the head. */
  #rest: Buffer = Buffer.alloc(0);
  #sink: Sink | null = null;
  #room: Uint8Array | null = null;
  #pouring: { resolve: () => void; reject: (error: Error) => void } | null = null;
  #isHeld = false;
  #error: Error | null = null;

  constructor(place: ConnectionPlace, told: ConnectionTold) {
    this.#told = told;
    this.#silenceMs = place.silenceMs;
    this.#socket = place.tls === null ? this.#plain(place) : this.#secure(place);
    const connecting = setTimeout(() => this.destroy(coded('UND_ERR_CONNECT_TIMEOUT')), place.connectMs);
    this.#socket
      .setNoDelay(true)
      .once(place.tls === null ? 'connect' : 'secureConnect', () => {
        clearTimeout(connecting);
      })
      .on('timeout', () => this.#silent())
      .on('error', (error) => this.#broken(error))
      .on('end', () => this.#broken(coded('UND_ERR_SOCKET', 'other side closed')))
      .on('close', () => {
        clearTimeout(connecting);
        this.#broken(coded('UND_ERR_SOCKET', 'closed'));
      });
  }

  get isOpen(): boolean {
    return this.#error === null;
  }

  /** Another one for each answer. */
  get turn(): number {
    return this.#turn;
  }

  /** Something of the answer to the last request has come. */
  get hasAnswered(): boolean {
    return this.#hasAnswered;
  }

  /** Sends a request, and resolves with the head of its answer. @throws errors with the `code` of system or undici */
  ask(text: string): Promise<ResponseHead> {
    this.#hasAnswered = false;
    this.#interims = 0;
    return new Promise((resolve, reject) => {
      if (this.#error !== null) {
        reject(this.#error);
        return;
      }
      this.#asking = { resolve, reject };
      // Who asks knows how long to wait.
      this.#socket.ref().setTimeout(0);
      this.#socket.write(text, 'latin1');
    });
  }

  /** All of the body goes there. Resolves with its last byte. @throws the connection broke */
  pour(sink: Sink): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#error !== null) {
        reject(this.#error);
        return;
      }
      this.#pouring = { resolve, reject };
      this.#sink = sink;
      const rest = this.#rest;
      this.#rest = Buffer.alloc(0);
      const goesOn = this.#put(rest);
      if (this.#leftBytes === 0) this.#over();
      else if (goesOn) this.#go();
      else this.#isHeld = true;
    });
  }

  /** The sink has room again. */
  resume(turn: number): void {
    if (!this.#isHeld || this.#error !== null || turn !== this.#turn) return;
    this.#isHeld = false;
    this.#go();
  }

  /** The answer of this turn is not wanted any more; once it is over that is nothing. */
  leave(turn: number): void {
    if (turn === this.#turn) this.destroy();
  }

  destroy(error: Error = coded('UND_ERR_ABORTED', 'it is not wanted any more')): void {
    this.#broken(error);
    this.#socket.destroy();
  }

  // ---- the socket ----

  #plain({ host, port }: ConnectionPlace): Socket {
    return connect({
      host,
      port,
      onread: { buffer: () => this.#nextRoom(), callback: (bytes) => this.#read(bytes) },
    });
  }

  /** What is deciphered comes in memory of Node's. */
  #secure({ host, port, tls }: ConnectionPlace): Socket {
    const isName = !/^[\d.]+$|:/.test(host);
    const socket = connectSecurely({
      host,
      port,
      ALPNProtocols: ['http/1.1'],
      ...(isName ? { servername: host } : {}),
      ...(tls?.ca === undefined ? {} : { ca: [...tls.ca] }),
    });
    socket.on('data', (chunk: Buffer) => {
      if (!this.#take(chunk)) socket.pause();
    });
    return socket;
  }

  #go(): void {
    this.#socket.setTimeout(this.#silenceMs);
    this.#socket.resume();
  }

  #nextRoom(): Uint8Array {
    this.#room = null;
    if (this.#sink === null || this.#leftBytes === 0) return this.#scratch;
    this.#room = this.#sink.room().subarray(0, this.#leftBytes);
    return this.#room;
  }

  #read(bytes: number): boolean {
    return this.#room === null ? this.#take(this.#scratch.subarray(0, bytes)) : this.#cameInPlace(bytes);
  }

  #cameInPlace(bytes: number): boolean {
    this.#leftBytes -= bytes;
    return this.#goesOn(this.#sink!.came(bytes));
  }

  #goesOn(wantsMore: boolean): boolean {
    if (this.#leftBytes === 0) {
      this.#over();
      return true;
    }
    this.#isHeld = !wantsMore;
    return wantsMore;
  }

  /** False: nothing more is read for now. */
  #take(chunk: Buffer): boolean {
    if (this.#error !== null) return false;
    if (this.#asking !== null) return this.#takeHead(chunk);
    if (this.#sink === null || chunk.length > this.#leftBytes) {
      // Nobody has asked for that.
      if (this.#leftBytes === 0 || chunk.length > this.#leftBytes - this.#rest.length) this.destroy(unasked());
      else this.#rest = Buffer.concat([this.#rest, chunk]);
      return false;
    }
    return this.#goesOn(this.#put(chunk));
  }

  /** Copies into the sink. False: it has enough. */
  #put(chunk: Buffer): boolean {
    let wantsMore = true;
    for (let at = 0; at < chunk.length; ) {
      const room = this.#sink!.room();
      const part = chunk.subarray(at, at + room.length);
      room.set(part);
      at += part.length;
      this.#leftBytes -= part.length;
      wantsMore = this.#sink!.came(part.length);
    }
    return wantsMore;
  }

  #takeHead(chunk: Buffer): boolean {
    this.#hasAnswered = true;
    this.#head = Buffer.concat([this.#head, chunk]);
    const head = readHead(this.#head.subarray(0, HEAD_BYTES_MAX));
    if (head === 'more') return true;
    if (head === null) {
      this.destroy(coded('HPE_INVALID', 'it is no answer of HTTP/1.1'));
      return false;
    }
    const rest = this.#head.subarray(head.headBytes);
    this.#head = Buffer.alloc(0);
    if (head.status < 200) {
      if (head.status !== 101 && ++this.#interims <= INTERIM_MAX) return rest.length === 0 || this.#takeHead(rest);
      this.destroy(coded('HPE_INVALID', 'it does not come to its answer'));
      return false;
    }
    return this.#begin(head, rest);
  }

  #begin(head: ResponseHead, rest: Buffer): boolean {
    const { resolve } = this.#asking!;
    const { lengthBytes, isKept } = head;
    if (lengthBytes !== null && rest.length > lengthBytes) {
      this.destroy(unasked());
      return false;
    }
    this.#asking = null;
    this.#leftBytes = lengthBytes ?? 0;
    this.#isKept = isKept;
    this.#rest = rest;
    resolve(head);
    // A body of which nobody knows the end is not read.
    if (lengthBytes === null) this.destroy();
    return false;
  }

  /** The body, or that there is none, is behind us. */
  #over(): void {
    const pouring = this.#pouring;
    this.#pouring = null;
    this.#sink = null;
    this.#turn++;
    if (this.#isKept && this.#error === null) {
      this.#socket.unref().setTimeout(IDLE_MS);
      this.#socket.resume();
      this.#told.idle();
    } else this.destroy();
    pouring?.resolve();
  }

  #silent(): void {
    // We do not read, so it cannot speak.
    if (this.#isHeld) return;
    this.destroy(coded('UND_ERR_BODY_TIMEOUT', 'nothing came for too long'));
  }

  #broken(error: Error): void {
    if (this.#error !== null) return;
    this.#error = error;
    this.#asking?.reject(error);
    this.#pouring?.reject(error);
    this.#socket.destroy();
    this.#told.closed();
  }
}

function coded(code: string, text = code): Error {
  return Object.assign(new Error(text), { code });
}

function unasked(): Error {
  return coded('HPE_INVALID', 'bytes came that nobody had asked for');
}

/**
 * What is said to one address of a UDP tracker (BEP 15). Owns a socket that is connected to it, so that the kernel
 * takes datagrams of nobody else and says when nobody is there; the connection id, for at most a minute; and what waits
 * for an answer, by transaction. Transactions are random: who cannot see our datagrams cannot answer them.
 */
import { randomBytes } from 'node:crypto';
import type { Socket } from 'node:dgram';
import { HaulError } from '../errors.js';
import {
  type Action,
  type ANNOUNCE,
  CONNECT,
  connectRequest,
  ERROR,
  readConnect,
  readError,
  replyHead,
} from './udp-messages.js';

/** BEP 15: a client may use a connection id for one minute. */
export const CONNECTION_ID_MS = 60_000;
/** BEP 15: without an answer it is asked again after this, then after twice as long, and so on. */
export const RESEND_FIRST_MS = 15_000;

export interface ConversationOptions {
  /** "tracker udp://…": how an error of opening names it. Others may be at the same address: each names its own. */
  readonly where: string;
  /** One of our addresses; default: whichever the system takes. */
  readonly from?: string | undefined;
  /** Milliseconds. */
  readonly now: () => number;
  /** Default RESEND_FIRST_MS. */
  readonly resendMs?: number | undefined;
}

interface Pending {
  readonly action: Action;
  readonly resolve: (reply: Buffer) => void;
  readonly reject: (error: HaulError) => void;
}

/** Who asks, for how long, and how errors name the tracker. */
export interface Asker {
  readonly where: string;
  readonly signal: AbortSignal;
}

/** A request for a connection id that several wait for. */
interface Connecting {
  readonly id: Promise<Buffer>;
  readonly controller: AbortController;
  readonly beganMs: number;
  waiters: number;
}

export class Conversation {
  readonly isIPv6: boolean;
  readonly #socket: Socket;
  readonly #options: ConversationOptions;
  readonly #pending = new Map<number, Pending>();
  #connectionId: Buffer | null = null;
  #connectedAtMs = 0;
  #connecting: Connecting | null = null;
  /** Exchanges under way, with those that wait for a connection id. */
  #users = 0;
  #usedAtMs: number;
  /** When it last answered something that it was asked. */
  #heardAtMs = Number.NEGATIVE_INFINITY;
  #isRetired = false;
  isClosed = false;

  private constructor(socket: Socket, isIPv6: boolean, options: ConversationOptions) {
    this.#socket = socket;
    this.isIPv6 = isIPv6;
    this.#options = options;
    this.#usedAtMs = options.now();
    socket.unref();
    socket.on('message', (bytes) => this.#onDatagram(bytes));
    // A port nobody listens on, a network that is gone.
    socket.on('error', (error) => this.#onError(error));
  }

  /** @param address an IP address. @throws HaulError NETWORK */
  static async open(address: string, port: number, options: ConversationOptions): Promise<Conversation> {
    const { createSocket } = await import('node:dgram');
    const isIPv6 = address.includes(':');
    const socket = createSocket({ type: isIPv6 ? 'udp6' : 'udp4' });
    await new Promise<void>((resolve, reject) => {
      const fail = (error: Error): void => {
        socket.close();
        reject(networkError(options.where, error));
      };
      socket.once('error', fail);
      const connect = (): void => {
        socket.connect(port, address, (error?: Error) => {
          socket.off('error', fail);
          if (error instanceof Error) fail(error);
          else resolve();
        });
      };
      if (options.from === undefined) connect();
      else socket.bind({ address: options.from, port: 0, exclusive: true }, connect);
    });
    return new Conversation(socket, isIPv6, options);
  }

  get isIdle(): boolean {
    return this.#users === 0;
  }

  /** When it last had something to say. */
  get usedAtMs(): number {
    return this.#usedAtMs;
  }

  get heardAtMs(): number {
    return this.#heardAtMs;
  }

  /** Nobody new will use it: it closes when nobody does. */
  retire(): void {
    this.#isRetired = true;
    if (this.isIdle) this.close();
  }

  /**
   * The reply to a request, its head checked. Asks for a connection id first where there is none, and for another where
   * one from before is refused: a tracker that was started anew knows none of them. It is asked again and again until
   * the signal fires.
   * @throws HaulError NETWORK, ABORTED, TRACKER (it refuses, with its words)
   */
  async ask(
    action: typeof ANNOUNCE | 2,
    make: (connectionId: Buffer, transaction: number) => Buffer,
    { where, signal }: Asker,
  ): Promise<Buffer> {
    this.#users++;
    this.#usedAtMs = this.#options.now();
    this.#socket.ref();
    const hadId = this.#validId !== null;
    try {
      return await this.#askOnce(action, make, signal).catch((error: unknown) => {
        const isRefused = error instanceof HaulError && error.code === 'TRACKER' && this.#connectionId === null;
        if (!hadId || !isRefused || signal.aborted) throw error;
        return this.#askOnce(action, make, signal);
      });
    } catch (error) {
      if (!(error instanceof HaulError)) throw error;
      throw new HaulError(error.code, `${where}: ${error.message}`, error.facts, error.cause);
    } finally {
      this.#usedAtMs = this.#options.now();
      if (--this.#users === 0 && !this.isClosed) {
        if (this.#isRetired) this.close();
        else this.#socket.unref();
      }
    }
  }

  async #askOnce(
    action: typeof ANNOUNCE | 2,
    make: (connectionId: Buffer, transaction: number) => Buffer,
    signal: AbortSignal,
  ): Promise<Buffer> {
    for (let waitMs = this.#firstWaitMs; ; waitMs *= 2) {
      // A repeat may need another id than the one that was good before it.
      const id = await this.#connect(signal);
      const reply = await this.#exchange(action, (transaction) => make(id, transaction), waitMs, signal);
      if (reply !== null) return reply;
    }
  }

  close(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.#failAll(givenUp());
    this.#socket.close();
  }

  get #validId(): Buffer | null {
    return this.#options.now() - this.#connectedAtMs < CONNECTION_ID_MS ? this.#connectionId : null;
  }

  /** Those who come together ask once; each leaves by its own signal, and the last one ends it. */
  async #connect(signal: AbortSignal): Promise<Buffer> {
    if (this.#validId !== null) return this.#validId;
    const now = this.#options.now();
    // One that is not answered yet may wait long for its repeat: who comes later does not wait with it.
    const isFresh = this.#connecting !== null && now - this.#connecting.beganMs < this.#firstWaitMs;
    const connecting = isFresh ? this.#connecting! : this.#beginConnect(now);
    connecting.waiters++;
    try {
      return await untilAborted(connecting.id, signal);
    } finally {
      if (--connecting.waiters === 0) connecting.controller.abort();
    }
  }

  #beginConnect(beganMs: number): Connecting {
    const controller = new AbortController();
    const connecting: Connecting = { id: this.#newId(controller.signal), controller, beganMs, waiters: 0 };
    this.#connecting = connecting;
    const end = (): void => {
      if (this.#connecting === connecting) this.#connecting = null;
    };
    connecting.id.then(end, end);
    controller.signal.addEventListener('abort', end, { once: true });
    return connecting;
  }

  async #newId(signal: AbortSignal): Promise<Buffer> {
    let reply: Buffer | null = null;
    for (let waitMs = this.#firstWaitMs; reply === null; waitMs *= 2)
      reply = await this.#exchange(CONNECT, connectRequest, waitMs, signal);
    const id = readConnect(reply);
    if (id === null) throw trackerError(`answered ${reply.length} bytes to a connect`);
    this.#connectionId = id;
    this.#connectedAtMs = this.#options.now();
    return id;
  }

  get #firstWaitMs(): number {
    return this.#options.resendMs ?? RESEND_FIRST_MS;
  }

  /** Null: no answer in time. A late one is not worth a second meaning of one number: a repeat has another. */
  #exchange(
    action: Action,
    make: (transaction: number) => Buffer,
    waitMs: number,
    signal: AbortSignal,
  ): Promise<Buffer | null> {
    return new Promise((resolve, reject) => {
      const transaction = this.#newTransaction();
      let timer: NodeJS.Timeout | undefined;
      const end = (): void => {
        clearTimeout(timer);
        signal.removeEventListener('abort', onAbort);
        this.#pending.delete(transaction);
      };
      const settle = (reply: Buffer | null): void => {
        end();
        resolve(reply);
      };
      const fail = (error: HaulError): void => {
        end();
        reject(error);
      };
      const onAbort = (): void => fail(givenUp());
      if (this.isClosed || signal.aborted) {
        onAbort();
        return;
      }
      signal.addEventListener('abort', onAbort, { once: true });
      this.#pending.set(transaction, { action, resolve: settle, reject: fail });
      this.#socket.send(make(transaction), (error) => {
        if (error !== null) fail(new HaulError('NETWORK', networkText(error), {}, error));
      });
      timer = setTimeout(settle, waitMs, null);
    });
  }

  #newTransaction(): number {
    for (;;) {
      const transaction = randomBytes(4).readUInt32BE();
      if (!this.#pending.has(transaction)) return transaction;
    }
  }

  /** Of the address we are connected to; what was not asked for is dropped. */
  #onDatagram(bytes: Buffer): void {
    const head = replyHead(bytes);
    const pending = head === null ? undefined : this.#pending.get(head.transaction);
    if (head === null || pending === undefined) return;
    this.#heardAtMs = this.#options.now();
    if (head.action === ERROR) {
      // The id may be the reason: the next one is new.
      this.#connectionId = null;
      pending.reject(trackerError(`refused: ${readError(bytes)}`));
    } else if (head.action === pending.action) pending.resolve(bytes);
    else pending.reject(trackerError(`answered action ${head.action}, not ${pending.action}`));
  }

  #onError(error: Error): void {
    this.#failAll(new HaulError('NETWORK', networkText(error), {}, error));
  }

  #failAll(error: HaulError): void {
    for (const pending of [...this.#pending.values()]) pending.reject(error);
  }
}

// Without the name of the tracker: who asked adds it.

function trackerError(text: string): HaulError {
  return new HaulError('TRACKER', text);
}

function givenUp(): HaulError {
  return new HaulError('ABORTED', 'given up');
}

function untilAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(givenUp());
    if (signal.aborted) onAbort();
    else signal.addEventListener('abort', onAbort, { once: true });
    const end = (): void => signal.removeEventListener('abort', onAbort);
    promise.then(resolve, reject).finally(end);
  });
}

const TEXTS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nobody listens there',
  EHOSTUNREACH: 'host unreachable',
  ENETUNREACH: 'network unreachable',
  EMSGSIZE: 'the announce is too long for a datagram',
};

export function networkError(where: string, error: Error): HaulError {
  return new HaulError('NETWORK', `${where}: ${networkText(error)}`, {}, error);
}

function networkText(error: Error): string {
  const { code } = error as { code?: unknown };
  const name = typeof code === 'string' ? code : error.message.split('\n', 1)[0]!;
  return TEXTS[name] ?? name;
}

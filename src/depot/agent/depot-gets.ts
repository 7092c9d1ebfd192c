/**
 * GETs of long bodies from the depot, each on a connection of its own; one that is over leaves its connection for the
 * next. Bytes go into memory of whoever takes them (`Sink`).
 */
import { GetConnection, type Sink } from './get-connection.js';
import type { ResponseHead } from './response-head.js';

export interface DepotGetsOptions {
  /** "http://host:port" */
  readonly origin: string;
  readonly ca?: readonly string[] | undefined;
  readonly connectMs: number;
  /** Between two parts of a body. */
  readonly silenceMs: number;
}

/** The body of an answer; it is poured, read, dumped or destroyed. */
export interface GetBody extends AsyncIterable<Buffer> {
  pour(sink: Sink): Promise<void>;
  /** The sink has room again. */
  resume(): void;
  destroy(): void;
  /** Reads a short rest, so that the connection can be used again. Never rejects. */
  dump(options: { readonly limit: number; readonly signal?: AbortSignal }): Promise<void>;
}

export interface GetAnswer extends ResponseHead {
  readonly body: GetBody;
}

/** Connections that wait for the next request. */
const IDLE_MAX = 8;
const CHUNK_BYTES = 64 * 1024;
const WAITING_BYTES = 1024 * 1024;

export class DepotGets {
  readonly #options: DepotGetsOptions;
  readonly #host: string;
  readonly #authority: string;
  readonly #port: number;
  /** The one used last at the end. */
  readonly #idle: GetConnection[] = [];
  readonly #all = new Set<GetConnection>();
  #isDestroyed = false;

  constructor(options: DepotGetsOptions) {
    this.#options = options;
    const { hostname, host, port, protocol } = new URL(options.origin);
    this.#host = hostname.replace(/^\[|\]$/g, '');
    this.#authority = host;
    this.#port = port === '' ? (protocol === 'https:' ? 443 : 80) : Number(port);
  }

  /** Under way. */
  get count(): number {
    return this.#all.size - this.#idle.length;
  }

  /** @throws errors with a `code`: of the system, or as undici has them; the signal's end is one */
  async get(path: string, headers: Readonly<Record<string, string>>, signal: AbortSignal): Promise<GetAnswer> {
    const lines = Object.entries({ host: this.#authority, ...headers }).map(([name, value]) => `${name}: ${value}\r\n`);
    const text = `GET ${path} HTTP/1.1\r\n${lines.join('')}\r\n`;
    for (;;) {
      signal.throwIfAborted();
      if (this.#isDestroyed) throw Object.assign(new Error('the client is destroyed'), { code: 'UND_ERR_DESTROYED' });
      const kept = this.#idle.pop();
      if (kept?.isOpen === false) continue;
      const connection = kept ?? this.#open();
      const onAbort = (): void => connection.destroy();
      signal.addEventListener('abort', onAbort);
      try {
        const head = await connection.ask(text);
        return { ...head, body: new Body(connection, head.lengthBytes) };
      } catch (error) {
        // The depot may close one just when it is asked on it.
        if (kept === undefined || kept.hasAnswered || signal.aborted) throw error;
      } finally {
        signal.removeEventListener('abort', onAbort);
      }
    }
  }

  /** The next request finds a connection. */
  warm(): void {
    if (this.#idle.length === 0 && !this.#isDestroyed) this.#idle.push(this.#open());
  }

  async destroy(): Promise<void> {
    this.#isDestroyed = true;
    for (const connection of this.#all) connection.destroy();
  }

  #open(): GetConnection {
    const { connectMs, silenceMs, ca, origin } = this.#options;
    const tls = origin.startsWith('https:') ? (ca === undefined ? {} : { ca }) : null;
    const connection = new GetConnection(
      { host: this.#host, port: this.#port, tls, connectMs, silenceMs },
      {
        idle: () => {
          if (this.#idle.length >= IDLE_MAX || this.#isDestroyed) connection.destroy();
          else this.#idle.push(connection);
        },
        closed: () => {
          this.#all.delete(connection);
          const at = this.#idle.indexOf(connection);
          if (at >= 0) this.#idle.splice(at, 1);
        },
      },
    );
    this.#all.add(connection);
    return connection;
  }
}

class Body implements GetBody {
  readonly #connection: GetConnection;
  readonly #turn: number;
  readonly #lengthBytes: number | null;
  #isTaken = false;

  constructor(connection: GetConnection, lengthBytes: number | null) {
    this.#connection = connection;
    this.#turn = connection.turn;
    this.#lengthBytes = lengthBytes;
  }

  async pour(sink: Sink): Promise<void> {
    this.#isTaken = true;
    await this.#connection.pour(sink);
  }

  resume(): void {
    this.#connection.resume(this.#turn);
  }

  destroy(): void {
    this.#connection.leave(this.#turn);
  }

  async dump({ limit, signal }: { readonly limit: number; readonly signal?: AbortSignal }): Promise<void> {
    if (this.#isTaken) return;
    const isShort = this.#lengthBytes !== null && this.#lengthBytes <= limit;
    if (!isShort || signal?.aborted === true) {
      this.destroy();
      return;
    }
    const onAbort = (): void => this.destroy();
    signal?.addEventListener('abort', onAbort);
    const room = new Uint8Array(Math.max(1, this.#lengthBytes ?? 0));
    await this.pour({ room: () => room, came: () => true }).catch(() => {});
    signal?.removeEventListener('abort', onAbort);
  }

  [Symbol.asyncIterator](): AsyncGenerator<Buffer> {
    return poured(this);
  }
}

/** What comes, chunk by chunk. Leaving early ends the connection. */
export async function* poured(body: Pick<GetBody, 'pour' | 'resume' | 'destroy'>): AsyncGenerator<Buffer> {
  const chunks: Buffer[] = [];
  let room: Buffer = Buffer.allocUnsafeSlow(CHUNK_BYTES);
  let waitingBytes = 0;
  let outcome: { readonly error: unknown } | null = null;
  let wake: () => void = () => {};
  const ended = (error: unknown): void => {
    outcome = { error };
    wake();
  };
  body
    .pour({
      room: () => room,
      came: (bytes) => {
        chunks.push(room.subarray(0, bytes));
        room = bytes < room.length / 2 ? room.subarray(bytes) : Buffer.allocUnsafeSlow(CHUNK_BYTES);
        waitingBytes += bytes;
        wake();
        return waitingBytes < WAITING_BYTES;
      },
    })
    .then(() => ended(null), ended);
  try {
    for (;;) {
      const chunk = chunks.shift();
      if (chunk !== undefined) {
        waitingBytes -= chunk.length;
        if (waitingBytes < WAITING_BYTES) body.resume();
        yield chunk;
      } else if (outcome !== null) break;
      else
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
    }
    const { error } = outcome as { readonly error: unknown };
    if (error !== null) throw error;
  } finally {
    if (outcome === null) body.destroy();
  }
}

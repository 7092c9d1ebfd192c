/**
 * One GET of a part of a file, streamed: `Range`, what may come back for it, redirects. The body goes on as it comes
 * and is never kept. Never delivers a byte beyond what was asked. Knows HTTP; must not know what a torrent is.
 */
import type { IncomingHttpHeaders } from 'node:http';
import type { Dispatcher } from 'undici';
import type { Dispatches } from './http-client.js';
import { basicAuthorization, headerText } from './redirects.js';

/**
 * Why nothing more comes.
 * - `lies`: the file there is another one, or the server does not do what it says.
 * - `no-ranges`: the whole file came in place of a part.
 * - `absent`: not there, or not for us; or a page in its place.
 * - `trouble`: may be better another time.
 */
export type RangeFailureKind = 'lies' | 'no-ranges' | 'absent' | 'trouble';

export interface RangeFailure {
  readonly kind: RangeFailureKind;
  /** One phrase. */
  readonly reason: string;
  /** The server said when to come again. */
  readonly retryAfterMs: number | null;
  /** It answered, and with a status that says no. */
  readonly isRefusal: boolean;
}

export interface RangeSink {
  /** Bytes of the range, in order; they are its own until the next call. */
  onBytes(bytes: Buffer): void;
  /** The reply is over. It may have been shorter than what was asked, never empty. */
  onEnd(): void;
  onFailed(failure: RangeFailure): void;
  /** Another URL is where it is: bytes come from there. */
  onMoved(place: MovedPlace): void;
}

export interface MovedPlace {
  readonly url: URL;
  /** What has redirected there, of another origin; null: none has. */
  readonly from: URL | null;
}

export interface RangeOptions {
  readonly url: URL;
  /** What has redirected to that URL before, of another origin. */
  readonly from?: URL | null;
  /** Bytes [begin, end) of a file of so many bytes. */
  readonly begin: number;
  readonly end: number;
  readonly fileBytes: number;
  /** All of the file is asked for, of a server that knows no ranges: `begin` is 0, `end` the length. */
  readonly isWhole?: boolean;
  readonly userAgent: string;
  readonly redirectsMax: number;
  /** For the first byte of an answer, and between two bytes of it. */
  readonly timeoutMs: number;
  /** Connections for this URL, or why there may be none. @param from as in `MovedPlace` */
  connectionsFor(url: URL, from: URL | null): Dispatches | string;
}

/** A part that ends before it was asked to end has so many bytes, or each would cost a request of its own. */
const PART_LEAST_BYTES = 16 * 1024;
/** Bytes of the body of a redirect that are read to keep the connection. */
const REDIRECT_BODY_BYTES = 64 * 1024;
/** What a server may ask for; else it would be rid of us for good. */
const RETRY_AFTER_MAX_MS = 60 * 60_000;

type Phase = 'waiting' | 'body' | 'redirect' | 'over';

export class RangeGet implements Dispatcher.DispatchHandler {
  readonly #options: RangeOptions;
  readonly #sink: RangeSink;
  #controller: Dispatcher.DispatchController | null = null;
  #phase: Phase = 'waiting';
  #url: URL;
  #from: URL | null;
  #next: URL | null = null;
  #redirects = 0;
  #leftBytes = 0;
  #passedBytes = 0;
  #isPaused = false;

  constructor(options: RangeOptions, sink: RangeSink) {
    this.#options = options;
    this.#sink = sink;
    this.#url = options.url;
    this.#from = options.from ?? null;
  }

  /** Call once. `sink` may hear of a failure before this returns. */
  start(): void {
    const { begin, end, isWhole, userAgent, timeoutMs } = this.#options;
    const client = this.#options.connectionsFor(this.#url, this.#from);
    if (typeof client === 'string') {
      this.#fail('absent', client);
      return;
    }
    const authorization = basicAuthorization(this.#url);
    const headers: Record<string, string> = {
      'user-agent': userAgent,
      accept: '*/*',
      // What is compressed has no places.
      'accept-encoding': 'identity',
      ...(isWhole === true ? {} : { range: `bytes=${begin}-${end - 1}` }),
      ...(authorization === undefined ? {} : { authorization }),
    };
    this.#phase = 'waiting';
    this.#controller = null;
    const { origin, pathname, search } = this.#url;
    const path = `${pathname}${search}`;
    try {
      client.dispatch(
        { origin, path, method: 'GET', headers, headersTimeout: timeoutMs, bodyTimeout: timeoutMs },
        this,
      );
    } catch (error) {
      this.#fail('trouble', textOf(error));
    }
  }

  pause(): void {
    this.#isPaused = true;
    this.#controller?.pause();
  }

  resume(): void {
    this.#isPaused = false;
    this.#controller?.resume();
  }

  /** The sink hears no more. Idempotent. */
  abort(): void {
    this.#phase = 'over';
    this.#controller?.abort(new Error('not wanted any more'));
  }

  // ---- what undici calls ----

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#phase === 'over') controller.abort(new Error('not wanted any more'));
  }

  onResponseStart(controller: Dispatcher.DispatchController, status: number, headers: IncomingHttpHeaders): void {
    if (this.#phase === 'over' || status < 200) return;
    const failure = this.#judge(status, headers);
    if (failure !== null) {
      this.#end(failure);
      return;
    }
    if (this.#phase === 'body' && this.#redirects > 0) {
      const place = { url: this.#url, from: this.#from };
      this.#call(() => this.#sink.onMoved(place));
    }
    if (this.#isPaused) controller.pause();
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#phase === 'redirect') {
      this.#passedBytes += chunk.length;
      if (this.#passedBytes > REDIRECT_BODY_BYTES) this.#end(failed('trouble', 'a redirect with an endless body'));
      return;
    }
    if (this.#phase !== 'body') return;
    if (chunk.length > this.#leftBytes) {
      this.#end(failed('lies', 'sent more than it had said'));
      return;
    }
    this.#leftBytes -= chunk.length;
    if (chunk.length > 0) this.#call(() => this.#sink.onBytes(chunk));
  }

  onResponseEnd(): void {
    if (this.#phase === 'redirect') {
      if (this.#next!.origin !== this.#url.origin) this.#from = this.#url;
      this.#url = this.#next!;
      this.start();
    } else if (this.#phase === 'body') {
      this.#phase = 'over';
      if (this.#leftBytes > 0) this.#tell(failed('trouble', 'the answer ended early'));
      else this.#call(() => this.#sink.onEnd());
    }
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    if (this.#phase !== 'over') this.#fail('trouble', textOf(error));
  }

  // ---- judgement ----

  /** Null: go on reading. */
  #judge(status: number, headers: IncomingHttpHeaders): RangeFailure | null {
    if (status >= 300 && status < 400 && status !== 304) return this.#redirect(headers);
    if (status === 206 || status === 200) {
      const encoding = headerText(headers['content-encoding'])?.trim().toLowerCase() ?? '';
      if (encoding !== '' && encoding !== 'identity') {
        const kind = status === 206 ? 'lies' : 'absent';
        return failed(kind, `the answer is encoded (${shown(encoding)}), which was not asked for`);
      }
      return status === 206 ? this.#part(headers) : this.#whole(headers);
    }
    if (status === 416) return this.#beyond(headers);
    const retryAfterMs = retryAfter(headerText(headers['retry-after']));
    const isTrouble = status >= 500 || status === 429 || status === 408;
    return { kind: isTrouble ? 'trouble' : 'absent', reason: `answered ${status}`, retryAfterMs, isRefusal: true };
  }

  /** 206: `bytes first-last/length`; it may be shorter than asked. */
  #part(headers: IncomingHttpHeaders): RangeFailure | null {
    const { begin, end, fileBytes } = this.#options;
    const text = headerText(headers['content-range']) ?? '';
    const match = /^bytes\s+(\d{1,16})-(\d{1,16})\/(\d{1,16}|\*)$/.exec(text.trim());
    if (match === null) return failed('lies', `a part without a place (Content-Range: ${shown(text)})`);
    const [first, last] = [Number(match[1]), Number(match[2])];
    if (first !== begin || last < first || last >= end)
      return failed('lies', `sent bytes ${first}-${last} where ${begin}-${end - 1} were asked for`);
    if (match[3] !== '*' && Number(match[3]) !== fileBytes)
      return failed('lies', `the file there has ${match[3]} bytes, ours has ${fileBytes}`);
    const bytes = last + 1 - first;
    if (last + 1 < end && bytes < PART_LEAST_BYTES)
      return failed('trouble', `sent bytes ${first}-${last} only of the ${end - begin} that were asked for`);
    return this.#body(bytes, headers);
  }

  /** 200: all of the file. */
  #whole(headers: IncomingHttpHeaders): RangeFailure | null {
    const { begin, end, fileBytes } = this.#options;
    const length = lengthOf(headers);
    if (length !== null && length !== fileBytes) {
      // Of a server that is mended, or of who wants a log-in.
      const isPage = this.#redirects > 0 || /^text\/html\b/i.test(headers['content-type'] ?? '');
      return failed(isPage ? 'absent' : 'lies', `the file there has ${length} bytes, ours has ${fileBytes}`);
    }
    if (begin === 0 && end === fileBytes) return this.#body(fileBytes, headers);
    return failed('no-ranges', 'answers with the whole file');
  }

  /** 416: our place is not there. `Content-Range` may say how long the file there is. */
  #beyond(headers: IncomingHttpHeaders): RangeFailure {
    const length = /^bytes\s+\*\/(\d{1,16})$/.exec(headerText(headers['content-range'])?.trim() ?? '')?.[1];
    if (length === undefined || Number(length) === this.#options.fileBytes) return failed('absent', 'answered 416');
    return failed('lies', `the file there has ${length} bytes, ours has ${this.#options.fileBytes}`);
  }

  #body(bytes: number, headers: IncomingHttpHeaders): RangeFailure | null {
    const length = lengthOf(headers);
    if (length !== null && length !== bytes) return failed('lies', `a body of ${length} bytes where ${bytes} belong`);
    this.#leftBytes = bytes;
    this.#phase = 'body';
    return null;
  }

  #redirect(headers: IncomingHttpHeaders): RangeFailure | null {
    const location = headerText(headers.location);
    if (location === null || !URL.canParse(location, this.#url.href))
      return failed('trouble', 'redirected to something that is not a URL');
    if (++this.#redirects > this.#options.redirectsMax)
      return failed('trouble', `redirected more than ${this.#options.redirectsMax} times`);
    const next = new URL(location, this.#url);
    if (next.protocol !== 'http:' && next.protocol !== 'https:')
      return failed('trouble', `redirected to ${next.protocol.slice(0, 20)}`);
    // Credentials are for their own origin only.
    if (next.origin === this.#url.origin && next.username === '' && next.password === '') {
      next.username = this.#url.username;
      next.password = this.#url.password;
    }
    this.#next = next;
    this.#passedBytes = 0;
    this.#phase = 'redirect';
    return null;
  }

  #fail(kind: RangeFailureKind, reason: string): void {
    this.#phase = 'over';
    this.#tell(failed(kind, reason));
  }

  #tell(failure: RangeFailure): void {
    this.#call(() => this.#sink.onFailed(failure));
  }

  /** undici takes what its handlers throw for trouble of the server: what is wrong with us must not hide there. */
  #call(step: () => void): void {
    try {
      step();
    } catch (error) {
      this.abort();
      queueMicrotask(() => {
        throw error;
      });
    }
  }

  /** In the middle of an answer: the rest of it is not read. */
  #end(failure: RangeFailure): void {
    this.abort();
    this.#tell(failure);
  }
}

export function failed(kind: RangeFailureKind, reason: string): RangeFailure {
  return { kind, reason, retryAfterMs: null, isRefusal: false };
}

function lengthOf(headers: IncomingHttpHeaders): number | null {
  const text = headerText(headers['content-length']);
  return text !== null && /^\d{1,16}$/.test(text) ? Number(text) : null;
}

/** Seconds or a date (RFC 9110), as time from now. */
export function retryAfter(text: string | null, nowMs: number = Date.now()): number | null {
  if (text === null) return null;
  const trimmed = text.trim();
  const ms = /^\d{1,9}$/.test(trimmed) ? Number(trimmed) * 1000 : Date.parse(trimmed) - nowMs;
  return Number.isNaN(ms) ? null : Math.min(RETRY_AFTER_MAX_MS, Math.max(0, ms));
}

/** Of a stranger: printable, and not long. */
function shown(text: string): string {
  return JSON.stringify(text.slice(0, 60));
}

const TEXTS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'connection reset',
  EPIPE: 'connection reset',
  ENOTFOUND: 'no such host',
  EPRIVATE: 'is of a private network, which only the user or a tracker of the torrent may name',
  EAI_AGAIN: 'name lookup failed for now',
  EHOSTUNREACH: 'host unreachable',
  ENETUNREACH: 'network unreachable',
  ETIMEDOUT: 'connecting timed out',
  UND_ERR_CONNECT_TIMEOUT: 'connecting timed out',
  UND_ERR_MAX_ORIGINS_REACHED: 'too many servers are in use',
  UND_ERR_SOCKET: 'the connection broke',
  UND_ERR_HEADERS_TIMEOUT: 'stopped answering',
  UND_ERR_BODY_TIMEOUT: 'stopped sending',
  UND_ERR_HEADERS_OVERFLOW: 'answered too many headers',
  UND_ERR_RES_CONTENT_LENGTH_MISMATCH: 'the answer ended early',
};

function textOf(error: unknown): string {
  const { code, message, name } = error as { code?: unknown; message?: unknown; name?: unknown };
  if (name === 'HTTPParserError') return 'answered something that is not HTTP';
  if (typeof code === 'string') return TEXTS[code] ?? code;
  return String(message ?? error)
    .split('\n', 1)[0]!
    .slice(0, 200);
}

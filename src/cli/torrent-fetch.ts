/**
 * Fetches a .torrent over HTTP(S). Every attempt has limits for connecting, each silence, the rate and the whole; what
 * failed for a reason that may pass (refused, reset, too slow, 5xx, 429, broken off) is tried again for a while, what
 * will not change is told at once. Bounds: LIMITS.torrentFileBytes, five redirects.
 */
import { LIMITS } from '../config.js';
import { HaulError } from '../errors.js';
import type { Requests } from '../net/http-client.js';
import type { OwnHost } from '../net/own-host.js';
import { basicAuthorization, discard, getFollowing, headerText } from '../net/redirects.js';
import { withoutPassword } from '../net/url.js';
import { isTransient, pauseMs, retryAfterMs } from './retry.js';
import { isHttpUrl } from './values.js';
import { delayOrAborted } from './wait.js';

const REDIRECTS_MAX = 5;

/** For how long a command that runs unattended tries again by default: a sharer that restarts, a proxy that reloads. */
export const RETRY_FOR_MS = 60_000;

/** Of one attempt; milliseconds and bytes. */
export interface FetchLimits {
  readonly connectMs: number;
  /** Without a byte. */
  readonly silenceMs: number;
  /**
   * Less than `leastBytes` of the body in so long: the attempt ends. 1 KiB in 10 s is below any link of this century.
   */
  readonly slowMs: number;
  readonly leastBytes: number;
  /** 10 MiB at 100 kB/s. */
  readonly wholeMs: number;
}

const FETCH_LIMITS: FetchLimits = {
  connectMs: 5_000,
  silenceMs: 10_000,
  slowMs: 10_000,
  leastBytes: 1024,
  wholeMs: 120_000,
};

export interface FetchOptions {
  /** Milliseconds from the start during which another attempt begins; 0: one attempt. */
  readonly retryForMs?: number;
  /** An attempt failed and another follows. */
  readonly onRetry?: (error: HaulError, pauseMs: number) => void;
  readonly limits?: Partial<FetchLimits>;
  /** By which of our addresses (`EngineOptions.host`); default: whichever the system takes. */
  readonly host?: string | undefined;
  /** A generator of [0, 1). */
  readonly random?: () => number;
}

/** @throws HaulError HTTP, NETWORK, TIMEOUT, LIMIT; ABORTED when `signal` fires */
export async function fetchTorrent(source: string, signal: AbortSignal, options: FetchOptions): Promise<Buffer> {
  const { retryForMs = 0, onRetry, random = Math.random } = options;
  const limits = { ...FETCH_LIMITS, ...options.limits };
  const own =
    options.host === undefined ? undefined : await (await import('../net/own-host.js')).findOwnHost(options.host);
  const startMs = performance.now();
  for (let failures = 1; ; failures++) {
    const outcome = await attempt(source, signal, limits, own);
    if (!(outcome instanceof HaulError)) return outcome;
    if (!isTransient(outcome)) throw outcome;
    const pause = pauseMs(failures, random(), Number(outcome.facts.retryAfterMs ?? 0));
    if (performance.now() - startMs + pause > retryForMs)
      throw failures === 1 ? outcome : afterTries(outcome, failures);
    onRetry?.(outcome, pause);
    if ((await delayOrAborted(pause, signal)) === 'aborted') throw interrupted();
  }
}

function afterTries(error: HaulError, tries: number): HaulError {
  return new HaulError(error.code, `${error.message} (tried ${tries} times)`, { ...error.facts, tries }, error);
}

function interrupted(): HaulError {
  return new HaulError('ABORTED', 'interrupted');
}

/** One attempt with its redirects. Failures are values; only the end of `signal` throws. */
async function attempt(
  source: string,
  signal: AbortSignal,
  limits: FetchLimits,
  own: OwnHost | undefined,
): Promise<Buffer | HaulError> {
  const { HttpClient } = await import('../net/http-client.js');
  if (signal.aborted) throw interrupted();
  const { connectMs, silenceMs } = limits;
  const agent = new HttpClient(
    { connect: { timeout: connectMs }, headersTimeout: silenceMs, bodyTimeout: silenceMs },
    own && (() => own),
  );
  const start = new URL(source);
  const meter = new Meter(limits, signal);
  try {
    return await fetchOnce(agent, start, meter);
  } catch (error) {
    if (signal.aborted) throw interrupted();
    return meter.verdict === null ? networkError(error, start) : timeoutError(start, meter.verdict, error);
  } finally {
    meter.end();
    await agent.destroy();
  }
}

/**
 * Ends an attempt that takes too long in all, or of which too little comes: a server may send one byte a second for
 * ever.
 */
class Meter {
  receivedBytes = 0;
  /** Which limit was reached, or null. */
  verdict: string | null = null;
  readonly #controller = new AbortController();
  readonly #timers: readonly NodeJS.Timeout[];
  readonly #outer: AbortSignal;
  readonly #onAbort = (): void => this.#controller.abort();

  constructor(limits: FetchLimits, outer: AbortSignal) {
    this.#outer = outer;
    outer.addEventListener('abort', this.#onAbort, { once: true });
    let previousBytes = 0;
    const look = (): void => {
      // Before the first byte it is a silence, which has its own limit.
      const isSlow = this.receivedBytes > 0 && this.receivedBytes - previousBytes < limits.leastBytes;
      previousBytes = this.receivedBytes;
      if (isSlow) this.#give(`less than ${limits.leastBytes} bytes came in ${limits.slowMs / 1000} s`);
    };
    const whole = (): void => this.#give(`not complete after ${limits.wholeMs / 1000} s`);
    this.#timers = [setInterval(look, limits.slowMs), setTimeout(whole, limits.wholeMs)];
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  end(): void {
    for (const timer of this.#timers) clearTimeout(timer);
    this.#outer.removeEventListener('abort', this.#onAbort);
  }

  #give(verdict: string): void {
    this.verdict ??= verdict;
    this.#controller.abort();
  }
}

/** The body. Credentials in the URL are sent to their own origin only. */
async function fetchOnce(client: Requests, start: URL, meter: Meter): Promise<Buffer> {
  const { statusCode, headers, body } = await getFollowing(start, {
    client,
    signal: meter.signal,
    redirectsMax: REDIRECTS_MAX,
    headersFor: (url) => headersFor(url, start),
    target: (next) => {
      if (next !== null && isHttpUrl(next.href)) return next;
      throw httpError(start, 'redirected to something that is not http(s)');
    },
    tooMany: () => httpError(start, `more than ${REDIRECTS_MAX} redirects`),
  });
  if (statusCode !== 200) {
    discard(body);
    const askedMs = retryAfterMs(headerText(headers['retry-after']) ?? undefined, Date.now());
    const facts = { statusCode, ...(askedMs > 0 ? { retryAfterMs: askedMs } : {}) };
    throw httpError(start, `the server answered ${statusCode}${STATUS_HINTS[statusCode] ?? ''}`, facts);
  }
  const parts: Buffer[] = [];
  let total = 0;
  for await (const part of body as AsyncIterable<Buffer>) {
    total += part.length;
    meter.receivedBytes = total;
    if (total > LIMITS.torrentFileBytes) throw tooLarge(withoutPassword(start.href));
    parts.push(part);
  }
  return Buffer.concat(parts);
}

function headersFor(url: URL, start: URL): Record<string, string> {
  const authorization = url.origin === start.origin ? basicAuthorization(start) : undefined;
  return {
    accept: 'application/x-bittorrent, */*',
    'accept-encoding': 'identity',
    ...(authorization === undefined ? {} : { authorization }),
  };
}

const STATUS_HINTS: Readonly<Record<number, string>> = {
  401: ' (it wants a user and password: http://user:password@host/…)',
  403: ' (forbidden)',
  404: ' (not found); check the URL',
  410: ' (gone); check the URL',
  429: ' (too many requests)',
  503: ' (unavailable for now)',
};

function httpError(url: URL, detail: string, facts: Record<string, number> = {}): HaulError {
  const shown = withoutPassword(url.href);
  return new HaulError('HTTP', `fetch ${shown}: ${detail}`, { ...facts, url: shown });
}

const NETWORK_HINTS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused; is the sharer running, and is the port right?',
  ENOTFOUND: 'no such host',
  EAI_AGAIN: 'the host name cannot be looked up now',
  EHOSTUNREACH: 'host unreachable',
  ENETUNREACH: 'network unreachable',
  ECONNRESET: 'the server closed the connection',
  UND_ERR_SOCKET: 'the server closed the connection',
  UND_ERR_RES_CONTENT_LENGTH_MISMATCH: 'the server broke the answer off',
};

function networkError(error: unknown, url: URL): HaulError {
  if (error instanceof HaulError) return error;
  const shown = withoutPassword(url.href);
  const code = errorCode(error);
  if (code.endsWith('_TIMEOUT') || code === 'ETIMEDOUT') {
    return timeoutError(url, 'no answer in time', error);
  }
  const detail = NETWORK_HINTS[code] ?? (error instanceof Error ? error.message : String(error));
  return new HaulError('NETWORK', `fetch ${shown}: ${detail}`, { url: shown, errno: code }, error);
}

/** Node wraps the attempts on several addresses of one host in an AggregateError. */
function errorCode(error: unknown): string {
  const code = (error as { code?: unknown }).code;
  if (typeof code === 'string') return code;
  const first = error instanceof AggregateError ? (error.errors[0] as unknown) : undefined;
  return first === undefined ? '' : errorCode(first);
}

function timeoutError(url: URL, detail: string, error: unknown): HaulError {
  const shown = withoutPassword(url.href);
  return new HaulError('TIMEOUT', `fetch ${shown}: ${detail}`, { url: shown }, error);
}

export function tooLarge(source: string): HaulError {
  const limitBytes = LIMITS.torrentFileBytes;
  return new HaulError('LIMIT', `${source}: larger than ${limitBytes / 2 ** 20} MiB, so it is no .torrent file`, {
    source,
    limitBytes,
  });
}

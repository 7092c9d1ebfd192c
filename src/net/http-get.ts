/**
 * One GET of a small binary reply: time-out, size limit before and after inflation. Never hangs, never
 * buffers more than the limit. Knows HTTP; must not know what a tracker is.
 */
import { promisify } from 'node:util';
import type { Dispatcher } from 'undici';
import { type ErrorCode, HaulError } from '../errors.js';
import { boundedBody } from './bounded-body.js';
import { type Requests, sharedClient } from './http-client.js';
import { basicAuthorization, discard, getFollowing, headerText } from './redirects.js';
import { parseHttpUrl, shownUrl } from './url.js';

export interface ExchangeOptions {
  /** Aborts with HaulError ABORTED. */
  readonly signal?: AbortSignal | undefined;
  /** Connections to use; default: those of `sharedClient`. */
  readonly dispatcher?: Requests | undefined;
  /** What asks where a redirect leads; default the same. @throws HaulError: nobody does */
  readonly clientFor?: ((from: URL, to: URL) => Requests) | undefined;
  /** For the whole exchange, redirects included. */
  readonly timeoutMs: number;
  readonly redirectsMax: number;
  /** Bytes of the body, as received and after inflation. */
  readonly bodyBytesMax: number;
  /** "tracker http://…": how messages name the other side. */
  readonly where: string;
  readonly userAgent: string;
}

export interface ExchangeReply {
  readonly status: number;
  readonly body: Buffer;
}

/**
 * @throws HaulError TIMEOUT, ABORTED, NETWORK (name lookup, connect, reset) or TRACKER (not HTTP, too large, too many
 * redirects). Messages begin with `where`.
 */
export async function exchange(url: URL, options: ExchangeOptions): Promise<ExchangeReply> {
  const { where } = options;
  const facts = { url: shownUrl(url.href) };
  const controller = new AbortController();
  // AbortSignal.any/timeout would do, but leave their timers and listeners behind until they fire.
  let isTimedOut = false;
  const timer = setTimeout(() => {
    isTimedOut = true;
    controller.abort();
  }, options.timeoutMs);
  const onAbort = (): void => controller.abort();
  options.signal?.addEventListener('abort', onAbort);
  if (options.signal?.aborted) controller.abort();
  try {
    return await follow(url, controller.signal, options);
  } catch (error) {
    if (options.signal?.aborted) throw new HaulError('ABORTED', `${where}: given up`, facts, error);
    if (isTimedOut) {
      throw new HaulError('TIMEOUT', `${where}: no complete answer within ${options.timeoutMs / 1000} s`, facts, error);
    }
    if (error instanceof HaulError) throw error;
    const [code, text] = describe(error);
    throw new HaulError(code, `${where}: ${text}`, facts, error);
  } finally {
    clearTimeout(timer);
    options.signal?.removeEventListener('abort', onAbort);
  }
}

async function follow(url: URL, signal: AbortSignal, options: ExchangeOptions): Promise<ExchangeReply> {
  const { where, bodyBytesMax, redirectsMax, timeoutMs } = options;
  const facts = { url: shownUrl(url.href) };
  const reply = await getFollowing(url, {
    client: options.dispatcher ?? sharedClient(),
    ...(options.clientFor === undefined ? {} : { clientFor: options.clientFor }),
    signal,
    redirectsMax,
    // The timer above covers the whole exchange; undici's own are set to match so that they do not fire earlier.
    timeoutMs,
    headersFor: (next) => headersFor(next, options.userAgent),
    target: (next) => {
      if (next === null) throw new HaulError('TRACKER', `${where}: redirected to something that is not a URL`, facts);
      return parseHttpUrl(next.href, `${where}: redirected to`);
    },
    tooMany: () => new HaulError('TRACKER', `${where}: redirected more than ${redirectsMax} times`, facts),
  });
  const raw = await readBody(reply, where, facts, bodyBytesMax);
  const encoding = headerText(reply.headers['content-encoding']);
  return { status: reply.statusCode, body: await inflated(raw, encoding, where, facts, bodyBytesMax) };
}

function headersFor(url: URL, userAgent: string): Record<string, string> {
  const authorization = basicAuthorization(url);
  return {
    'user-agent': userAgent,
    'accept-encoding': 'gzip, deflate',
    accept: '*/*',
    ...(authorization === undefined ? {} : { authorization }),
  };
}

async function readBody(
  reply: Dispatcher.ResponseData,
  where: string,
  facts: { url: string },
  limitBytes: number,
): Promise<Buffer> {
  const tooLarge = (): HaulError => new HaulError('TRACKER', `${where}: answered more than ${limitBytes} bytes`, facts);
  if (Number(headerText(reply.headers['content-length'])) > limitBytes) {
    discard(reply.body);
    throw tooLarge();
  }
  return boundedBody(reply.body, limitBytes, tooLarge);
}

async function inflated(
  raw: Buffer,
  encoding: string | null,
  where: string,
  facts: { url: string },
  limitBytes: number,
): Promise<Buffer> {
  const name = encoding?.trim().toLowerCase() ?? '';
  if (name === '' || name === 'identity') return raw;
  const options = { maxOutputLength: limitBytes };
  // Few answers need it, and no transfer from a named peer.
  const { gunzip, inflate, inflateRaw } = await import('node:zlib');
  try {
    if (name === 'gzip' || name === 'x-gzip') return await promisify(gunzip)(raw, options);
    // "deflate" means zlib framing, but some servers send the bare stream; the low nibble 8 tells.
    if (name === 'deflate') return await promisify(((raw[0] ?? 0) & 0x0f) === 8 ? inflate : inflateRaw)(raw, options);
  } catch (error) {
    const isTooLarge = (error as { code?: unknown }).code === 'ERR_BUFFER_TOO_LARGE';
    const text = isTooLarge ? `answered more than ${limitBytes} bytes after inflation` : `answered broken ${name} data`;
    throw new HaulError('TRACKER', `${where}: ${text}`, facts, error);
  }
  throw new HaulError('TRACKER', `${where}: answered in an encoding we did not ask for`, facts);
}

const NETWORK_TEXTS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'connection reset',
  EPIPE: 'connection reset',
  UND_ERR_SOCKET: 'connection closed before the answer was complete',
  ENOTFOUND: 'no such host',
  EAI_AGAIN: 'name lookup failed for now',
  EPRIVATE: 'its address is of a private network',
  EHOSTUNREACH: 'host unreachable',
  ENETUNREACH: 'network unreachable',
  ETIMEDOUT: 'connecting timed out',
  UND_ERR_CONNECT_TIMEOUT: 'connecting timed out',
  UND_ERR_CLOSED: 'our connections are closed',
  UND_ERR_DESTROYED: 'our connections are closed',
};

/** Code and text for what undici and the system throw. */
function describe(error: unknown): [ErrorCode, string] {
  const { code, message, name: kind } = error as { code?: unknown; message?: unknown; name?: unknown };
  const name = typeof code === 'string' ? code : '';
  // Not every parser error has a code.
  if (kind === 'HTTPParserError' || name === 'UND_ERR_RES_CONTENT_LENGTH_MISMATCH')
    return ['TRACKER', 'answered something that is not HTTP'];
  if (name === 'UND_ERR_HEADERS_OVERFLOW') return ['TRACKER', 'answered too many headers'];
  if (name === 'UND_ERR_HEADERS_TIMEOUT' || name === 'UND_ERR_BODY_TIMEOUT') return ['TIMEOUT', 'stopped answering'];
  return ['NETWORK', NETWORK_TEXTS[name] ?? (name !== '' ? name : String(message ?? error).split('\n', 1)[0]!)];
}

/**
 * One request from head to log line: whose it is, what it asks for, whether it may, then its route. Owns nothing but
 * what is under way. Invariant: each request ends with one answer or with the end of its connection, and a body that
 * nobody wants is neither kept nor read for long.
 */

import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { HaulError } from '../../errors.js';
import { groupOf } from '../../net/remote-group.js';
import type { RateGate } from '../../rates-api.js';
import type { DepotRequest } from '../api.js';
import { AnswerTurns } from './answer-turns.js';
import { Answers } from './answers.js';
import { BodyPlaces } from './body-places.js';
import { checkHost, checkSameSite, corsHeaders, type GuardRules, preflightHeaders } from './guard.js';
import { Guesses } from './guesses.js';
import { DEPOT_HTTP_LIMITS } from './limits.js';
import { problemAnswer } from './plain-answers.js';
import { Problem, problemOf } from './problems.js';
import { prepareQuery, queryOf } from './query.js';
import type { Answer, Exchange, Guess, Method, Refusal, Route, Slices } from './route.js';
import { Router } from './router.js';
import { shownPath } from './shown-path.js';
import { ChunkTurns, SmallChunks } from './small-chunks.js';
import { parseTarget, type Target } from './target.js';
import { type Anonymous, checkGrant, type Grant, grantOf, type TokenTable } from './tokens.js';
import { UploadBody } from './upload-body.js';

export interface HandlerOptions {
  readonly routes: readonly Route[];
  readonly rules: GuardRules;
  readonly tokens: () => TokenTable;
  readonly anonymous: Anonymous;
  /** "http://host:port" for a client that said so in its Host header. */
  readonly baseOf: (authority: string, request: IncomingMessage) => string;
  readonly onRequest: (record: DepotRequest) => void;
  /** Addresses of connections are those of a proxy. */
  readonly isBehindProxy: boolean;
  /** Something of ours went wrong. */
  readonly onTrouble: (error: unknown, method: string, path: string) => void;
  /** Milliseconds since 1970, for tokens. */
  readonly wallClockMs: () => number;
  /** Monotonic milliseconds. */
  readonly now: () => number;
  /** What is sent passes it. */
  readonly gate?: RateGate;
  /** Uploads that are read at once, where others wait for them. */
  readonly uploadsAtOnce?: number;
}

interface Underway {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly body: UploadBody;
  readonly beganMs: number;
  /** Whose it is, when places are shared out. */
  readonly group: string;
  readonly abort: AbortController;
  path: string;
  grant: Grant | null;
  refusal: Refusal;
  cors: Readonly<Record<string, string>>;
  sentBytes: number;
  problem: string | null;
  /** When a short answer was given out: whoever does not take it is let go of. */
  answeredMs: number | null;
}

/** Longer answers are sent as bytes of artifacts are: in parts, and in a place of those. */
const SHORT_BYTES = 64 * 1024;

/** So often a name that is overwritten without end is looked up again. */
const RACES_MAX = 20;

/** As `groupOf` has them. */
const PROXIES_HERE: ReadonlySet<string> = new Set(['127.0.0.1', groupOf('::1')]);
/** One for all: each would be made with its stack. */
const OVER = new DOMException('the request is over', 'AbortError');
const NO_LIMIT: Guess = { check: () => {}, wrong: () => {} };

const METHODS: ReadonlySet<string> = new Set(['GET', 'PUT', 'DELETE', 'POST', 'PATCH']);

export class Handler {
  readonly #options: HandlerOptions;
  readonly #router: Router;
  readonly #answers: Answers;
  readonly #guesses: Guesses;
  readonly #underway = new Set<Underway>();
  readonly #uploads: BodyPlaces;
  readonly #questions: BodyPlaces;
  readonly #turns = new AnswerTurns();
  readonly #chunkTurns: ChunkTurns;
  #isStopping = false;

  constructor(options: HandlerOptions) {
    this.#options = options;
    this.#router = new Router(options.routes);
    this.#uploads = new BodyPlaces(options.uploadsAtOnce ?? DEPOT_HTTP_LIMITS.uploads, options.now);
    this.#questions = new BodyPlaces(DEPOT_HTTP_LIMITS.uploads, options.now);
    this.#chunkTurns = new ChunkTurns(options.now);
    for (const { operations } of options.routes) Object.values(operations).forEach(prepareQuery);
    this.#answers = new Answers(options.now, options.gate ?? null);
    this.#guesses = new Guesses(options.now);
  }

  get underway(): number {
    return this.#underway.size;
  }

  /** The answer to the last request that came whole on this connection; null: none is under way. */
  lastWholeOn(socket: Socket): ServerResponse | null {
    return this.#turns.lastWholeOn(socket);
  }

  /** Once a second or so. */
  tick(): void {
    this.#answers.tick();
    this.#uploads.tick();
    this.#questions.tick();
    const untilMs = this.#options.now() - DEPOT_HTTP_LIMITS.answerIdleMs;
    for (const { answeredMs, response } of this.#underway)
      if (answeredMs !== null && answeredMs <= untilMs) response.destroy();
  }

  /** Answers from now on end their connections. */
  stop(): void {
    this.#isStopping = true;
  }

  /** Whatever is under way ends now. */
  abort(): void {
    for (const { abort, response } of this.#underway) {
      abort.abort();
      if (response.headersSent) response.destroy();
    }
  }

  /** @param expectsContinue the client waits for a word before it sends the body */
  async handle(request: IncomingMessage, response: ServerResponse, expectsContinue: boolean): Promise<void> {
    response.on('error', () => {});
    const small = new SmallChunks(request);
    if (!(await this.#turns.wait(request, response))) return;
    const { now } = this.#options;
    const underway: Underway = {
      request,
      response,
      body: new UploadBody({ request, response, expectsContinue, small, turns: this.#chunkTurns, now }),
      beganMs: now(),
      group: groupOf(request.socket.remoteAddress ?? ''),
      abort: new AbortController(),
      path: shownPath(request.url ?? ''),
      grant: null,
      refusal: problemAnswer,
      cors: {},
      sentBytes: 0,
      problem: null,
      answeredMs: null,
    };
    this.#underway.add(underway);
    response.once('close', () => this.#closed(underway));
    try {
      await this.#answer(underway);
    } catch (error) {
      await this.#fail(underway, underway.body.givenUp ?? error);
    }
  }

  /** Between a name and its bytes others may have replaced it: who is told 404 must not have been in time. */
  async #answer(underway: Underway): Promise<void> {
    for (let left = RACES_MAX; ; left--) {
      const answer = await this.#answerOf(underway);
      if (answer === null) return;
      try {
        await this.#send(underway, answer);
        return;
      } catch (error) {
        const isGone = HaulError.is(error) && error.code === 'NOT_FOUND';
        const { request, response } = underway;
        if (!isGone || request.method !== 'GET' || response.headersSent) throw error;
        if (left === 0) throw this.#lost(underway, error.message);
      }
    }
  }

  /** A name is there again and again, and its bytes never are: 404 has clients publish them, which mends it. */
  #lost({ request, path }: Underway, why: string): Problem {
    const message = `${path}: the store has lost its bytes (${why}): publish them again, and see haul depot check`;
    this.#options.onTrouble(new HaulError('BAD_DATA', message), request.method ?? '', path);
    return new Problem(404, 'NOT_FOUND', 'its bytes are gone: publish them again');
  }

  #closed(underway: Underway): void {
    const { request, response, beganMs, grant, path, sentBytes, body, problem } = underway;
    if (!this.#underway.delete(underway)) return;
    this.#uploads.leave(underway);
    this.#questions.leave(underway);
    this.#turns.over(request, response);
    const isAborted = !response.writableFinished;
    underway.abort.abort(OVER);
    this.#options.onRequest({
      method: request.method ?? '',
      path,
      status: response.headersSent ? response.statusCode : 0,
      sentBytes,
      receivedBytes: body.receivedBytes,
      seconds: (this.#options.now() - beganMs) / 1000,
      remote: request.socket.remoteAddress ?? '',
      token: grant?.token?.id ?? null,
      isAborted,
      problem,
    });
  }

  async #answerOf(underway: Underway): Promise<Answer | null> {
    const { request } = underway;
    const { rules, baseOf } = this.#options;
    checkFraming(request);
    const target = parseTarget(request.url ?? '');
    if (typeof target === 'string') throw new Problem(400, 'BAD_TARGET', target);
    const authority = authorityOf(request, target);
    checkHost(authority, rules);
    const { origin } = request.headers;
    underway.cors = corsHeaders(origin, rules);
    if (request.method === 'OPTIONS') return this.#options204(request, target);
    const { operation, params, method } = this.#operationOf(request, target);
    underway.refusal = operation.refusal ?? problemAnswer;
    if (method !== 'GET') checkSameSite({ origin, authority, fetchSite: headerOf(request, 'sec-fetch-site') }, rules);
    const guess = this.#guessOf(underway);
    const grant = this.#grantOf(request, guess);
    underway.grant = grant;
    if (operation.scope !== null) checkGrant(grant, operation.scope, null);
    const exchange: Exchange = {
      request,
      response: underway.response,
      method,
      target,
      base: baseOf(authority!, request),
      grant,
      guess,
      params,
      query: queryOf(operation, target.rawQuery),
      body: () => this.#bodyOf(underway),
      signal: underway.abort.signal,
    };
    return operation.handle(exchange);
  }

  /** Where all come by a proxy, guesses of one would lock everybody out: the proxy has to count them. */
  #guessOf({ group }: Underway): Guess {
    if (this.#options.isBehindProxy || PROXIES_HERE.has(group)) return NO_LIMIT;
    return {
      check: () => {
        const seconds = this.#guesses.waitSeconds(group);
        if (seconds === null) return;
        const retry = { 'retry-after': String(seconds) };
        throw new Problem(429, 'GUESSES', 'too many wrong tokens or passkeys came from this address', retry);
      },
      wrong: () => this.#guesses.wrong(group),
    };
  }

  #grantOf({ headers }: IncomingMessage, guess: Guess): Grant {
    const { tokens, anonymous, wallClockMs } = this.#options;
    if (headers.authorization !== undefined) guess.check();
    try {
      return grantOf(headers.authorization, tokens(), anonymous, wallClockMs());
    } catch (error) {
      guess.wrong();
      throw error;
    }
  }

  #operationOf(request: IncomingMessage, target: Target) {
    const found = this.#router.find(target);
    if (found === null) throw new Problem(404, 'NOT_FOUND', 'there is nothing at this path');
    const method = request.method === 'HEAD' ? 'GET' : (request.method ?? '');
    const operation = METHODS.has(method) ? found.route.operations[method as Method] : undefined;
    if (operation === undefined)
      throw new Problem(405, 'METHOD', `${request.method} is not for this path`, { allow: allowed(found.route) });
    return { operation, params: found.params, method: method as Method };
  }

  #options204(request: IncomingMessage, target: Target): Answer {
    const found = this.#router.find(target);
    const allow = found === null ? 'GET, HEAD, OPTIONS' : allowed(found.route);
    return { status: 204, headers: { allow, ...preflightHeaders(request.headers.origin, this.#options.rules) } };
  }

  /** Its place is taken before anything is made ready for it. @throws Problem 503 */
  #bodyOf(underway: Underway): Promise<AsyncIterable<Uint8Array>> {
    // What is asked in a small body takes no place from what is published.
    return (underway.request.method === 'POST' ? this.#questions : this.#uploads).take(underway);
  }

  async #send(underway: Underway, { status, headers = {}, body }: Answer): Promise<void> {
    const { request, response, cors } = underway;
    if (response.destroyed) return;
    const slices = body === undefined ? null : slicesOf(body);
    const lengthBytes = slices?.lengthBytes ?? (body === undefined ? 0 : Buffer.byteLength(body as string));
    // Of what has no end the head alone states no length.
    const isEndless = request.method === 'HEAD' && body === undefined;
    const hasLength = status !== 204 && status !== 304 && !isEndless;
    const isLingering = underway.body.isUnread;
    const head = {
      ...headers,
      ...cors,
      ...(hasLength ? { 'content-length': lengthBytes } : {}),
      ...(isLingering || this.#isStopping ? { connection: 'close' } : {}),
    };
    const isBare = request.method === 'HEAD' || !hasLength || lengthBytes === 0;
    if (slices !== null && !isBare) {
      const writeHead = (): void => void response.writeHead(status, head);
      const taken = (bytes: number): void => {
        underway.sentBytes += bytes;
      };
      await this.#answers.send(response, slices, underway.group, writeHead, taken);
      return;
    }
    response.writeHead(status, head);
    underway.answeredMs = this.#options.now();
    if (!isBare) {
      underway.sentBytes = lengthBytes;
      response.write(body);
    }
    if (isLingering) await underway.body.drop();
    response.end();
  }

  async #fail(underway: Underway, error: unknown): Promise<void> {
    const { request, response, path } = underway;
    const { problem, isOurFault } = problemOf(error);
    underway.problem = problem.code;
    if (isOurFault && !underway.abort.signal.aborted) this.#options.onTrouble(error, request.method ?? '', path);
    if (response.headersSent || response.destroyed) {
      // Where half of it is out nobody is to take it for the whole.
      response.destroy();
      return;
    }
    await this.#send(underway, underway.refusal(problem)).catch(() => response.destroy());
  }
}

/** Null: it is short, and written at once. */
function slicesOf(body: string | Uint8Array | Slices): Slices | null {
  if (typeof body === 'object' && 'open' in body) return body;
  const isShort = body.length <= SHORT_BYTES && Buffer.byteLength(body) <= SHORT_BYTES;
  if (isShort) return null;
  const bytes = typeof body === 'string' ? Buffer.from(body) : body;
  const open = async function* (): AsyncGenerator<Uint8Array> {
    yield bytes;
  };
  return { lengthBytes: bytes.length, open };
}

function headerOf({ headers }: IncomingMessage, name: string): string | undefined {
  const value = headers[name];
  return Array.isArray(value) ? value[0] : value;
}

function allowed({ operations }: Route): string {
  const methods = Object.keys(operations);
  return [...(methods.includes('GET') ? ['GET', 'HEAD'] : []), ...methods.filter((method) => method !== 'GET')]
    .concat('OPTIONS')
    .join(', ');
}

/** Two hosts are one too many: a proxy before us may have gone by the other. */
function authorityOf(request: IncomingMessage, target: Target): string | undefined {
  let hosts = 0;
  for (let at = 0; at < request.rawHeaders.length; at += 2) if (/^host$/i.test(request.rawHeaders[at]!)) hosts++;
  if (hosts > 1) throw new Problem(400, 'BAD_HOST', 'the request names its host more than once');
  return target.authority ?? request.headers.host;
}

const LAST = { connection: 'close' };

/**
 * What a proxy before us might take for another length than we do: nothing behind it on this connection is read. Node
 * refuses both lengths at once, and two of one kind.
 */
function checkFraming(request: IncomingMessage): void {
  if (request.httpVersionMajor !== 1)
    throw new Problem(505, 'HTTP_VERSION', 'HTTP/1.1 is spoken here, and HTTP/1.0', LAST);
  const coding = headerOf(request, 'transfer-encoding');
  // Who knows no more than 1.0 takes such a body for one that ends with the connection (RFC 9112, 6.1).
  if (coding !== undefined && request.httpVersionMinor === 0)
    throw new Problem(400, 'BAD_REQUEST', 'HTTP/1.0 has no Transfer-Encoding', LAST);
  if (coding !== undefined && coding.trim().toLowerCase() !== 'chunked')
    throw new Problem(501, 'ENCODING', 'the only Transfer-Encoding that is understood is chunked', LAST);
}

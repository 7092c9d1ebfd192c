/**
 * Requests to a depot, as the commands make them. The token goes to the depot that was named and nowhere else: no
 * redirect is followed. What fails for a moment is tried again; a problem of the depot becomes an error of ours.
 */
import { type ClientRequest, type IncomingMessage, Agent as PlainAgent, request as plainRequest } from 'node:http';
import type { RequestOptions } from 'node:https';
import { jsonOf, type SaidArtifact, saidArtifact, saidPage } from '../depot/depot-said.js';
import { readProblem } from '../depot/http/problems.js';
import { encodePath } from '../depot/http/target.js';
import { type ErrorCode, fromSystemError, HaulError } from '../errors.js';
import { showName } from '../metainfo/paths.js';
import { boundedBody } from '../net/bounded-body.js';
import { trusting } from '../net/http-client.js';
import type { DepotPlace } from './depot-place.js';
import { isTransient, pauseMs, retryAfterMs } from './retry.js';
import { delayOrAborted } from './wait.js';

/** Without a byte either way. */
const SILENCE_MS = 60_000;
const RETRY_FOR_MS = 60_000;
/** The same of a question, where another depot can be asked it. */
const OTHER_MS = 10_000;
/** Which depot is the nearest: how long one has to answer, and what those named later give those before them. */
const LOOK_MS = 3_000;
const START_MS = 30;
const CONNECTIONS = 8;
/** Of an answer that is held whole. */
const TEXT_BYTES_MAX = 64 * 1024 * 1024;

export type DepotArtifact = SaidArtifact;

export interface AskOptions {
  readonly headers?: Readonly<Record<string, string | number>>;
  /** Called when the depot wants the body: writes all of it and ends. */
  readonly send?: (write: (chunk: Uint8Array) => Promise<void>) => Promise<void>;
}

export class DepotClient {
  readonly #place: DepotPlace;
  readonly #signal: AbortSignal;
  /** Of depots that share what they have; the one that is asked now. */
  #urls: readonly string[];
  #at = 0;
  readonly #agents: { readonly plain: PlainAgent; readonly tls: PlainAgent | null };
  readonly #tls: Tls | null;
  readonly #onRetry: (error: HaulError) => void;

  private constructor(place: DepotPlace, signal: AbortSignal, onRetry: (error: HaulError) => void, tls: Tls | null) {
    this.#place = place;
    this.#signal = signal;
    this.#onRetry = onRetry;
    this.#urls = place.urls;
    this.#tls = tls;
    const options = { keepAlive: true, maxSockets: CONNECTIONS };
    const ca = place.ca === null ? {} : trusting([place.ca]);
    this.#agents = {
      plain: new PlainAgent(options),
      tls: tls === null ? null : new tls.Agent({ ...options, ...ca }),
    };
  }

  static async open(
    place: DepotPlace,
    signal: AbortSignal,
    onRetry: (error: HaulError) => void = () => {},
  ): Promise<DepotClient> {
    const tls = place.urls.some((url) => url.startsWith('https:')) ? await import('node:https') : null;
    const client = new DepotClient(place, signal, onRetry, tls);
    if (place.urls.length > 1) await client.#findNearest();
    return client;
  }

  get isAgent(): boolean {
    return this.#place.isAgent;
  }

  /** For people: "depot http://…". */
  get who(): string {
    return `${this.#place.isAgent ? 'agent' : 'depot'} ${this.url}`;
  }

  get url(): string {
    return this.#urls[this.#at]!;
  }

  /** What begins at one depot goes on there alone. */
  stay(): void {
    this.#urls = [this.url];
    this.#at = 0;
  }

  close(): void {
    this.#agents.plain.destroy();
    this.#agents.tls?.destroy();
  }

  /** The one that answers first, each with a little less of a start; where none does, the first. */
  async #findNearest(): Promise<void> {
    const over = new AbortController();
    const looks = this.#urls.map(async (url, at) => {
      if (at > 0) await delayOrAborted(at * START_MS, over.signal);
      await this.#look(url, over.signal);
      return at;
    });
    this.#at = await Promise.any(looks).catch(() => 0);
    over.abort();
  }

  /** @throws it is not there, or not well */
  #look(url: string, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const request = this.#begin(`${url}/healthz`, { signal: AbortSignal.any([signal, this.#signal]) });
      request.setTimeout(LOOK_MS, () => request.destroy(new Error('late')));
      request.once('error', reject);
      request.once('response', (response) => {
        response.resume();
        if (response.statusCode === 200) resolve();
        else reject(new Error(`it answered ${response.statusCode}`));
      });
      request.end();
    });
  }

  #begin(url: string, options: RequestOptions): ClientRequest {
    const { plain, tls } = this.#agents;
    const isTls = url.startsWith('https:');
    const request = isTls ? this.#tls!.request : plainRequest;
    return request(url, { ...options, agent: isTls ? tls! : plain });
  }

  /** "/artifacts/…" of a name, or of what is below it. @throws HaulError BAD_ARGUMENT: a URL would lead elsewhere */
  static path(name: string): string {
    if (/(?:^|\/)\.\.?(?:\/|$)/.test(name))
      throw new HaulError('BAD_ARGUMENT', `the name ${showName(name)} has a part that leads to another folder`);
    return `/artifacts/${encodePath(name)}`;
  }

  /** What is known of an artifact, or null. */
  async find(name: string): Promise<DepotArtifact | null> {
    try {
      const found = this.artifactOf(await this.bytes('GET', `${DepotClient.path(name)}?info`));
      if (found.name !== name) throw this.#lies(`it gave ${showName(found.name)} for ${showName(name)}`);
      return found;
    } catch (error) {
      if (error instanceof HaulError && error.code === 'NOT_FOUND') return null;
      throw error;
    }
  }

  /** All below a prefix, page by page. @param query as the listing has it, without limit and cursor */
  async *list(prefix: string, query: Readonly<Record<string, string>> = {}): AsyncGenerator<DepotArtifact> {
    const path = DepotClient.path(prefix).replace(/\/*$/, '/');
    const start = prefix === '' ? '' : `${prefix.replace(/\/*$/, '')}/`;
    let cursor: string | null = null;
    do {
      const parameters = new URLSearchParams({ ...query, limit: '1000', ...(cursor === null ? {} : { cursor }) });
      const page = saidPage(jsonOf(await this.bytes('GET', `${path}?${parameters}`)));
      if (page === null || (cursor !== null && page.cursor === cursor)) throw this.#lies('its listing is none');
      for (const item of page.items) {
        const artifact = this.#checked(item);
        if (start !== '' && !artifact.name.startsWith(start))
          throw this.#lies(`it listed ${showName(artifact.name)} below ${showName(start)}`);
        yield artifact;
      }
      cursor = page.cursor;
    } while (cursor !== null);
  }

  /** Its names become paths here, and its digests names of files: they are checked as a stranger's. */
  #checked(value: unknown): DepotArtifact {
    const found = saidArtifact(value);
    if (found === null) throw this.#lies('it told of an artifact in a way that is none, or of a name that is none');
    return found;
  }

  /** @throws HaulError HTTP: the answer describes none */
  artifactOf(body: Uint8Array): DepotArtifact {
    return this.#checked(jsonOf(body));
  }

  #lies(why: string): HaulError {
    return new HaulError('HTTP', `${this.who} cannot be believed: ${why}`);
  }

  /** The whole of a small answer. Tried again for a minute. */
  async text(method: string, path: string): Promise<string> {
    return (await this.bytes(method, path)).toString('utf8');
  }

  /** A small answer to GET, or why there is none at once. */
  async textOnce(path: string): Promise<string> {
    return (await readAnswer(await this.ask('GET', path))).toString('utf8');
  }

  async bytes(method: string, path: string): Promise<Buffer> {
    return this.trying(async () => readAnswer(await this.ask(method, path)));
  }

  /** Runs it again after what may pass. */
  async trying<T>(run: () => Promise<T>): Promise<T> {
    const startMs = performance.now();
    for (let failures = 1; ; failures++) {
      const asked = this.#at;
      try {
        return await run();
      } catch (error) {
        if (!(error instanceof HaulError) || !isTransient(error) || this.#signal.aborted) throw error;
        // Another depot can be asked at once.
        const { length } = this.#urls;
        // One that says when to come again may be at it: it is asked once more before another one is.
        const stays = Number(error.facts.retryAfterMs ?? 0) > 0 && failures % 2 === 1;
        if (this.#at === asked && !stays) this.#at = (asked + 1) % length;
        const round = Math.ceil(failures / length);
        const pause =
          failures % length !== 0 && !stays ? 0 : pauseMs(round, Math.random(), Number(error.facts.retryAfterMs ?? 0));
        if (performance.now() - startMs + pause > RETRY_FOR_MS) throw error;
        this.#onRetry(error);
        if ((await delayOrAborted(pause, this.#signal)) === 'aborted') throw new HaulError('ABORTED', 'interrupted');
      }
    }
  }

  /** One request; a status of 400 and more is thrown. @throws HaulError */
  ask(method: string, path: string, { headers = {}, send }: AskOptions = {}): Promise<IncomingMessage> {
    const { url } = this;
    // An agent has one of its own for what it reads.
    const token = this.#place.isAgent && method === 'GET' ? null : this.#place.token;
    const options: RequestOptions = {
      method,
      signal: this.#signal,
      headers: {
        ...(token === null ? {} : { authorization: `Bearer ${token}` }),
        ...headers,
        ...(send === undefined ? {} : { expect: '100-continue' }),
      },
    };
    return new Promise((resolve, reject) => {
      const fail = (error: unknown): void => reject(this.#errorOf(error));
      const request = this.#begin(`${url}${path}`, options);
      // Where another one can be asked nobody waits for long; one that is sent to may have to work first.
      const silenceMs = this.#urls.length > 1 && method === 'GET' ? OTHER_MS : SILENCE_MS;
      request.setTimeout(silenceMs, () =>
        request.destroy(new HaulError('TIMEOUT', `${url}: nothing came for ${silenceMs / 1000} s`)),
      );
      request.once('error', fail);
      request.once('response', (response) => {
        const status = response.statusCode ?? 0;
        if (status < 400) resolve(response);
        else this.#problemOf(response, status).then(reject, fail);
      });
      if (send === undefined) request.end();
      else {
        request.flushHeaders();
        request.once('continue', () => {
          const write = (chunk: Uint8Array): Promise<void> => written(request, chunk);
          send(write).then(
            () => request.end(),
            (error: unknown) => {
              // The depot may have said why while we wrote.
              setImmediate(() => request.destroy(error as Error));
            },
          );
        });
      }
    });
  }

  #errorOf(error: unknown): HaulError {
    if (error instanceof HaulError) return error;
    if (this.#signal.aborted) return new HaulError('ABORTED', 'interrupted');
    const { code, message } = error as NodeJS.ErrnoException;
    const text = code === 'ECONNREFUSED' ? 'nobody answers there' : message;
    return new HaulError('NETWORK', `${this.who}: ${text}`, { errno: code ?? '' }, error);
  }

  async #problemOf(response: IncomingMessage, status: number): Promise<HaulError> {
    const body = await readAnswer(response).catch(() => Buffer.alloc(0));
    const { detail, code } = readProblem(body);
    // It stays so, however often it is asked.
    const isDamaged = code === 'BAD_DATA';
    const ours: ErrorCode | undefined = isDamaged ? 'BAD_DATA' : STATUS_CODES[status];
    const after = retryAfterMs(response.headers['retry-after'], Date.now());
    const facts = { statusCode: status, problem: code ?? '', ...(after > 0 ? { retryAfterMs: after } : {}) };
    const what = isDamaged ? MEND : status === 401 && this.#place.token === null ? TOKEN : '';
    return new HaulError(ours ?? 'HTTP', `${this.who}: ${detail ?? `it answered ${status}`}${what}`, facts);
  }
}

type Tls = typeof import('node:https');

const TOKEN = '; give --token, or set SWARMHAUL_TOKEN';
const MEND = '; publish it again, or look for what else is damaged: haul depot check';

export const STATUS_CODES: Readonly<Record<number, ErrorCode>> = {
  400: 'BAD_ARGUMENT',
  401: 'NO_PERMISSION',
  403: 'NO_PERMISSION',
  404: 'NOT_FOUND',
  409: 'FILE_EXISTS',
  412: 'FILE_EXISTS',
  413: 'LIMIT',
  422: 'MISMATCH',
  507: 'NO_SPACE',
};

/** The whole of an answer. @throws HaulError */
export async function readAnswer(response: IncomingMessage): Promise<Buffer> {
  const tooLong = (): HaulError => new HaulError('LIMIT', 'the answer of the depot is too large');
  return boundedBody(response, TEXT_BYTES_MAX, tooLong).catch((error: unknown) => {
    throw fromNetwork(error);
  });
}

/** A connection that broke off while it was read. */
export function fromNetwork(error: unknown): HaulError {
  if (error instanceof HaulError) return error;
  const errno = (error as NodeJS.ErrnoException).code;
  if (errno === undefined || /^(?:ECONN|EPIPE|ETIMEDOUT|ERR_STREAM)/.test(errno))
    return new HaulError('NETWORK', 'the connection to the depot broke off', { errno: 'ECONNRESET' }, error);
  return fromSystemError(error, 'read from', 'the depot');
}

function written(request: import('node:http').ClientRequest, chunk: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    const gone = (): void =>
      reject(new HaulError('NETWORK', 'the connection to the depot broke off', { errno: 'EPIPE' }));
    if (request.destroyed) {
      gone();
      return;
    }
    request.once('close', gone);
    request.write(chunk, (error) => {
      request.off('close', gone);
      if (error == null) resolve();
      else reject(fromNetwork(error));
    });
  });
}

/**
 * What the agent asks of the depot by HTTP. Nothing it answers is believed: lengths are bounded, names and digests are
 * checked, no redirect is followed, nobody waits for ever. The token goes to the depot and nowhere else.
 */
import type { IncomingHttpHeaders } from 'node:http';
import { HaulError } from '../../errors.js';
import { boundedBody } from '../../net/bounded-body.js';
import { HttpClient, trusting } from '../../net/http-client.js';
import { headerText } from '../../net/redirects.js';
import type { ArtifactRow } from '../catalogue/port.js';
import { INFO_HEADER, rowOfHead, rowOfInfo } from '../depot-said.js';
import { Problem, readProblem } from '../http/problems.js';
import { encodePath } from '../http/target.js';
import { spaceOf } from '../names.js';
import type { ByteRange } from '../store/port.js';
import { DepotGets, type GetBody } from './depot-gets.js';
import { DepotAway, DepotFailed, DepotLies, reasonOf, troubleOf } from './depot-trouble.js';
import { AGENT_LIMITS } from './limits.js';
import { plain } from './plain-text.js';

export interface DepotClientOptions {
  /** "http://host:port", perhaps with a path; no slash at its end, no credentials. */
  readonly url: string;
  readonly token: string | null;
  readonly ca?: readonly string[] | undefined;
  readonly userAgent: string;
}

/** The body of an answer, whoever has asked. */
export interface AnswerBody extends AsyncIterable<Buffer> {
  destroy(): unknown;
  dump(options: { readonly limit: number; readonly signal?: AbortSignal }): Promise<void>;
}

export interface Opened<Body extends AnswerBody = AnswerBody> {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Body;
}

/** Bytes of a blob, on their way. */
export type OpenedBytes = Opened<GetBody>;

/** What a name points to, with its bytes behind it. */
export interface Named {
  readonly row: ArtifactRow;
  readonly opened: OpenedBytes;
}

/**
 * Which connections a request takes. Uploads have their own, as streams have, so that a question never waits for the
 * end of one: the depot would seem to be away.
 */
type Lane = 'question' | 'upload';

interface Ask {
  readonly lane?: Lane;
  readonly method?: 'GET' | 'HEAD' | 'PUT' | 'DELETE';
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: AsyncIterable<Uint8Array>;
  /** Until the head of the answer is here. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

export class DepotClient {
  readonly url: string;
  readonly #origin: string;
  readonly #base: string;
  readonly #options: DepotClientOptions;
  readonly #clients: Readonly<Record<Lane, HttpClient>>;
  readonly #gets: DepotGets;
  /** It has said that it tells what an artifact is beside its bytes. */
  #tellsInfo = false;
  /** Null: it has not been asked. */
  #isAway: boolean | null = null;
  onChange: (isAway: boolean) => void = () => {};

  constructor(options: DepotClientOptions) {
    this.#options = options;
    this.url = options.url;
    const { origin, pathname } = new URL(options.url);
    this.#origin = origin;
    this.#base = pathname.replace(/\/+$/, '');
    const connect = { timeout: AGENT_LIMITS.connectMs, ...trusting(options.ca) };
    const clientOf = (connections: number): HttpClient =>
      new HttpClient({ connections, connect, bodyTimeout: AGENT_LIMITS.silenceMs });
    this.#clients = {
      question: clientOf(AGENT_LIMITS.connections),
      upload: clientOf(AGENT_LIMITS.uploads),
    };
    const { connectMs, silenceMs } = AGENT_LIMITS;
    this.#gets = new DepotGets({ origin, ca: connect.ca, connectMs, silenceMs });
  }

  /** What the last answer, or none, has shown. */
  get isAway(): boolean | null {
    return this.#isAway;
  }

  /** Asks whether it is well: the first request finds connections open, modules loaded, and knows what it can do. */
  warmUp(): void {
    this.#gets.warm();
    this.ask('/healthz', { timeoutMs: AGENT_LIMITS.answerMs }).then(
      ({ headers, body }) => {
        this.#tellsInfo = headerText(headers[INFO_HEADER]) !== null;
        drop(body);
      },
      () => {},
    );
  }

  /** One question is enough for name and bytes, and there is a connection for it. */
  get canOpenNamed(): boolean {
    return this.#tellsInfo && this.#gets.count < AGENT_LIMITS.fetches;
  }

  /** With the token, as the engine takes it: it is shown nowhere. */
  webSeedUrl(infoHash: string, fileName: string): string {
    const url = new URL(`${this.#origin}${this.#base}/blobs/${infoHash}/${encodePath(fileName)}`);
    if (this.#options.token !== null) {
      url.username = 'agent';
      url.password = this.#options.token;
    }
    return url.href;
  }

  /**
   * What the name points to; null: nothing.
   * @throws DepotAway, DepotLies; Problem: the depot refuses
   */
  async resolve(name: string, timeoutMs: number): Promise<ArtifactRow | null> {
    return spaceOf(name) === 'artifacts' ? this.#info(name, timeoutMs) : this.#head(name, timeoutMs);
  }

  async #info(name: string, timeoutMs: number): Promise<ArtifactRow | null> {
    const untilMs = performance.now() + timeoutMs;
    const answer = await this.ask(`/${encodePath(name)}?info`, { timeoutMs });
    if (answer.status === 404) return gone(answer);
    const text = await this.#small(answer, AGENT_LIMITS.infoBytes, untilMs - performance.now());
    const row = rowOfInfo(name, text);
    if (row === null) throw new DepotLies('what it says of the name is no description of this artifact');
    return row;
  }

  /** Of /cas and /ac: what the head of the answer tells. */
  async #head(name: string, timeoutMs: number): Promise<ArtifactRow | null> {
    const answer = await this.ask(`/${encodePath(name)}`, { method: 'HEAD', timeoutMs });
    if (answer.status === 404) return gone(answer);
    await this.#empty(answer);
    const row = rowOfHead(name, answer.headers);
    if (row === null)
      throw new DepotLies('the head of its answer names no length and digest, or others than were asked for');
    return row;
  }

  /**
   * What the name points to, with its bytes: whoever does not want them destroys the body. Null: nothing;
   * 'ask': it has to be asked in two steps. @throws as `resolve`
   */
  async openNamed(name: string): Promise<Named | 'ask' | null> {
    const isArtifact = spaceOf(name) === 'artifacts';
    const headers: Record<string, string> = isArtifact ? { [INFO_HEADER]: '1' } : {};
    const answer = await this.#stream(`/${encodePath(name)}`, headers, undefined).catch((error: unknown) => {
      // It may be too busy for bytes, and still tell.
      if (error instanceof DepotFailed) return 'ask' as const;
      throw error;
    });
    if (answer === 'ask') return 'ask';
    if (answer.status === 404) return gone(answer);
    if (answer.status >= 400) throw await refusal(answer);
    const info = headerText(answer.headers[INFO_HEADER]);
    const row = isArtifact
      ? info === null
        ? null
        : rowOfInfo(name, Buffer.from(info, 'base64'))
      : rowOfHead(name, answer.headers);
    if (row !== null && isAllOf(answer, row.lengthBytes, 200)) return { row, opened: answer };
    answer.body.destroy();
    if (isArtifact && info === null) {
      this.#tellsInfo = false;
      return 'ask';
    }
    throw new DepotLies('what it says of the artifact is not what it sends');
  }

  /** The .torrent of an artifact; null: it has none. @throws as `resolve` */
  async torrent(name: string): Promise<Buffer | null> {
    const answer = await this.ask(`/${encodePath(name)}?torrent`, { timeoutMs: AGENT_LIMITS.answerMs });
    if (answer.status === 404) return gone(answer);
    return this.#small(answer, AGENT_LIMITS.torrentBytes, AGENT_LIMITS.torrentMs);
  }

  /**
   * The bytes of a row, if they still are what the name points to; null: the name has moved on.
   * @throws as `resolve`
   */
  async open(row: ArtifactRow, range: ByteRange | null, signal: AbortSignal): Promise<OpenedBytes | null> {
    const headers: Record<string, string> = { 'if-match': `"${row.sha256}"` };
    if (range !== null) headers.range = `bytes=${range.begin}-${range.end - 1}`;
    const answer = await this.#stream(`/${encodePath(row.name)}`, headers, signal);
    const { status, body } = answer;
    if (status === 404 || status === 412) return gone(answer);
    const bytes = range === null ? row.lengthBytes : range.end - range.begin;
    if (isAllOf(answer, bytes, range === null ? 200 : 206)) return answer;
    if (status >= 400) throw await refusal(answer);
    drop(body);
    throw new DepotLies(`it answered ${status} with another length than the blob has`);
  }

  #stream(path: string, headers: Record<string, string>, signal: AbortSignal | undefined): Promise<OpenedBytes> {
    return this.#answered({ timeoutMs: AGENT_LIMITS.answerMs, signal }, async (abort) => {
      const {
        status,
        headers: given,
        body,
      } = await this.#gets.get(`${this.#base}${path}`, { ...this.#ownHeaders(), ...headers }, abort);
      return { status, headers: given, body };
    });
  }

  #ownHeaders(): Record<string, string> {
    const { token, userAgent } = this.#options;
    return { 'user-agent': userAgent, ...(token === null ? {} : { authorization: `Bearer ${token}` }) };
  }

  /**
   * Any request. Answers of 500 and more, other than what a full store says, are none.
   * @throws DepotAway, DepotFailed; what `signal` says
   */
  async ask(path: string, options: Ask): Promise<Opened> {
    const { lane = 'question', method = 'GET', headers = {}, body } = options;
    return this.#answered(options, async (signal) => {
      const answer = await this.#clients[lane].request({
        origin: this.#origin,
        path: `${this.#base}${path}`,
        method,
        headers: { ...this.#ownHeaders(), ...headers },
        ...(body === undefined ? {} : { body: body as unknown as Buffer }),
        headersTimeout: 0,
        signal,
      });
      return { status: answer.statusCode, headers: answer.headers, body: answer.body as AnswerBody };
    });
  }

  /** What comes in time, and is an answer. @throws as `ask` */
  async #answered<Answer extends Opened>(
    { timeoutMs, signal }: Pick<Ask, 'timeoutMs' | 'signal'>,
    request: (signal: AbortSignal) => Promise<Answer>,
  ): Promise<Answer> {
    const abort = new AbortController();
    const onAbort = (): void => abort.abort();
    let isLate = false;
    const timer = setTimeout(() => {
      isLate = true;
      abort.abort();
    }, timeoutMs);
    signal?.addEventListener('abort', onAbort);
    if (signal?.aborted === true) abort.abort();
    try {
      const answer = await request(abort.signal);
      const trouble = troubleOf(answer.status, headerText(answer.headers['retry-after']));
      this.#told(trouble === null || trouble instanceof DepotFailed);
      if (trouble !== null) {
        drop(answer.body);
        throw trouble;
      }
      return answer;
    } catch (error) {
      if (error instanceof DepotAway) throw error;
      if (signal?.aborted === true) throw new HaulError('ABORTED', 'nobody waits for the depot any more');
      this.#told(false);
      throw new DepotAway(isLate ? `no answer within ${timeoutMs / 1000} s` : reasonOf(error));
    } finally {
      // What follows of the body is watched where it is read, and ended by who reads it.
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
    }
  }

  #told(isHere: boolean): void {
    if (this.#isAway === !isHere) return;
    this.#isAway = !isHere;
    this.onChange(!isHere);
  }

  /** The whole of a small answer of 200. @throws Problem for a refusal; DepotLies; DepotAway: it takes longer */
  async #small(answer: Opened, bytesMax: number, timeoutMs: number): Promise<Buffer> {
    await checkSuccess(answer);
    try {
      return await readAnswer(answer.body, bytesMax, timeoutMs);
    } catch (error) {
      if (error instanceof DepotAway) this.#told(false);
      throw error;
    }
  }

  /** One of 200 of which the head is enough. @throws as `#small` */
  async #empty(answer: Opened): Promise<void> {
    await checkSuccess(answer);
    drop(answer.body);
  }

  async destroy(): Promise<void> {
    await Promise.all([...Object.values(this.#clients), this.#gets].map((client) => client.destroy()));
  }
}

/** Exactly so many bytes, as they are. */
function isAllOf({ status, headers }: Opened, bytes: number, wanted: number): boolean {
  const coding = headerText(headers['content-encoding']);
  const isPlain = coding === null || coding === 'identity';
  return status === wanted && headerText(headers['content-length']) === `${bytes}` && isPlain;
}

async function checkSuccess(answer: Opened): Promise<void> {
  if (answer.status === 200) return;
  if (answer.status >= 400) throw await refusal(answer);
  drop(answer.body);
  throw new DepotLies(`it answered ${answer.status}, which leads elsewhere; name the depot itself`);
}

/** What the depot says no with, passed on. */
export async function refusal({ status, headers, body }: Opened): Promise<Problem> {
  const { problemBytes, problemMs } = AGENT_LIMITS;
  const text = await readAnswer(body, problemBytes, problemMs).catch(() => Buffer.alloc(0));
  const { detail, code } = readProblem(text);
  const said = detail === null ? `it answered ${status}` : plain(detail);
  const known = code ?? 'REFUSED';
  // Whose token it is that does not do is ours to know, not the client's.
  if (status === 401 || status === 403) return new Problem(403, known, `the depot refuses this agent: ${said}`);
  const retryAfter = headerText(headers['retry-after']);
  const retry: Record<string, string> =
    retryAfter !== null && /^\d{1,9}$/.test(retryAfter) ? { 'retry-after': retryAfter } : {};
  return new Problem(status, known, `the depot says: ${said}`, retry);
}

/** Reads the rest of a short answer, so that its connection can be used again; ends that of a long one. */
export function drop(body: AnswerBody): void {
  const signal = AbortSignal.timeout(AGENT_LIMITS.problemMs);
  body.dump({ limit: AGENT_LIMITS.problemBytes, signal }).catch(() => {});
}

function gone({ body }: { readonly body: AnswerBody }): null {
  drop(body);
  return null;
}

/** All of a small answer, however slowly its parts come. @throws DepotAway, DepotLies */
export async function readAnswer(body: AnswerBody, bytesMax: number, timeoutMs: number): Promise<Buffer> {
  let isLate = false;
  const timer = setTimeout(
    () => {
      isLate = true;
      body.destroy();
    },
    Math.max(0, timeoutMs),
  );
  try {
    return await boundedBody(body, bytesMax, () => new DepotLies(`its answer has more than ${bytesMax} bytes`));
  } catch (error) {
    if (error instanceof DepotLies) throw error;
    throw new DepotAway(isLate ? 'its answer came too slowly' : reasonOf(error));
  } finally {
    clearTimeout(timer);
  }
}

/** The base URL of a depot as the user gives it. @throws HaulError BAD_ARGUMENT */
export function checkDepotUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : null;
  const isHttp = url !== null && (url.protocol === 'http:' || url.protocol === 'https:');
  if (!isHttp || url.search !== '' || url.hash !== '')
    throw new HaulError('BAD_ARGUMENT', 'the depot is an http or https URL without a query', { option: 'depot' });
  if (url.username !== '' || url.password !== '')
    throw new HaulError('BAD_ARGUMENT', 'the token is no part of the URL: use --token @FILE or SWARMHAUL_TOKEN', {
      option: 'depot',
    });
  return `${url.origin}${url.pathname.replace(/\/+$/, '')}`;
}

/**
 * What the agent asks of the depot by HTTP. Nothing it answers is believed: lengths are bounded, names and digests are
 * checked, no redirect is followed, nobody waits for ever. The token goes to the depot and nowhere else.
 */
import { HaulError } from '../../errors.js';
import { HttpClient, trusting } from '../../net/http-client.js';
import { headerText } from '../../net/redirects.js';
import type { ArtifactRow } from '../catalogue/port.js';
import { INFO_HEADER, prepareToRead, rowOfHead, rowOfInfo } from '../depot-said.js';
import { readProblem } from '../http/problems.js';
import { encodePath } from '../http/target.js';
import { spaceOf } from '../names.js';
import type { ByteRange } from '../store/port.js';
import type { AgentDepot } from './api.js';
import { checkSuccess, drop, gone, isAllOf, problemText, readAnswer, refusal } from './depot-answers.js';
import { DepotGets } from './depot-gets.js';
import type { AnswerBody, Ask, DepotPort, Lane, Named, Opened, OpenedBytes, Tiers } from './depot-port.js';
import { DepotAway, DepotFailed, DepotLies, isUnsent, reasonOf, troubleOf } from './depot-trouble.js';
import { GivenBody } from './given-body.js';
import { AGENT_LIMITS } from './limits.js';

export interface DepotClientOptions {
  /** "http://host:port", perhaps with a path; no slash at its end, no credentials. */
  readonly url: string;
  readonly token: string | null;
  readonly ca?: readonly string[] | undefined;
  readonly userAgent: string;
}

const nothing = (): void => {};

/** One depot. */
export class DepotClient implements DepotPort {
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
  #questions = 0;
  /** The question by which it is known. */
  #toldBy = 0;
  onChange: (isAway: boolean) => void = nothing;
  readonly changes = 0;

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
      look: clientOf(1),
    };
    const { connectMs, silenceMs } = AGENT_LIMITS;
    this.#gets = new DepotGets({ origin, ca: connect.ca, connectMs, silenceMs });
  }

  /** What the last answer, or none, has shown. */
  get isAway(): boolean | null {
    return this.#isAway;
  }

  get states(): readonly AgentDepot[] {
    return [{ url: this.url, isAway: this.#isAway, answerMs: null, isFirst: true }];
  }

  /** Asks whether it is well. */
  warmUp(): void {
    prepareToRead();
    this.openOne();
    this.look('question', AGENT_LIMITS.answerMs).catch(nothing);
  }

  /** The next GET finds a connection. */
  openOne(): void {
    this.#gets.warm();
  }

  /** Whether it is a depot, and well. @throws DepotAway, DepotFailed, DepotLies */
  async look(lane: Lane, timeoutMs: number, signal?: AbortSignal): Promise<void> {
    const { status, headers, body } = await this.ask('/healthz', { lane, timeoutMs, signal });
    this.#tellsInfo = headerText(headers[INFO_HEADER]) !== null;
    drop(body);
    if (status !== 200) throw new DepotLies(`it answered ${status} to /healthz, as no depot does`);
  }

  // Of one there is nothing to choose.
  tick(): void {}
  blame(): void {}
  follow(): () => void {
    return nothing;
  }
  inOrder(trackers: Tiers): Tiers {
    return trackers;
  }

  get canOpenNamed(): boolean {
    return this.#tellsInfo && this.#gets.count < AGENT_LIMITS.fetches;
  }

  webSeedUrls(infoHash: string, fileName: string): readonly string[] {
    const url = new URL(`${this.#origin}${this.#base}/blobs/${infoHash}/${encodePath(fileName)}`);
    if (this.#options.token !== null) {
      url.username = 'agent';
      url.password = this.#options.token;
    }
    return [url.href];
  }

  async resolve(name: string, timeoutMs: number, signal?: AbortSignal): Promise<ArtifactRow | null> {
    const isArtifact = spaceOf(name) === 'artifacts';
    return isArtifact ? this.#info(name, timeoutMs, signal) : this.#head(name, timeoutMs, signal);
  }

  async #info(name: string, timeoutMs: number, signal?: AbortSignal): Promise<ArtifactRow | null> {
    const untilMs = performance.now() + timeoutMs;
    const answer = await this.ask(`/${encodePath(name)}?info`, { timeoutMs, signal });
    if (answer.status === 404) return gone(answer);
    const text = await this.#small(answer, AGENT_LIMITS.infoBytes, untilMs - performance.now());
    const row = rowOfInfo(name, text);
    if (row === null) throw new DepotLies('what it says of the name is no description of this artifact');
    return row;
  }

  /** Of /cas and /ac: what the head of the answer tells. */
  async #head(name: string, timeoutMs: number, signal?: AbortSignal): Promise<ArtifactRow | null> {
    const answer = await this.ask(`/${encodePath(name)}`, { method: 'HEAD', timeoutMs, signal });
    if (answer.status === 404) return gone(answer);
    await this.#empty(answer);
    const row = rowOfHead(name, answer.headers);
    if (row === null)
      throw new DepotLies('the head of its answer names no length and digest, or others than were asked for');
    return row;
  }

  async openNamed(name: string, signal?: AbortSignal): Promise<Named | 'ask' | null> {
    const isArtifact = spaceOf(name) === 'artifacts';
    const headers: Record<string, string> = isArtifact ? { [INFO_HEADER]: '1' } : {};
    const answer = await this.#stream(`/${encodePath(name)}`, headers, signal).catch((error: unknown) => {
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

  async torrent(name: string, signal?: AbortSignal): Promise<Buffer | null> {
    const answer = await this.ask(`/${encodePath(name)}?torrent`, { timeoutMs: AGENT_LIMITS.answerMs, signal });
    if (answer.status === 404) return gone(answer);
    return this.#small(answer, AGENT_LIMITS.torrentBytes, AGENT_LIMITS.torrentMs);
  }

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
      return { status, headers: given, body, from: this.url };
    });
  }

  #ownHeaders(): Record<string, string> {
    const { token, userAgent } = this.#options;
    return { 'user-agent': userAgent, ...(token === null ? {} : { authorization: `Bearer ${token}` }) };
  }

  async ask(path: string, options: Ask): Promise<Opened> {
    const { lane = 'question', method = 'GET', headers = {} } = options;
    const body = options.body === undefined ? undefined : new GivenBody(options.body);
    return this.#answered({ ...options, body }, async (signal) => {
      const answer = await this.#clients[lane].request({
        origin: this.#origin,
        path: `${this.#base}${path}`,
        method,
        headers: { ...this.#ownHeaders(), ...headers },
        ...(body === undefined ? {} : { body: body.read() as unknown as Buffer }),
        headersTimeout: 0,
        signal,
      });
      return { status: answer.statusCode, headers: answer.headers, body: answer.body as AnswerBody };
    });
  }

  /** What comes in time, and is an answer. @throws as `ask` */
  async #answered<Answer extends Opened>(
    { timeoutMs, signal, body }: Pick<Ask, 'timeoutMs' | 'signal'> & { readonly body?: GivenBody | undefined },
    request: (signal: AbortSignal) => Promise<Answer>,
  ): Promise<Answer> {
    const question = ++this.#questions;
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
      const problem = answer.status === 500 ? readProblem(await problemText(answer.body)).code : null;
      const trouble = troubleOf(answer.status, headerText(answer.headers['retry-after']), problem);
      this.#told(question, trouble === null || trouble instanceof DepotFailed);
      if (trouble !== null) {
        drop(answer.body);
        throw trouble;
      }
      return answer;
    } catch (error) {
      if (error instanceof DepotAway) throw error;
      if (signal?.aborted === true) throw new HaulError('ABORTED', 'nobody waits for the depot any more');
      if (body?.hasFailed === true) throw new HaulError('ABORTED', 'the body did not come to its end', {}, error);
      this.#told(question, false);
      throw isLate
        ? new DepotAway(`no answer within ${timeoutMs / 1000} s`)
        : new DepotAway(reasonOf(error), isUnsent(error));
    } finally {
      // What follows of the body is watched where it is read, and ended by who reads it.
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
    }
  }

  /** What came of a later question counts more, whichever was answered first. */
  #told(question: number, isHere: boolean): void {
    if (question < this.#toldBy) return;
    this.#toldBy = question;
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
      if (error instanceof DepotAway) this.#told(this.#questions, false);
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

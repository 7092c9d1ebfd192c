/** What an agent asks of its depot, be it one or several that share what they have. Types only. */
import type { IncomingHttpHeaders } from 'node:http';
import type { ArtifactRow } from '../catalogue/port.js';
import type { ByteRange } from '../store/port.js';
import type { AgentDepot } from './api.js';
import type { GetBody } from './depot-gets.js';

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
export interface OpenedBytes extends Opened<GetBody> {
  /** URL of the depot that sends them. */
  readonly from: string;
}

/** What a name points to, with its bytes behind it. */
export interface Named {
  readonly row: ArtifactRow;
  readonly opened: OpenedBytes;
}

/**
 * Which connections a request takes. Uploads have their own, as streams have, so that a question never waits for the
 * end of one: the depot would seem to be away. So has the look whether it is well.
 */
export type Lane = 'question' | 'upload' | 'look';

export interface Ask {
  readonly lane?: Lane;
  readonly method?: 'GET' | 'HEAD' | 'PUT' | 'DELETE';
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: AsyncIterable<Uint8Array>;
  /** Until the head of the answer is here. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

export type Tiers = readonly (readonly string[])[];

export interface DepotPort {
  /** Of the one that is asked first. */
  readonly url: string;
  /** Nobody answers. Null: nobody was asked. */
  readonly isAway: boolean | null;
  /** One question is enough for name and bytes, and there is a connection for it. */
  readonly canOpenNamed: boolean;
  /** Each of them, as it was named. */
  readonly states: readonly AgentDepot[];
  /** How often another one became the first. */
  readonly changes: number;
  /** The first request finds connections open, modules loaded, and knows what can be done. */
  warmUp(): void;
  /** Several times a second while something is under way, else once. */
  tick(): void;
  /** With the token, as the engine takes them: they are shown nowhere. The one to take first comes first. */
  webSeedUrls(infoHash: string, fileName: string): readonly string[];
  /** Called whenever another one is first. Returns how to end that; meanwhile it is looked after closely. */
  follow(onChange: () => void): () => void;
  /** Trackers of depots that answer come first. */
  inOrder(trackers: Tiers): Tiers;
  /** These depots sent the bytes of one blob, and they are not those of the artifact. */
  blame(urls: readonly string[]): void;
  /**
   * What the name points to; null: nothing.
   * @throws DepotAway, DepotLies; Problem: the depot refuses
   */
  resolve(name: string, timeoutMs: number): Promise<ArtifactRow | null>;
  /**
   * What the name points to, with its bytes: whoever does not want them destroys the body. Null: nothing;
   * 'ask': it has to be asked in two steps. @throws as `resolve`
   */
  openNamed(name: string): Promise<Named | 'ask' | null>;
  /** The .torrent of an artifact; null: it has none. @throws as `resolve` */
  torrent(name: string): Promise<Buffer | null>;
  /**
   * The bytes of a row, if they still are what the name points to; null: the name has moved on.
   * @throws as `resolve`
   */
  open(row: ArtifactRow, range: ByteRange | null, signal: AbortSignal): Promise<OpenedBytes | null>;
  /**
   * Any request. Answers of 500 and more, other than what a full store says, are none.
   * @throws DepotAway, DepotFailed; what `signal` says
   */
  ask(path: string, options: Ask): Promise<Opened>;
  destroy(): Promise<void>;
}

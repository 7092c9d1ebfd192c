/** Routes as a table: what `router.ts` finds them by, what checks their parameters, and what OpenAPI is made of. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { z } from 'zod';
import type { Problem } from './problems.js';
import type { Target } from './target.js';
import type { Grant, Scope } from './tokens.js';

export type Method = 'GET' | 'PUT' | 'DELETE' | 'POST' | 'PATCH';

export interface Guess {
  /** @throws Problem 429 */
  check(): void;
  wrong(): void;
}

/** One request, its head checked. */
export interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** HEAD is GET without the bytes. */
  readonly method: Method;
  readonly target: Target;
  /** "http://host:port" by which the client reached us, or what the operator named; no slash at its end. */
  readonly base: string;
  readonly grant: Grant;
  /** For a passkey: whether it may be looked at, and that it was wrong. */
  readonly guess: Guess;
  /** The decoded parts of the path that the template names. */
  readonly params: Readonly<Record<string, string>>;
  /** As its schema gives it. */
  readonly query: Readonly<Record<string, unknown>>;
  /**
   * The body as it comes; asks for it first where the client waits to be asked. Resolves when there is a place for it.
   * Rejects with a Problem 503 where there is none for long, and when the client is gone.
   */
  readonly body: () => Promise<AsyncIterable<Uint8Array>>;
  /** Fires when the client is gone before its answer, or the depot has to stop. */
  readonly signal: AbortSignal;
}

/** Bytes that are made while they are sent. */
export interface Slices {
  readonly lengthBytes: number;
  /** Each is valid until the next is asked for. */
  readonly open: () => AsyncIterable<Uint8Array>;
  /** Whose they are, where an upload limit is shared: the info-hash of what else gives them, or another name. */
  readonly share?: string;
}

export interface Answer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array | Slices;
}

export type Refusal = (problem: Problem) => Answer;

/** Null: the handler has answered, or goes on answering, by itself. */
export type Handler = (exchange: Exchange) => Promise<Answer | null> | Answer | null;

export type SchemaName =
  | 'Artifact'
  | 'Arrival'
  | 'Listing'
  | 'Folder'
  | 'ListingOrFolder'
  | 'Problem'
  | 'Version'
  | 'Readiness'
  | 'Status'
  | 'PieceMap';

/** By the id of an operation: its parameters, as runtime expressions of OpenAPI. */
export type Links = Readonly<Record<string, Readonly<Record<string, string>>>>;

export interface AnswerDoc {
  readonly description: string;
  /** Without: no body. */
  readonly type?: string;
  readonly schema?: SchemaName;
  /** What else it may be, by media type. */
  readonly others?: Readonly<Record<string, SchemaName | null>>;
  /** What can be asked for next. */
  readonly links?: Links;
}

export interface HeaderDoc {
  readonly description: string;
  /** Default: any text. */
  readonly schema?: z.ZodType;
}

export interface Operation {
  readonly id: string;
  readonly summary: string;
  /** Null: for everybody. */
  readonly scope: Scope | null;
  /** Unknown keys are refused. Null: the query is not looked at. */
  readonly query: z.ZodObject | null;
  /** What is in a query that somebody else reads, for the description only. */
  readonly told?: z.ZodObject;
  /** Request headers that matter, with what they mean. */
  readonly headers?: Readonly<Record<string, string | HeaderDoc>>;
  readonly takesBody?: boolean;
  readonly answers: Readonly<Record<number, AnswerDoc>>;
  readonly handle: Handler;
  /** How it says no to clients of another protocol; default: a problem (RFC 9457). */
  readonly refusal?: Refusal;
}

export interface Route {
  /** "/artifacts/{path}": the last part, where it is one of `greedy`, takes all that is left. */
  readonly template: string;
  readonly params: Readonly<Record<string, { readonly schema: z.ZodType; readonly description: string }>>;
  readonly operations: Partial<Readonly<Record<Method, Operation>>>;
}

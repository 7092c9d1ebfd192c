/**
 * The connections to PostgreSQL: a bounded pool, reads that are asked again over another connection, and transactions.
 * Nothing of a session is relied on (no prepared names, no SET but LOCAL, no session locks), so that a pooler may give
 * each transaction another one. A connection that had trouble is not used again.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { HaulError } from '../../../errors.js';
import { tlsTroubleOf } from '../../../net/tls-trouble.js';
import type { Pg, PgClient, PgPool, PgResult } from './driver.js';
import {
  Again,
  fromPgError,
  isOutcomeUnknown,
  isRefusedParameter,
  isUnreadFile,
  OutcomeUnknown,
  PgFailure,
  sqlStateOf,
  troubleOf,
} from './pg-errors.js';
import type { PostgresPlace } from './place.js';

export interface Patience {
  /** How long a read or a change is tried again before it is refused. */
  readonly tryMs: number;
  /** How long one statement may take, told to the server. */
  readonly statementMs: number;
}

export const PATIENCE: Patience = { tryMs: 5_000, statementMs: 10_000 };

/** At once, of one depot: reads and one transaction. */
const CONNECTIONS_MAX = 10;
const CONNECT_MS = 3_000;
const IDLE_MS = 30_000;
/** Behind the server's own limit: it is gone, or the way to it swallows everything. */
const SILENCE_MS = 2_000;
/** 0 would be none of its own. */
const UNBOUNDED_MS = 2 ** 31 - 1;
const HURRY_MS = 500;
const AGAIN_FIRST_MS = 20;
const AGAIN_MAX_MS = 400;

export type Row = readonly (string | null)[];
/** One statement of a transaction, or one by itself. */
export type Run = (text: string, values?: readonly unknown[]) => Promise<PgResult>;

export interface TransactionRules {
  /** What is lost when the server's machine crashes matters. */
  readonly isDurable: boolean;
  /** It may take as long as it takes, and wait as long for others. */
  readonly isLong?: boolean;
  /** It sees all as it was at one moment, and changes nothing. */
  readonly isSnapshot?: boolean;
}

const TEXT = (text: string): string => text;
const TYPES = { getTypeParser: () => TEXT };

export class Connections {
  readonly #pool: PgPool;
  readonly #place: PostgresPlace;
  readonly #patience: Patience;
  /** Durable transactions are waited for whatever the server's own setting. */
  #mustSync = false;
  /** It worked once: what is refused now may be let in again. */
  #hasWorked = false;
  #tryMs: number;
  #closing: Promise<void> | null = null;

  constructor(pg: Pg, place: PostgresPlace, patience: Patience = PATIENCE) {
    this.#place = place;
    this.#patience = patience;
    this.#tryMs = patience.tryMs;
    this.#pool = new pg.Pool({
      connectionString: place.connectionString,
      max: CONNECTIONS_MAX,
      connectionTimeoutMillis: Math.min(CONNECT_MS, patience.tryMs),
      idleTimeoutMillis: IDLE_MS,
      keepAlive: true,
      allowExitOnIdle: true,
      application_name: 'haul-depot',
      statement_timeout: patience.statementMs,
      query_timeout: patience.statementMs + SILENCE_MS,
    });
    // What breaks while nobody asks shows when somebody does.
    this.#pool.on('error', () => {});
    this.#pool.on('connect', (client) => client.on('error', () => {}));
  }

  get shown(): string {
    return this.#place.shown;
  }

  get schema(): string {
    return this.#place.schema;
  }

  get tryMs(): number {
    return this.#tryMs;
  }

  get isClosed(): boolean {
    return this.#closing !== null;
  }

  /** From now on things are tried for a moment only: it is about to be closed. */
  hurry(): void {
    this.#tryMs = Math.min(HURRY_MS, this.#tryMs);
  }

  /** The server answers before it is on its device: where it matters it is told otherwise. */
  syncAlways(): void {
    this.#mustSync = true;
  }

  /** Rows of one statement that changes nothing, or that may be done twice. @throws HaulError */
  async read(text: string, values: readonly unknown[] = [], operation = 'read'): Promise<PgResult> {
    return this.trying(operation, () => this.#once(text, values));
  }

  /** Does it again while there is hope and time. @throws HaulError */
  async trying<T>(operation: string, attempt: () => Promise<T>, untilMs?: number): Promise<T> {
    const deadlineMs = untilMs ?? performance.now() + this.#tryMs;
    for (let waitMs = AGAIN_FIRST_MS; ; waitMs = Math.min(AGAIN_MAX_MS, 2 * waitMs)) {
      if (this.#closing !== null) throw new HaulError('CLOSED', 'the catalogue is closed');
      try {
        const value = await attempt();
        this.#hasWorked = true;
        return value;
      } catch (error) {
        if (this.#closing !== null) throw new HaulError('CLOSED', 'the catalogue is closed');
        const isHopeless = !this.#hasWorked && isRefused(error);
        if (troubleOf(error) === 'final' || isHopeless || performance.now() + waitMs > deadlineMs)
          throw this.failure(error, operation);
        await delay(waitMs);
      }
    }
  }

  /** As others are told: what let nobody in any more is a broken connection. */
  failure(error: unknown, operation: string): unknown {
    if (error instanceof Again) {
      const message = `${operation} catalogue ${this.shown}: others were faster, again and again`;
      return new HaulError('IN_USE', message, { operation, where: this.shown });
    }
    if (!(error instanceof PgFailure)) return error;
    const failure = fromPgError(error.cause, operation, this.shown);
    if (!this.#hasWorked || !isRefused(error)) return failure;
    return new HaulError('NETWORK', failure.message, failure.facts, error);
  }

  async #once(text: string, values: readonly unknown[]): Promise<PgResult> {
    const client = await this.#connect();
    try {
      const result = await runOn(client, this.#tryMs + SILENCE_MS)(text, values);
      client.release();
      return result;
    } catch (error) {
      client.release(troubleOf(error) === 'lost');
      throw error;
    }
  }

  /**
   * One attempt. What `body` throws, or a statement, ends it without a trace.
   * @throws OutcomeUnknown; else as it came
   */
  async transaction<T>(rules: TransactionRules, body: (run: Run) => Promise<T>): Promise<T> {
    const client = await this.#connect();
    const run = runOn(client, rules.isLong === true ? UNBOUNDED_MS : undefined);
    let isBroken = true;
    try {
      await run(this.#begin(rules));
      const value = await body(run);
      await commit(run);
      isBroken = false;
      return value;
    } catch (error) {
      const isUsable = !(error instanceof OutcomeUnknown) && troubleOf(error) !== 'lost';
      if (isUsable) isBroken = await run('rollback').then(isNever, () => true);
      throw error;
    } finally {
      client.release(isBroken);
    }
  }

  #begin({ isDurable, isSnapshot = false, isLong = false }: TransactionRules): string {
    const statementMs = isLong ? 0 : this.#patience.statementMs;
    const words = [
      isSnapshot ? 'begin isolation level repeatable read, read only' : 'begin',
      `set local statement_timeout = ${statementMs}`,
      `set local lock_timeout = ${isLong ? 0 : Math.min(statementMs, this.#patience.tryMs)}`,
      `set local idle_in_transaction_session_timeout = ${statementMs}`,
    ];
    if (!isDurable) words.push('set local synchronous_commit = off');
    else if (this.#mustSync) words.push('set local synchronous_commit = on');
    return words.join('; ');
  }

  async #connect(): Promise<PgClient> {
    for (;;) {
      try {
        return await this.#pool.connect();
      } catch (error) {
        if (!isRefusedParameter(error) || this.#pool.options.statement_timeout === undefined)
          throw new PgFailure(error);
        // Transactions say it themselves; reads are ended from here.
        this.#pool.options.statement_timeout = undefined;
      }
    }
  }

  close(): Promise<void> {
    this.#closing ??= this.#pool.end();
    return this.#closing;
  }
}

const isNever = (): boolean => false;

/** Wrong password, no such role or database, not let in; or it is not the one whose certificate is trusted. */
function isRefused(error: unknown): boolean {
  if (!(error instanceof PgFailure)) return false;
  const isLetIn = !/^(?:28...|3D000)$/.test(sqlStateOf(error.cause) ?? '') && tlsTroubleOf(error.cause) === null;
  return !isLetIn || isUnreadFile(error.cause);
}

function runOn(client: PgClient, timeoutMs?: number): Run {
  return async (text, values) => {
    try {
      const bound = timeoutMs === undefined ? {} : { query_timeout: timeoutMs };
      const plain = { text, rowMode: 'array' as const, types: TYPES, ...bound };
      return await client.query(values === undefined ? plain : { ...plain, values });
    } catch (error) {
      throw new PgFailure(error);
    }
  };
}

async function commit(run: Run): Promise<void> {
  let command: string | null;
  try {
    ({ command } = await run('commit'));
  } catch (error) {
    const cause = error instanceof PgFailure ? error.cause : error;
    throw isOutcomeUnknown(cause) ? new OutcomeUnknown(cause) : error;
  }
  if (command !== 'COMMIT') throw new PgFailure(new Error('the server rolled it back'));
}

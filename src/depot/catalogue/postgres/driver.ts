/** What is used of the package `pg`, which is installed only where a catalogue is in PostgreSQL. */
import { HaulError } from '../../../errors.js';

/** What a query gave: rows as arrays of texts. */
export interface PgResult {
  readonly command: string | null;
  readonly rowCount: number | null;
  readonly rows: readonly (readonly (string | null)[])[];
}

export interface PgQuery {
  readonly text: string;
  readonly values?: readonly unknown[];
  readonly rowMode: 'array';
  /** Milliseconds until it is given up here; else that of the pool. */
  readonly query_timeout?: number;
  readonly types: { getTypeParser(): (text: string) => string };
}

export interface PgClient {
  query(query: PgQuery): Promise<PgResult>;
  on(event: 'error', listener: (error: Error) => void): unknown;
  /** @param isBroken it is not used again */
  release(isBroken?: boolean): void;
}

export interface PgPool {
  /** Of the connections that it makes from now on. */
  readonly options: { statement_timeout?: number | undefined };
  connect(): Promise<PgClient>;
  on(event: 'error', listener: (error: Error) => void): unknown;
  on(event: 'connect', listener: (client: PgClient) => void): unknown;
  end(): Promise<void>;
}

export interface Pg {
  readonly Pool: new (options: Readonly<Record<string, unknown>>) => PgPool;
}

/** Not a literal: who builds this need not have the package. */
const PACKAGE = 'pg';

/** @param load for tests @throws HaulError NOT_FOUND that says how to install it */
export async function loadPg(load = (name: string): Promise<unknown> => import(name)): Promise<Pg> {
  try {
    const loaded = (await load(PACKAGE)) as Pg & { readonly default?: Pg };
    return loaded.default ?? loaded;
  } catch (error) {
    if (!/MODULE_NOT_FOUND/.test(String((error as NodeJS.ErrnoException).code))) throw error;
    const message = 'a catalogue in PostgreSQL needs the package pg, which is not installed: npm install pg';
    throw new HaulError('NOT_FOUND', message, { package: PACKAGE }, error);
  }
}

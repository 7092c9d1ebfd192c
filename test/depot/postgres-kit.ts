/** A PostgreSQL server for the tests of one file, and catalogues in it that know nothing of each other. */
import { createRequire } from 'node:module';
import { after, before } from 'node:test';
import { PostgresServer, postgresPrograms } from '../../lab/postgres.js';
import { Scope } from '../../lab/scope.js';
import { Connections } from '../../src/depot/catalogue/postgres/connections.js';
import { loadPg } from '../../src/depot/catalogue/postgres/driver.js';
import { type OpenOptions, openPostgresCatalogue } from '../../src/depot/catalogue/postgres/open.js';
import { postgresPlace } from '../../src/depot/catalogue/postgres/place.js';
import type { PostgresCatalogue } from '../../src/depot/catalogue/postgres/postgres.js';

export const SETTINGS = { store: 'folder 1', torrentFromBytes: 4096 } as const;

function hasPackage(): boolean {
  try {
    createRequire(import.meta.url).resolve('pg');
    return true;
  } catch {
    return false;
  }
}

/** Why nothing here can run, or null. */
export const MISSING: string | null =
  postgresPrograms() === null ? 'postgresql is not installed' : hasPackage() ? null : 'the package pg is not installed';

export class PostgresKit {
  readonly settings: readonly string[];
  #server: PostgresServer | null = null;
  #schemas = 0;

  constructor(settings: readonly string[]) {
    this.settings = settings;
  }

  get server(): PostgresServer {
    return this.#server!;
  }

  async start(scope: Scope): Promise<void> {
    this.#server = await PostgresServer.start(scope, this.settings);
  }

  /** Of a catalogue that is not there yet. */
  freshUrl(): string {
    this.#schemas++;
    return this.server.url(`schema=a${this.#schemas}`);
  }

  /** Closed when the scope ends. */
  async open(scope: Scope, url: string, options: Partial<OpenOptions> = {}): Promise<PostgresCatalogue> {
    const catalogue = await openPostgresCatalogue(url, { settings: SETTINGS, hasBlobs: async () => false, ...options });
    scope.defer(() => catalogue.close());
    return catalogue;
  }

  /** Says it as the operator of the database would. @returns rows of texts */
  async sql(text: string, url = this.server.url()): Promise<readonly (readonly (string | null)[])[]> {
    const connections = new Connections(await loadPg(), postgresPlace(url), { tryMs: 5_000, statementMs: 30_000 });
    try {
      return (await connections.read(text)).rows;
    } finally {
      await connections.close();
    }
  }
}

/** One server for all tests of a file. @param settings "name=value" */
export function postgresKit(settings: readonly string[] = []): PostgresKit {
  const kit = new PostgresKit(settings);
  const scope = new Scope();
  if (MISSING === null) {
    before(() => kit.start(scope));
    after(() => scope.close());
  }
  return kit;
}

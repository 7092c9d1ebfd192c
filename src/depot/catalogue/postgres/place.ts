/**
 * Where the catalogue is in PostgreSQL: a URL as `pg` knows it, and `schema=NAME` for a catalogue that is not in the
 * schema "haul". Invariant: nothing here but `connectionString` holds what may be secret, and no error shows it. Pure.
 */
import { HaulError } from '../../../errors.js';

export interface PostgresPlace {
  /** For `pg`; secret. */
  readonly connectionString: string;
  readonly schema: string;
  /** "postgres://db.example.org:5432/depot": for people. */
  readonly shown: string;
}

const SCHEMA = 'haul';
const SCHEMA_NAME = /^[a-z_][a-z0-9_]{0,50}$/;

export function isPostgresUrl(text: string): boolean {
  return /^postgres(?:ql)?:/i.test(text);
}

function bad(why: string): HaulError {
  return new HaulError('BAD_ARGUMENT', `the URL of the catalogue: ${why}`, { option: 'catalogue' });
}

/** @throws HaulError BAD_ARGUMENT that repeats nothing of it: it may hold a password */
export function postgresPlace(text: string): PostgresPlace {
  const url = URL.canParse(text) ? new URL(text) : null;
  // A password with a slash or a question mark would be taken for a port and a database, and be shown.
  const isMangled = url === null || url.hash !== '' || /@/.test(`${url.pathname}${url.search}`) || /[\s\0]/.test(text);
  if (isMangled)
    throw bad('it cannot be read; it is postgres://USER@HOST:PORT/DATABASE, a password with its signs as %XX');
  if (!isPostgresUrl(text)) throw bad('it begins with postgres://');
  const schema = url.searchParams.get('schema') ?? SCHEMA;
  if (!SCHEMA_NAME.test(schema)) throw bad('a schema has small letters, digits and _, at most 51');
  url.searchParams.delete('schema');
  const host = url.searchParams.get('host') ?? decoded(url.hostname);
  const port = url.searchParams.get('port') ?? url.port;
  const where = `postgres://${host}${port === '' ? '' : `:${port}`}${url.pathname}`;
  return { connectionString: url.href, schema, shown: schema === SCHEMA ? where : `${where}?schema=${schema}` };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

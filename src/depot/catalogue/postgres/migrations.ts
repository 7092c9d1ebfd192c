/**
 * The tables, made and changed step by step: each step runs once, in one transaction with its number, whoever of
 * several depots comes first. A step is never changed once it was released; what is to be different is a new step.
 *
 * Names are bytes: they may hold what `text` cannot (a zero), and their order is that of bytes whatever the collation.
 */
import { HaulError } from '../../../errors.js';
import type { Connections, Run } from './connections.js';

/** `haul.` stands for the schema. Step n leads to version n. */
export const STEPS: readonly string[] = [
  `create table haul.depot (
     one boolean primary key default true check (one),
     version integer not null,
     settings text
   );
   create table haul.artifacts (
     name bytea primary key,
     sha256 bytea not null,
     length_bytes bigint not null,
     info_hash bytea,
     content_type bytea,
     created_ms bigint not null,
     expires_ms bigint,
     used_ms bigint not null,
     is_pinned boolean not null,
     replicas bigint
   );
   create index artifacts_by_torrent on haul.artifacts (info_hash, name) where info_hash is not null;
   create index artifacts_by_age on haul.artifacts (expires_ms, name) where expires_ms is not null and not is_pinned;
   create index artifacts_by_use on haul.artifacts (used_ms, name) where not is_pinned;
   create table haul.blobs (
     sha256 bytea primary key,
     names bigint not null,
     length_bytes bigint not null
   );
   create table haul.writers (
     id uuid primary key,
     turn bigint not null,
     seen timestamptz not null,
     names bigint not null,
     blobs bigint not null,
     blob_bytes bigint not null
   );`,
  `create table haul.leases (
     key text collate "C" primary key,
     nonce bigint not null,
     holder uuid not null,
     until timestamptz not null,
     note text
   );`,
  'alter table haul.depot add column secret bytea, add column id bytea;',
  `create table haul.note_marks (
     sha256 bytea not null,
     mark bytea not null,
     name bytea not null,
     primary key (sha256, mark, name)
   );`,
];

/** Not `to_regclass`: what that knows may be older than the lock that was waited for. */
const FIND = `select 1 from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  where n.nspname = $1 and c.relname = 'depot'`;

/** Counts of all: each process has a row of its own, so that none waits for another. */
export const SUMS =
  'select coalesce(sum(names), 0), coalesce(sum(blobs), 0), coalesce(sum(blob_bytes), 0) from haul.writers';

export const SCHEMA_VERSION: number = STEPS.length;

export function sql(text: string, schema: string): string {
  return text.replaceAll('haul.', `${schema}.`);
}

/**
 * Brings the tables to our version. @param steps for tests: those of a program of before
 * @returns whether there were none
 * @throws HaulError BAD_DATA (of a newer version), NO_PERMISSION, and those of the way there
 */
export async function migrate(connections: Connections, steps: readonly string[] = STEPS): Promise<boolean> {
  const { schema } = connections;
  const isThere = (await connections.read(FIND, [schema], 'open')).rows.length > 0;
  const version = isThere ? await versionIn((text) => connections.read(text), connections) : 0;
  if (version === steps.length) return false;
  return connections.trying('open', () =>
    connections.transaction({ isDurable: true, isLong: true }, (run) => step(run, connections, steps)),
  );
}

/** Whether there are tables, of our version. @throws HaulError BAD_DATA (of another version) */
export async function isMade(connections: Connections): Promise<boolean> {
  const { schema, shown } = connections;
  const found = await connections.read(FIND, [schema], 'open');
  if (found.rows.length === 0) return false;
  const version = await versionIn((text) => connections.read(text), connections);
  if (version === SCHEMA_VERSION) return true;
  const message = `the catalogue ${shown} is of version ${version}: a depot that starts brings it to ${SCHEMA_VERSION}`;
  throw new HaulError('BAD_DATA', message, { version });
}

async function step(run: Run, connections: Connections, steps: readonly string[]): Promise<boolean> {
  const { schema } = connections;
  await run('select pg_advisory_xact_lock(hashtextextended($1, 0))', [`haul catalogue ${schema}`]);
  const isThere = (await run(FIND, [schema])).rows.length > 0;
  const version = isThere ? await versionIn(run, connections) : 0;
  if (version === 0) await makeSchema(run, schema);
  for (const text of steps.slice(version)) await run(sql(text, schema));
  await run(
    sql(
      `insert into haul.depot (one, version) values (true, ${steps.length})
       on conflict (one) do update set version = excluded.version`,
      schema,
    ),
  );
  return version === 0;
}

async function makeSchema(run: Run, schema: string): Promise<void> {
  const { rows } = await run('select 1 from pg_catalog.pg_namespace where nspname = $1', [schema]);
  // It may have been made for a role that may make none.
  if (rows.length === 0) await run(`create schema ${schema}`);
}

async function versionIn(run: Run, { schema, shown }: Connections): Promise<number> {
  const { rows } = await run(sql('select version from haul.depot', schema));
  const version = Number(rows[0]?.[0] ?? Number.NaN);
  if (!Number.isSafeInteger(version) || version < 1)
    throw new HaulError('BAD_DATA', `the catalogue ${shown} is damaged: its version is none`, { where: shown });
  if (version <= SCHEMA_VERSION) return version;
  const message =
    `the catalogue ${shown} is of version ${version}, and this program knows up to ${SCHEMA_VERSION}: ` +
    'use the newer program that wrote it';
  throw new HaulError('BAD_DATA', message, { version });
}

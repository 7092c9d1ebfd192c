/** All rows of a catalogue in PostgreSQL replaced by others, in one transaction: it is the old one or the new one. */
import type { ArtifactRow } from '../port.js';
import type { Connections, Run } from './connections.js';
import { sql } from './migrations.js';
import { COLUMN_TYPES, COLUMNS, columnsOf } from './row-text.js';

const ROWS_AT_ONCE = 2_000;
/** As `pg-writer.ts` has it: what holds the sums of nobody that runs. */
const BASE_ID = '00000000-0000-0000-0000-000000000000';

/**
 * No depot uses it meanwhile: the caller looked.
 * @param settings what is to be known of those who share it
 * @returns the table that has the old rows now
 */
export async function replaceAll(
  connections: Connections,
  rows: readonly ArtifactRow[],
  settings: object,
): Promise<string> {
  const { schema } = connections;
  await connections.trying('write', () =>
    connections.transaction({ isDurable: true, isLong: true }, async (run) => {
      const query = (text: string, values?: readonly unknown[]) => run(sql(text, schema), values);
      await query('lock table haul.depot, haul.artifacts, haul.blobs, haul.writers in access exclusive mode');
      await query('drop table if exists haul.artifacts_old');
      await query('create table haul.artifacts_old as table haul.artifacts');
      await query('truncate haul.artifacts, haul.blobs, haul.writers, haul.note_marks');
      await insertRows(query, rows);
      await query('update haul.depot set settings = $1', [JSON.stringify(settings)]);
    }),
  );
  return `${schema}.artifacts_old`;
}

async function insertRows(query: Run, rows: readonly ArtifactRow[]): Promise<void> {
  const parameters = COLUMN_TYPES.map((type, index) => `$${index + 1}::${type}`).join(', ');
  for (let begin = 0; begin < rows.length; begin += ROWS_AT_ONCE) {
    await query(
      `insert into haul.artifacts (${COLUMNS}) select * from unnest(${parameters})`,
      columnsOf(rows.slice(begin, begin + ROWS_AT_ONCE)),
    );
  }
  await query(
    `insert into haul.blobs (sha256, names, length_bytes)
     select sha256, count(*), min(length_bytes) from haul.artifacts group by sha256`,
  );
  await query(
    `insert into haul.writers (id, turn, seen, names, blobs, blob_bytes)
     select '${BASE_ID}', 0, now(), (select count(*) from haul.artifacts), count(*), coalesce(sum(length_bytes), 0)
       from haul.blobs`,
  );
}

/** Whether all that the catalogue in PostgreSQL keeps agrees, at one moment. */
import { HaulError } from '../../../errors.js';
import { decodeCounts } from '../counts.js';
import type { Connections, Run } from './connections.js';
import { SUMS, sql } from './migrations.js';
import { bytesOf, COLUMNS, numberOf, rowOfText } from './row-text.js';

const PAGE_ROWS = 2_000;
/** More of one kind say nothing new. */
const FAULTS_MAX = 1_000;

/** @returns one line for each thing that is not as it must be */
export function auditPostgres(connections: Connections): Promise<string[]> {
  const { schema } = connections;
  const query = (run: Run) => (text: string, values?: readonly unknown[]) => run(sql(text, schema), values);
  return connections.trying('read', () =>
    connections.transaction({ isDurable: false, isSnapshot: true, isLong: true }, async (run) => {
      const ask = query(run);
      return [...(await rowFaults(ask)), ...(await blobFaults(ask)), ...(await countFaults(ask))];
    }),
  );
}

async function rowFaults(ask: Run): Promise<string[]> {
  const faults: string[] = [];
  for (let last: Buffer | null = null; ; ) {
    // A name without a byte is a fault too.
    const behind: string = last === null ? '' : 'where name > $1';
    const text = `select ${COLUMNS} from haul.artifacts ${behind} order by name limit ${PAGE_ROWS}`;
    const { rows } = await ask(text, last === null ? [] : [last]);
    for (const row of rows) {
      try {
        rowOfText(row);
      } catch (error) {
        if (!HaulError.is(error)) throw error;
        if (faults.length < FAULTS_MAX) faults.push(error.message);
      }
    }
    if (rows.length < PAGE_ROWS) return faults;
    last = bytesOf(rows.at(-1)![0]);
  }
}

async function blobFaults(ask: Run): Promise<string[]> {
  const { rows } = await ask(
    `select coalesce(a.sha256, b.sha256), b.names, b.length_bytes, a.names, a.shortest, a.longest
     from (select sha256, count(*) as names, min(length_bytes) as shortest, max(length_bytes) as longest
           from haul.artifacts group by sha256) a
     full join haul.blobs b on a.sha256 = b.sha256
     where a.names is distinct from b.names or a.shortest is distinct from b.length_bytes
        or a.longest is distinct from b.length_bytes limit ${FAULTS_MAX}`,
  );
  return rows.map(([sha256, names, lengthBytes, named, shortest, longest]) => {
    const blob = bytesOf(sha256).toString('hex');
    if (shortest !== longest) return `the rows of ${blob} disagree on its length`;
    return `the blob ${blob} is kept as "${names} ${lengthBytes}" and is "${named} ${shortest}"`;
  });
}

async function countFaults(ask: Run): Promise<string[]> {
  const sums = await ask(SUMS);
  const real = await ask(
    `select (select count(*) from haul.artifacts), count(*), coalesce(sum(length_bytes), 0) from haul.blobs`,
  );
  const kept = sums.rows[0]!.join(' ');
  const is = real.rows[0]!.map(numberOf).join(' ');
  try {
    decodeCounts(kept);
  } catch (error) {
    return [(error as Error).message];
  }
  return kept === is ? [] : [`the counts are kept as "${kept}" and are "${is}"`];
}

/**
 * `npm run bench -- depot-scale-pg [--names 1000000] [--turns 5] [--folder DIR] [--out FILE] [--small]`
 * Names in PostgreSQL, in a server of the bench's own (Debian's, as it is after installation) below `--folder`.
 *   listMs          1,000 names by prefix, the slowest of a hundred. Bar: 30
 *   publishPerSec   names put, each under the lock of its blob, 64 at a time. Bar: 300
 *   alonePerSec     the same, one after the other
 *   expirePerSec    names found to be over their age and removed, as house-keeping does it. Bar: 10,000
 */
import { createHash } from 'node:crypto';
import { parseArgs } from 'node:util';
import { PostgresServer, postgresPrograms } from '../lab/postgres.js';
import { Scope } from '../lab/scope.js';
import type { ArtifactRow } from '../src/depot/catalogue/port.js';
import { openPostgresCatalogue, rebuildPostgres } from '../src/depot/catalogue/postgres/open.js';
import type { PostgresCatalogue } from '../src/depot/catalogue/postgres/postgres.js';
import { defaultFolder } from './support/job.js';
import { count, makeFolder } from './support/options.js';
import { Results } from './support/results.js';

const SETTINGS = { store: 'bench', torrentFromBytes: 4 * 1024 * 1024 };
const LISTS = 100;
const PAGE = 1000;
const AT_ONCE = 64;
const RULES = { overwrite: false, onlyIfNew: false };

function rowOf(name: string, expiresMs: number | null): ArtifactRow {
  const sha256 = createHash('sha256').update(name).digest('hex');
  const nowMs = Date.now();
  return {
    name,
    sha256,
    lengthBytes: 5_000_000,
    infoHash: sha256.slice(0, 40),
    contentType: 'application/octet-stream',
    createdMs: nowMs,
    expiresMs,
    usedMs: nowMs,
    isPinned: false,
    replicas: null,
  };
}

const nameOf = (index: number): string => `artifacts/ci/${Math.floor(index / 5000)}/part-${index % 5000}.bin`;

async function slowestListMs(catalogue: PostgresCatalogue, names: number): Promise<number> {
  let slowest = 0;
  const folders = Math.max(1, Math.floor(names / 5000));
  for (let turn = 0; turn < LISTS; turn++) {
    const prefix = `artifacts/ci/${Math.floor((turn * folders) / LISTS)}/`;
    const first = await catalogue.list({ prefix, cursor: null, limit: 10 });
    const begin = performance.now();
    // In the middle of a folder, too.
    const cursor = turn % 2 === 0 ? null : (first.rows.at(-1)?.name ?? null);
    const { rows } = await catalogue.list({ prefix, cursor, limit: PAGE });
    if (rows.length === 0) throw new Error('an empty list');
    slowest = Math.max(slowest, performance.now() - begin);
  }
  return slowest;
}

async function publishPerSec(catalogue: PostgresCatalogue, many: number, lanes: number, word: string): Promise<number> {
  let next = 0;
  const begin = performance.now();
  const lane = async (): Promise<void> => {
    while (next < many) {
      const row = rowOf(`artifacts/new/${word}/${next++}`, 1);
      await catalogue.locked(row.sha256, () => catalogue.put(row, RULES));
    }
  };
  await Promise.all(Array.from({ length: lanes }, lane));
  return many / ((performance.now() - begin) / 1000);
}

async function expirePerSec(catalogue: PostgresCatalogue, many: number): Promise<number> {
  let removed = 0;
  const begin = performance.now();
  while (removed < many) {
    const rows = await catalogue.expiring(1000, PAGE);
    if (rows.length === 0) throw new Error('nothing is over its age');
    await Promise.all(rows.map(({ name, sha256, expiresMs }) => catalogue.remove(name, { sha256, expiresMs })));
    removed += rows.length;
  }
  return removed / ((performance.now() - begin) / 1000);
}

export async function main(argv: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      names: { type: 'string' },
      turns: { type: 'string' },
      folder: { type: 'string', default: defaultFolder() },
      out: { type: 'string' },
      small: { type: 'boolean', default: false },
    },
  });
  const { small } = values;
  const names = count('names', values.names ?? (small ? '2000' : '1000000'));
  const turns = count('turns', values.turns ?? (small ? '1' : '5'));
  const many = small ? 200 : 10_000;
  await makeFolder(values.folder);
  const results = new Results('depot-scale-pg', { argv, parameters: { names } });
  const series = 'swarmhaul';
  if (postgresPrograms() === null) results.skip(series, 'postgresql is not installed');
  else {
    const scope = new Scope();
    try {
      const server = await PostgresServer.start(scope, ['shared_buffers=128MB', 'autovacuum=on'], values.folder);
      const rows = Array.from({ length: names }, (_, index) => rowOf(nameOf(index), null));
      await rebuildPostgres(server.url(), SETTINGS, rows);
      rows.length = 0;
      const catalogue = await openPostgresCatalogue(server.url(), { settings: SETTINGS, hasBlobs: async () => false });
      scope.defer(() => catalogue.close());
      for (let turn = 0; turn < turns; turn++) {
        const listMs = await slowestListMs(catalogue, names);
        const publish = await publishPerSec(catalogue, many, AT_ONCE, `${turn}`);
        const alonePerSec = await publishPerSec(catalogue, many / 20, 1, `alone ${turn}`);
        const expire = await expirePerSec(catalogue, many + many / 20);
        const figures = { listMs, publishPerSec: publish, alonePerSec, expirePerSec: expire };
        results.add({ series, turn, figures });
      }
    } finally {
      await scope.close();
    }
  }
  await results.finish();
}

/** A primary that is lost, and its hot standby that takes over: a depot goes on, and has all that was acknowledged. */
import assert from 'node:assert/strict';
import { rename, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { PostgresServer } from '../../lab/postgres.js';
import { openScope, type Scope } from '../../lab/scope.js';
import { tempFolder } from '../../lab/temp.js';
import { until } from '../../lab/wait.js';
import { openPostgresCatalogue } from '../../src/depot/catalogue/postgres/open.js';
import { makeRandom } from '../../src/random.js';
import { skipWithout } from '../support/requirements.js';
import { ADD, rowOf } from './catalogue-conformance.js';
import { CatalogueLoad } from './catalogue-load.js';
import { MISSING, SETTINGS } from './postgres-kit.js';

const SOON_MS = 30_000;
const WORKERS = 6;
/** Changes before the primary is lost, and after. */
const CHANGES = 60;
const PATIENCE = { tryMs: 60_000, statementMs: 60_000 };

const suite = MISSING === null ? describe : describe.skip;
if (MISSING !== null) test('PostgreSQL', (t) => void skipWithout(t, MISSING));

/** A primary that waits for its standby before it says that something is done. */
async function startPair(scope: Scope): Promise<[primary: PostgresServer, standby: PostgresServer]> {
  const primary = await PostgresServer.start(scope);
  await primary.write('data/pg_hba.conf', 'local all all trust\nlocal replication all trust\n');
  await primary.run('psql', '-d', 'postgres', '-qc', 'select pg_reload_conf()');
  const standby = await primary.standby();
  await primary.run('psql', '-d', 'postgres', '-qc', `alter system set synchronous_standby_names = '*'`);
  await primary.run('psql', '-d', 'postgres', '-qc', 'select pg_reload_conf()');
  const isSync = `select count(*) from pg_stat_replication where sync_state = 'sync'`;
  await until(
    'the standby follows',
    SOON_MS,
    async () => (await primary.run('psql', '-Atc', isSync, 'postgres')) === '1',
  );
  return [primary, standby];
}

/** A name that leads to one server and then to the other, as an address that moves does. */
class Name {
  readonly folder: string;

  constructor(parent: string) {
    this.folder = join(parent, 'db');
  }

  async leadTo({ folder }: PostgresServer): Promise<void> {
    await symlink(folder, `${this.folder}.new`);
    await rename(`${this.folder}.new`, this.folder);
  }
}

suite('a standby that takes over', () => {
  test('has all that was acknowledged; until then nothing is taken, and a depot does not start', async (t) => {
    const scope = openScope(t);
    const [primary, standby] = await startPair(scope);
    const name = new Name(await tempFolder(scope));
    await name.leadTo(primary);
    const url = primary.url('', { folder: name.folder });
    const options = { settings: SETTINGS, hasBlobs: async () => false, patience: PATIENCE };
    const catalogue = await openPostgresCatalogue(url, options);
    scope.defer(() => catalogue.close());

    const load = new CatalogueLoad(catalogue, WORKERS, makeRandom(20_261_128));
    const changed = async (count: number): Promise<void> => {
      const enough = load.done + count;
      await Promise.race([until('more is changed', SOON_MS, () => load.done >= enough), load.broken]);
    };
    await changed(CHANGES);
    await primary.kill();
    await name.leadTo(standby);
    // It is read there, and takes no changes yet.
    await catalogue.counts();
    const short = { ...options, patience: { tryMs: 200, statementMs: 2_000 } };
    await assert.rejects(openPostgresCatalogue(url, short), { code: 'READ_ONLY', message: /the server is a standby/ });
    await standby.run('psql', '-d', 'postgres', '-qc', 'select pg_promote()');
    await changed(CHANGES);
    await load.stop();
    await load.check();
    const other = await openPostgresCatalogue(url, options);
    assert.deepEqual(await other.put(rowOf('artifacts/new', 'x'), ADD), { kind: 'created' });
    await other.close();
  });
});

/** Every cell of `docs/interop.md`, with the programs themselves. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { missingTool } from '../../../lab/clients/client.js';
import { NGINX } from '../../../lab/nginx.js';
import { PACKAGE_ROOT } from '../../../lab/root.js';
import { openScope, Scope } from '../../../lab/scope.js';
import { RQBIT } from '../../support/clients/rqbit.js';
import { webtorrent } from '../../support/clients/webtorrent.js';
import { requireClients, requirePrograms } from '../../support/requirements.js';
import { interopPage } from './page.js';
import { asksForNoOddNames, makePayload, SCENES } from './scenes.js';
import { SERVER_SCENES } from './servers.js';
import { COLUMNS, type Column, ROWS, type Row } from './table.js';

const shared = new Scope();
let payload: ReturnType<typeof makePayload>;
/** Cells that were shown, and rows of which something could not be. */
const shown = new Set<string>();
const skipped = new Set<string>();

before(() => {
  payload = makePayload(shared);
});
after(() => shared.close());

/** Debian does not have rqbit: without it there is nothing wrong. */
const isAbsent = async (program: string): Promise<boolean> =>
  program === RQBIT && (await missingTool([program])) !== null;

/** Most of the time is spent waiting for rounds of others. */
describe('interop', { concurrency: 5 }, () => {
  for (const scene of SCENES) {
    for (const { name, client, lacks } of ROWS) {
      if (client === null || scene.shows[0] in lacks) continue;
      test(`${name} ${scene.title}`, async (t) => {
        skipped.add(name);
        if (await isAbsent(client.needs[0] ?? '')) return t.skip('rqbit is not here (RQBIT=PATH)');
        if (await requireClients(t, [client], [])) return;
        skipped.delete(name);
        const missing = new Set(Object.keys(lacks) as Column[]);
        await scene.play({ scope: openScope(t), client, payload: await payload, lacks: missing });
        for (const column of scene.shows) if (!missing.has(column)) shown.add(`${name}: ${column}`);
      });
    }
  }
  test('webtorrent asks no web server for a name that would be escaped', async (t) => {
    if (await requirePrograms(t, [NGINX])) return;
    const client = webtorrent;
    await asksForNoOddNames({ scope: openScope(t), client, payload: await payload, lacks: new Set() });
  });
  for (const { row, title, needs, shows, play } of SERVER_SCENES) {
    test(`${row} ${title}`, async (t) => {
      skipped.add(row);
      if (await requirePrograms(t, [needs])) return;
      skipped.delete(row);
      await play(openScope(t));
      shown.add(`${row}: ${shows}`);
    });
  }
});

async function versionOf({ tells, name }: Row): Promise<string> {
  if (tells === null) return (createRequire(import.meta.url)(`${name}/package.json`) as { version: string }).version;
  const { stdout, stderr } = await promisify(execFile)(tells[0], tells.slice(1));
  return stdout + stderr;
}

test('docs/interop.md is what this run gave', async (t) => {
  const rows = ROWS.filter(({ name }) => !skipped.has(name));
  if (process.env.SWARMHAUL_INTEROP !== 'required' && rows.length < ROWS.length) t.diagnostic('some were not played');
  for (const row of rows) {
    const columns = (Object.keys(COLUMNS) as Column[]).filter((column) => row.lacks[column] === undefined);
    const missing = columns.filter((column) => !shown.has(`${row.name}: ${column}`));
    assert.deepEqual(missing, [], `${row.name} has shown these`);
    if (row.version !== '') {
      assert.ok((await versionOf(row)).includes(row.version), `${row.name} here is not the ${row.version} of the page`);
    }
  }
  assert.equal(await readFile(path.join(PACKAGE_ROOT, 'docs/interop.md'), 'utf8'), interopPage());
});

/** What servers of others do for two of ours. */
import assert from 'node:assert/strict';
import path from 'node:path';
import { NGINX, startNginx } from '../../../lab/nginx.js';
import { freePort } from '../../../lab/ports.js';
import type { Scope } from '../../../lab/scope.js';
import { tempFolder } from '../../../lab/temp.js';
import { readTree } from '../../../lab/tree.js';
import { until, withDeadline } from '../../../lab/wait.js';
import type { Torrent } from '../../../src/api.js';
import { type DataSet, fileSet, startEngine } from '../../support/engines.js';
import { OPENTRACKER, startOpentracker } from '../../support/opentracker.js';
import { DEADLINE_MS } from './stage.js';
import type { Column } from './table.js';

const LENGTH_BYTES = 2_500_001;

async function same(set: DataSet, torrent: Torrent): Promise<void> {
  await withDeadline(torrent.done, 'our download', DEADLINE_MS);
  assert.deepEqual(await readTree(path.join(torrent.output, 'image.bin')), await readTree(set.path));
}

/** Two of ours that know each other by the tracker alone. */
async function meetBy(scope: Scope, scheme: 'http' | 'udp'): Promise<void> {
  const set = await fileSet(scope, LENGTH_BYTES, { pieceLengthBytes: 32 * 1024 });
  const url = `${scheme}://${await startOpentracker(scope, set.metainfo.infoHashHex)}/announce`;
  const seed = await startEngine(scope);
  const options = { output: set.folder, mode: 'seed', trustData: true, trackers: [[url]] } as const;
  const seeding = seed.add(set.metainfo, options);
  await seeding.done;
  await until('the seed is announced', DEADLINE_MS, () => seeding.sources().trackers[0]?.outcome === 'ok');
  const leech = await startEngine(scope);
  await same(set, leech.add(set.metainfo, { output: await tempFolder(scope), trackers: [[url]] }));
}

async function webSeed(scope: Scope, is6: boolean): Promise<void> {
  const set = await fileSet(scope, LENGTH_BYTES, { pieceLengthBytes: 32 * 1024 });
  const port6 = is6 ? await freePort('::1') : 0;
  const nginx = await startNginx(scope, set.folder, await tempFolder(scope), is6 ? `listen [::1]:${port6};` : '');
  const webSeeds = [`${is6 ? `http://[::1]:${port6}` : nginx.url}/image.bin`];
  const engine = await startEngine(scope);
  const torrent = engine.add(set.metainfo, { output: await tempFolder(scope), trackers: [], webSeeds });
  await same(set, torrent);
  assert.equal(torrent.stats().webSeedBytes, LENGTH_BYTES);
}

export interface ServerScene {
  readonly row: string;
  readonly title: string;
  readonly needs: string;
  readonly shows: Column;
  readonly play: (scope: Scope) => Promise<void>;
}

export const SERVER_SCENES: readonly ServerScene[] = [
  {
    row: 'opentracker',
    title: 'is a tracker of ours over HTTP',
    needs: OPENTRACKER,
    shows: 'HTTP tracker',
    play: (scope) => meetBy(scope, 'http'),
  },
  {
    row: 'opentracker',
    title: 'is a tracker of ours over UDP',
    needs: OPENTRACKER,
    shows: 'UDP tracker',
    play: (scope) => meetBy(scope, 'udp'),
  },
  {
    row: 'opentracker',
    title: 'of Debian takes no address of IPv6',
    needs: OPENTRACKER,
    shows: 'IPv6',
    play: (scope) => assert.rejects(startOpentracker(scope, '00'.repeat(20), '::1'), /opentracker (?:exited|ended)/),
  },
  {
    row: 'nginx',
    title: 'is a web seed of ours',
    needs: NGINX,
    shows: 'web seed',
    play: (scope) => webSeed(scope, false),
  },
  {
    row: 'nginx',
    title: 'is a web seed of ours over IPv6',
    needs: NGINX,
    shows: 'IPv6',
    play: (scope) => webSeed(scope, true),
  },
];

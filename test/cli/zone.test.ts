/** What `--zone` sends, and to whom. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { openScope } from '../../lab/scope.js';
import { startTestTracker } from '../../lab/tracker.js';
import { haul, makeFolder, start } from './harness.js';

test('get, seed and share tell their zone to trackers, and nothing where none is given', async (context) => {
  const folder = await makeFolder(context);
  const tracker = await startTestTracker(openScope(context));
  tracker.isSwarm = true;
  const source = join(folder, 'image.bin');
  await writeFile(source, randomBytes(100_000));
  const torrent = join(folder, 'image.torrent');
  assert.equal((await haul('create', source, '-o', torrent, '--tracker', tracker.url())).exitCode, 0);

  const seed = start(context, 'seed', torrent, '--data', folder, '--port', '0', '--zone', 'eu-1/rack7', '--json');
  const seedPort = Number((await seed.line((line) => line.type === 'listening')).port);
  await tracker.announced('the seed', 10_000, ({ port, zone }) => port === seedPort && zone === 'eu-1/rack7');

  const get = ['get', torrent, '--port', '0', '--json', '--output'];
  const near = await haul(...get, join(folder, 'near'), '--zone', 'eu-1/rack8');
  assert.equal(near.exitCode, 0, near.stderr);
  const plain = await haul(...get, join(folder, 'plain'));
  assert.equal(plain.exitCode, 0, plain.stderr);
  const started = tracker.announces.filter(({ event }) => event === 'started').map(({ zone }) => zone);
  assert.deepEqual(started, ['eu-1/rack7', 'eu-1/rack8', null]);

  await mkdir(join(folder, 'other'));
  await writeFile(join(folder, 'other', 'b.bin'), randomBytes(1000));
  const words = ['share', join(folder, 'other'), '--http', '0', '--port', '0', '--tracker', tracker.url(), '--json'];
  start(context, ...words, '--zone', 'eu-2');
  await tracker.announced('the sharer', 10_000, ({ zone }) => zone === 'eu-2');
});

test('haul get --help shows how a zone is given', async () => {
  const { stdout } = await haul('get', '--help');
  assert.match(stdout, /--zone <name>/);
  assert.match(stdout, /\$ haul get \S+ --zone eu-1\/rack7/);
});

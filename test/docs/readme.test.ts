/** What the documents say is true: the example runs as printed, commands and versions exist. */
import assert from 'node:assert/strict';
import { mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { run } from '../../lab/child.js';
import { PACKAGE_ROOT } from '../../lab/root.js';
import { openScope } from '../../lab/scope.js';
import { tempFolder } from '../../lab/temp.js';
import { readTree } from '../../lab/tree.js';
import { withTrackers } from '../../src/metainfo/torrent.js';
import { startTracker } from '../../src/tracker/server.js';
import { VERSION } from '../../src/version.js';
import { MAIN } from '../cli/harness.js';
import { fileSet, startSeed } from '../support/engines.js';

const readRoot = (file: string): Promise<string> => readFile(path.join(PACKAGE_ROOT, file), 'utf8');

test('the library example of the README downloads a torrent from a tracker and a seed', async (t) => {
  const scope = openScope(t);
  const example = /```js\n(.*?)```/s.exec(await readRoot('README.md'))?.[1];
  assert.ok(example !== undefined, 'README.md has an example');
  // Below the package, so that 'swarmhaul' means this package, through its own "exports".
  const folder = path.join(PACKAGE_ROOT, 'dist', `readme-${process.pid}`);
  await mkdir(folder, { recursive: true });
  scope.defer(() => rm(folder, { recursive: true, force: true }));
  await writeFile(path.join(folder, 'example.mjs'), example);

  const set = await fileSet(scope, 5_000_000);
  const tracker = await startTracker({ host: '127.0.0.1', port: 0 });
  scope.defer(() => tracker.close());
  const seed = await startSeed(scope, set);
  tracker.register(set.metainfo.infoHash, { seedPort: seed.port! });
  const torrentFile = path.join(folder, 'image.torrent');
  await writeFile(torrentFile, withTrackers(set.torrent, [[`http://127.0.0.1:${tracker.port}/announce`]]));

  const output = await tempFolder(scope);
  const printed = await run(scope, process.execPath, [path.join(folder, 'example.mjs'), torrentFile, output]);
  assert.match(printed, /^5000000 bytes verified$/m);
  assert.deepEqual(await readTree(path.join(output, 'image.bin')), await readTree(set.path));
});

test('the version in the code is that of the package', async () => {
  assert.equal((JSON.parse(await readRoot('package.json')) as { version: string }).version, VERSION);
});

test('every command of the README is one that haul knows', async (t) => {
  const scope = openScope(t);
  const help = await run(scope, process.execPath, [MAIN, '--help']);
  const commands = [...(await readRoot('README.md')).matchAll(/^\| `haul (\w+)/gm)].map((match) => match[1]!);
  assert.equal(commands.length, 11);
  for (const command of commands) assert.match(help, new RegExp(`^ {2}${command} `, 'm'));
});

test('every path that ARCHITECTURE.md names in src is there', async () => {
  const text = await readRoot('ARCHITECTURE.md');
  const tree = /```\nsrc\/\n(.*?)```/s.exec(text)?.[1] ?? '';
  const names = [...tree.matchAll(/^ {2}(\S+?\/?)(?: (\S+\.ts))? {2,}/gm)].flatMap((match) =>
    [match[1]!, match[2] ?? []].flat(),
  );
  assert.ok(names.length > 12, names.join(' '));
  for (const name of names) await assert.doesNotReject(stat(path.join(PACKAGE_ROOT, 'src', name)), name);
});

/** `haul publish --p2p` between processes: killed on either side it goes on, and the bytes are the same. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdir, open, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { seededBytes } from '../../lab/data.js';
import { haul, makeFolder, type Running, start } from './harness.js';

const LENGTH = 8_000_000;
const SLOW = ['--upload-limit', '2M', '--progress-interval', '100'];

async function startDepot(context: TestContext, folder: string, http = '0'): Promise<[Running, string]> {
  const depot = start(context, 'depot', '--data', join(folder, 'data'), '--http', http, '--port', '0', '--json');
  const { url } = await depot.line(({ type }) => type === 'listening');
  return [depot, String(url)];
}

test('publisher and depot are killed half way, each goes on with what came', async (context) => {
  const folder = await makeFolder(context);
  const bytes = seededBytes('given', LENGTH);
  await writeFile(join(folder, 'a.raw'), bytes);
  let [depot, url] = await startDepot(context, folder);
  const publish = (...more: string[]): Running =>
    start(
      context,
      'publish',
      join(folder, 'a.raw'),
      '--name',
      'ci/1/image.raw',
      '--p2p',
      '--depot',
      url,
      '--port',
      '0',
      '--json',
      ...more,
    );
  const until = (running: Running, share: number) =>
    running.line(({ type, phase, doneBytes }) => {
      return type === 'progress' && phase === 'seeding' && Number(doneBytes) >= share * LENGTH;
    });
  const first = publish(...SLOW);
  await until(first, 0.25);
  await first.stop('SIGKILL');
  const second = publish(...SLOW);
  const seeding = await second.line(({ type }) => type === 'seeding');
  await until(second, 0.5);
  await depot.stop('SIGKILL');
  [depot, url] = await startDepot(context, folder, new URL(url).port);
  const { exitCode, lines, stderr } = await second.finished;
  assert.equal(exitCode, 0, stderr);
  const told = lines.find(({ type }) => type === 'published')!;
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  assert.deepEqual([told.name, told.sha256, told.byPeers, told.wasThere], ['ci/1/image.raw', sha256, true, false]);
  assert.equal(told.infoHash, seeding.infoHash);
  assert.match(lines.find(({ type }) => type === 'warning')?.message as string, /seeding goes on/);
  // Of what the first has given little is asked for again.
  assert.ok(Number(lines.at(-1)!.sentBytes) < 0.95 * LENGTH, `${lines.at(-1)!.sentBytes}`);
  const got = await fetch(`${url}/artifacts/ci/1/image.raw`);
  assert.ok(Buffer.from(await got.arrayBuffer()).equals(bytes));
  const again = await publish().finished;
  assert.deepEqual([again.exitCode, again.lines.at(-1)!.sentBytes], [0, 0]);
  assert.equal(again.lines.find(({ type }) => type === 'published')!.wasThere, true);
  assert.deepEqual(await readdir(join(folder, 'data', '.swarmhaul-p2p')), []);
});

test('a file that is written into while it is given is told of, and not waited for', async (context) => {
  const folder = await makeFolder(context);
  const file = join(folder, 'a.raw');
  await writeFile(file, seededBytes('before', LENGTH));
  const [, url] = await startDepot(context, folder);
  const words = [file, '--name', 'a', '--p2p', '--depot', url, '--port', '0', '--json', ...SLOW];
  const publishing = start(context, 'publish', ...words);
  await publishing.line(({ type }) => type === 'seeding');
  const handle = await open(file, 'r+');
  await handle.write(seededBytes('after', LENGTH), 0, LENGTH, 0);
  await handle.close();
  const { exitCode, lines, stderr } = await publishing.finished;
  const error = lines.find(({ type }) => type === 'error');
  assert.deepEqual([exitCode, error?.code], [1, 'BAD_DATA'], stderr);
  assert.match(String(error?.message), /a\.raw was changed while it was published: run the same command again/);
  assert.equal((await fetch(`${url}/artifacts/a`)).status, 404);
});

test('of a folder long files are given and short ones sent; what cannot be is said in one line', async (context) => {
  const folder = await makeFolder(context);
  const [, url] = await startDepot(context, folder);
  const dist = join(folder, 'dist');
  await mkdir(dist);
  await writeFile(join(dist, 'long.raw'), seededBytes('long', 5_000_000));
  await writeFile(join(dist, 'short.txt'), 'words\n');
  const common = ['--depot', url, '--port', '0'];
  const published = await haul('publish', dist, '--name', 'ci/2', '--p2p', ...common, '--json');
  assert.equal(published.exitCode, 0, published.stderr);
  const told = published.lines.filter(({ type }) => type === 'published');
  assert.deepEqual(told.map(({ name, byPeers }) => [name, byPeers]).sort(), [
    ['ci/2/long.raw', true],
    ['ci/2/short.txt', false],
  ]);
  // The depot has that torrent under another name: the bytes are sent.
  const other = await haul('publish', join(dist, 'long.raw'), '--name', 'ci/3/long.raw', '--p2p', ...common, '--json');
  assert.equal(other.lines.find(({ type }) => type === 'published')?.byPeers, false, other.stderr);
  await writeFile(join(dist, 'long.raw'), seededBytes('other', 5_000_000));
  const taken = await haul('publish', join(dist, 'long.raw'), '--name', 'ci/2/long.raw', '--p2p', ...common);
  assert.equal(taken.exitCode, 1);
  assert.match(taken.stderr, /^haul: depot .*other bytes have this name.*\n$/);
  const archive = await haul('publish', dist, '--name', 'x', '--p2p', '--archive', '--depot', url);
  assert.match(archive.stderr, /--p2p gives files as they are, without --archive/);
});

test('a depot that cannot reach the publisher, and is not reached, ends with --timeout and 3', async (context) => {
  const folder = await makeFolder(context);
  const depot = start(
    context,
    'depot',
    '--data',
    join(folder, 'data'),
    '--http',
    '0',
    '--port',
    '0',
    '--json',
    '--deny-peers',
    '127.0.0.1',
  );
  const { url } = await depot.line(({ type }) => type === 'listening');
  await writeFile(join(folder, 'a'), seededBytes('a', 4_200_000));
  const left = await haul(
    'publish',
    join(folder, 'a'),
    '--name',
    'a',
    '--p2p',
    '--depot',
    String(url),
    '--port',
    '0',
    '--timeout',
    '1s',
  );
  assert.equal(left.exitCode, 3, left.stderr);
  assert.match(left.stderr, /nothing came to the depot for 1 s; what it has it keeps: run the same command again/);
});

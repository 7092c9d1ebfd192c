/** `haul depot check` and `haul depot rebuild` as a person runs them, beside a depot and after it. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { readdir, readFile, rm, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { until } from '../../lab/wait.js';
import { haul, makeFolder, type Running, start } from './harness.js';

async function startDepot(context: TestContext, data: string, ...more: string[]): Promise<[Running, string]> {
  const running = start(context, 'depot', '--data', data, '--http', '0', '--port', '0', '--json', ...more);
  const { url } = await running.line(({ type }) => type === 'listening');
  return [running, String(url)];
}

async function put(url: string, name: string, bytes: Buffer | string): Promise<string> {
  const answer = await fetch(`${url}/artifacts/${name}`, { method: 'PUT', body: bytes });
  assert.equal(answer.status, 201);
  return ((await answer.json()) as { sha256: string }).sha256;
}

test('a folder is checked, its catalogue made anew, and what is wrong is said with exit code 1', async (context) => {
  const data = join(await makeFolder(context), 'data');
  const [first, url] = await startDepot(context, data);
  await put(url, 'ci/1/log.txt', 'short');
  const long = await put(url, 'ci/1/image.raw', Buffer.alloc(200_000, 7));
  for (const task of ['check', 'rebuild']) {
    const refused = await haul('depot', task, '--data', data);
    assert.equal(refused.exitCode, 1);
    assert.match(refused.stderr, /process \d+ uses this depot/);
  }
  await first.stop();

  const good = await haul('depot', 'check', '--data', data);
  assert.equal(good.exitCode, 0, good.stderr);
  assert.match(good.stdout, /^2 names, 2 blobs, 200\.0 kB: all is good, in /);

  await rm(join(data, 'catalogue'), { recursive: true });
  const missing = await haul('depot', '--data', data, '--http', '0', '--port', '0');
  assert.equal(missing.exitCode, 1);
  assert.match(missing.stderr, /is missing, and there are blobs; make it anew with: haul depot rebuild/);
  const rebuilt = await haul('depot', 'rebuild', '--data', data);
  assert.equal(rebuilt.exitCode, 0, rebuilt.stderr);
  assert.match(rebuilt.stdout, /^2 names of 2 blobs in /);
  const [second, again] = await startDepot(context, data);
  assert.equal(await (await fetch(`${again}/artifacts/ci/1/log.txt`)).text(), 'short');
  await second.stop();

  await truncate(join(data, 'blobs', long.slice(0, 2), long), 100_000);
  const bad = await haul('depot', 'check', '--data', data, '--json');
  assert.equal(bad.exitCode, 1);
  const finding = bad.lines.find(({ type }) => type === 'finding');
  assert.deepEqual([finding?.kind, finding?.sha256, finding?.name], ['damaged', long, 'artifacts/ci/1/image.raw']);
  assert.equal(bad.lines.find(({ type }) => type === 'checked')?.isGood, false);
});

test('a folder that is no depot is not made into one', async (context) => {
  const folder = await makeFolder(context);
  for (const task of ['check', 'rebuild']) {
    const refused = await haul('depot', task, '--data', join(folder, 'none'));
    assert.equal(refused.exitCode, 1);
    assert.match(refused.stderr, /^haul: there is no depot in /);
  }
  assert.deepEqual(await readdir(folder), []);
  assert.equal((await haul('depot', 'burn', '--data', folder)).exitCode, 2);
});

test('a depot with a bound on its bytes lets the longest unused go, and tells its figures', async (context) => {
  const data = join(await makeFolder(context), 'data');
  const [running, url] = await startDepot(context, data, '--max-store', '100KB');
  const shas: string[] = [];
  for (let index = 0; index < 5; index++) shas.push(await put(url, `${index}`, Buffer.alloc(30_000, index + 1)));
  // Page by page as well.
  const page = (await (await fetch(`${url}/artifacts/?limit=1`)).json()) as { cursor: string };
  assert.equal((await fetch(`${url}/artifacts/?limit=1&cursor=${page.cursor}`)).status, 200);
  const left = async () => ((await (await fetch(`${url}/artifacts/`)).json()) as { items: unknown[] }).items;
  await until('no more than 90 KB are left', 20_000, async () => (await left()).length === 3);
  const blob = (sha256: string) => existsSync(join(data, 'blobs', sha256.slice(0, 2), sha256));
  await until('their blobs are gone', 20_000, () => shas.filter(blob).length === 3);
  assert.deepEqual(shas.map(blob), [false, false, true, true, true]);
  assert.equal((await fetch(`${url}/artifacts/none`)).status, 404);
  const text = await until('the removals are counted', 20_000, async () => {
    const figures = await (await fetch(`${url}/metrics`)).text();
    return figures.includes('{reason="watermark"} 2') && figures;
  });
  for (const line of [
    'haul_depot_artifacts 3',
    'haul_depot_blob_bytes 90000',
    'haul_depot_uploads_total 5',
    'haul_depot_removals_total{reason="watermark"} 2',
    'haul_depot_problems_total{type="NOT_FOUND"} 1',
    'haul_depot_clock_doubted 0',
  ]) {
    assert.ok(text.split('\n').includes(line), `${line} is not in\n${text}`);
  }
  assert.equal((await running.stop()).exitCode, 0);
});

test('a depot moves while it serves, and once more when it was stopped', async (context) => {
  const folder = await makeFolder(context);
  const [old, data] = [join(folder, 'old'), join(folder, 'new')];
  const [first, url] = await startDepot(context, old);
  await put(url, 'ci/1/log.txt', 'short');
  const image = Buffer.alloc(5_000_000, 'image');
  await put(url, 'ci/1/image.raw', image);
  const infoHashOf = async (depot: string): Promise<unknown> =>
    ((await (await fetch(`${depot}/artifacts/ci/1/image.raw?info`)).json()) as { infoHash: string }).infoHash;
  const infoHash = await infoHashOf(url);
  const moved = await haul('depot', 'migrate', '--from', old, '--to', data, '--json');
  assert.equal(moved.exitCode, 0, moved.stderr);
  const report = moved.lines.find(({ type }) => type === 'migrated')!;
  assert.deepEqual([report.names, report.copiedBytes, report.isSettled], [2, 5_000_005, true]);
  // It goes on meanwhile.
  await put(url, 'ci/2/log.txt', 'later');
  await fetch(`${url}/artifacts/ci/1/log.txt`, { method: 'DELETE' });
  await first.stop();
  const rest = await haul('depot', 'migrate', '--from', old, '--to', data, '--mirror');
  assert.match(
    rest.stdout,
    /1 name that the old depot does not have removed\n2 names of 2 blobs are there; 1 blob copied/,
  );
  const [, again] = await startDepot(context, data);
  assert.equal(await (await fetch(`${again}/artifacts/ci/2/log.txt`)).text(), 'later');
  assert.equal((await fetch(`${again}/artifacts/ci/1/log.txt`)).status, 404);
  assert.equal(image.compare(Buffer.from(await (await fetch(`${again}/artifacts/ci/1/image.raw`)).arrayBuffer())), 0);
  assert.equal(await infoHashOf(again), infoHash);
  assert.deepEqual(await readFile(join(data, 'secret')), await readFile(join(old, 'secret')));
  const busy = await haul('depot', 'migrate', '--from', old, '--to', data);
  assert.match(busy.stderr, /process \d+ uses this depot/);
  for (const words of [
    ['--to', data],
    ['--from', data, '--to', data],
    ['--from', join(folder, 'none'), '--to', data],
    [],
  ]) {
    const refused = await haul('depot', 'migrate', ...words);
    assert.notEqual(refused.exitCode, 0, words.join(' '));
    assert.match(refused.stderr, /^[^\n]+\n$/);
  }
});

/** One depot and three agents as people run them, each a process: published with curl, fetched with curl by all. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { promisify } from 'node:util';
import { type Running, start } from '../cli/harness.js';
import { requirePrograms } from '../support/requirements.js';
import { folderOf, sha256 } from './agent-harness.js';
import { ThinLine } from './thin-line.js';

const exec = promisify(execFile);
const MIB = 2 ** 20;
const SIZE = 24 * MIB;

interface Listening {
  readonly running: Running;
  readonly url: string;
}

async function listening(context: TestContext, ...words: string[]): Promise<Listening> {
  const running = start(context, ...words, '--http', '0', '--port', '0', '--json');
  const { url } = await running.line(({ type }) => type === 'listening');
  return { running, url: String(url) };
}

async function curl(...words: string[]): Promise<string> {
  return (await exec('curl', ['-fsS', '--noproxy', '*', ...words])).stdout;
}

test('three agents fetch what curl published, the later two mostly from peers', {
  timeout: 180_000,
}, async (context) => {
  if (await requirePrograms(context, ['curl'])) return;
  const folder = await folderOf(context);
  const depot = await listening(context, 'depot', '--data', join(folder, 'data'));
  const line = await ThinLine.open(context, Number(new URL(depot.url).port), 4 * MIB);
  const agents = await Promise.all(
    ['1', '2', '3'].map((name) =>
      listening(context, 'agent', '--depot', line.url, '--cache', join(folder, name), '--cache-bytes', '1GiB'),
    ),
  );
  const image = randomBytes(SIZE);
  const source = join(folder, 'image.raw');
  await writeFile(source, image);
  const published = JSON.parse(await curl('-T', source, `${depot.url}/artifacts/ci/42/image.raw`)) as {
    sha256: string;
  };
  assert.equal(published.sha256, sha256(image));
  const fetch = async ({ url }: Listening, index: number): Promise<void> => {
    const copy = join(folder, `copy-${index}`);
    await curl('-o', copy, `${url}/artifacts/ci/42/image.raw`);
    assert.equal(sha256(await readFile(copy)), published.sha256);
  };
  const [first, ...later] = agents as [Listening, ...Listening[]];
  await fetch(first, 0);
  await Promise.all(later.map((agent, index) => fetch(agent, index + 1)));
  const receipts = await Promise.all(
    agents.map(({ running }) => running.line(({ type, outcome }) => type === 'receipt' && outcome === 'done')),
  );
  const told = receipts.map(({ peerBytes, webSeedBytes }) => `${peerBytes} of peers, ${webSeedBytes} of the depot`);
  context.diagnostic(told.join('; '));
  const sum = (field: string, from: number): number =>
    receipts.slice(from).reduce((total, receipt) => total + Number(receipt[field]), 0);
  assert.equal(sum('sentBytes', 0), 3 * SIZE);
  assert.ok(sum('peerBytes', 1) > SIZE, told.join('; '));
  // A second time nobody asks anybody.
  assert.equal(
    await curl(`${first.url}/artifacts/ci/42/image.raw`, '-o', '/dev/null', '-w', '%{size_download}'),
    String(SIZE),
  );
  const again = await first.running.line(({ type, localBytes }) => type === 'receipt' && localBytes === SIZE);
  assert.deepEqual([again.peerBytes, again.webSeedBytes], [0, 0]);
});

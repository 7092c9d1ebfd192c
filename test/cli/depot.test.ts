/** `haul depot` as a person starts it: curl puts and gets, and what was taken is there after a restart. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { promisify } from 'node:util';
import { requirePrograms } from '../support/requirements.js';
import { haul, makeFolder, type Running, start } from './harness.js';

const exec = promisify(execFile);

async function startDepot(context: TestContext, data: string, ...more: string[]): Promise<[Running, string]> {
  const running = start(context, 'depot', '--data', data, '--http', '0', '--port', '0', '--json', ...more);
  const { url } = await running.line(({ type }) => type === 'listening');
  return [running, String(url)];
}

test('curl puts and gets, and what was taken is there after a restart', async (context) => {
  if (await requirePrograms(context, ['curl'])) return;
  const folder = await makeFolder(context);
  const [image, back] = [join(folder, 'image.raw'), join(folder, 'back.raw')];
  const bytes = randomBytes(6_000_000);
  await writeFile(image, bytes);
  const [first, url] = await startDepot(context, join(folder, 'data'));
  const { stdout } = await exec('curl', ['-sS', '-T', image, `${url}/artifacts/ci/42/image.raw`]);
  assert.equal((JSON.parse(stdout) as { lengthBytes: number }).lengthBytes, bytes.length);
  const stopped = await first.stop('SIGTERM');
  assert.equal(stopped.exitCode, 0, stopped.stderr);
  const put = stopped.lines.find(({ type }) => type === 'request')!;
  assert.deepEqual([put.method, put.path, put.status], ['PUT', '/artifacts/ci/42/image.raw', 201]);
  const [second, again] = await startDepot(context, join(folder, 'data'));
  await exec('curl', ['-sS', '--fail', '-o', back, `${again}/artifacts/ci/42/image.raw`]);
  assert.deepEqual(await readFile(back), bytes);
  assert.equal((await second.stop()).exitCode, 0);
});

test('beyond loopback it does not start where anybody could write', async (context) => {
  const data = join(await makeFolder(context), 'data');
  for (const more of [[], ['--anonymous', 'all']]) {
    const refused = await haul('depot', '--data', data, '--http', '0.0.0.0:0', '--port', '0', ...more);
    assert.equal(refused.exitCode, 1);
    assert.match(refused.stderr, /^haul: beyond loopback \(0\.0\.0\.0\) nothing is written without a token/);
  }
});

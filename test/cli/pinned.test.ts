/** `haul get` of what must have a hash that is known. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { it } from 'node:test';
import { haul, makeFolder, start } from './harness.js';

it('haul get checks --info-hash and --sha256 and exits with 5', async (context) => {
  const folder = await makeFolder(context);
  const bytes = randomBytes(3_000_000);
  await mkdir(join(folder, 'from'));
  await writeFile(join(folder, 'from', 'image.bin'), bytes);
  const sharer = start(context, 'share', join(folder, 'from', 'image.bin'), '--http', '0', '--port', '0', '--json');
  const listening = await sharer.line((line) => line.type === 'listening');
  const [url, infoHash] = [String(listening.loopbackUrl), String(listening.infoHash)];
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  const get = (...args: string[]) => haul('get', url, '--output', join(folder, 'to'), '--port', '0', ...args);

  const other = await get('--info-hash', 'ab'.repeat(20));
  assert.equal(other.exitCode, 5, other.stderr);
  assert.match(other.stderr, /another torrent than was asked for: its info-hash is [0-9a-f]{40}, not (ab){20}\n$/);
  assert.ok(!existsSync(join(folder, 'to')), 'nothing was begun');

  const bad = await get('--info-hash', infoHash, '--sha256', 'cd'.repeat(32));
  assert.equal(bad.exitCode, 5, bad.stderr);
  assert.match(
    bad.stderr,
    /^haul: .*image\.bin: its SHA-256 is [0-9a-f]{64}, not (cd){32}; the file is now .*mismatch$/m,
  );
  const names = (await readdir(join(folder, 'to'))).filter((name) => !name.startsWith('.'));
  assert.deepEqual(names, ['image.bin.mismatch']);

  const json = await get('--sha256', 'cd'.repeat(32), '--json');
  const error = json.lines.find(({ type }) => type === 'error');
  assert.deepEqual([json.exitCode, error?.code], [5, 'MISMATCH']);

  const good = await get('--info-hash', infoHash.toUpperCase(), '--sha256', sha256.toUpperCase());
  assert.equal(good.exitCode, 0, good.stderr);
  assert.ok(existsSync(join(folder, 'to', 'image.bin')));
  const usage = await get('--sha256', 'short');
  assert.deepEqual([usage.exitCode, /A SHA-256 is 64 hexadecimal digits/.test(usage.stderr)], [2, true]);
});

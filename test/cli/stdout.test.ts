/** `haul get --stdout`: a file goes through a pipe while it arrives. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { buffer, text } from 'node:stream/consumers';
import { it, type TestContext } from 'node:test';
import { MAIN, makeFolder, start } from './harness.js';

interface Poured {
  readonly exitCode: number | null;
  readonly bytes: Buffer;
  readonly stderr: string;
}

/** @param leastBytes hangs up when so many have come */
async function pour(args: readonly string[], leastBytes = Number.POSITIVE_INFINITY): Promise<Poured> {
  const words = [MAIN, 'get', ...args, '--port', '0'];
  const child = spawn(process.execPath, words, { stdio: ['ignore', 'pipe', 'pipe'] });
  const said = text(child.stderr);
  let read = Promise.resolve(Buffer.alloc(0));
  if (leastBytes === Number.POSITIVE_INFINITY) read = buffer(child.stdout);
  else {
    let count = 0;
    child.stdout.on('data', (bytes: Buffer) => {
      count += bytes.length;
      if (count >= leastBytes) child.stdout.destroy();
    });
  }
  const [exitCode] = (await once(child, 'exit')) as [number | null];
  return { exitCode, bytes: await read, stderr: await said };
}

async function shared(context: TestContext) {
  const folder = await makeFolder(context);
  const files = { 'a.bin': randomBytes(3_000_000), 'sub/b.bin': randomBytes(6_000_001), 'z.bin': randomBytes(500_000) };
  await mkdir(join(folder, 'from', 'sub'), { recursive: true });
  for (const [name, bytes] of Object.entries(files)) await writeFile(join(folder, 'from', name), bytes);
  const sharer = start(context, 'share', join(folder, 'from'), '--http', '0', '--port', '0', '--json');
  const listening = await sharer.line((line) => line.type === 'listening');
  const { loopbackUrl, magnet } = listening;
  return { files, url: String(loopbackUrl), link: String(magnet), output: join(folder, 'to') };
}

it('haul get --stdout writes one file in order, fetches no other, and says the rest elsewhere', async (context) => {
  const { files, url, output } = await shared(context);
  const got = await pour([url, '--output', output, '--stdout', 'sub/b.bin']);
  assert.equal(got.exitCode, 0, got.stderr);
  assert.ok(got.bytes.equals(files['sub/b.bin']));
  assert.match(got.stderr, /1 of 3 files/);
  assert.ok(existsSync(join(output, 'from', 'sub', 'b.bin')) && !existsSync(join(output, 'from', 'z.bin')));
  const again = await pour([url, '--output', output, '--stdout', 'from/a.bin', '--only', '**', '--json']);
  assert.ok(again.exitCode === 0 && again.bytes.equals(files['a.bin']), again.stderr);
  assert.ok(
    again.stderr
      .trimEnd()
      .split('\n')
      .every((line) => line.startsWith('{')),
    again.stderr,
  );
  assert.ok(existsSync(join(output, 'from', 'z.bin')));
});

it('haul get --stdout stops without a word when nobody reads on, and can go on later', async (context) => {
  const { files, url, output } = await shared(context);
  const cut = await pour([url, '--output', output, '--stdout', 'sub/b.bin', '--quiet'], 1_000_000);
  assert.deepEqual([cut.exitCode, cut.stderr], [141, '']);
  const whole = await pour([url, '--output', output, '--stdout', 'sub/b.bin']);
  assert.ok(whole.exitCode === 0 && whole.bytes.equals(files['sub/b.bin']), whole.stderr);
});

it('haul get --stdout says which files there are, and --sha256 decides at the end', async (context) => {
  const { files, url, output } = await shared(context);
  const none = await pour([url, '--output', output, '--stdout', 'c.bin']);
  assert.equal(none.exitCode, 1);
  assert.match(none.stderr, /--stdout: "c\.bin" is no file of from; it has a\.bin, sub\/b\.bin, z\.bin\n$/);
  const skipped = await pour([url, '--output', output, '--stdout', 'a.bin', '--skip', 'a*']);
  assert.match(skipped.stderr, /--only and --skip leave out the file of --stdout\n$/);
  const sha256 = createHash('sha256').update(files['a.bin']).digest('hex');
  const good = await pour([url, '--output', output, '--stdout', 'a.bin', '--sha256', sha256]);
  assert.ok(good.exitCode === 0 && good.bytes.equals(files['a.bin']), good.stderr);
  const bad = await pour([url, '--output', output, '--stdout', 'a.bin', '--sha256', 'ab'.repeat(32)]);
  assert.equal(bad.exitCode, 5, bad.stderr);
});

it('haul get --stdout fetches its file also where the magnet link names others', async (context) => {
  const { files, output, link } = await shared(context);
  const got = await pour([`${link}&so=2`, '--output', output, '--stdout', 'a.bin']);
  assert.ok(got.exitCode === 0 && got.bytes.equals(files['a.bin']), got.stderr);
  assert.ok(!existsSync(join(output, 'from', 'z.bin')));
});

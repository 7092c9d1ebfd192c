/** `haul get NAME` that is killed half way and run again, and that goes to standard output. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { chmod, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { buffer, text } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';
import { agentOf, depotOf, folderOf, put } from '../depot/agent-harness.js';
import { ThinLine } from '../depot/thin-line.js';
import { haul, MAIN, start } from './harness.js';

const MIB = 2 ** 20;
const IMAGE = randomBytes(12 * MIB);
const TIMEOUT = { timeout: 120_000 };

async function killedAndRunAgain(context: TestContext, torrentFromBytes: number): Promise<Record<string, unknown>> {
  const folder = await folderOf(context);
  const engine = { port: false } as const;
  const depot = await depotOf(context, join(folder, 'data'), { engine, torrentFromBytes });
  const line = await ThinLine.open(context, depot.port, 3 * MIB);
  await put(depot.url, 'ci/image.raw', IMAGE);
  const out = join(folder, 'out');
  const words = [
    'get',
    'ci/image.raw',
    '--depot',
    line.url,
    '--output',
    out,
    '--port',
    '0',
    '--json',
    '--progress-interval',
    '100',
  ];
  const first = start(context, ...words);
  await first.line(({ type, doneBytes }) => type === 'progress' && Number(doneBytes) >= 6 * MIB);
  await first.stop('SIGKILL');
  const again = await haul(...words);
  assert.equal(again.exitCode, 0, again.stderr);
  assert.ok((await readFile(join(out, 'image.raw'))).equals(IMAGE));
  assert.deepEqual(
    (await readdir(out)).filter((name) => name.endsWith('.haul-part')),
    [],
  );
  const progress = again.lines.filter(({ type }) => type === 'progress');
  for (const { totalBytes } of progress) assert.equal(totalBytes, IMAGE.length);
  assert.equal(progress.at(-1)!.doneBytes, IMAGE.length);
  return again.lines.find(({ type }) => type === 'fetched')!;
}

test('--download-limit holds for what comes by HTTP alone', async (context) => {
  const folder = await folderOf(context);
  const engine = { port: false } as const;
  const depot = await depotOf(context, join(folder, 'data'), { engine, torrentFromBytes: 1024 * MIB });
  await put(depot.url, 'ci/a', IMAGE.subarray(0, 1_500_000));
  const words = ['--depot', depot.url, '--output', join(folder, 'out'), '--download-limit', '1M', '--json'];
  const { exitCode, lines, stderr } = await haul('get', 'ci/a', ...words);
  assert.equal(exitCode, 0, stderr);
  const { httpBytes, seconds } = lines.find(({ type }) => type === 'fetched')!;
  assert.equal(httpBytes, 1_500_000);
  // A tenth of a second is kept.
  assert.ok(Number(seconds) >= 1.3, `${seconds} s`);
});

test('what the limit holds is interrupted at once', { timeout: 30_000 }, async (context) => {
  const folder = await folderOf(context);
  const engine = { port: false } as const;
  const depot = await depotOf(context, join(folder, 'data'), { engine, torrentFromBytes: 1024 * MIB });
  await put(depot.url, 'ci/a', IMAGE);
  const words = ['--depot', depot.url, '--output', join(folder, 'out'), '--json', '--progress-interval', '100'];
  const fetching = start(context, 'get', 'ci/a', ...words, '--download-limit', '500');
  await fetching.line(({ type, doneBytes }) => type === 'progress' && Number(doneBytes) > 0);
  const { exitCode, lines, stderr } = await fetching.stop('SIGINT');
  assert.equal(exitCode, 130, stderr);
  assert.equal(lines.filter(({ type }) => type === 'error').length, 0);
});

test('of what comes by HTTP progress is told from where it goes on, of what is short only the end', async (context) => {
  const folder = await folderOf(context);
  const depot = await depotOf(context, join(folder, 'data'), { torrentFromBytes: 1024 * MIB });
  await put(depot.url, 'long', IMAGE);
  await put(depot.url, 'short', IMAGE.subarray(0, 1000));
  for (const [name, count] of [
    ['long', 2],
    ['short', 0],
  ] as const) {
    const words = ['get', name, '--depot', depot.url, '--output', join(folder, 'out'), '--port', '0', '--json'];
    const { lines, exitCode, stderr } = await haul(...words);
    assert.equal(exitCode, 0, stderr);
    const progress = lines.filter(({ type }) => type === 'progress');
    assert.ok(progress.length >= count && (count > 0 || progress.length === 0), `${progress.length} lines`);
    if (count > 0) assert.deepEqual([progress[0]!.phase, progress.at(-1)!.percent], ['downloading', 100]);
  }
});

test('an artifact that comes by HTTP is gone on with after a kill', TIMEOUT, async (context) => {
  const { localBytes, httpBytes } = await killedAndRunAgain(context, 1024 * MIB);
  assert.ok(Number(localBytes) >= 5 * MIB, `${localBytes} were here, ${httpBytes} came`);
  assert.equal(Number(localBytes) + Number(httpBytes), IMAGE.length);
});

test('an artifact that comes as a torrent is gone on with after a kill', TIMEOUT, async (context) => {
  const { localBytes, webSeedBytes } = await killedAndRunAgain(context, MIB);
  assert.ok(Number(localBytes) >= 3 * MIB, `${localBytes} were here, ${webSeedBytes} came`);
});

test('an artifact that is removed while it comes as a torrent is not waited for', TIMEOUT, async (context) => {
  const folder = await folderOf(context);
  const engine = { port: 0, uploadBytesPerSec: 2 * MIB };
  const depot = await depotOf(context, join(folder, 'data'), { engine, torrentFromBytes: MIB });
  await put(depot.url, 'ci/image.raw', IMAGE);
  const words = ['--depot', depot.url, '--output', join(folder, 'out'), '--port', '0', '--json'];
  const fetching = start(context, 'get', 'ci/image.raw', ...words, '--progress-interval', '100');
  await fetching.line(({ type, doneBytes }) => type === 'progress' && Number(doneBytes) >= MIB);
  await fetch(`${depot.url}/artifacts/ci/image.raw`, { method: 'DELETE' });
  const { exitCode, lines, stderr } = await fetching.finished;
  const error = lines.find(({ type }) => type === 'error');
  assert.deepEqual([exitCode, error?.code], [1, 'NOT_FOUND'], stderr);
  assert.match(String(error?.message), /ci\/image\.raw was removed, or got other bytes, while it was fetched/);
});

interface Poured {
  readonly exitCode: number | null;
  readonly bytes: Buffer;
  readonly said: string;
}

async function pour(...words: string[]): Promise<Poured> {
  const child = spawn(process.execPath, [MAIN, 'get', ...words, '--port', '0'], { stdio: ['ignore', 'pipe', 'pipe'] });
  const [bytes, said, [exitCode]] = await Promise.all([buffer(child.stdout), text(child.stderr), once(child, 'close')]);
  return { exitCode: exitCode as number | null, bytes, said };
}

test('an artifact goes to standard output from a depot and from an agent, alone', TIMEOUT, async (context) => {
  const folder = await folderOf(context);
  const depot = await depotOf(context, join(folder, 'data'));
  const { agent } = await agentOf(context, depot.url, join(folder, 'cache'));
  await put(depot.url, 'ci/1/image.raw', IMAGE);
  await put(depot.url, 'ci/1/log.txt', Buffer.from('words\n'));
  await put(depot.url, 'ci/1/sub/log.txt', Buffer.from('other words\n'));
  const out = join(folder, 'out');
  const torrent = await pour('ci/1/image.raw', '--stdout', 'image.raw', '--depot', depot.url, '--output', out);
  assert.equal(torrent.exitCode, 0, torrent.said);
  assert.ok(torrent.bytes.equals(IMAGE));
  const small = await pour('ci/1', '--stdout', 'sub/log.txt', '--depot', depot.url, '--output', out);
  assert.deepEqual([small.exitCode, small.bytes.toString()], [0, 'other words\n'], small.said);
  const files = (await readdir(out, { recursive: true })).filter((name) => !name.endsWith('.haul-resume'));
  assert.deepEqual(files.sort(), ['image.raw', 'sub', 'sub/log.txt']);
  const agents = await pour(
    'ci/1/image.raw',
    '--stdout',
    'image.raw',
    '--agent',
    agent.url,
    '--output',
    join(folder, 'b'),
  );
  assert.equal(agents.exitCode, 0, agents.said);
  assert.ok(agents.bytes.equals(IMAGE));
  for (const [name, why] of [
    ['log.txt', /2 end with log\.txt/],
    ['none', /none is called none/],
  ] as const) {
    const wrong = await pour('ci/1', '--stdout', name, '--depot', depot.url, '--output', out);
    assert.match(wrong.said, why);
    assert.deepEqual([wrong.exitCode === 0, wrong.bytes.length], [false, 0]);
  }
});

test('a blob that is damaged at the depot is said at once, by agents too', TIMEOUT, async (context) => {
  const folder = await folderOf(context);
  const data = join(folder, 'data');
  const depot = await depotOf(context, data, { torrentFromBytes: MIB });
  const { agent } = await agentOf(context, depot.url, join(folder, 'cache'));
  for (const [name, bytes] of [
    ['long', IMAGE],
    ['short', IMAGE.subarray(0, 1000)],
  ] as const) {
    await put(depot.url, name, bytes);
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    const blob = join(data, 'blobs', sha256.slice(0, 2), sha256);
    await chmod(blob, 0o600);
    await writeFile(blob, Buffer.from(bytes).fill('x', 500, 510));
    for (const [where, url] of [
      ['--depot', depot.url],
      ['--agent', agent.url],
    ] as const) {
      const words = ['get', name, where, url, '--output', join(folder, 'out'), '--port', '0', '--json'];
      const { exitCode, lines, stderr } = await haul(...words);
      assert.equal(exitCode, 1, stderr);
      assert.deepEqual(
        lines.filter(({ type }) => type === 'warning'),
        [],
      );
      const error = lines.find(({ type }) => type === 'error');
      assert.equal(error?.code, 'BAD_DATA', JSON.stringify(lines));
      assert.match(String(error?.message), /published|damaged/);
    }
  }
});

/** `npm run demo -- depot`: what it shows, what it leaves behind, how it fails. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { symlink } from 'node:fs/promises';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { openScope } from '../../lab/scope.js';
import { tempFolder } from '../../lab/temp.js';
import { requirePrograms } from '../support/requirements.js';

const DEMO = fileURLToPath(new URL('../../bench/demo.js', import.meta.url));
const SIZE = '12MiB';
const BYTES = '12.6 MB';

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** @param onLine called with each line that it prints */
function demo(
  t: TestContext,
  args: readonly string[],
  env: NodeJS.ProcessEnv = process.env,
  onLine: (line: string, child: ChildProcess) => void = () => {},
): Promise<Ended> {
  const child = spawn(process.execPath, [DEMO, 'depot', ...args], { stdio: ['ignore', 'pipe', 'pipe'], env });
  t.after(() => child.kill('SIGTERM'));
  let [stdout, stderr] = ['', ''];
  createInterface({ input: child.stdout }).on('line', (line) => {
    stdout += `${line}\n`;
    onLine(line, child);
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  return new Promise((resolve) => child.once('close', (code) => resolve({ code, stdout, stderr })));
}

function rootOf(stdout: string): string {
  return / in (\S+haul-demo-\S+)$/m.exec(stdout)?.[1] ?? assert.fail(stdout);
}

function checkShown({ code, stdout, stderr }: Ended, agents: number): void {
  assert.equal(code, 0, stderr + stdout);
  assert.equal(stderr, '');
  assert.match(stdout, /^the depot is at http:\/\/127\.0\.0\.1:\d+\/ /m);
  const receipts = [...stdout.matchAll(/^ {2}agent-\d .* peers +(\S+ \S+) +depot +(\S+ \S+) +cache +(\S+ \S+)$/gm)];
  assert.equal(receipts.length, 2 * agents, stdout);
  for (const [, peers, depot, cache] of receipts.slice(agents)) {
    assert.deepEqual([peers, depot, cache], ['0 B', '0 B', BYTES]);
  }
  assert.match(stdout, new RegExp(`^all ${2 * agents} copies are equal: SHA-256 [0-9a-f]{64}$`, 'm'));
  assert.equal(existsSync(rootOf(stdout)), false, 'nothing is left behind');
}

test('the demo of the depot: published with curl, fetched by three agents, all equal, nothing left', async (t) => {
  if (await requirePrograms(t, ['curl'])) return;
  const ended = await demo(t, ['--size', SIZE]);
  checkShown(ended, 3);
  assert.match(ended.stdout, /^published demo\/image\.raw with curl in /m);
});

test('the demo of the depot does without curl', async (t) => {
  const folder = await tempFolder(openScope(t));
  await symlink(process.execPath, path.join(folder, 'node'));
  const ended = await demo(t, ['--size', SIZE, '--agents', '1'], { ...process.env, PATH: folder });
  checkShown(ended, 1);
  assert.match(ended.stdout, /with Node\.js, as there is no curl in /);
});

test('what the demo of the depot cannot read is one line', async (t) => {
  for (const [args, message] of [
    [['--agents', '0'], /^demo: --agents is a number from 1 to 32\.\n$/],
    [['--size', 'much'], /^demo: .*\n$/],
    [['--size', '0'], /^demo: .*\n$/],
    [['image.raw'], /^demo: The demo of the depot makes its own image: it takes no PATH\.\n$/],
    [['--colour'], /^demo: Unknown option '--colour'[^\n]*\n$/],
  ] as const) {
    const { code, stderr } = await demo(t, args);
    assert.equal(code, 2, stderr);
    assert.match(stderr, message);
  }
  const { code, stderr } = await demo(t, ['--size', '900TiB']);
  assert.equal(code, 1);
  assert.match(stderr, /^demo: no room: .* try --size\n$/);
});

test('the demo of the depot is ended by Ctrl-C and leaves nothing', async (t) => {
  const ended = await demo(t, ['--size', SIZE], process.env, (line, child) => {
    if (line.startsWith('the depot is at')) child.kill('SIGINT');
  });
  assert.equal(ended.code, 130, ended.stderr);
  assert.equal(ended.stderr, '');
  assert.equal(existsSync(rootOf(ended.stdout)), false);
});

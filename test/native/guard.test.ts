/** The SIGBUS guard: faults in guarded windows are survived and counted, everything else is as if it were not there. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { run } from '../../lab/child.js';
import { missingTool } from '../../lab/clients/client.js';
import { PACKAGE_ROOT } from '../../lab/root.js';
import { Scope } from '../../lab/scope.js';
import { tempFolder } from '../../lab/temp.js';
import { thisArchitecture } from '../../native/build.js';
import { sigbusGuard, UNGUARDED } from '../../src/native/guard.js';
import * as mmap from '../../src/native/mmap-io.js';
import { skipWithout } from '../support/requirements.js';

const GUARD = new URL('../../src/native/guard.js', import.meta.url).href;
const MMAP = new URL('../../src/native/mmap-io.js', import.meta.url).href;
const COMPILER = process.env.CC ?? 'cc';
const PAGES = 64;

async function noCompiler(): Promise<string | null> {
  if (thisArchitecture() === null) return `there is no native code for ${process.platform} ${process.arch}`;
  const missing = await missingTool([COMPILER]);
  return missing === null ? null : `${missing} is not installed`;
}

/** What the process did: its exit code, or the signal that ended it. */
function ended(command: string, args: readonly string[]): string {
  const env: NodeJS.ProcessEnv = { ...process.env, SWARMHAUL_NATIVE: '' };
  delete env.NODE_TEST_CONTEXT;
  const { status, signal, stdout, stderr } = spawnSync(command, args, { encoding: 'utf8', timeout: 60_000, env });
  return signal ?? (status === 0 ? 'lives' : `exit ${status}: ${stdout}${stderr}`);
}

/** A mapped file that was cut off to one page, in this process. */
async function cutMapping(scope: Scope): Promise<{ readonly address: number; readonly bytes: Buffer }> {
  const page = mmap.pageSize();
  const file = path.join(await tempFolder(scope), 'cut');
  fs.writeFileSync(file, Buffer.alloc(PAGES * page, 7));
  const fd = fs.openSync(file, 'r+');
  const address = mmap.map(PAGES * page, mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_SHARED, fd);
  fs.closeSync(fd);
  scope.defer(() => mmap.unmap(address, PAGES * page));
  fs.truncateSync(file, page);
  return { address, bytes: Buffer.from(mmap.view(address, PAGES * page)) };
}

async function withScope(body: (scope: Scope) => Promise<void>): Promise<void> {
  const scope = new Scope();
  try {
    await body(scope);
  } finally {
    await scope.close();
  }
}

test('what only C can show', async (t) => {
  if (skipWithout(t, await noCompiler())) return;
  await withScope(async (scope) => {
    const program = path.join(await tempFolder(scope), 'guard-check');
    const sources = ['test/native/guard-check.c', 'native/guard.c'].map((name) => path.join(PACKAGE_ROOT, name));
    const flags = ['-std=c11', '-D_GNU_SOURCE', '-O2', '-pthread', '-I', path.join(PACKAGE_ROOT, 'native')];
    await run(scope, COMPILER, [...flags, ...sources, '-o', program]);
    const expected = {
      info: 'lives',
      plain: 'lives',
      once: 'SIGBUS',
      ignored: 'SIGBUS',
      sent: 'SIGBUS',
      elsewhere: 'SIGBUS',
      removed: 'SIGBUS',
      threads: 'lives',
      crowded: 'lives',
    };
    for (const [mode, outcome] of Object.entries(expected))
      await t.test(mode, () => assert.equal(ended(program, [mode]), outcome));
  });
});

test('a fault in a guarded window reads zeros and is counted', async (t) => {
  const guard = sigbusGuard();
  if (skipWithout(t, guard === null ? 'there is no native library' : null)) return;
  await withScope(async (scope) => {
    const page = mmap.pageSize();
    const { address, bytes } = await cutMapping(scope);
    const window = guard!.add(address, PAGES * page);
    assert.notEqual(window, UNGUARDED);
    const before = guard!.total[0]!;
    assert.deepEqual([bytes[0], guard!.faults(window)], [7, 0]);
    assert.deepEqual([bytes[5 * page + 3], guard!.faults(window), guard!.total[0]! - before], [0, 1, 1]);
    // Up to the next 64 KiB it is zeros already.
    const stretchPages = Math.max(1, 65_536 / page);
    const left = Math.ceil((address + 5 * page + 1) / 65_536) * 65_536 - address;
    bytes.fill(9, left, left + 2 * stretchPages * page);
    assert.deepEqual([guard!.faults(window), guard!.total[0]! - before], [3, 3]);
    assert.equal(guard!.firstFault(window) - (guard!.firstFault(window) % page), 5 * page);
    assert.ok(bytes.subarray(left, left + 2 * stretchPages * page).every((byte) => byte === 9));
    assert.equal(bytes[page - 1], 7, 'what the file still has is left alone');
    guard!.remove(window);
  });
});

test('10,000 windows come and go, in any order, and each knows its own faults', async (t) => {
  const guard = sigbusGuard();
  if (skipWithout(t, guard === null ? 'there is no native library' : null)) return;
  await withScope(async (scope) => {
    const page = mmap.pageSize();
    const { address, bytes } = await cutMapping(scope);
    const window = guard!.add(address, PAGES * page);
    const others = Array.from({ length: 10_000 }, (_, at) => guard!.add((at + 1) * page, page));
    assert.equal(new Set([window, ...others]).size, 10_001);
    assert.ok(!others.includes(UNGUARDED));
    // Every third, then what is left from behind, and as many again.
    for (let at = 0; at < others.length; at += 3) guard!.remove(others[at]!);
    const again = Array.from({ length: 3334 }, (_, at) => guard!.add((at + 1) * page, page));
    bytes[page] = 1;
    assert.equal(guard!.faults(window), 1);
    assert.ok([...others, ...again].every((other) => guard!.faults(other) === 0));
    for (const other of [...others.filter((_, at) => at % 3 !== 0), ...again, window]) guard!.remove(other);
    const anew = guard!.add(address, PAGES * page);
    assert.equal(guard!.faults(anew), 0);
    guard!.remove(anew);
  });
});

test('what is no whole pages is not guarded', (t) => {
  const guard = sigbusGuard();
  if (skipWithout(t, guard === null ? 'there is no native library' : null)) return;
  const page = mmap.pageSize();
  for (const [begin, length] of [
    [page + 1, page],
    [page, page - 1],
    [page, 0],
  ] as const)
    assert.equal(guard!.add(begin, length), UNGUARDED);
  for (const window of [UNGUARDED, 1 << 30]) {
    guard!.remove(window);
    assert.equal(guard!.faults(window), 0);
  }
});

test('in Node.js a fault elsewhere and a signal that was sent still end the process', async (t) => {
  if (skipWithout(t, sigbusGuard() === null ? 'there is no native library' : null)) return;
  await withScope(async (scope) => {
    const file = path.join(await tempFolder(scope), 'cut');
    const setUp = `import { sigbusGuard } from '${GUARD}';
      import * as mmap from '${MMAP}';
      import * as fs from 'node:fs';
      const page = mmap.pageSize();
      fs.writeFileSync('${file}', Buffer.alloc(2 * page));
      const address = mmap.map(2 * page, mmap.PROT_READ, mmap.MAP_SHARED, fs.openSync('${file}'));
      fs.truncateSync('${file}', 0);
      const bytes = new Uint8Array(mmap.view(address, 2 * page));`;
    const script = (text: string): string => ended(process.execPath, ['--input-type=module', '-e', setUp + text]);
    assert.equal(script('sigbusGuard().add(address, 2 * page); bytes[page] + bytes[0]'), 'lives');
    assert.equal(script('sigbusGuard().add(address, page); bytes[0] + bytes[page]'), 'SIGBUS');
    assert.equal(script("sigbusGuard(); process.kill(process.pid, 'SIGBUS')"), 'SIGBUS');
  });
});

test('SWARMHAUL_NATIVE=off does without a guard', () => {
  const code = `import { sigbusGuard } from '${GUARD}'; process.exit(sigbusGuard() === null ? 0 : 1)`;
  const env: NodeJS.ProcessEnv = { ...process.env, SWARMHAUL_NATIVE: 'off' };
  delete env.NODE_TEST_CONTEXT;
  assert.equal(spawnSync(process.execPath, ['--input-type=module', '-e', code], { env }).status, 0);
});

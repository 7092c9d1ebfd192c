/** The helpers other tests lean on: they find differences, and leave nothing behind. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, mkdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { cpuSeconds, sampleProcess, usedBetween } from '../../bench/support/procstat.js';
import { run, startChild } from '../../lab/child.js';
import { AWKWARD_FILES, SeededBytes, seededBytes, writeTree } from '../../lab/data.js';
import { openNamespace } from '../../lab/namespace.js';
import { openScope, Scope } from '../../lab/scope.js';
import { tempFolder } from '../../lab/temp.js';
import { startTestTracker } from '../../lab/tracker.js';
import { sha256Tree, treeDifferences } from '../../lab/tree.js';
import { chooseTests, lanesOf } from './choose-tests.js';
import { together } from './lanes.js';
import { requireNamespaces, skipWithout } from './requirements.js';

const TIMEOUT_MS = 10_000;

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

test('seeded bytes depend on the seed only, not on how they are taken', () => {
  const stream = new SeededBytes(7);
  const parts = Buffer.concat([stream.next(5), stream.next(0), stream.next(70_000), stream.next(5_000_000)]);
  assert.ok(parts.equals(seededBytes(7, 5_070_005)));
  assert.ok(!parts.subarray(0, 64).equals(seededBytes(8, 64)));
  assert.ok(parts.subarray(0, 64).some((byte) => byte !== 0));
});

test('equal trees have no differences and one hash', async (t) => {
  const folder = await tempFolder(openScope(t));
  await writeTree(path.join(folder, 'a'), AWKWARD_FILES, 1);
  await writeTree(path.join(folder, 'b'), AWKWARD_FILES, 1);
  assert.deepEqual(await treeDifferences(path.join(folder, 'a'), path.join(folder, 'b'), { modes: true }), []);
  assert.equal(await sha256Tree(path.join(folder, 'a')), await sha256Tree(path.join(folder, 'b')));
});

test('every kind of difference between trees is named', async (t) => {
  const folder = await tempFolder(openScope(t));
  const [a, b] = [path.join(folder, 'a'), path.join(folder, 'b')];
  await writeTree(a, AWKWARD_FILES, 1);
  await writeTree(b, AWKWARD_FILES, 1);
  await rm(path.join(b, 'a-empty'));
  await rm(path.join(b, 'one'));
  await writeFile(path.join(b, 'block'), seededBytes(2, 16_384));
  await writeFile(path.join(b, 'block-less-one'), 'short');
  await chmod(path.join(b, 'bin/tool.sh'), 0o644);
  await mkdir(path.join(b, 'x'));
  await writeFile(path.join(b, 'x/more'), '');
  await writeFile(path.join(b, 'state.aria2'), '');
  const options = { modes: true, ignore: /\.aria2$/ };
  assert.deepEqual(await treeDifferences(a, b, options), [
    'a-empty: missing',
    'bin/tool.sh: executable bit differs',
    'block: contents differ',
    'block-less-one: 5 bytes, expected 16383',
    'one: missing',
    'x/more: not expected',
  ]);
  assert.ok(!(await treeDifferences(a, b, { emptyMayBeMissing: true })).includes('a-empty: missing'));
});

test('a scope runs every cleanup, last first, and reports the first failure', async () => {
  const scope = new Scope();
  const order: number[] = [];
  scope.defer(() => void order.push(1));
  scope.defer(() => {
    order.push(2);
    throw new Error('second');
  });
  scope.defer(async () => void order.push(3));
  await assert.rejects(scope.close(), /second/);
  await scope.close();
  assert.deepEqual(order, [3, 2, 1]);
});

test('a temporary folder is gone when its scope closes', async () => {
  const scope = new Scope();
  const folder = await tempFolder(scope);
  await writeFile(path.join(folder, 'x'), 'x');
  await scope.close();
  assert.equal(existsSync(folder), false);
});

test('a child that ignores SIGTERM still ends with its scope', async () => {
  const scope = new Scope();
  const script = "process.on('SIGTERM', () => {}); setInterval(() => {}, 1000); console.log('up')";
  const child = startChild(scope, process.execPath, ['-e', script], { graceMs: 100 });
  await child.line('start', TIMEOUT_MS, (line) => line === 'up');
  assert.ok(isAlive(child.pid));
  await scope.close();
  assert.equal(isAlive(child.pid), false);
});

test('waiting for a line of a child that ends without it fails with its output', async (t) => {
  const child = startChild(openScope(t), process.execPath, ['-e', "console.error('why'); process.exit(3)"]);
  await assert.rejects(
    child.line('never', TIMEOUT_MS, () => false),
    /exited with 3[\s\S]*why/,
  );
});

test('a failing command is reported with its output and a missing one by name', async (t) => {
  const scope = openScope(t);
  await assert.rejects(
    run(scope, process.execPath, ['-e', "console.log('bad'); process.exit(1)"]),
    /exited with 1\nbad/,
  );
  await assert.rejects(run(scope, 'no-such-program-here', []), /no-such-program-here/);
});

test('the test tracker gives pinned peers to all and announced ones to the others of a swarm', async (t) => {
  const tracker = await startTestTracker(openScope(t));
  const announce = async (port: number) => {
    const hash = '%12%34%AB'.padEnd(9 + 17, 'x');
    const response = await fetch(`${tracker.url()}?info_hash=${hash}&port=${port}&left=1`);
    return Buffer.from(await response.arrayBuffer()).toString('latin1');
  };
  tracker.pinned.push({ host: '10.1.2.3', port: 258 });
  assert.ok((await announce(1000)).endsWith('5:peers6:\x0a\x01\x02\x03\x01\x02e'));
  tracker.isSwarm = true;
  assert.ok((await announce(770)).endsWith('5:peers12:\x0a\x01\x02\x03\x01\x02\x7f\0\0\x01\x03\xe8e'));
  assert.equal(tracker.announces[1]?.infoHashHex, `1234ab${'78'.repeat(17)}`);
});

test('a namespace reaches us over its cable and leaves neither itself nor the cable', async (t) => {
  if (await requireNamespaces(t)) return;
  // What a crashed run leaves: its maker's pid is no longer in use.
  const gone = execFileSync('sh', ['-c', 'echo $$'], { encoding: 'utf8' }).trim();
  execFileSync('ip', ['netns', 'add', `swarmhaul-${gone}-0`]);
  const scope = new Scope();
  const namespace = await openNamespace(scope);
  const tracker = await startTestTracker(scope);
  const url = `${tracker.url(namespace.hostAddress)}?info_hash=x&port=1&left=0`;
  const script = `fetch(${JSON.stringify(url)}).then((r) => console.log(r.status))`;
  assert.equal(await run(scope, process.execPath, ['-e', script], { namespace }), '200');
  assert.equal(tracker.announces[0]?.host, namespace.address);
  await scope.close();
  const left = execFileSync('sh', ['-c', 'ip netns list; ip -o -4 addr'], { encoding: 'utf8' });
  assert.ok(!left.includes(namespace.name) && !left.includes(`swarmhaul-${gone}-0`), left);
  assert.ok(!left.includes(` ${namespace.hostAddress}/`), left);
});

test('what is missing skips a test, and fails it where nothing may be missing', (t) => {
  const given = process.env.SWARMHAUL_INTEROP;
  t.after(() => {
    if (given === undefined) delete process.env.SWARMHAUL_INTEROP;
    else process.env.SWARMHAUL_INTEROP = given;
  });
  const skipped: (string | undefined)[] = [];
  const context = { skip: (reason?: string) => void skipped.push(reason) } as unknown as typeof t;
  delete process.env.SWARMHAUL_INTEROP;
  assert.equal(skipWithout(context, null), false);
  assert.equal(skipWithout(context, 'no such program'), true);
  assert.deepEqual(skipped, ['no such program']);
  process.env.SWARMHAUL_INTEROP = 'required';
  assert.equal(skipWithout(context, null), false);
  assert.throws(() => skipWithout(context, 'no such program'), /no such program/);
  assert.equal(skipped.length, 1);
});

test('tests are chosen by parts of their paths, also as the sources are named', () => {
  const files = ['wire/decoder.test.js', 'wire/decoder.test.d.ts', 'wire/recorder.js', 'metainfo/layout.test.js'];
  assert.deepEqual(chooseTests(files, []), ['metainfo/layout.test.js', 'wire/decoder.test.js']);
  assert.deepEqual(chooseTests(files, ['wire/']), ['wire/decoder.test.js']);
  assert.deepEqual(chooseTests(files, ['layout', 'nothing']), ['metainfo/layout.test.js']);
  assert.deepEqual(chooseTests(files, ['test/wire/decoder.test.ts']), ['wire/decoder.test.js']);
  assert.deepEqual(chooseTests(files, ['./test/wire']), ['wire/decoder.test.js']);
  assert.deepEqual(chooseTests(files, ['nothing']), []);
});

test('test files that wait most of their time run one by one beside others', () => {
  assert.deepEqual(lanesOf(['a', 'interop/x', 'interop/y', 'k']), [
    { files: ['interop/x', 'interop/y'], atOnce: 1 },
    { files: ['a', 'k'], atOnce: 3 },
  ]);
  assert.deepEqual(lanesOf(['interop/x', 'interop/y']), [{ files: ['interop/x', 'interop/y'], atOnce: 3 }]);
  assert.deepEqual(lanesOf(['a']), [{ files: ['a'], atOnce: 3 }]);
  assert.deepEqual(lanesOf([]), []);
});

test('runs of tests are told as one: each test as a whole, then the sums', async () => {
  const event = (type: string, name: string, nesting = 0) => ({ type: `test:${type}`, data: { name, nesting } });
  const said = (message: string, file?: string) => ({
    type: 'test:diagnostic',
    data: { nesting: 0, message, ...(file === undefined ? {} : { file }) },
  });
  const [one, two] = [new PassThrough({ objectMode: true }), new PassThrough({ objectMode: true })];
  const told = together([one, two]).toArray();
  one.write(event('start', 'a'));
  await setImmediate();
  for (const given of [event('start', 'b'), event('start', 'c', 1), event('fail', 'c', 1), event('fail', 'b')])
    two.write(given);
  await setImmediate();
  for (const given of [event('pass', 'a'), said('tests 9', 'a.js'), said('tests 1'), said('duration_ms 1.5')])
    one.write(given);
  one.end();
  for (const given of [said('tests 2'), said('duration_ms 2.5')]) two.write(given);
  two.end();
  const lines = (await told).map(({ type, data }) => `${type.slice(5)} ${data.name ?? data.message}`);
  assert.deepEqual(lines, [
    ...['start b', 'start c', 'fail c', 'fail b', 'start a', 'pass a', 'diagnostic tests 9'],
    ...['diagnostic tests 3', 'diagnostic duration_ms 2.5'],
  ]);
});

test('process samples see the CPU that was used', { skip: process.platform !== 'linux' }, () => {
  const before = sampleProcess(process.pid);
  let ticks = 0;
  while (cpuSeconds(usedBetween(before, sampleProcess(process.pid)).mainThread) < 0.05) ticks++;
  const { process: all, mainThread, peakResidentBytes } = usedBetween(before, sampleProcess(process.pid));
  // User and system of both are rounded to ticks of 10 ms, and are read one after the other.
  assert.ok(ticks > 0 && cpuSeconds(all) > cpuSeconds(mainThread) - 0.04);
  assert.ok(peakResidentBytes > 10 * 2 ** 20, `peak ${peakResidentBytes}`);
});

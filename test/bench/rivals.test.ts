/** The clock, the memory and the ratios of the rivals bench; a rival that is not there is named and left out. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { watchEndedChildren } from '../../bench/support/children-use.js';
import { countConnections } from '../../bench/support/held-connections.js';
import { checkLoopFolders, openLoopFolder } from '../../bench/support/loop-folder.js';
import { watchMemory } from '../../bench/support/memory-watch.js';
import { withRatios } from '../../bench/support/ratios.js';
import { type ResultsFile, type Run, summaryTable } from '../../bench/support/results.js';
import { rqbit } from '../../bench/support/rivals/rqbit.js';
import { syncFile } from '../../bench/support/sync-file.js';
import { run, startChild } from '../../lab/child.js';
import { openScope } from '../../lab/scope.js';
import { tempFolder } from '../../lab/temp.js';
import { ValueError } from '../../src/cli/values.js';

const RUN = fileURLToPath(new URL('../../bench/run.js', import.meta.url));
const MIB = 2 ** 20;
const isLinux = process.platform === 'linux';

test('what a child used that ended by itself is known from its end', { skip: !isLinux }, async (t) => {
  const used = watchEndedChildren();
  const busy = 'const end = process.cpuUsage().user + 200_000; while (process.cpuUsage().user < end);';
  await run(openScope(t), process.execPath, ['-e', busy]);
  const { userSeconds, minorFaults, voluntarySwitches } = used();
  assert.ok(userSeconds >= 0.2 && userSeconds < 20, `${userSeconds}`);
  assert.ok(minorFaults > 0 && voluntarySwitches > 0);
  assert.equal(watchEndedChildren()().userSeconds, 0);
});

test('memory is told by its kind, also of a process that is gone', { skip: !isLinux }, async (t) => {
  const scope = openScope(t);
  const child = startChild(scope, process.execPath, [
    '-e',
    'b = Buffer.alloc(64 << 20, 1); console.log("full"); setInterval(() => b, 1e6)',
  ]);
  const peaks = watchMemory(child.pid);
  t.after(() => peaks());
  await child.line('it is full', 20_000, (line) => line === 'full');
  const full = peaks();
  assert.ok(full.anonBytes >= 64 * MIB && full.anonBytes < 200 * MIB, `${full.anonBytes}`);
  assert.ok(full.fileBytes > 10 * MIB, 'the code of Node');
  assert.equal(full.sharedBytes, 0);
  assert.ok(full.residentBytes >= 74 * MIB);
  await child.stop();
  assert.deepEqual(peaks(), full);
  assert.deepEqual(watchMemory(child.pid)(), { anonBytes: 0, fileBytes: 0, sharedBytes: 0, residentBytes: 0 });
});

function made(
  series: string,
  turn: number,
  mbPerSec: number,
  rest: Partial<Record<string, string | number>> = {},
): Run {
  const parameters = { role: 'pair', other: series, connections: 1, ...rest };
  return { series, turn, parameters, figures: { mbPerSec, cpuSecPerGb: 600 / mbPerSec } };
}

test('a run is compared with the pairs of its own turn and place', () => {
  const runs = [
    made('swarmhaul', 0, 300),
    made('swarmhaul', 1, 300),
    made('rqbit', 0, 200),
    made('rqbit', 1, 100),
    made('rqbit', 1, 50, { connections: 50 }),
    made('swarmhaul', 1, 10, { connections: 500 }),
    made('rqbit', 1, 150, { role: 'leech', other: 'swarmhaul' }),
    made('libtorrent', 1, 150),
  ];
  const times = withRatios(runs).map(({ figures }) => [figures.timesRqbit, figures.timesLibtorrent]);
  const none = undefined;
  assert.deepEqual(times, [
    [1.5, none],
    [3, 2],
    [1, none],
    [1, 100 / 150],
    [1, none],
    [none, none],
    [1.5, 1],
    [1.5, 1],
  ]);
  assert.equal(withRatios(runs)[1]!.figures.cpuTimesRqbit, 2 / 6);
});

test('a table has the columns it is given, of those there are', () => {
  const summary = [{ series: 'a', parameters: {}, turns: 1, figures: { x: spread(1), y: spread(2), z: spread(3) } }];
  assert.equal(summaryTable(summary, ['z', 'w', 'x']), '   a\nz  3\nx  1\n');
});

const spread = (value: number) => ({ median: value, min: value, max: value });

test('syncing tells its time and CPU', async (t) => {
  const file = path.join(await tempFolder(openScope(t)), 'file');
  await writeFile(file, 'x');
  const { seconds, cpuSeconds } = syncFile(file);
  assert.ok(seconds >= 0 && cpuSeconds >= 0);
});

test('only kinds of file systems that can be made are taken', () => {
  for (const name of ['loop:', 'loop:tape', 'loop:xfs:/nowhere/at/all'])
    assert.throws(() => checkLoopFolders(['/dev/shm', name]), ValueError);
  checkLoopFolders(['/dev/shm', 'relative/folder']);
});

function canLoop(): boolean {
  try {
    checkLoopFolders(['loop:ext4']);
    return true;
  } catch {
    return false;
  }
}

test('a file system of a bench is there for its time only', {
  skip: !canLoop() && 'needs root and mkfs.ext4',
}, async (t) => {
  const parent = await tempFolder(openScope(t));
  const scope = openScope(t);
  let folder: string;
  try {
    folder = await openLoopFolder(scope, `loop:ext4:${parent}`, MIB);
  } catch (error) {
    return t.skip(`no loop device: ${(error as Error).message.split('\n')[0]}`);
  }
  await writeFile(path.join(folder, 'file'), 'x');
  assert.match(await readFile('/proc/self/mounts', 'utf8'), new RegExp(`${folder} ext4`));
  await scope.close();
  assert.ok(!(await readFile('/proc/self/mounts', 'utf8')).includes(folder));
  assert.deepEqual(await readFile(path.join(folder, 'file')).catch(({ code }) => code), 'ENOENT');
});

/** A run of 1 MiB; the file of its results. */
async function rivals(
  folder: string,
  env: Record<string, string>,
  ...words: string[]
): Promise<{ file: ResultsFile; stdout: string }> {
  const out = path.join(folder, 'rivals.json');
  const { NODE_TEST_CONTEXT: _, ...inherited } = process.env;
  const common = [
    'rivals',
    '--size',
    '1M',
    '--piece-length',
    '64K',
    '--turns',
    '1',
    '--no-warm-up',
    '--folder',
    folder,
  ];
  const { stdout } = await promisify(execFile)(process.execPath, [RUN, ...common, '--out', out, ...words], {
    env: { ...inherited, ...env },
  });
  return { file: JSON.parse(await readFile(out, 'utf8')) as ResultsFile, stdout };
}

const FIGURES = [
  ...['mbPerSec', 'wholeSec', 'startSec', 'syncSec', 'transferMbPerSec', 'cpuSecPerGb', 'syncCpuSecPerGb'],
  ...['leech', 'seed'].flatMap((role) => ['CpuSecPerGb', 'AnonMiB', 'FileMiB', 'SharedMiB'].map((name) => role + name)),
];

test('our commands as a pair: the whole process counts; who is not here is named and skipped', {
  skip: !isLinux,
}, async (t) => {
  const folder = await tempFolder(openScope(t));
  const env = { RQBIT: path.join(folder, 'no-rqbit'), LT_PEER: '' };
  const { file, stdout } = await rivals(folder, env, '--roles', 'pair', '--only', 'swarmhaul,rqbit,libtorrent-other');
  assert.deepEqual(
    file.runs.map(({ series }) => series),
    ['swarmhaul'],
  );
  assert.deepEqual(
    file.skipped.map(({ series }) => series),
    ['rqbit', 'libtorrent-other'],
  );
  assert.match(file.skipped[0]!.reason, /RQBIT=.*cargo install rqbit --version 9\.1\.0/);
  const { figures, checksum } = file.runs[0]!;
  for (const name of FIGURES) assert.ok(figures[name]! >= 0, name);
  const { wholeSec, startSec, syncSec, transferMbPerSec } = figures;
  assert.ok(Math.abs(wholeSec! - (startSec! + syncSec! + MIB / 1e6 / transferMbPerSec!)) < 0.002);
  // A command of Node has a heap and its code.
  assert.ok(figures.leechAnonMiB! > 10 && figures.leechFileMiB! > 10 && figures.leechUserSecPerGb! > 0);
  assert.match(checksum!, /^[0-9a-f]{64}$/);
  assert.match(stdout, /mbPerSec[^\n]*wholeSec/);
});

test('as many connections as were asked for; a command that keeps one per peer is left out', {
  skip: !isLinux,
}, async (t) => {
  const folder = await tempFolder(openScope(t));
  const words = ['--roles', 'pair', '--only', 'swarmhaul,swarmhaul-engine', '--connections', '7'];
  const { file } = await rivals(folder, {}, ...words);
  assert.deepEqual(
    file.runs.map(({ series }) => series),
    ['swarmhaul-engine'],
  );
  // 1 MiB may be over before anybody looked.
  assert.ok(file.runs[0]!.figures.heldConnections! >= 0);
  assert.match(file.skipped[0]!.reason, /7 connections/);
});

test('connections are counted at the end that dialled', () => {
  const table = `  sl  local_address rem_address   st tx_queue rx_queue
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000
   1: 0100007F:1F90 0100007F:C350 01 00000000:00000000
   2: 0100007F:C350 0100007F:1F90 01 00000000:00000000
   3: 0100007F:C351 0200007F:1F90 01 00000000:00000000
   4: 0100007F:C352 0100007F:1F90 06 00000000:00000000
   5: 0100007F:C353 0100007F:1F91 01 00000000:00000000
`;
  assert.equal(countConnections(table, 8080), 2);
  assert.equal(countConnections('', 8080), 0);
});

const rqbitMissing = await rqbit.missing();

test('rqbit as leech, as seed and as a pair', { skip: rqbitMissing ?? false, timeout: 120_000 }, async (t) => {
  const { file } = await rivals(await tempFolder(openScope(t)), {}, '--only', 'rqbit');
  assert.deepEqual(file.skipped, []);
  assert.deepEqual(
    file.runs.map(({ parameters, figures }) => [parameters!.role, parameters!.other, figures.leechCpuSecPerGb! > 0]),
    [
      ['leech', 'swarmhaul', true],
      ['seed', 'swarmhaul', true],
      ['pair', 'rqbit', true],
    ],
  );
  assert.equal(new Set(file.runs.map(({ checksum }) => checksum)).size, 1);
});

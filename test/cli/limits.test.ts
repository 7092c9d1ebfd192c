/**
 * Too few files, threads or address space, a file that may not grow, a disk that is read-only or has no inodes: one
 * line each that says what to do.
 */
import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import vm from 'node:vm';
import { PACKAGE_ROOT } from '../../lab/root.js';
import { openScope, type Scope } from '../../lab/scope.js';
import { tempFolder } from '../../lab/temp.js';
import { type DataSet, fileSet, startSeed } from '../support/engines.js';

const MIB = 1024 * 1024;
const HAUL = fileURLToPath(new URL('../../src/cli/haul.cjs', import.meta.url));
const TIMEOUT_MS = 60_000;

interface Ended {
  readonly code: number;
  readonly text: string;
}

/** Runs the command in a shell that sets limits first. */
function haul(setUp: string, ...args: string[]): Promise<Ended> {
  const command = `${setUp} exec "$0" "$@"`;
  return new Promise((resolve) => {
    const options = { timeout: TIMEOUT_MS };
    execFile('bash', ['-c', command, process.execPath, HAUL, ...args], options, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), text: `${stdout}${stderr}`.trim() });
    });
  });
}

interface Scene {
  readonly set: DataSet;
  readonly torrent: string;
  readonly output: string;
  /** "host:port" */
  readonly peer: string;
  /** Fetches into the output. */
  get(setUp: string): Promise<Ended>;
}

/** Whether Node.js evaluates a program from a file, under these limits. */
function runs(setUp: string, program: string): boolean {
  const folder = mkdtempSync(path.join(tmpdir(), 'swarmhaul-test-'));
  const file = path.join(folder, 'program.cjs');
  writeFileSync(file, program);
  const { status } = spawnSync('bash', ['-c', `${setUp} exec "$0" "$1"`, process.execPath, file]);
  rmSync(folder, { recursive: true });
  return status === 0;
}

async function scene(scope: Scope): Promise<Scene> {
  const set = await fileSet(scope, 4 * MIB, { pieceLengthBytes: 256 * 1024 });
  const seed = await startSeed(scope, set);
  const torrent = path.join(await tempFolder(scope), 'image.torrent');
  await writeFile(torrent, set.torrent);
  const output = await tempFolder(scope);
  const peer = `127.0.0.1:${seed.port}`;
  const args = ['--output', output, '--peer', peer, '--port', '0'];
  return { set, torrent, output, peer, get: (setUp) => haul(setUp, 'get', torrent, ...args) };
}

for (const limit of [20, 32, 48, 63]) {
  test(`${limit} open files are too few, and the line says so`, async (t) => {
    if (!runs(`ulimit -n ${limit};`, '0')) return t.skip(`Node.js ${process.version} itself needs more`);
    const { code, text } = await haul(`ulimit -n ${limit};`, 'create', '/none');
    assert.equal(code, 1);
    assert.equal(
      text,
      `haul: this process may open only ${limit} files at once, and needs at least 64; ` +
        'raise the limit with: ulimit -n 1024',
    );
  });
}

for (const limit of [64, 256]) {
  test(`${limit} open files are enough to fetch, to make and to verify`, async (t) => {
    const { get, set, torrent, output } = await scene(openScope(t));
    const fetched = await get(`ulimit -n ${limit};`);
    assert.equal(fetched.code, 0, fetched.text);
    assert.deepEqual(await readFile(path.join(output, 'image.bin')), await readFile(set.path));
    const verified = await haul(`ulimit -n ${limit};`, 'verify', torrent, '--data', output);
    assert.equal(verified.code, 0, verified.text);
    const made = await haul(`ulimit -n ${limit};`, 'create', set.path, '-o', path.join(output, 'new.torrent'));
    assert.equal(made.code, 0, made.text);
  });
}

test('a limit of the size of files is told as that', async (t) => {
  const { get } = await scene(openScope(t));
  const { code, text } = await get('ulimit -f 1000;');
  assert.equal(code, 1);
  assert.match(
    text,
    /^haul: reserve space for .*image\.bin: the file may not become that large; raise the limit \(ulimit -f\)/m,
  );
});

test('a limited address space is told with two ways out where HTTP needs more, and enough where not', async (t) => {
  const scope = openScope(t);
  const { get, torrent, output, peer } = await scene(scope);
  const server = createServer((_, response) => void readFile(torrent).then((bytes) => response.end(bytes)));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  scope.defer(() => server.closeAllConnections());
  scope.defer(() => void server.close());
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/image.torrent`;
  const words = ['get', url, '--output', output, '--port', '0', '--peer', peer];
  const { code, text } = await haul('ulimit -v 8000000;', ...words);
  // Newer ones do without what they cannot reserve.
  const isEnough = runs('ulimit -v 8000000;', 'new WebAssembly.Memory({ initial: 1 })');
  assert.equal(code, isEnough ? 0 : 1, text);
  if (!isEnough)
    assert.match(text, /^haul: the address space is limited \(ulimit -v\).*NODE_OPTIONS=--disable-wasm-trap-handler$/m);
  const second = await get('ulimit -v 8000000;');
  assert.equal(second.code, 0, second.text);
});

const isRoot = process.getuid?.() === 0;

/** Mounts a small file system for the command in a mount namespace of its own. */
const mounted = (options: string, output: string): string =>
  `exec unshare -m bash -c 'mount -t tmpfs -o ${options} tmpfs ${output} || exit 99; ` +
  `touch ${output}/a 2>/dev/null; touch ${output}/b 2>/dev/null; exec "$0" "$@"' "$0" "$@";`;

test('a read-only file system and one without inodes have lines of their own', {
  skip: !isRoot && 'needs mounts',
}, async (t) => {
  const { get, output } = await scene(openScope(t));
  const readOnly = await get(mounted('ro', output));
  if (readOnly.code === 99) {
    t.skip('needs mounts');
    return;
  }
  assert.equal(readOnly.code, 1);
  assert.match(readOnly.text, /^haul: .*: the file system is read-only; mount it writable or choose another folder$/m);
  const crowded = await get(mounted('nr_inodes=3', output));
  assert.equal(crowded.code, 1);
  assert.match(
    crowded.text,
    /^haul: no room for another file in .*: the file system has no free inodes; remove some files/m,
  );
});

test('few processes are told: before anything starts, or by the first thread that cannot', {
  skip: !isRoot && 'needs another user',
}, async () => {
  const asOther = (limit: number): string =>
    `exec setpriv --reuid 54321 --regid 54321 --clear-groups bash -c 'ulimit -u ${limit}; exec "$0" "$@"' "$0" "$@";`;
  const { code, text } = await haul(asOther(8), 'verify', '/none', '--data', '/');
  assert.equal(code, 1);
  assert.match(text, /haul: no more threads can be started here, .*raise the limit of processes \(ulimit -u/);
});

test('an old Node.js gets one line, from a file that it can parse', async () => {
  const text = await readFile(HAUL, 'utf8');
  const code = text.replace(/^#!.*/, '').replace(/\/\*[\s\S]*?\*\//g, '');
  assert.doesNotMatch(code, /=>|`|\b(?:const|let|class|async|import)\b|\?\.|\?\?|\.\.\./, 'ES5 only');
  const { engines, bin } = JSON.parse(await readFile(path.join(PACKAGE_ROOT, 'package.json'), 'utf8'));
  assert.equal(bin.haul, './dist/src/cli/haul.cjs');
  for (const [version, isFit] of [
    ['8.17.0', false],
    ['18.20.8', false],
    ['20.18.3', false],
    ['20.19.0', true],
    ['22.0.0', true],
  ] as const) {
    const written: string[] = [];
    const loaded: string[] = [];
    const process = {
      versions: { node: version },
      stderr: { write: (line: string) => written.push(line) },
      exitCode: 0,
    };
    const require = (name: string): unknown => (name === 'fs' ? { readFileSync: () => '' } : loaded.push(name));
    vm.runInNewContext(code, { process, require, exports: {} });
    assert.deepEqual([loaded, process.exitCode], isFit ? [['./launch.cjs'], 0] : [[], 1]);
    const needed = engines.node.replace('>=', '');
    const ways = 'install a newer one, see https://nodejs.org';
    const line = `haul: needs Node.js ${needed} or later, this is ${version}; ${ways}\n`;
    assert.deepEqual(written, isFit ? [] : [line]);
  }
});

test('a folder that cannot be made because there are no inodes is not there to be asked', async (t) => {
  const { explainNoSpace } = await import('../../src/storage/no-space.js');
  const { HaulError } = await import('../../src/errors.js');
  const folder = path.join(await tempFolder(openScope(t)), 'a', 'b');
  await mkdir(path.dirname(folder));
  const error = new HaulError('NO_SPACE', 'full');
  assert.equal(explainNoSpace(error, folder), error);
});

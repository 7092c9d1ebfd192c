/**
 * Local service discovery (BEP 14) on a network of two machines: we and we, over IPv4 and over IPv6, and we and foreign
 * clients. There is no tracker, and nobody is given a peer.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { type Child, startChild } from '../../lab/child.js';
import { QUIET } from '../../lab/clients/aria2.js';
import { PACKAGE_ROOT } from '../../lab/root.js';
import { openScope, type Scope } from '../../lab/scope.js';
import { tempFolder } from '../../lab/temp.js';
import { sha256Tree } from '../../lab/tree.js';
import { withDeadline } from '../../lab/wait.js';
import { DEBIAN_PYTHON } from '../support/clients/libtorrent.js';
import { type DataSet, fileSet } from '../support/engines.js';
import { type Family, type Host, openHosts } from '../support/hosts.js';
import { requireNamespaces, requirePrograms } from '../support/requirements.js';

const exec = promisify(execFile);
const MAIN = fileURLToPath(new URL('../../src/cli/haul.cjs', import.meta.url));
const LIBTORRENT = path.join(PACKAGE_ROOT, 'test/interop/lt_peer.py');
const PORT = 6_881;
/** The others announce at their start, and again only after minutes. */
const DEADLINE_MS = 90_000;

interface Scene {
  readonly scope: Scope;
  readonly set: DataSet;
  readonly torrentFile: string;
  readonly hosts: readonly [Host, Host];
  /** Where the second one downloads to. */
  readonly output: string;
}

async function openScene(t: TestContext, family: Family, lengthBytes: number): Promise<Scene | null> {
  if (await requireNamespaces(t)) return null;
  const scope = openScope(t);
  const set = await fileSet(scope, lengthBytes, { pieceLengthBytes: 65_536 });
  const torrentFile = path.join(await tempFolder(scope), 'a.torrent');
  await writeFile(torrentFile, set.torrent);
  const hosts = (await openHosts(scope, 2, family)) as [Host, Host];
  // Every interface has an address of IPv6, which is of the link only.
  if (family === 'ipv4')
    for (const { name } of hosts) await exec('ip', ['-n', name, '-6', 'addr', 'flush', 'dev', 'eth0']);
  return { scope, set, torrentFile, hosts, output: await tempFolder(scope) };
}

const isEvent = (type: string) => (line: string) => line.includes(`"type":"${type}"`);
const isSaid = (name: string) => (line: string) => line.startsWith(`{"event": "${name}"`);

async function ourSeed({ scope, set, torrentFile, hosts }: Scene): Promise<void> {
  const args = [MAIN, 'seed', torrentFile, '--data', set.folder, '--lsd', '--json'];
  const child = startChild(scope, process.execPath, args, { namespace: hosts[0] });
  await child.line('it seeds', DEADLINE_MS, isEvent('listening'));
}

function ourGet({ scope, torrentFile, hosts, output }: Scene): Child {
  const args = [MAIN, 'get', torrentFile, '--output', output, '--lsd', '--json'];
  return startChild(scope, process.execPath, args, { namespace: hosts[1] });
}

async function endsWell(scene: Scene, child: Child): Promise<void> {
  const { code, text } = await withDeadline(child.exited, 'the download ends', DEADLINE_MS).catch((error: Error) => {
    throw new Error(`${error.message}\n${child.tail()}`);
  });
  assert.equal(code, 0, `${text}\n${child.tail()}`);
  assert.equal(await sha256Tree(path.join(scene.output, 'image.bin')), await sha256Tree(scene.set.path));
}

function libtorrent({ scope, torrentFile }: Scene, mode: 'seed' | 'get', folder: string, host: Host): Child {
  const args = [LIBTORRENT, mode, torrentFile, folder, '--port', String(PORT), '--lsd'];
  return startChild(scope, DEBIAN_PYTHON, args, { namespace: host });
}

function aria2({ scope, torrentFile }: Scene, folder: string, host: Host, ...flags: string[]): Child {
  const quiet = QUIET.filter((flag) => !flag.startsWith('--bt-enable-lpd'));
  const own = ['--bt-enable-lpd=true', `--bt-lpd-interface=${host.address}`, `--listen-port=${PORT}`];
  const args = [...quiet, ...own, `--dir=${folder}`, ...flags, torrentFile];
  return startChild(scope, 'aria2c', args, { namespace: host });
}

for (const family of ['ipv4', 'ipv6'] as const) {
  test(`two of ours find each other over ${family}`, async (t) => {
    const scene = await openScene(t, family, 300_011);
    if (scene === null) return;
    await ourSeed(scene);
    await endsWell(scene, ourGet(scene));
  });
}

test('libtorrent finds us', async (t) => {
  if (await requirePrograms(t, [DEBIAN_PYTHON])) return;
  const scene = await openScene(t, 'ipv4', 300_012);
  if (scene === null) return;
  await ourSeed(scene);
  const child = libtorrent(scene, 'get', scene.output, scene.hosts[1]);
  await child.line('it is complete', DEADLINE_MS, isSaid('done'));
  await endsWell(scene, child);
});

test('we find libtorrent', async (t) => {
  if (await requirePrograms(t, [DEBIAN_PYTHON])) return;
  const scene = await openScene(t, 'ipv4', 300_013);
  if (scene === null) return;
  await libtorrent(scene, 'seed', scene.set.folder, scene.hosts[0]).line('it seeds', DEADLINE_MS, isSaid('ready'));
  await endsWell(scene, ourGet(scene));
});

test('aria2 finds us', async (t) => {
  if (await requirePrograms(t, ['aria2c'])) return;
  const scene = await openScene(t, 'ipv4', 300_014);
  if (scene === null) return;
  await ourSeed(scene);
  await endsWell(scene, aria2(scene, scene.output, scene.hosts[1], '--seed-time=0'));
});

test('we find aria2', async (t) => {
  if (await requirePrograms(t, ['aria2c'])) return;
  const scene = await openScene(t, 'ipv4', 300_015);
  if (scene === null) return;
  // A seed of aria2 answers nobody and dials nobody: it is heard when it begins.
  const child = ourGet(scene);
  await child.line('it waits', DEADLINE_MS, isEvent('progress'));
  const checks = ['--check-integrity=true', '--bt-hash-check-seed=true', '--seed-ratio=0.0'];
  aria2(scene, scene.set.folder, scene.hosts[0], ...checks);
  await endsWell(scene, child);
});

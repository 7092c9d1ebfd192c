/**
 * Machines that share nothing but a network: what `haul share` prints on one is pasted on others, letter by letter,
 * over IPv4 and over IPv6; and getters find each other through the tracker.
 */
import assert from 'node:assert/strict';
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { type Child, run, startChild } from '../../lab/child.js';
import { writeSeededFile } from '../../lab/data.js';
import { openScope, type Scope } from '../../lab/scope.js';
import { tempFolder } from '../../lab/temp.js';
import { sha256File } from '../../lab/tree.js';
import { until } from '../../lab/wait.js';
import { type Family, type Host, openHosts } from '../support/hosts.js';
import { requireNamespaces } from '../support/requirements.js';

const MAIN = fileURLToPath(new URL('../../src/cli/haul.cjs', import.meta.url));
const TIMEOUT_MS = 30_000;
const FILE_BYTES = 5_000_001;
/** Needs encoding in a URL, and care in a shell. */
const NAME = "it's an image (1).bin";

interface Machine {
  readonly host: Host;
  /** Its own part of the disk, where its shell is. */
  readonly folder: string;
  /** Runs a line as typed into a shell there. */
  readonly type: (line: string) => Child;
}

/** Machines whose shells find the command `haul`. */
async function openMachines(scope: Scope, count: number, family: Family): Promise<Machine[]> {
  const work = await tempFolder(scope);
  const bin = path.join(work, 'bin');
  await mkdir(bin);
  await writeFile(path.join(bin, 'haul'), `#!/bin/sh\nexec '${process.execPath}' '${MAIN}' "$@"\n`);
  await chmod(path.join(bin, 'haul'), 0o755);
  const hosts = await openHosts(scope, count, family);
  return Promise.all(
    hosts.map(async (host, index) => {
      const folder = path.join(work, String(index));
      await mkdir(folder);
      const options = { namespace: host, cwd: folder, env: { PATH: `${bin}:${process.env.PATH}`, HAUL_DEBUG: '' } };
      // exec: the pid, and so the signal at the end, is that of the command itself.
      return { host, folder, type: (line: string) => startChild(scope, 'sh', ['-c', `exec ${line}`], options) };
    }),
  );
}

async function succeeds(child: Child, line: string): Promise<void> {
  const { code, text } = await child.exited;
  assert.equal(code, 0, `${line}: ${text}\n${child.tail()}`);
}

const isEvent = (type: string) => (line: string) => line.includes(`"type":"${type}"`);

async function pasteFromShare(t: TestContext, family: Family): Promise<void> {
  if (await requireNamespaces(t)) return;
  const scope = openScope(t);
  const [sharer, ...getters] = (await openMachines(scope, 3, family)) as [Machine, ...Machine[]];
  await writeSeededFile(path.join(sharer.folder, NAME), FILE_BYTES, family);
  const share = sharer.type(`haul share "${NAME}"`);
  const line = (await share.line('the line to paste', TIMEOUT_MS, (text) => /^ +haul get /.test(text))).trim();
  assert.ok(
    line.includes(family === 'ipv4' ? `//${sharer.host.address}:6969/` : `//[${sharer.host.address}]:6969/`),
    line,
  );
  await Promise.all(getters.map((getter) => succeeds(getter.type(line), line)));
  const wanted = await sha256File(path.join(sharer.folder, NAME));
  for (const { folder } of getters) assert.equal(await sha256File(path.join(folder, NAME)), wanted);
}

async function findThroughTracker(t: TestContext, family: Family): Promise<void> {
  if (await requireNamespaces(t)) return;
  const scope = openScope(t);
  const [first, second, third] = (await openMachines(scope, 3, family)) as [Machine, Machine, Machine];
  await writeSeededFile(path.join(first.folder, NAME), FILE_BYTES, family);
  const tracker = third.type('haul track --json');
  const listening = await tracker.line('the tracker', TIMEOUT_MS, isEvent('listening'));
  const { announceUrl } = JSON.parse(listening) as { announceUrl: string };

  const create = `haul create "${NAME}" -o x.torrent --tracker '${announceUrl}'`;
  await succeeds(first.type(create), create);
  const seed = first.type('haul seed x.torrent --data . --json');
  await seed.line('the seed', TIMEOUT_MS, isEvent('listening'));
  const torrent = `'${path.join(first.folder, 'x.torrent')}'`;
  const middle = second.type(`haul get ${torrent} --output . --seed-for forever --json`);
  await middle.line('the first copy', TIMEOUT_MS, isEvent('result'));
  await seed.stop();

  // Nobody else has the data now, and only the tracker knows who has.
  const last = `haul get ${torrent} --output .`;
  await succeeds(third.type(last), last);
  const wanted = await sha256File(path.join(first.folder, NAME));
  assert.equal(await sha256File(path.join(third.folder, NAME)), wanted);
}

/** A machine with two addresses: what goes out comes from the one that is named, or from that of the interface. */
async function goOutBy(t: TestContext): Promise<void> {
  if (await requireNamespaces(t)) return;
  const scope = openScope(t);
  const [sharer, getter] = (await openMachines(scope, 2, 'ipv4')) as [Machine, Machine];
  const second = '10.78.0.77';
  await run(scope, 'ip', ['-n', getter.host.name, 'addr', 'add', `${second}/24`, 'dev', 'eth0']);
  await writeSeededFile(path.join(sharer.folder, NAME), FILE_BYTES, 'two');
  const share = sharer.type(`haul share "${NAME}" --verbose`);
  const line = (await share.line('the line to paste', TIMEOUT_MS, (text) => /^ +haul get /.test(text))).trim();
  for (const [host, address] of [
    [second, second],
    ['eth0', getter.host.address],
  ] as const) {
    const typed = `${line} --host ${host} --output ${host}`;
    await succeeds(getter.type(typed), typed);
    await until(`a peer at ${address}`, TIMEOUT_MS, () => share.tail().includes(`peer ${address}:`));
  }
  const foreign = getter.type(`${line} --host 10.78.0.1`);
  const { code, text } = await foreign.exited;
  assert.equal(code, 1, text);
  assert.match(
    foreign.tail(),
    /host 10\.78\.0\.1: this machine has no such address; it has .*10\.78\.0\.2, 10\.78\.0\.77/,
  );
}

describe('machines on a network', { concurrency: 2 }, () => {
  test('with two addresses the one that --host names is used for all that goes out', goOutBy);
  for (const family of ['ipv4', 'ipv6'] as const) {
    test(`the line that haul share prints works when pasted elsewhere, over ${family}`, (t) =>
      pasteFromShare(t, family));
    test(`a getter that seeds serves the next one, who finds it through the tracker, over ${family}`, (t) =>
      findThroughTracker(t, family));
  }
});

/** libtorrent through Debian's python3-libtorrent, which only Debian's own interpreter sees. */
import path from 'node:path';
import { type Child, startChild } from '../../../lab/child.js';
import { type ClientJob, DOWNLOAD_TIMEOUT_MS, type ForeignClient, reachableHost } from '../../../lab/clients/client.js';
import { freePort } from '../../../lab/ports.js';
import { PACKAGE_ROOT } from '../../../lab/root.js';
import type { Scope } from '../../../lab/scope.js';
import type { PeerAddress } from '../../../lab/tracker.js';

export const DEBIAN_PYTHON = '/usr/bin/python3';
const SCRIPT = path.join(PACKAGE_ROOT, 'test/interop/lt_peer.py');

function start(scope: Scope, mode: 'seed' | 'get', job: ClientJob, port: number, flags: readonly string[] = []): Child {
  const args = [SCRIPT, mode, job.torrentFile, job.folder, '--port', String(port), '--tracker', job.tracker, ...flags];
  for (const { host, port: peerPort } of job.peers ?? []) args.push('--peer', `${host}:${peerPort}`);
  if (job.usesPex === true) args.push('--pex');
  if (job.usesLsd === true) args.push('--lsd');
  if (job.dhtNode !== undefined) args.push('--dht-node', `${job.dhtNode.host}:${job.dhtNode.port}`);
  // On all addresses of the machine its DHT does not speak to loopback.
  if (job.dhtNode !== undefined && job.namespace === undefined) args.push('--host', '127.0.0.1');
  if (job.address6 !== undefined) args.push('--host', '[::]');
  for (const file of job.onlyFiles ?? []) args.push('--only', String(file));
  return startChild(scope, DEBIAN_PYTHON, args, { namespace: job.namespace });
}

const isEvent = (name: string) => (line: string) => line.startsWith(`{"event": "${name}"`);

async function download(scope: Scope, job: ClientJob): Promise<void> {
  const child = start(scope, 'get', job, await freePort());
  await child.line('download complete', job.timeoutMs ?? DOWNLOAD_TIMEOUT_MS, isEvent('done'));
  await child.exited;
}

async function seed(scope: Scope, job: ClientJob, flags: readonly string[] = []): Promise<PeerAddress> {
  const port = await freePort();
  const child = start(scope, 'seed', job, port, flags);
  await child.line('seeding', DOWNLOAD_TIMEOUT_MS, isEvent('ready'));
  return { host: reachableHost(job), port };
}

/** Like `seed`, in its super-seeding mode (BEP 16). */
export function superSeed(scope: Scope, job: ClientJob): Promise<PeerAddress> {
  return seed(scope, job, ['--super']);
}

export const libtorrent: ForeignClient = {
  name: 'libtorrent',
  needs: [DEBIAN_PYTHON],
  needsNamespace: false,
  takesPeers: true,
  makesEmptyFiles: true,
  download,
  seed,
};

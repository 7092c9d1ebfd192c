/** webtorrent 1.9.7: later lines need a native WebRTC binary. */
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Child, startChild } from '../../../lab/child.js';
import { type ClientJob, DOWNLOAD_TIMEOUT_MS, type ForeignClient, reachableHost } from '../../../lab/clients/client.js';
import { accepts, freePort } from '../../../lab/ports.js';
import type { Scope } from '../../../lab/scope.js';
import type { PeerAddress } from '../../../lab/tracker.js';
import { until } from '../../../lab/wait.js';

const SCRIPT = path.join(path.dirname(fileURLToPath(import.meta.url)), 'webtorrent-child.js');

function options({ dhtNode, usesLsd = false, usesWebSeeds = false }: ClientJob): object {
  const dht = dhtNode === undefined ? false : { bootstrap: [`${dhtNode.host}:${dhtNode.port}`] };
  return { dht, lsd: usesLsd, webSeeds: usesWebSeeds };
}

function start(scope: Scope, mode: 'seed' | 'get', job: ClientJob, port: number): Child {
  const peers = (job.peers ?? []).map((peer) => `${peer.host}:${peer.port}`);
  const args = [
    SCRIPT,
    mode,
    job.torrentFile,
    job.folder,
    String(port),
    job.tracker,
    JSON.stringify(options(job)),
    ...peers,
  ];
  return startChild(scope, process.execPath, args, { namespace: job.namespace });
}

const isEvent = (name: string) => (line: string) => line.startsWith(`{"event":"${name}"`);

async function download(scope: Scope, job: ClientJob): Promise<void> {
  const child = start(scope, 'get', job, await freePort());
  await child.line('download complete', job.timeoutMs ?? DOWNLOAD_TIMEOUT_MS, isEvent('done'));
  await child.exited;
}

async function seed(scope: Scope, job: ClientJob): Promise<PeerAddress> {
  const port = await freePort();
  const child = start(scope, 'seed', job, port);
  await child.line('seeding', DOWNLOAD_TIMEOUT_MS, isEvent('ready'));
  const host = reachableHost(job);
  await until('webtorrent listens', DOWNLOAD_TIMEOUT_MS, () => accepts(host, port));
  return { host, port };
}

export const webtorrent: ForeignClient = {
  name: 'webtorrent',
  needs: [],
  needsNamespace: false,
  takesPeers: true,
  makesEmptyFiles: false,
  download,
  seed,
};

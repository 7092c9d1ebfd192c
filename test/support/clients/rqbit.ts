/** rqbit, where `RQBIT` names it or it is on the PATH: Debian has none. */
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { startChild } from '../../../lab/child.js';
import { type ClientJob, DOWNLOAD_TIMEOUT_MS, type ForeignClient, reachableHost } from '../../../lab/clients/client.js';
import { freePort } from '../../../lab/ports.js';
import type { Scope } from '../../../lab/scope.js';
import { tempFolder } from '../../../lab/temp.js';
import { until, withDeadline } from '../../../lab/wait.js';

export const RQBIT = process.env.RQBIT || 'rqbit';

async function words(scope: Scope, job: ClientJob, port: number): Promise<string[]> {
  const { dhtNode, usesLsd = false, peers = [] } = job;
  const trackers = path.join(await tempFolder(scope), 'trackers');
  await writeFile(trackers, `${job.tracker}\n`);
  const dht = dhtNode === undefined ? ['--disable-dht'] : ['--dht-bootstrap-addrs', `${dhtNode.host}:${dhtNode.port}`];
  return [
    ...['-v', 'error', '--disable-upnp-port-forward', '--disable-dht-persistence', ...dht],
    ...(usesLsd ? [] : ['--disable-lsd']),
    ...['--listen-port', String(port), '--trackers-filename', trackers],
    ...['--http-api-listen-addr', `0.0.0.0:${await freePort()}`, 'download', '--overwrite', '-o', job.folder],
    ...(peers.length === 0 ? [] : ['--initial-peers', peers.map((peer) => `${peer.host}:${peer.port}`).join(',')]),
  ];
}

async function isReady(host: string, apiPort: string): Promise<boolean> {
  try {
    const response = await fetch(`http://${host}:${apiPort}/torrents/0/stats/v1`);
    const { state, finished } = (await response.json()) as { state?: string; finished?: boolean };
    return state === 'live' && finished === true;
  } catch {
    return false; // Not listening yet.
  }
}

export const rqbit: ForeignClient = {
  name: 'rqbit',
  needs: [RQBIT],
  needsNamespace: false,
  takesPeers: true,
  makesEmptyFiles: true,
  // In its dht.rs: it asks no node that nobody named to it, and see `min_distance_to_announce`.
  dht: { nodes: 3, isNear: true },
  async download(scope, job) {
    const options = { namespace: job.namespace, env: { HOME: await tempFolder(scope) } };
    const args = [...(await words(scope, job, await freePort())), '--exit-on-finish', job.torrentFile];
    const child = startChild(scope, RQBIT, args, options);
    const ended = withDeadline(child.exited, 'rqbit downloads', job.timeoutMs ?? DOWNLOAD_TIMEOUT_MS);
    const { code, text } = await ended.catch((error: Error) => {
      throw new Error(`${error.message}\n${child.tail()}`);
    });
    if (code !== 0) throw new Error(`rqbit ${text}\n${child.tail()}`);
  },
  async seed(scope, job) {
    const port = await freePort();
    const options = { namespace: job.namespace, env: { HOME: await tempFolder(scope) } };
    const args = [...(await words(scope, job, port)), job.torrentFile];
    const child = startChild(scope, RQBIT, args, options);
    const apiPort = /:(\d+)$/.exec(args[args.indexOf('--http-api-listen-addr') + 1]!)![1]!;
    const apiHost = job.namespace?.address ?? '127.0.0.1';
    await Promise.race([
      until('rqbit seeds', DOWNLOAD_TIMEOUT_MS, () => isReady(apiHost, apiPort)),
      child.exited.then(({ text }) => Promise.reject(new Error(`rqbit ${text}\n${child.tail()}`))),
    ]);
    return { host: reachableHost(job), port };
  },
};

/**
 * transmission-daemon, steered through its RPC. It refuses peers of 127.0.0.0/8, so it always runs in a namespace,
 * where its ports are its own. Peers come from the tracker.
 */
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type Child, startChild } from '../child.js';
import { accepts } from '../ports.js';
import type { Scope } from '../scope.js';
import { tempFolder } from '../temp.js';
import type { PeerAddress } from '../tracker.js';
import { until } from '../wait.js';
import { type ClientJob, DOWNLOAD_TIMEOUT_MS, type ForeignClient, reachableHost } from './client.js';

const PEER_PORT = 51_413;
const RPC_PORT = 9_091;
const START_TIMEOUT_MS = 20_000;
/** `status` of torrent-get. */
export const SEEDING = 6;

export function settings(folder: string, job?: ClientJob): Record<string, unknown> {
  return {
    'download-dir': folder,
    'peer-port': PEER_PORT,
    'peer-port-random-on-start': false,
    'port-forwarding-enabled': false,
    'dht-enabled': job?.dhtNode !== undefined,
    'lpd-enabled': job?.usesLsd === true,
    'pex-enabled': job?.usesPex === true,
    'utp-enabled': false,
    'rename-partial-files': false,
    'incomplete-dir-enabled': false,
    preallocation: 0,
    'rpc-enabled': true,
    'rpc-bind-address': '0.0.0.0',
    'rpc-port': RPC_PORT,
    'rpc-whitelist-enabled': false,
    'rpc-host-whitelist-enabled': false,
    'rpc-authentication-required': false,
  };
}

interface TorrentStatus {
  readonly status: number;
  readonly percentDone: number;
  readonly error: number;
  readonly errorString: string;
  readonly trackers: readonly { readonly id: number; readonly announce: string }[];
}

export class TransmissionRpc {
  readonly #url: string;
  #session = '';

  constructor(host: string, port: number = RPC_PORT) {
    this.#url = `http://${host}:${port}/transmission/rpc`;
  }

  /** Answers 409 with a session id first: that is its guard against cross-site requests. */
  async call(method: string, args: Record<string, unknown>): Promise<Record<string, unknown>> {
    const body = JSON.stringify({ method, arguments: args });
    for (let attempt = 0; attempt < 2; attempt++) {
      const headers = { 'x-transmission-session-id': this.#session };
      const response = await fetch(this.#url, { method: 'POST', body, headers });
      if (response.status === 409) {
        this.#session = response.headers.get('x-transmission-session-id') ?? '';
        await response.arrayBuffer();
        continue;
      }
      const answer = (await response.json()) as { result: string; arguments?: Record<string, unknown> };
      if (answer.result !== 'success') throw new Error(`transmission ${method}: ${answer.result}`);
      return answer.arguments ?? {};
    }
    throw new Error(`transmission ${method}: no session id`);
  }

  async status(): Promise<TorrentStatus> {
    const fields = ['status', 'percentDone', 'error', 'errorString', 'trackers'];
    const { torrents } = await this.call('torrent-get', { fields });
    const first = (torrents as TorrentStatus[])[0];
    if (first === undefined) throw new Error('transmission has no torrent');
    return first;
  }
}

/** A daemon with the torrent added, paused until its only tracker is the job's, then started. */
async function start(scope: Scope, job: ClientJob): Promise<{ child: Child; rpc: TransmissionRpc }> {
  const { namespace } = job;
  if (namespace === undefined) throw new Error('transmission needs a namespace');
  const config = await tempFolder(scope);
  await writeFile(path.join(config, 'settings.json'), JSON.stringify(settings(job.folder, job)));
  const { dhtNode, dhtNodes = dhtNode === undefined ? [] : [dhtNode] } = job;
  const bootstrap = dhtNodes.map(({ host, port }) => `${host} ${port}\n`).join('');
  if (bootstrap !== '') await writeFile(path.join(config, 'dht.bootstrap'), bootstrap);
  // Its web client is looked for in the home folder too.
  const env = { HOME: config };
  const child = startChild(scope, 'transmission-daemon', ['--foreground', '--config-dir', config], { namespace, env });
  const isUp = () => accepts(namespace.address, RPC_PORT);
  await until('transmission answers', START_TIMEOUT_MS, isUp).catch((error: Error) => {
    throw new Error(`${error.message}\n${child.tail()}`);
  });
  const rpc = new TransmissionRpc(namespace.address);
  const torrent = job.torrentFile.startsWith('magnet:')
    ? { filename: job.torrentFile }
    : { metainfo: (await readFile(job.torrentFile)).toString('base64') };
  await rpc.call('torrent-add', { ...torrent, paused: true, 'download-dir': job.folder });
  const { trackers } = await rpc.status();
  const isOurs = ({ announce }: { announce: string }) => announce === job.tracker;
  const others = trackers.filter((tracker) => !isOurs(tracker)).map(({ id }) => id);
  // Adding a tracker that is there already is an "invalid argument".
  if (!trackers.some(isOurs)) await rpc.call('torrent-set', { trackerAdd: [job.tracker] });
  if (others.length > 0) await rpc.call('torrent-set', { trackerRemove: others });
  return { child, rpc };
}

async function untilComplete(what: string, timeoutMs: number, child: Child, rpc: TransmissionRpc): Promise<void> {
  const probe = async () => {
    const { status, percentDone, error, errorString } = await rpc.status();
    if (error === 3) throw new Error(`transmission: ${errorString}`); // 3: local trouble; 1 and 2 are the tracker's.
    return percentDone === 1 && status === SEEDING;
  };
  await until(what, timeoutMs, probe).catch(async (error: Error) => {
    const status = await rpc.call('torrent-get', { fields: ['status', 'percentDone', 'errorString', 'peers'] });
    throw new Error(`${error.message}\n${JSON.stringify(status)}\n${child.tail()}`);
  });
}

async function download(scope: Scope, job: ClientJob): Promise<void> {
  const { child, rpc } = await start(scope, job);
  await rpc.call('torrent-start', {});
  await untilComplete('transmission downloads', job.timeoutMs ?? DOWNLOAD_TIMEOUT_MS, child, rpc);
  await child.stop();
}

async function seed(scope: Scope, job: ClientJob): Promise<PeerAddress> {
  const { child, rpc } = await start(scope, job);
  await rpc.call('torrent-verify', {});
  await rpc.call('torrent-start', {});
  await untilComplete('transmission seeds', DOWNLOAD_TIMEOUT_MS, child, rpc);
  return { host: reachableHost(job), port: PEER_PORT };
}

export const transmission: ForeignClient = {
  name: 'transmission',
  needs: ['transmission-daemon', 'ip'],
  needsNamespace: true,
  takesPeers: false,
  makesEmptyFiles: false,
  // Below four good nodes, or nine in all, its DHT is "broken" and says nothing of torrents (tr-dht.c).
  dht: { nodes: 14 },
  download,
  seed,
};

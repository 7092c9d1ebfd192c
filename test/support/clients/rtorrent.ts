/** rtorrent as a daemon without a terminal. Its trackers are those of its .torrent or magnet link. */
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type Child, startChild } from '../../../lab/child.js';
import { type ClientJob, DOWNLOAD_TIMEOUT_MS, type ForeignClient, reachableHost } from '../../../lab/clients/client.js';
import { accepts, freePort } from '../../../lab/ports.js';
import { callRtorrent, rtorrentDhtNodes, rtorrentHasAll } from '../../../lab/rtorrent-rpc.js';
import type { Scope } from '../../../lab/scope.js';
import { tempFolder } from '../../../lab/temp.js';
import { until } from '../../../lab/wait.js';
import { parseTorrent, withTrackers } from '../../../src/metainfo/torrent.js';

const START_TIMEOUT_MS = 20_000;

function settings(job: ClientJob, config: string, port: number): string {
  const { dhtNode, usesPex = false, address6 } = job;
  return [
    'system.daemon.set = true',
    `network.scgi.open_local = ${config}/rpc`,
    `session.path.set = ${config}`,
    `directory.default.set = ${job.folder}`,
    `network.port_range.set = ${port}-${port}`,
    'network.port_random.set = no',
    `dht.mode.set = ${dhtNode === undefined ? 'disable' : 'on'}`,
    `dht.port.set = ${port}`,
    `protocol.pex.set = ${usesPex ? 'yes' : 'no'}`,
    'trackers.use_udp.set = yes',
    ...(address6 === undefined ? [] : ['network.bind_address.set = ::']),
    '',
  ].join('\n');
}

interface Running {
  readonly child: Child;
  readonly port: number;
  /** Rejects when the program ends, or the time is over. */
  complete(what: string, timeoutMs: number): Promise<void>;
}

async function start(scope: Scope, job: ClientJob): Promise<Running> {
  const port = await freePort();
  const config = await tempFolder(scope);
  const [socket, file] = [path.join(config, 'rpc'), path.join(config, 'rtorrent.rc')];
  await writeFile(file, settings(job, config, port));
  const options = { namespace: job.namespace, env: { HOME: config } };
  const child = startChild(scope, 'rtorrent', ['-n', '-o', `import=${file}`], options);
  const ended = child.exited.then(({ text: how }) => Promise.reject(new Error(`rtorrent ${how}\n${child.tail()}`)));
  ended.catch(() => {}); // Looked at only while something waits.
  const host = reachableHost(job);
  await Promise.race([until('rtorrent listens', START_TIMEOUT_MS, () => accepts(host, port)), ended]);
  const { dhtNode } = job;
  if (dhtNode !== undefined) {
    await callRtorrent(socket, 'dht.add_node', '', `${dhtNode.host}:${dhtNode.port}`);
    // Where no node has answered yet a search fails at once, and the next one is minutes away.
    await until('rtorrent has a node', START_TIMEOUT_MS, async () => (await rtorrentDhtNodes(socket)) > 0);
  }
  const infoHash = await load(socket, job, config);
  const hasAll = async (): Promise<boolean> => {
    // Until the metadata of a magnet link is here it is a torrent of another kind, and for a moment there is none.
    const isMeta = await callRtorrent(socket, 'd.is_meta', infoHash).catch(() => '1');
    return isMeta === '0' && rtorrentHasAll(socket, infoHash);
  };
  return {
    child,
    port,
    complete: async (what, timeoutMs) => void (await Promise.race([until(what, timeoutMs, hasAll), ended])),
  };
}

/** @returns the info-hash, 40 hex digits */
async function load(socket: string, job: ClientJob, config: string): Promise<string> {
  if (job.torrentFile.startsWith('magnet:')) {
    await callRtorrent(socket, 'load.start', '', job.torrentFile);
    return /btih:([0-9a-f]{40})/i.exec(job.torrentFile)![1]!.toUpperCase();
  }
  const torrent = withTrackers(await readFile(job.torrentFile), [[job.tracker]]);
  const file = path.join(config, 'job.torrent');
  await writeFile(file, torrent);
  await callRtorrent(socket, 'load.start', '', file);
  return parseTorrent(torrent).infoHashHex.toUpperCase();
}

export const rtorrent: ForeignClient = {
  name: 'rtorrent',
  needs: ['rtorrent'],
  needsNamespace: false,
  takesPeers: false,
  makesEmptyFiles: true,
  async download(scope, job) {
    const running = await start(scope, job);
    await running.complete('rtorrent downloads', job.timeoutMs ?? DOWNLOAD_TIMEOUT_MS);
    await running.child.stop();
  },
  async seed(scope, job) {
    const running = await start(scope, job);
    await running.complete('rtorrent seeds', DOWNLOAD_TIMEOUT_MS);
    return { host: reachableHost(job), port: running.port };
  },
};

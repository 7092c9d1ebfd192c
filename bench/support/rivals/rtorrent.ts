/** rtorrent as a daemon without a terminal, steered through XML-RPC over SCGI on a local socket. */
import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { startChild } from '../../../lab/child.js';
import { missingTool } from '../../../lab/clients/client.js';
import { accepts, freePort } from '../../../lab/ports.js';
import { callRtorrent, rtorrentHasAll } from '../../../lab/rtorrent-rpc.js';
import { tempFolder } from '../../../lab/temp.js';
import { until } from '../../../lab/wait.js';
import { parseTorrent } from '../../../src/metainfo/torrent.js';
import { DEADLINE_MS } from '../sides.js';
import type { Rival } from './rival.js';

/** In its favour: slots for everybody, no second hash of the whole at the end, room for every piece in flight. */
function settings(folder: string, socket: string, port: number): string {
  return [
    'system.daemon.set = true',
    `network.scgi.open_local = ${socket}`,
    `directory.default.set = ${folder}`,
    `network.port_range.set = ${port}-${port}`,
    'network.port_random.set = no',
    'dht.mode.set = disable',
    'protocol.pex.set = no',
    'trackers.use_udp.set = no',
    'protocol.encryption.set = none',
    'throttle.max_uploads.set = 100',
    'throttle.max_uploads.global.set = 1000',
    'throttle.max_downloads.global.set = 1000',
    'pieces.hash.on_completion.set = no',
    'pieces.memory.max.set = 1800M',
    '',
  ].join('\n');
}

export const rtorrent: Rival = {
  name: 'rtorrent',
  needsNamespace: false,
  takesConnections: false,
  async missing() {
    const program = await missingTool(['rtorrent']);
    return program === null ? null : `${program} is not installed (apt-get install rtorrent)`;
  },
  async version() {
    const { stdout } = await promisify(execFile)('rtorrent', ['-h']);
    return /version (\S+?)\.?\n/.exec(stdout)?.[1] ?? 'unknown';
  },
  async start(scope, job) {
    const port = await freePort();
    const config = await tempFolder(scope);
    const socket = path.join(config, 'rpc');
    const file = path.join(config, 'rtorrent.rc');
    await writeFile(file, settings(job.folder, socket, port));
    const args = ['-n', '-o', `import=${file}`];
    const child = startChild(scope, 'rtorrent', args, { namespace: job.namespace, env: { HOME: config } });
    const ended = child.exited.then(({ text: how }) => Promise.reject(new Error(`rtorrent ${how}\n${child.tail()}`)));
    ended.catch(() => {}); // Looked at only while something waits.
    await Promise.race([until('rtorrent listens', 20_000, () => accepts('127.0.0.1', port)), ended]);
    await callRtorrent(socket, 'load.start', '', job.torrent);
    const infoHash = parseTorrent(await readFile(job.torrent)).infoHashHex.toUpperCase();
    const complete = () =>
      Promise.race([until('rtorrent has all', DEADLINE_MS, () => rtorrentHasAll(socket, infoHash)), ended]).then(
        () => {},
      );
    if (job.role === 'seed') await complete();
    return { pid: child.pid, port, complete, stop: async () => void (await child.stop()) };
  },
};

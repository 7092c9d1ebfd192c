/** transmission-daemon in a network namespace (it refuses peers of 127.0.0.0/8), steered through its RPC. */
import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { startChild } from '../../../lab/child.js';
import { missingTool } from '../../../lab/clients/client.js';
import { SEEDING, settings, TransmissionRpc } from '../../../lab/clients/transmission.js';
import { namespacesMissing } from '../../../lab/namespace.js';
import { accepts } from '../../../lab/ports.js';
import { tempFolder } from '../../../lab/temp.js';
import { until } from '../../../lab/wait.js';
import { DEADLINE_MS } from '../sides.js';
import type { Rival } from './rival.js';

const exec = promisify(execFile);

/** Two may run in one namespace. */
const PORTS = { seed: { peer: 51_413, rpc: 9_091 }, leech: { peer: 51_414, rpc: 9_092 } } as const;

/** In its favour: a large cache, no encryption, slots for everybody. */
const TUNING = {
  'cache-size-mb': 64,
  encryption: 0,
  'upload-slots-per-torrent': 100,
  'speed-limit-up-enabled': false,
  'speed-limit-down-enabled': false,
};

/**
 * In its favour too: a short send buffer (bytes: least, at first, most). Every 500 ms it writes to each peer, 3,000
 * bytes at a time, until the socket is full; only from then on does it write as the socket drains, as much as fits. A
 * cable without delay and with megabytes of buffer is never full: it served what was asked (512 requests at most),
 * 3,000 bytes a call, and slept until the next half second. Measured as a seed: 10 MB/s and 3.4 s of kernel time per
 * GB; with this, 2 to 4 times the rate and 0.9 s.
 *
 * What remains is its own: a leech of it asks twice a second for what the seed allows (2,000 requests of ours: about 60
 * MB/s; 512 of its own, which its seed looks at twice a second as well: about 9 MB/s as a pair).
 */
const SEND_BUFFER = '4096 16384 131072';

async function shortenSendBuffer(namespace: string): Promise<void> {
  await exec('ip', ['netns', 'exec', namespace, 'sh', '-c', `echo ${SEND_BUFFER} > /proc/sys/net/ipv4/tcp_wmem`]);
}

export const transmission: Rival = {
  name: 'transmission',
  needsNamespace: true,
  takesConnections: false,
  async missing() {
    const program = await missingTool(['transmission-daemon', 'ip']);
    if (program !== null) return `${program} is not installed (apt-get install transmission-daemon iproute2)`;
    return namespacesMissing();
  },
  async version() {
    // It says so on standard error, and exits with 1.
    const { stdout, stderr } = await exec('transmission-daemon', ['--version']).catch(
      (error: { stdout: string; stderr: string }) => error,
    );
    return /transmission-daemon (\S+)/.exec(`${stdout}${stderr}`)?.[1] ?? 'unknown';
  },
  async start(scope, job) {
    const { namespace, role } = job;
    if (namespace === undefined) throw new Error('transmission needs a namespace');
    await shortenSendBuffer(namespace.name);
    const ports = PORTS[role];
    const config = await tempFolder(scope);
    const all = { ...settings(job.folder), ...TUNING, 'peer-port': ports.peer, 'rpc-port': ports.rpc };
    await writeFile(path.join(config, 'settings.json'), JSON.stringify(all));
    const args = ['--foreground', '--config-dir', config];
    const child = startChild(scope, 'transmission-daemon', args, { namespace, env: { HOME: config } });
    await until('transmission answers', 20_000, () => accepts(namespace.address, ports.rpc));
    const rpc = new TransmissionRpc(namespace.address, ports.rpc);
    const metainfo = (await readFile(job.torrent)).toString('base64');
    await rpc.call('torrent-add', { metainfo, paused: true, 'download-dir': job.folder });
    const complete = () =>
      until('transmission has all', DEADLINE_MS, async () => {
        const { status, percentDone, error, errorString } = await rpc.status();
        // 3: local trouble; 1 and 2 are the tracker's.
        if (error === 3) throw new Error(`transmission: ${errorString}`);
        return percentDone === 1 && status === SEEDING;
      }).then(() => {});
    if (role === 'seed') await rpc.call('torrent-verify', {});
    await rpc.call('torrent-start', {});
    if (role === 'seed') await complete();
    return { pid: child.pid, port: ports.peer, complete, stop: async () => void (await child.stop()) };
  },
};

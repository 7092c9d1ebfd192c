/** rqbit, the command: a leech ends when it has all, a seed is asked over its HTTP API whether its data is checked. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { type Child, startChild } from '../../../lab/child.js';
import { missingTool } from '../../../lab/clients/client.js';
import { freePort } from '../../../lab/ports.js';
import { tempFolder } from '../../../lab/temp.js';
import { until } from '../../../lab/wait.js';
import { DEADLINE_MS } from '../sides.js';
import type { Rival } from './rival.js';

export const INSTALL = 'cargo install rqbit --version 9.1.0 --locked --no-default-features --features default-tls';

/** `RQBIT` names it; else it is on the PATH. */
const program = (): string => process.env.RQBIT || 'rqbit';

/** In its favour: nothing but the transfer. It keeps no state between runs: `download` does not. */
const TUNING = ['-v', 'error', '--disable-dht', '--disable-lsd', '--disable-upnp-port-forward', '--disable-trackers'];

async function isReady(apiPort: number): Promise<boolean> {
  try {
    const response = await fetch(`http://127.0.0.1:${apiPort}/torrents/0/stats/v1`);
    const { state, finished } = (await response.json()) as { state?: string; finished?: boolean };
    return state === 'live' && finished === true;
  } catch {
    return false; // Not listening yet.
  }
}

async function succeeded(child: Child): Promise<void> {
  const { code, text } = await child.exited;
  if (code !== 0) throw new Error(`rqbit ${text}\n${child.tail()}`);
}

export const rqbit: Rival = {
  name: 'rqbit',
  needsNamespace: false,
  takesConnections: true,
  async missing() {
    const missing = await missingTool([program()]);
    return missing === null ? null : `${missing} is not there (RQBIT=PATH, or ${INSTALL})`;
  },
  async version() {
    const { stdout } = await promisify(execFile)(program(), ['--version']);
    return /(\d\S*)/.exec(stdout)?.[1] ?? 'unknown';
  },
  async start(scope, job) {
    const [port, apiPort] = [await freePort(), await freePort()];
    const home = await tempFolder(scope);
    const words = [...TUNING, '--listen-port', String(port), '--peer-limit', String(job.connections + 8)];
    words.push('--http-api-listen-addr', `127.0.0.1:${apiPort}`, 'download', '--overwrite', '-o', job.folder);
    if (job.role === 'leech') {
      const peers = job.peers.map(({ host, port: at }) => `${host}:${at}`).join(',');
      words.push('--exit-on-finish', '--disable-http-api', '--initial-peers', peers);
    }
    const child = startChild(scope, program(), [...words, job.untracked], {
      namespace: job.namespace,
      env: { HOME: home },
    });
    const complete = () => succeeded(child);
    if (job.role === 'seed') {
      const ended = complete().then(() => Promise.reject(new Error(`rqbit ended\n${child.tail()}`)));
      ended.catch(() => {}); // Looked at only while it is waited for.
      await Promise.race([until('rqbit has checked its data', DEADLINE_MS, () => isReady(apiPort)), ended]);
    }
    return {
      pid: child.pid,
      port,
      endsItself: job.role === 'leech',
      complete,
      stop: async () => void (await child.stop()),
    };
  },
};

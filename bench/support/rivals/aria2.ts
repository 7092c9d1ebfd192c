/** aria2c, steered through its JSON-RPC; hears of peers from the tracker. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { startChild } from '../../../lab/child.js';
import { isSeeding, QUIET } from '../../../lab/clients/aria2.js';
import { missingTool } from '../../../lab/clients/client.js';
import { freePort } from '../../../lab/ports.js';
import { until } from '../../../lab/wait.js';
import { DEADLINE_MS } from '../sides.js';
import type { Rival } from './rival.js';

/** In its favour: no limits, no allocation pass, a cache that holds what is in flight; a seed trusts its data. */
const TUNING = ['--bt-max-peers=0', '--disk-cache=64M', '--bt-seed-unverified=true', '--seed-ratio=0.0'];

export const aria2: Rival = {
  name: 'aria2',
  needsNamespace: false,
  takesConnections: false,
  async missing() {
    const program = await missingTool(['aria2c']);
    return program === null ? null : `${program} is not installed (apt-get install aria2)`;
  },
  async version() {
    const { stdout } = await promisify(execFile)('aria2c', ['--version']);
    return /version (\S+)/.exec(stdout)?.[1] ?? 'unknown';
  },
  async start(scope, job) {
    const port = await freePort();
    const rpcPort = await freePort();
    const args = [...QUIET, ...TUNING, '--enable-rpc=true', `--rpc-listen-port=${rpcPort}`, `--listen-port=${port}`];
    args.push(`--dir=${job.folder}`, '--bt-exclude-tracker=*', `--bt-tracker=${job.tracker}`);
    const child = startChild(scope, 'aria2c', [...args, job.torrent], { namespace: job.namespace });
    const seeds = async () => {
      const ended = child.exited.then(({ text }) => Promise.reject(new Error(`aria2c ${text}\n${child.tail()}`)));
      await Promise.race([until('aria2c has all', DEADLINE_MS, () => isSeeding('127.0.0.1', rpcPort)), ended]);
    };
    if (job.role === 'seed') await seeds();
    return { pid: child.pid, port, complete: seeds, stop: async () => void (await child.stop()) };
  },
};

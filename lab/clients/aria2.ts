/**
 * aria2c. It has no way to be given a peer, so peers come from the tracker; and it says through JSON-RPC only whether
 * it seeds. Exit code 0 of a download means complete and hash-checked.
 */

import { startChild } from '../child.js';
import { freePort } from '../ports.js';
import type { Scope } from '../scope.js';
import { tempFolder } from '../temp.js';
import type { PeerAddress } from '../tracker.js';
import { until, withDeadline } from '../wait.js';
import { type ClientJob, DOWNLOAD_TIMEOUT_MS, type ForeignClient, reachableHost } from './client.js';

const ALONE = [
  '--enable-dht=false',
  '--enable-dht6=false',
  '--disable-ipv6=true',
  '--bt-enable-lpd=false',
  '--enable-peer-exchange=false',
];

const SILENT = [
  '--no-conf=true',
  '--file-allocation=none',
  '--summary-interval=0',
  '--console-log-level=notice',
  '--download-result=hide',
  '--async-dns=false',
];

export const QUIET = [...ALONE, ...SILENT];

/** How it finds peers, as far as the job lets it. */
function discovery(job: ClientJob, port: number): string[] {
  const { dhtNode, tracker, usesLsd = false, usesPex = false, address6 } = job;
  const dht = dhtNode === undefined ? [] : [`--dht-entry-point=${dhtNode.host}:${dhtNode.port}`];
  return [
    // Without its DHT it says that UDP trackers are "not supported yet".
    `--enable-dht=${dhtNode !== undefined || tracker.startsWith('udp:')}`,
    ...dht,
    `--dht-listen-port=${port}`,
    '--enable-dht6=false',
    `--disable-ipv6=${address6 === undefined}`,
    `--bt-enable-lpd=${usesLsd}`,
    `--enable-peer-exchange=${usesPex}`,
  ];
}

async function commonArgs(scope: Scope, job: ClientJob, port: number): Promise<string[]> {
  const state = `--dht-file-path=${await tempFolder(scope)}/dht.dat`;
  return [
    ...discovery(job, port),
    ...SILENT,
    state,
    `--listen-port=${port}`,
    `--dir=${job.folder}`,
    '--bt-exclude-tracker=*',
    `--bt-tracker=${job.tracker}`,
    `--stop-with-process=${process.pid}`,
  ];
}

async function download(scope: Scope, job: ClientJob): Promise<void> {
  const port = await freePort();
  const only = (job.onlyFiles ?? []).map((file) => file + 1).join(',');
  const selection = only === '' ? [] : [`--select-file=${only}`];
  const args = [...(await commonArgs(scope, job, port)), ...selection, '--seed-time=0', job.torrentFile];
  const child = startChild(scope, 'aria2c', args, { namespace: job.namespace });
  const timeoutMs = job.timeoutMs ?? DOWNLOAD_TIMEOUT_MS;
  const { code, text } = await withDeadline(child.exited, 'aria2c download', timeoutMs).catch((error: Error) => {
    throw new Error(`${error.message}\n${child.tail()}`);
  });
  if (code !== 0) throw new Error(`aria2c ${text}\n${child.tail()}`);
}

export async function isSeeding(host: string, rpcPort: number): Promise<boolean> {
  const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'aria2.tellActive', params: [['seeder']] });
  try {
    const response = await fetch(`http://${host}:${rpcPort}/jsonrpc`, { method: 'POST', body });
    const { result } = (await response.json()) as { result?: { seeder?: string }[] };
    return result?.[0]?.seeder === 'true';
  } catch {
    return false; // Not listening yet.
  }
}

async function seed(scope: Scope, job: ClientJob): Promise<PeerAddress> {
  const port = await freePort();
  const rpcPort = await freePort();
  const rpc = ['--enable-rpc=true', `--rpc-listen-port=${rpcPort}`, `--rpc-listen-all=${job.namespace !== undefined}`];
  const checks = ['--check-integrity=true', '--bt-hash-check-seed=true', '--seed-ratio=0.0'];
  const args = [...(await commonArgs(scope, job, port)), ...rpc, ...checks, job.torrentFile];
  const child = startChild(scope, 'aria2c', args, { namespace: job.namespace });
  const rpcHost = job.namespace?.address ?? '127.0.0.1';
  await Promise.race([
    until('aria2c seeds', DOWNLOAD_TIMEOUT_MS, () => isSeeding(rpcHost, rpcPort)),
    child.exited.then(({ text }) => Promise.reject(new Error(`aria2c ${text}\n${child.tail()}`))),
  ]);
  return { host: reachableHost(job), port };
}

export const aria2: ForeignClient = {
  name: 'aria2',
  needs: ['aria2c'],
  needsNamespace: false,
  takesPeers: false,
  makesEmptyFiles: true,
  download,
  seed,
};

/**
 * Clients of others that fetch a depot's .torrent in `depot-swarm`, in place of an agent and its curl: a process each,
 * in a place of its own. They tell when they have all, and go on giving, as agents do.
 */
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { type Child, startChild } from '../../lab/child.js';
import { QUIET } from '../../lab/clients/aria2.js';
import type { Scope } from '../../lab/scope.js';
import type { Place } from './caps.js';
import { aria2 } from './rivals/aria2.js';
import type { Rival } from './rivals/rival.js';
import { rqbit } from './rivals/rqbit.js';

const FETCH_MS = 600_000;
/** Of rqbit: trackers name who came until then; who came at the same moment is heard of at the next look. */
const LOOK_AGAIN = '5s';
/** What aria2 starts when it has all. */
const ECHO = '/bin/echo';

export interface SwarmClient extends Pick<Rival, 'name' | 'missing' | 'version'> {
  /** Its command, and what its output has when all is here and checked. */
  words(torrent: string, folder: string): readonly string[];
  readonly ended: RegExp;
}

const identity = ({ name, missing, version }: Rival) => ({ name, missing, version });

const ARIA2: SwarmClient = {
  ...identity(aria2),
  words: (torrent, folder) => [
    'aria2c',
    ...[...QUIET, '--seed-ratio=0.0', '--disk-cache=64M', `--on-bt-download-complete=${ECHO}`],
    ...[`--dir=${folder}`, torrent],
  ],
  // Its number of the download, of its files, and where the first one is, behind a line of its own that is not ended.
  ended: /[0-9a-f]{16} 1 \//,
};

/** It has no web seeds: the depot serves it as a peer. */
const RQBIT: SwarmClient = {
  ...identity(rqbit),
  words: (torrent, folder) => [
    process.env.RQBIT || 'rqbit',
    ...['-v', 'info', '--disable-dht', '--disable-lsd', '--disable-upnp-port-forward', '--ipv4-only'],
    ...['--listen-ip', '0.0.0.0', '--tracker-refresh-interval', LOOK_AGAIN],
    ...['download', '--disable-http-api', '--overwrite', '--output-folder', folder, torrent],
  ],
  ended: /torrent finished downloading/,
};

export const SWARM_CLIENTS: readonly SwarmClient[] = [ARIA2, RQBIT];

/** Until it says that it has all. It ends with the scope. @returns seconds, and the file */
export async function fetchBy(
  { name, words, ended }: SwarmClient,
  scope: Scope,
  { namespace }: Place,
  torrent: string,
  folder: string,
): Promise<{ readonly seconds: number; readonly file: string }> {
  const beganMs = performance.now();
  // Some say it on the one output, some on the other.
  const command = ['-c', 'exec "$@" 2>&1', 'sh', ...words(torrent, folder)];
  const child: Child = startChild(scope, 'sh', command, { namespace, env: { HOME: folder } });
  await child.line(`${name} has all`, FETCH_MS, (line) => ended.test(line));
  const seconds = (performance.now() - beganMs) / 1000;
  const [file] = (await readdir(folder)).filter((each) => !each.startsWith('.'));
  return { seconds, file: path.join(folder, file!) };
}

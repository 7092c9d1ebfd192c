/**
 * Contenders that are programs of this bench: our engine, libtorrent, WebTorrent. All speak the lines of `engine-peer`.
 */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { freePort } from '../../../lab/ports.js';
import { VERSION } from '../../../src/version.js';
import { event, LT_PAIR, LT_PEER, OUR_PEER, quitOurs, startSide } from '../sides.js';
import type { Rival } from './rival.js';

const exec = promisify(execFile);

interface JsonPeer extends Pick<Rival, 'name' | 'missing' | 'version'> {
  /** Everything before the role; asked when it starts. */
  readonly words: () => readonly string[];
  /** How it is told to hold many connections; absent: it cannot. */
  readonly manyConnections?: (connections: number) => readonly string[];
  /** Further options. */
  readonly options: readonly string[];
  readonly isOurs?: boolean;
}

function jsonPeer(peer: JsonPeer): Rival {
  const { name, missing, version, options, isOurs } = peer;
  return {
    name,
    needsNamespace: false,
    takesConnections: peer.manyConnections !== undefined,
    missing,
    version,
    async start(scope, job) {
      const port = await freePort();
      const many = job.connections > 1 ? (peer.manyConnections?.(job.connections) ?? []) : [];
      // Ours makes the addresses itself.
      const addresses = isOurs === true ? job.peers.slice(0, 1) : job.peers;
      const peers = addresses.flatMap(({ host, port: at }) => ['--peer', `${host}:${at}`]);
      const where = ['--host', '0.0.0.0', '--port', String(port)];
      const all = [...peer.words(), job.role, job.torrent, job.folder, ...where, ...peers, ...many, ...options];
      const { child, idleBytes } = await startSide(scope, all, { namespace: job.namespace });
      return {
        pid: child.pid,
        port,
        idleBytes,
        // Ours is done only when the data is on the device; the others do not wait for that.
        complete: async () => void (await event(child, isOurs === true ? 'verified' : 'done')),
        synced: isOurs === true ? async () => void (await event(child, 'done')) : undefined,
        stop: async () => {
          if (isOurs === true) return quitOurs(child);
          child.send('quit');
          await child.exited;
          return undefined;
        },
      };
    },
  };
}

/** Our engine in a process of this bench, which tells more than the command does; it waits 0.3 s before it begins. */
export const engine: Rival = jsonPeer({
  name: 'swarmhaul-engine',
  words: () => OUR_PEER,
  options: [],
  isOurs: true,
  manyConnections: (connections) => ['--connections', String(connections)],
  missing: () => Promise.resolve(null),
  version: () => Promise.resolve(VERSION),
});

async function libtorrentVersion(python: string): Promise<string> {
  const { stdout } = await exec(python, ['-c', 'import libtorrent; print(libtorrent.version)']);
  return stdout.trim();
}

/** Debian's, from Python: `auto`, `mmap` and `pwrite` are what the disk settings of 2.0 can choose; see lt_pair.py. */
export function libtorrent(disk: 'auto' | 'mmap' | 'pwrite'): Rival {
  const python = LT_PEER[0]!;
  return jsonPeer({
    name: disk === 'auto' ? 'libtorrent' : `libtorrent-${disk}`,
    words: () => LT_PEER,
    options: ['--disk', disk],
    missing: async () => {
      if (!existsSync(python)) return `there is no ${python} (apt-get install python3-libtorrent)`;
      return libtorrentVersion(python).then(
        () => null,
        () => 'python3-libtorrent is not installed',
      );
    },
    version: () => libtorrentVersion(python),
  });
}

/** Another build: `LT_PEER` names a Python that can import it, such as that of a virtual environment. */
const otherPython = (): string => process.env.LT_PEER ?? '';

export const otherLibtorrent: Rival = jsonPeer({
  name: 'libtorrent-other',
  words: () => [otherPython(), LT_PAIR],
  options: [],
  missing: async () => {
    if (otherPython() === '') return 'LT_PEER names no Python with another build of libtorrent';
    return libtorrentVersion(otherPython()).then(
      () => null,
      (error: Error) => `LT_PEER: ${error.message.trim().split('\n').at(-1)}`,
    );
  },
  version: () => libtorrentVersion(otherPython()),
});

const WEBTORRENT_PEER = fileURLToPath(new URL('./webtorrent-peer.js', import.meta.url));
const load = createRequire(import.meta.url);

function webtorrentVersion(): string | null {
  try {
    return (load('webtorrent/package.json') as { version: string }).version;
  } catch {
    return null;
  }
}

export const webtorrent: Rival = jsonPeer({
  name: 'webtorrent',
  words: () => [process.execPath, WEBTORRENT_PEER],
  options: [],
  missing: () => {
    // An installed package may find one of another generation, which is a module that cannot be loaded this way.
    const version = webtorrentVersion();
    if (version === null) return Promise.resolve('webtorrent 1 is not installed (npm install webtorrent@1.9.7)');
    return Promise.resolve(version.startsWith('1.') ? null : `this is webtorrent ${version}, and not 1.9`);
  },
  version: () => Promise.resolve(webtorrentVersion() ?? 'unknown'),
});

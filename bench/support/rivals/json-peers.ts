/** Contenders that are programs of this bench and speak the JSON lines of `engine-peer`: Swarmhaul, libtorrent, WebTorrent. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { VERSION } from '../../../src/version.js';
import { freePort } from '../../../test/support/ports.js';
import { event, LT_PEER, OUR_PEER, quitOurs, startSide } from '../sides.js';
import type { Rival } from './rival.js';

const exec = promisify(execFile);

interface JsonPeer extends Pick<Rival, 'name' | 'missing' | 'version'> {
  /** Everything before the role. */
  readonly words: readonly string[];
  /** Further options. */
  readonly options: readonly string[];
  readonly isOurs?: boolean;
}

function jsonPeer(peer: JsonPeer): Rival {
  const { name, missing, version, words, options, isOurs } = peer;
  return {
    name,
    needsNamespace: false,
    missing,
    version,
    async start(scope, job) {
      const port = await freePort();
      const peers = job.peers.flatMap(({ host, port: at }) => ['--peer', `${host}:${at}`]);
      const where = ['--host', '0.0.0.0', '--port', String(port)];
      const all = [...words, job.role, job.torrent, job.folder, ...where, ...peers, ...options];
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

export function swarmhaul(storage: string): Rival {
  return jsonPeer({
    name: storage === 'auto' ? 'swarmhaul' : `swarmhaul-${storage}`,
    words: OUR_PEER,
    options: ['--storage', storage],
    isOurs: true,
    missing: () => Promise.resolve(null),
    version: () => Promise.resolve(VERSION),
  });
}

async function libtorrentVersion(): Promise<string> {
  const { stdout } = await exec(LT_PEER[0]!, ['-c', 'import libtorrent; print(libtorrent.version)']);
  return stdout.trim();
}

/** 2.0 from Python: `auto`, `mmap` and `pwrite` are what its disk settings can choose; see lt_pair.py. */
export function libtorrent(disk: 'auto' | 'mmap' | 'pwrite'): Rival {
  return jsonPeer({
    name: disk === 'auto' ? 'libtorrent' : `libtorrent-${disk}`,
    words: LT_PEER,
    options: ['--disk', disk],
    missing: async () => {
      if (!existsSync(LT_PEER[0]!)) return `there is no ${LT_PEER[0]} (apt-get install python3-libtorrent)`;
      return libtorrentVersion().then(
        () => null,
        () => 'python3-libtorrent is not installed',
      );
    },
    version: libtorrentVersion,
  });
}

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
  words: [process.execPath, WEBTORRENT_PEER],
  options: [],
  missing: () => {
    // An installed package may find one of another generation, which is a module that cannot be loaded this way.
    const version = webtorrentVersion();
    if (version === null) return Promise.resolve('webtorrent 1 is not installed (npm install webtorrent@1.9.7)');
    return Promise.resolve(version.startsWith('1.') ? null : `this is webtorrent ${version}, and not 1.9`);
  },
  version: () => Promise.resolve(webtorrentVersion() ?? 'unknown'),
});

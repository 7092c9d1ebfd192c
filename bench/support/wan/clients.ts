/**
 * The clients of the `wan` bench: how each is started at one end of a link, as a user would. One seed, one leech, one
 * connection, which the leech opens; a seed trusts its data where it can. Done is: the command has ended well, or says
 * that all is there and checked.
 */
import { fileURLToPath } from 'node:url';
import { type Child, startChild } from '../../../lab/child.js';
import { QUIET } from '../../../lab/clients/aria2.js';
import type { Scope } from '../../../lab/scope.js';
import { aria2 as aria2Rival } from '../rivals/aria2.js';
import { HAUL, swarmhaul as ownRival } from '../rivals/haul.js';
import { libtorrent as libtorrentRival } from '../rivals/json-peers.js';
import type { Rival } from '../rivals/rival.js';
import { rqbit as rqbitRival } from '../rivals/rqbit.js';
import { DEADLINE_MS, event, LT_PEER } from '../sides.js';
import { type End, listens } from './link.js';

const PORT = 6881;
const TRACKER = fileURLToPath(new URL('./tracker.js', import.meta.url));
const RQBIT = process.env.RQBIT || 'rqbit';
const ANY = () => true;

/** A client at one end of the link. */
export interface Seat {
  readonly end: End;
  readonly torrent: string;
  /** Holds the data, or receives it. */
  readonly folder: string;
}

export interface WanClient extends Pick<Rival, 'name' | 'missing' | 'version'> {
  /** Resolves when it has all data and takes peers at `PORT`. */
  seed(scope: Scope, seat: Seat): Promise<void>;
  /** Resolves when it says that the copy is complete, with the seconds since its process was started. */
  leech(scope: Scope, seat: Seat, seedHost: string): Promise<number>;
}

function start(scope: Scope, end: End, words: readonly string[]): Child {
  return startChild(scope, words[0]!, words.slice(1), { namespace: end });
}

/** A command that ends when it has everything. Returns its seconds. @throws when it ends in another way than well */
async function timed(scope: Scope, end: End, words: readonly string[]): Promise<number> {
  const beginMs = performance.now();
  const child = start(scope, end, words);
  const { code, text } = await child.exited;
  if (code !== 0) throw new Error(`${child.command} ${text}\n${child.tail()}`);
  return (performance.now() - beginMs) / 1000;
}

const identity = ({ name, missing, version }: Rival) => ({ name, missing, version });

const swarmhaul: WanClient = {
  ...identity(ownRival('auto')),
  async seed(scope, { end, torrent, folder }) {
    const words = ['seed', torrent, '--data', folder, '--no-verify', '--port', String(PORT), '--json'];
    const child = start(scope, end, [...HAUL, ...words]);
    await child.line('it listens', DEADLINE_MS, (line) => line.includes('"type":"listening"'));
  },
  async leech(scope, { end, torrent, folder }, seedHost) {
    const words = ['get', torrent, '--output', folder, '--peer', `${seedHost}:${PORT}`, '--json'];
    return timed(scope, end, [...HAUL, ...words]);
  },
};

/** Nothing that looks for other peers. */
const RQBIT_ALONE = ['--disable-dht', '--disable-lsd', '--disable-trackers', '--ipv4-only'];

function rqbitDownload(folder: string): string[] {
  return ['download', '--disable-http-api', '--overwrite', '--output-folder', folder];
}

const rqbit: WanClient = {
  ...identity(rqbitRival),
  async seed(scope, { end, torrent, folder }) {
    const listen = ['--listen-ip', '0.0.0.0', '--listen-port', String(PORT)];
    const words = [RQBIT, ...RQBIT_ALONE, ...listen, ...rqbitDownload(folder), torrent];
    // Its log tells when the data was checked.
    const child = start(scope, end, ['sh', '-c', 'exec "$@" 2>&1', 'sh', ...words]);
    await child.line('it has all', DEADLINE_MS, (line) => /needed 0\b/.test(line));
    await listens('rqbit', end, PORT);
  },
  async leech(scope, { end, torrent, folder }, seedHost) {
    const peers = ['--exit-on-finish', '--initial-peers', `${seedHost}:${PORT}`];
    return timed(scope, end, [RQBIT, ...RQBIT_ALONE, ...rqbitDownload(folder), ...peers, torrent]);
  },
};

/** It cannot be given a peer, so it hears of it from a tracker beside it. */
const aria2: WanClient = {
  ...identity(aria2Rival),
  async seed(scope, { end, torrent, folder }) {
    const trust = ['--bt-seed-unverified=true', '--seed-ratio=0.0', '--bt-exclude-tracker=*'];
    const words = ['aria2c', ...QUIET, ...trust, `--listen-port=${PORT}`, `--dir=${folder}`, torrent];
    start(scope, end, words);
    await listens('aria2', end, PORT);
  },
  async leech(scope, { end, torrent, folder }, seedHost) {
    const tracker = start(scope, end, [process.execPath, TRACKER, seedHost, String(PORT)]);
    const url = `http://127.0.0.1:${await tracker.line('its port', DEADLINE_MS, ANY)}/announce`;
    const words = ['--seed-time=0', '--bt-exclude-tracker=*', `--bt-tracker=${url}`, `--dir=${folder}`];
    return timed(scope, end, ['aria2c', ...QUIET, ...words, torrent]);
  },
};

const libtorrent: WanClient = {
  ...identity(libtorrentRival('auto')),
  async seed(scope, { end, torrent, folder }) {
    const child = start(scope, end, [...LT_PEER, 'seed', torrent, folder, '--port', String(PORT)]);
    await event(child, 'ready');
  },
  async leech(scope, { end, torrent, folder }, seedHost) {
    const words = [...LT_PEER, 'leech', torrent, folder, '--port', String(PORT), '--peer', `${seedHost}:${PORT}`];
    const beginMs = performance.now();
    await event(start(scope, end, words), 'done');
    return (performance.now() - beginMs) / 1000;
  },
};

export const WAN_CLIENTS: readonly WanClient[] = [swarmhaul, rqbit, aria2, libtorrent];

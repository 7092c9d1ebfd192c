import { aria2 } from './aria2.js';
import { libtorrent, swarmhaul, webtorrent } from './json-peers.js';
import type { Rival } from './rival.js';
import { rtorrent } from './rtorrent.js';
import { transmission } from './transmission.js';

export const RIVALS: readonly Rival[] = [
  swarmhaul('auto'),
  swarmhaul('mapped'),
  swarmhaul('positional'),
  libtorrent('auto'),
  libtorrent('mmap'),
  libtorrent('pwrite'),
  aria2,
  transmission,
  rtorrent,
  webtorrent,
];

/** Run when nobody is named: our own storages are compared by `loopback`. */
export const DEFAULT_RIVALS: readonly string[] = RIVALS.map(({ name }) => name).filter(
  (name) => !name.startsWith('swarmhaul-'),
);

import { aria2 } from './aria2.js';
import { swarmhaul } from './haul.js';
import { engine, libtorrent, otherLibtorrent, webtorrent } from './json-peers.js';
import type { Rival } from './rival.js';
import { rqbit } from './rqbit.js';
import { rtorrent } from './rtorrent.js';
import { transmission } from './transmission.js';

export const RIVALS: readonly Rival[] = [
  swarmhaul('auto'),
  swarmhaul('mapped'),
  swarmhaul('positional'),
  engine,
  rqbit,
  libtorrent('auto'),
  libtorrent('mmap'),
  libtorrent('pwrite'),
  otherLibtorrent,
  aria2,
  transmission,
  rtorrent,
  webtorrent,
];

/** Run when nobody is named: our command, and all others. */
export const DEFAULT_RIVALS: readonly string[] = RIVALS.map(({ name }) => name).filter(
  (name) => !name.startsWith('swarmhaul-'),
);

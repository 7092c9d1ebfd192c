import { aria2 } from './aria2.js';
import type { ForeignClient } from './client.js';
import { libtorrent } from './libtorrent.js';
import { transmission } from './transmission.js';
import { webtorrent } from './webtorrent.js';

export const FOREIGN_CLIENTS: readonly ForeignClient[] = [libtorrent, aria2, transmission, webtorrent];

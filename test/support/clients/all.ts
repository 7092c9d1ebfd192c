import { aria2 } from '../../../lab/clients/aria2.js';
import type { ForeignClient } from '../../../lab/clients/client.js';
import { transmission } from '../../../lab/clients/transmission.js';
import { libtorrent } from './libtorrent.js';
import { webtorrent } from './webtorrent.js';

export const FOREIGN_CLIENTS: readonly ForeignClient[] = [libtorrent, aria2, transmission, webtorrent];

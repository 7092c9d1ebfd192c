/**
 * Who works with us, and in what: the table behind `docs/interop.md`. Every cell that is not named in `lacks` is a
 * transfer that `matrix.test.ts` makes; one that is named says what the other side does not have.
 */
import { aria2 } from '../../../lab/clients/aria2.js';
import type { ForeignClient } from '../../../lab/clients/client.js';
import { transmission } from '../../../lab/clients/transmission.js';
import { NGINX } from '../../../lab/nginx.js';
import { DEBIAN_PYTHON, libtorrent } from '../../support/clients/libtorrent.js';
import { RQBIT, rqbit } from '../../support/clients/rqbit.js';
import { rtorrent } from '../../support/clients/rtorrent.js';
import { webtorrent } from '../../support/clients/webtorrent.js';

/** In the order of the page; what a cell of each says when it passes. */
export const COLUMNS = {
  'they seed': 'it gives us the data of a .torrent',
  'they leech': 'it gets the data of a .torrent from us',
  'magnet, they seed': 'it gives us the info dictionary and the data of a magnet link',
  'magnet, they leech': 'it gets both from us',
  'HTTP tracker': 'we meet by a tracker over HTTP',
  'UDP tracker': 'we meet by a tracker over UDP (BEP 15)',
  PEX: 'it finds a seed that only our peer exchange names (BEP 11)',
  LSD: 'we meet by local service discovery alone (BEP 14)',
  DHT: 'we find it through the DHT alone, and it finds our peer so where it gets a magnet (BEP 5)',
  IPv6: 'it gets the data over IPv6, from an address that a tracker gave it over IPv6 (BEP 7)',
  'fast extension': 'both set the bit, and its first message is "have all" (BEP 6)',
  'web seed': 'the data comes by HTTP alone (BEP 19)',
} as const;

export type Column = keyof typeof COLUMNS;

export interface Row {
  readonly name: string;
  /** The program that the page speaks of. */
  readonly version: string;
  /** Prints its version; null: a module of Node, whose package says it. */
  readonly tells: readonly [program: string, ...args: string[]] | null;
  /** Null: no client. */
  readonly client: ForeignClient | null;
  readonly lacks: Partial<Readonly<Record<Column, string>>>;
  /** Beside a "yes": how far it goes. */
  readonly notes?: Partial<Readonly<Record<Column, string>>>;
}

const NO_PEER = 'it is no peer';
const TRACKER_ONLY = {
  'they seed': NO_PEER,
  'they leech': NO_PEER,
  'magnet, they seed': NO_PEER,
  'magnet, they leech': NO_PEER,
  PEX: NO_PEER,
  LSD: NO_PEER,
  DHT: NO_PEER,
  'fast extension': NO_PEER,
} as const;

const LIBTORRENT_VERSION = 'import libtorrent; print(libtorrent.__version__)';

export const ROWS: readonly Row[] = [
  {
    name: 'libtorrent',
    version: '2.0.8.0',
    tells: [DEBIAN_PYTHON, '-c', LIBTORRENT_VERSION],
    client: libtorrent,
    lacks: {},
  },
  { name: 'aria2', version: '1.36.0', tells: ['aria2c', '--version'], client: aria2, lacks: {} },
  {
    name: 'transmission',
    version: '3.00',
    tells: ['transmission-daemon', '--version'],
    client: transmission,
    lacks: {},
  },
  {
    name: 'rtorrent',
    version: '0.9.8',
    tells: ['rtorrent', '-h'],
    client: rtorrent,
    lacks: {
      DHT:
        'we find it by the DHT, and it finds nobody: its libtorrent 0.13.8 reads the "6:" before an address as part ' +
        'of it, and dials 54.58.a.b (`parse_address_bencode`); it gets magnets by a tracker',
      LSD: 'it has no local service discovery (nothing of it in the sources of its libtorrent 0.13.8)',
      IPv6: 'it listens on addresses of IPv4 only',
      'fast extension': 'it does not set the bit',
      'web seed': 'it has no web seeds (nothing of them in the sources of its libtorrent 0.13.8)',
    },
  },
  {
    name: 'webtorrent',
    version: '1.9.7',
    tells: null,
    client: webtorrent,
    lacks: {},
    notes: {
      'web seed':
        'in a torrent of several files it puts names into the URL as they are (`lib/webconn.js`), and its own HTTP ' +
        'refuses those with spaces or letters beyond ASCII, whoever the server is: nginx is asked for none either',
    },
  },
  {
    name: 'rqbit',
    version: '9.1.0',
    tells: [RQBIT, '--version'],
    client: rqbit,
    lacks: {
      'fast extension': 'it does not set the bit',
      'web seed': 'it has no web seeds (nothing of them in its sources)',
    },
  },
  {
    name: 'opentracker',
    version: '',
    tells: null,
    client: null,
    lacks: { ...TRACKER_ONLY, IPv6: 'as Debian builds it, it takes no address of IPv6', 'web seed': 'it is a tracker' },
  },
  {
    name: 'nginx',
    version: '1.22.1',
    tells: [NGINX, '-v'],
    client: null,
    lacks: { ...TRACKER_ONLY, 'HTTP tracker': 'it is a web server', 'UDP tracker': 'it is a web server' },
  },
];

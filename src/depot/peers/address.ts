/**
 * Where the shared table of peers is: a URL, which may hold a password. Nothing that is thrown or shown from here has
 * any of its secrets in it.
 */
import { HaulError } from '../../errors.js';

const PORT_DEFAULT = 6379;

export interface PeersAddress {
  readonly socket: { readonly path: string } | { readonly host: string; readonly port: number; readonly tls?: true };
  readonly username?: string;
  readonly password?: string;
  readonly database: number;
  /** For people: "redis at cache.example.org:6379". */
  readonly shown: string;
}

function bad(why: string): HaulError {
  const forms = 'redis://[user:password@]host[:port][/database], rediss://… for TLS, or unix:///path/of/socket';
  return new HaulError('BAD_ARGUMENT', `--peers: ${why}; write ${forms}`, { option: 'peers' });
}

/** @throws HaulError BAD_ARGUMENT, without what was given: it may hold a password */
export function parsePeersAddress(text: string): PeersAddress {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    throw bad('that is no URL');
  }
  if (url.search !== '' || url.hash !== '') throw bad('it has a query or a fragment');
  if (url.protocol === 'unix:') {
    const path = decoded(url.pathname);
    if (url.host !== '' || !/^\/./.test(path)) throw bad('a socket is named by its whole path');
    return { socket: { path }, database: 0, shown: `redis at ${path}` };
  }
  const isTls = url.protocol === 'rediss:';
  if (!isTls && url.protocol !== 'redis:') throw bad('it is neither redis: nor rediss: nor unix:');
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
  if (host === '') throw bad('it names no host');
  const port = url.port === '' ? PORT_DEFAULT : Number(url.port);
  const database = url.pathname === '' || url.pathname === '/' ? 0 : Number(url.pathname.slice(1) || 'x');
  if (!Number.isInteger(database) || database < 0 || database > 65_535) throw bad('the database is a number');
  return {
    socket: isTls ? { host, port, tls: true } : { host, port },
    ...(url.username === '' ? {} : { username: decoded(url.username) }),
    ...(url.password === '' ? {} : { password: decoded(url.password) }),
    database,
    shown: `redis at ${url.hostname}:${port}`,
  };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw bad('a % in it is not followed by two hexadecimal digits');
  }
}

/** What Redis, or the way to it, has to say when something does not work: one line for people, nothing secret in it. */
import { type ErrorCode, HaulError } from '../../errors.js';
import { tlsTroubleOf } from '../../net/tls-trouble.js';

interface Kind {
  readonly code: ErrorCode;
  readonly text: string;
}

/** By the first word of an error of Redis. */
const WORDS: Readonly<Record<string, Kind>> = {
  WRONGPASS: { code: 'NO_PERMISSION', text: 'it refuses this user name or password' },
  NOAUTH: { code: 'NO_PERMISSION', text: 'it wants a password' },
  NOPERM: { code: 'NO_PERMISSION', text: 'this user may not do what is needed there (see docs/scale.md)' },
  OOM: { code: 'NO_SPACE', text: 'its memory is full (maxmemory)' },
  READONLY: { code: 'READ_ONLY', text: 'it is a read-only replica: name its primary' },
  MISCONF: { code: 'IO', text: 'it takes no writes, as it cannot save to its disk' },
  LOADING: { code: 'NETWORK', text: 'it is still loading its data' },
  MASTERDOWN: { code: 'NETWORK', text: 'it is a replica whose primary is away' },
  NOREPLICAS: { code: 'NETWORK', text: 'it takes no writes, as it has too few replicas' },
  MOVED: { code: 'BAD_ARGUMENT', text: 'it is part of a cluster: name one that is not' },
  CLUSTERDOWN: { code: 'NETWORK', text: 'its cluster is down' },
};

/** System errors by their code. */
const SYSTEM: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nobody listens there',
  ENOENT: 'there is no such socket',
  EACCES: 'its socket may not be used by this user',
  ENOTFOUND: 'there is no such host',
  EAI_AGAIN: 'its name cannot be looked up now',
  ECONNRESET: 'the connection was reset',
  EHOSTUNREACH: 'its host cannot be reached',
  ETIMEDOUT: 'it does not answer',
};

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : '';
}

/** "OOM" of "OOM command not allowed …", '' where it does not begin with such a word. */
export function firstWord(error: unknown): string {
  const word = /^([A-Z]{3,16})\b/.exec(messageOf(error))?.[1] ?? '';
  // How servers before 6 say it, and one without any password.
  return /^ERR (?:AUTH\b|Client sent AUTH|invalid password)/i.test(messageOf(error)) ? 'WRONGPASS' : word;
}

/** Whether nothing but another configuration helps. */
export function isRefusal(error: unknown): boolean {
  return error instanceof HaulError && (error.code === 'NO_PERMISSION' || error.code === 'BAD_ARGUMENT');
}

export function troubleOf(error: unknown): HaulError {
  if (HaulError.is(error)) return error;
  const kind = WORDS[firstWord(error)];
  if (kind !== undefined) return new HaulError(kind.code, kind.text);
  const { code, name } = error as { readonly code?: unknown; readonly name?: unknown };
  if (typeof code === 'string' && SYSTEM[code] !== undefined) return new HaulError('NETWORK', SYSTEM[code]);
  const tls = tlsTroubleOf(error);
  if (tls !== null) return new HaulError('NETWORK', tls);
  if (name === 'ConnectionTimeoutError') return new HaulError('TIMEOUT', 'it does not answer');
  if (/^[A-Z]+ /.test(messageOf(error))) return new HaulError('IO', 'it refuses a command that is needed');
  return new HaulError('NETWORK', 'the connection failed, or it does not speak as Redis does');
}

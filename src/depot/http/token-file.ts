/**
 * Where tokens are kept: a file that holds their hashes, made and changed by `haul token`, read again by the depot when
 * it has changed; or lines in the environment. Invariant: a file that anybody else could read or write is not used, and
 * one that is damaged changes nothing for a depot that runs.
 */
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  fstatSync,
  fsyncSync,
  openSync,
  readFileSync,
  realpathSync,
  renameSync,
  type Stats,
  statSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { z } from 'zod';
import { fromSystemError, HaulError } from '../../errors.js';
import type { Log } from '../../log.js';
import { DEPOT_HTTP_LIMITS } from './limits.js';
import { hashToken, isExpired, SCOPES, type Scope, type Token, TokenTable } from './tokens.js';

/** Read by others, or written by the group or others. */
const OPEN_MODE = 0o026;
const FILE_BYTES_MAX = 8 * 1024 * 1024;
const SECRET_BYTES = 32;
const SECRET_CHARACTERS_MIN = 16;
const TOKEN_START = 'haul_';

const TOKEN = z.strictObject({
  id: z.string().regex(/^[A-Za-z0-9._-]{1,64}$/),
  hash: z.string().regex(/^[0-9a-f]{64}$/),
  scopes: z.array(z.enum(SCOPES)).min(1),
  prefix: z.string().regex(/^(?:|(?:artifacts|cas|ac)\/(?:[^/]+\/)*)$/),
  expires: z.iso.datetime().nullable(),
  created: z.iso.datetime(),
  note: z.string().max(200),
});
const FILE = z.strictObject({ version: z.literal(1), tokens: z.array(TOKEN).max(DEPOT_HTTP_LIMITS.tokens) });

/** What a new token is to be. */
export interface TokenWish {
  readonly scopes: readonly Scope[];
  /** As `prefixOf` gives it. */
  readonly prefix: string;
  readonly expiresMs: number | null;
  readonly note: string;
}

/** "ci" or "/artifacts/ci" → "artifacts/ci/"; '' is all. Null: it is none. */
export function prefixOf(text: string): string | null {
  const parts = text.replace(/^\/+|\/+$/g, '');
  if (parts === '') return '';
  const full = text.startsWith('/') ? parts : `artifacts/${parts}`;
  return TOKEN.shape.prefix.safeParse(`${full}/`).success ? `${full}/` : null;
}

/** @throws HaulError NOT_FOUND, NO_PERMISSION (also: its mode lets others at it), IO, BAD_ARGUMENT (what it holds) */
export function readTokenFile(path: string): Token[] {
  const text = readGuarded(path);
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new HaulError('BAD_ARGUMENT', `tokens ${path}: it is not JSON`, { path }, error);
  }
  const parsed = FILE.safeParse(json);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new HaulError('BAD_ARGUMENT', `tokens ${path}: ${issue?.path.join('.')}: ${issue?.message}`, { path });
  }
  return parsed.data.tokens.map(({ expires, created, ...rest }) => {
    return { ...rest, expiresMs: expires === null ? null : Date.parse(expires), createdMs: Date.parse(created) };
  });
}

function readGuarded(path: string): string {
  let file: number | null = null;
  try {
    file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const stat = fstatSync(file);
    if (!stat.isFile()) throw new HaulError('BAD_ARGUMENT', `tokens ${path}: it is no file`, { path });
    if ((stat.mode & OPEN_MODE) !== 0)
      throw new HaulError('NO_PERMISSION', `tokens ${path}: others can read or change it; chmod 600 ${path}`, { path });
    if (stat.size > FILE_BYTES_MAX) throw new HaulError('LIMIT', `tokens ${path}: it is too large`, { path });
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw fromSystemError(error, 'read tokens', path);
  } finally {
    if (file !== null) closeSync(file);
  }
}

/**
 * Durable when it returns. The new file stands beside the old one until it is whole, and locks others out. Whoever may
 * read the old one may read it: root changes what a depot reads that runs as another user.
 */
function changeTokenFile(named: string, change: (tokens: readonly Token[]) => readonly Token[]): void {
  const path = placeOf(named);
  const beside = `${path}.new`;
  let file: number;
  try {
    file = openSync(beside, 'wx', 0o600);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw fromSystemError(error, 'write tokens', beside);
    throw new HaulError('IN_USE', `tokens ${path}: somebody else changes it; if nobody does, remove ${beside}`, {
      path,
    });
  }
  try {
    const before = statSync(path, { throwIfNoEntry: false });
    if (before !== undefined) keepAccess(file, before);
    const tokens = change(before === undefined ? [] : readTokenFile(path)).map(({ expiresMs, createdMs, ...rest }) => {
      const expires = expiresMs === null ? null : new Date(expiresMs).toISOString();
      return { ...rest, expires, created: new Date(createdMs).toISOString() };
    });
    writeSync(file, `${JSON.stringify({ version: 1, tokens }, null, 2)}\n`);
    fsyncSync(file);
    renameSync(beside, path);
  } catch (error) {
    unlinkSync(beside);
    throw fromSystemError(error, 'write tokens', path);
  } finally {
    closeSync(file);
  }
}

/** Where a link leads, if it is one: what has it as its own name would keep the old tokens. */
function placeOf(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    // It is made, or whoever opens it says what is wrong.
    return path;
  }
}

function keepAccess(file: number, { uid, gid, mode }: Stats): void {
  const give = (to: number): boolean => {
    try {
      fchownSync(file, to, gid);
      return true;
    } catch {
      return false;
    }
  };
  // Who is not root can give it to a group of its own at most; else it is for whoever changes it.
  if (give(uid) || give(-1)) fchmodSync(file, mode & 0o777);
}

/** @returns the token itself, which nobody can be told again. @throws HaulError as `readTokenFile`, IN_USE, LIMIT */
export function createToken(
  path: string,
  wish: TokenWish,
  nowMs: number,
): { readonly secret: string; readonly token: Token } {
  const secret = TOKEN_START + randomBytes(SECRET_BYTES).toString('base64url');
  const token: Token = { id: randomBytes(5).toString('hex'), hash: hashToken(secret), createdMs: nowMs, ...wish };
  changeTokenFile(path, (tokens) => {
    if (tokens.length >= DEPOT_HTTP_LIMITS.tokens)
      throw new HaulError('LIMIT', `tokens ${path}: it holds ${tokens.length} already`, { path });
    return [...tokens, token];
  });
  return { secret, token };
}

/** @throws HaulError NOT_FOUND: there is none of this id */
export function revokeToken(path: string, id: string): Token {
  let revoked: Token | undefined;
  changeTokenFile(path, (tokens) => {
    revoked = tokens.find((token) => token.id === id);
    if (revoked === undefined) throw new HaulError('NOT_FOUND', `tokens ${path}: there is no token ${id}`, { id });
    return tokens.filter((token) => token.id !== id);
  });
  return revoked!;
}

/**
 * Tokens of an environment variable, one a line (or between semicolons): "TOKEN SCOPE,SCOPE [PREFIX]".
 * @throws HaulError BAD_ARGUMENT, without the token in its text
 */
export function tokensOfLines(text: string, nowMs: number): Token[] {
  const lines = text
    .split(/[\n;]/)
    .map((line) => line.trim())
    .filter((line) => line !== '');
  return lines.map((line, index) => {
    const bad = (why: string): HaulError =>
      new HaulError('BAD_ARGUMENT', `tokens of the environment: entry ${index + 1} ${why}`, { option: 'tokens' });
    const [secret, scopeList = '', prefixText = '', ...more] = line.split(/\s+/);
    if (more.length > 0) throw bad('is not "TOKEN SCOPES PREFIX"');
    if (secret!.length < SECRET_CHARACTERS_MIN) throw bad(`has fewer than ${SECRET_CHARACTERS_MIN} characters`);
    const scopes = scopeList.split(',').map((word) => SCOPES.find((scope) => scope === word));
    if (scopes.includes(undefined)) throw bad(`has other scopes than ${SCOPES.join(', ')}`);
    const prefix = prefixOf(prefixText);
    if (prefix === null) throw bad('has a prefix that is none');
    const hash = hashToken(secret!);
    const id = `env-${hash.slice(0, 10)}`;
    return { id, hash, scopes: scopes as Scope[], prefix, expiresMs: null, note: '', createdMs: nowMs };
  });
}

/** The tokens of a depot that runs. */
export interface TokenSource {
  readonly table: TokenTable;
  /** Now and then: reads the file again when it is another one. */
  look(): void;
}

/** @param lines of the environment, or null. @throws HaulError as `readTokenFile` and `tokensOfLines` */
export function openTokens(file: string | null, lines: string | null, log: Log | undefined): TokenSource {
  const fixed = lines === null ? [] : tokensOfLines(lines, Date.now());
  const read = (): TokenTable => new TokenTable([...fixed, ...(file === null ? [] : readTokenFile(file))]);
  const stamp = (): string => {
    try {
      const stat = file === null ? undefined : statSync(file, { throwIfNoEntry: false, bigint: true });
      return stat === undefined ? 'none' : `${stat.ino} ${stat.size} ${stat.mtimeNs} ${stat.mode}`;
    } catch (error) {
      // A folder above it may not be looked into any more: whoever reads the file says why.
      return `none: ${(error as NodeJS.ErrnoException).code}`;
    }
  };
  let last = stamp();
  let table = read();
  return {
    get table() {
      return table;
    },
    look: () => {
      const now = stamp();
      if (now === last) return;
      last = now;
      try {
        table = read();
        log?.('info', `tokens: ${table.count} are known now`);
      } catch (error) {
        log?.('warn', `tokens: those from before hold on: ${error instanceof Error ? error.message : String(error)}`);
      }
    },
  };
}

/** For lists: without the hash. */
export function tokenFields(token: Token, nowMs: number): Record<string, unknown> {
  const { id, scopes, prefix, expiresMs, note, createdMs } = token;
  return {
    id,
    scopes,
    prefix: prefix === '' ? '/' : `/${prefix}`,
    created: new Date(createdMs).toISOString(),
    expires: expiresMs === null ? null : new Date(expiresMs).toISOString(),
    isExpired: isExpired(token, nowMs),
    note,
  };
}

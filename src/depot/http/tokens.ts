/**
 * Tokens: who may do what, below which path, until when. Pure but for the hash. A token is known by its SHA-256 alone:
 * 32 random bytes need no slow hash, and a file that is read by a stranger gives none away.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import { Problem } from './problems.js';

export const SCOPES = ['read', 'write', 'delete', 'admin'] as const;
export type Scope = (typeof SCOPES)[number];

export interface Token {
  /** Public: it stands in logs and lists. */
  readonly id: string;
  /** SHA-256 of the token, hexadecimal. */
  readonly hash: string;
  readonly scopes: readonly Scope[];
  /** Full names below this: "artifacts/ci/"; '' for all. */
  readonly prefix: string;
  /** Milliseconds since 1970; null: never. */
  readonly expiresMs: number | null;
  /** For people. */
  readonly note: string;
  readonly createdMs: number;
}

/** What a request may do. */
export interface Grant {
  /** Null: nobody said who it is. */
  readonly token: Token | null;
  readonly scopes: ReadonlySet<Scope>;
  readonly prefix: string;
}

/** What is permitted without a token. */
export type Anonymous = 'none' | 'read' | 'all';

const ALL: ReadonlySet<Scope> = new Set(SCOPES);
const ANONYMOUS: Readonly<Record<Anonymous, ReadonlySet<Scope>>> = {
  none: new Set(),
  read: new Set(['read']),
  all: ALL,
};

/** Whether it needs a token. */
export function needsToken(anonymous: Anonymous, scope: Scope): boolean {
  return !ANONYMOUS[anonymous].has(scope);
}

/** How a token is sent (RFC 9110, 11.6.1). */
export const CHALLENGE: Readonly<Record<string, string>> = {
  'www-authenticate': 'Bearer realm="depot", Basic realm="depot", charset="UTF-8"',
};
const TOKEN_CHARACTERS_MAX = 512;

export function hashToken(secret: string): string {
  return createHash('sha256').update(secret).digest('hex');
}

/** The token that an Authorization header carries, or null: it carries none that can be read. */
export function secretOf(header: string): string | null {
  const [, scheme, value] = /^(\w+) +([A-Za-z0-9._~+/=-]+) *$/.exec(header) ?? [];
  if (value === undefined || value.length > TOKEN_CHARACTERS_MAX) return null;
  if (scheme!.toLowerCase() === 'bearer') return value;
  if (scheme!.toLowerCase() !== 'basic') return null;
  const pair = Buffer.from(value, 'base64').toString('utf8');
  const colon = pair.indexOf(':');
  return colon < 0 || colon === pair.length - 1 ? null : pair.slice(colon + 1);
}

/** All tokens that are known at the moment. */
export class TokenTable {
  readonly #byHash: ReadonlyMap<string, Token>;

  constructor(tokens: Iterable<Token>) {
    this.#byHash = new Map([...tokens].map((token) => [token.hash, token]));
  }

  get tokens(): Iterable<Token> {
    return this.#byHash.values();
  }

  get count(): number {
    return this.#byHash.size;
  }

  /** Null: there is none, or its time is over. What is looked up is a hash, so that no time tells of the token. */
  find(secret: string, nowMs: number): Token | null {
    const hash = hashToken(secret);
    const token = this.#byHash.get(hash);
    if (token === undefined || !timingSafeEqual(Buffer.from(token.hash), Buffer.from(hash))) return null;
    return isExpired(token, nowMs) ? null : token;
  }
}

export function isExpired({ expiresMs }: Token, nowMs: number): boolean {
  return expiresMs !== null && nowMs >= expiresMs;
}

/**
 * What whoever sent these headers may do.
 * @throws Problem 401: a token that is not known, or not any more: also where none would do
 */
export function grantOf(
  authorization: string | undefined,
  table: TokenTable,
  anonymous: Anonymous,
  nowMs: number,
): Grant {
  if (authorization === undefined) return { token: null, scopes: ANONYMOUS[anonymous], prefix: '' };
  const secret = secretOf(authorization);
  const token = secret === null ? null : table.find(secret, nowMs);
  // A depot without tokens takes whatever a client is configured to send.
  if (token === null && table.count === 0 && anonymous === 'all') return { token: null, scopes: ALL, prefix: '' };
  if (token === null)
    throw new Problem(401, 'BAD_TOKEN', 'the token is not known here, or its time is over', CHALLENGE);
  return { token, scopes: token.scopes.includes('admin') ? ALL : new Set(token.scopes), prefix: token.prefix };
}

/**
 * @param name full name that is meant; what concerns none has '', and null is for what any name may
 * @throws Problem 401 without a token, 403 with one that does not suffice
 */
export function checkGrant(grant: Grant, scope: Scope, name: string | null): void {
  const isScope = grant.scopes.has(scope);
  if (isScope && (name === null || name.startsWith(grant.prefix))) return;
  if (grant.token === null) throw new Problem(401, 'NO_TOKEN', `this needs a token with the scope ${scope}`, CHALLENGE);
  const below = grant.prefix.replace(/^artifacts\/|^(?=[^/]+\/)/, (space) => (space === '' ? '/' : ''));
  const why = isScope ? `is not for this name, only for those below ${below}` : `has not the scope ${scope}`;
  throw new Problem(403, 'TOKEN_SCOPE', `the token ${grant.token.id} ${why}`);
}

/**
 * What PostgreSQL and the way to it say, as a `HaulError` of one line that tells what to do, and whether to try again.
 * SQLSTATEs are those of the manual's appendix "PostgreSQL Error Codes". Pure.
 */
import { type ErrorCode, HaulError } from '../../../errors.js';
import { tlsTroubleOf } from '../../../net/tls-trouble.js';

/** What to make of an error. */
export type PgTrouble =
  /** The connection is of no use any more, or there is none: with another one it may work. */
  | 'lost'
  /** Others were in the way: the same again may work. */
  | 'again'
  | 'final';

/** What a statement or a connection failed with; `cause` is what `pg` threw. Others are faults of our own. */
export class PgFailure extends Error {
  override readonly name = 'PgFailure';

  constructor(cause: unknown) {
    super('PostgreSQL', { cause });
  }
}

/** Somebody else was first: the same again, which sees what they did. */
export class Again extends Error {
  override readonly name = 'Again';
}

/** COMMIT was sent, and no answer came that says what became of it. */
export class OutcomeUnknown extends PgFailure {}

interface PgError {
  readonly code?: unknown;
  readonly severity?: unknown;
  readonly message?: unknown;
}

/** Connection, shutdown, too many connections, a standby that takes no writes yet. */
const LOST = /^(?:08...|57P0[1235]|53300|25006)$/;
/** Serialization, deadlock, lock not available. */
const AGAIN = /^(?:40001|40P01|55P03)$/;
const SQLSTATE = /^[0-9A-Z]{5}$/;

const KNOWN: readonly (readonly [RegExp, ErrorCode, string])[] = [
  [/^25006$/, 'READ_ONLY', 'the server is read-only; is it a standby?'],
  [/^53100$/, 'NO_SPACE', "no space left on the server's device; free some"],
  [/^53[24]00$/, 'SYSTEM_LIMIT', 'the server has no memory left, or met a limit of its configuration'],
  [/^28...$/, 'NO_PERMISSION', ''],
  [/^3D000$/, 'NOT_FOUND', ''],
  [/^42501$/, 'NO_PERMISSION', ''],
  [/^(?:42P01|42703|3F000|42883|42P10)$/, 'BAD_DATA', 'tables are not as they must be: '],
  [AGAIN, 'IN_USE', 'others are in the way: '],
  [/^57014$/, 'NETWORK', 'it took too long: '],
  [LOST, 'NETWORK', ''],
];

export function sqlStateOf(error: unknown): string | null {
  const { code, severity } = (error ?? {}) as PgError;
  return typeof severity === 'string' && typeof code === 'string' && SQLSTATE.test(code) ? code : null;
}

export function troubleOf(failure: unknown): PgTrouble {
  if (failure instanceof Again) return 'again';
  if (!(failure instanceof PgFailure)) return 'final';
  const error = failure.cause;
  const state = sqlStateOf(error);
  // What is no word of the server's comes from the way to it.
  if (state === null) return 'lost';
  if (LOST.test(state) || (error as PgError).severity === 'FATAL' || (error as PgError).severity === 'PANIC')
    return 'lost';
  return AGAIN.test(state) ? 'again' : 'final';
}

/** Trouble after COMMIT was sent that leaves open what became of it. */
export function isOutcomeUnknown(error: unknown): boolean {
  return sqlStateOf(error) === null || (error as PgError).severity !== 'ERROR';
}

/** A pooler that takes no settings with the connection. */
export function isRefusedParameter(error: unknown): boolean {
  return sqlStateOf(error) !== null && /unsupported startup parameter/i.test(String((error as PgError).message));
}

/** Of a certificate, an authority or a key that the URL names. */
export function isUnreadFile(error: unknown): boolean {
  return (error as NodeJS.ErrnoException | null)?.syscall === 'open';
}

function textOf(error: unknown): string {
  const tls = tlsTroubleOf(error);
  if (tls !== null) return tls;
  const { message, code } = (error ?? {}) as PgError;
  const several = (error as { readonly errors?: readonly unknown[] } | null)?.errors;
  // A host with two addresses: the message is empty, the errors say it.
  const text = Array.isArray(several) && several.length > 0 ? textOf(several[0]) : String(message ?? error);
  return (text === '' ? String(code ?? 'it failed') : text).replace(/\s+/g, ' ').slice(0, 300);
}

/**
 * @param error as `pg` threw it
 * @param operation "open", "read", "write"
 * @param shown where, without what is secret
 */
export function fromPgError(error: unknown, operation: string, shown: string): HaulError {
  const facts = { operation, where: shown };
  if (isUnreadFile(error)) {
    const message = `${operation} catalogue ${shown}: a file that its URL names cannot be read: ${textOf(error)}`;
    return new HaulError('BAD_ARGUMENT', message, { ...facts, option: 'catalogue' }, error);
  }
  const state = sqlStateOf(error);
  const [, code, hint] = KNOWN.find(([pattern]) => state !== null && pattern.test(state)) ?? [];
  const isPlain = hint !== undefined && hint !== '' && !hint.endsWith(': ');
  const text = isPlain ? hint : `${hint ?? ''}${textOf(error)}`;
  const found = code ?? (state === null || (error as PgError).severity !== 'ERROR' ? 'NETWORK' : 'IO');
  return new HaulError(found, `${operation} catalogue ${shown}: ${text}`, facts, error);
}

/** Why the depot did not do what it was asked for. What it answers wrongly is never taken for what was asked. */
import { plain } from './plain-text.js';

/** The depot cannot be reached, or did not do it. */
export class DepotAway extends Error {
  override readonly name: string = 'DepotAway';
  /** Nothing of what was asked has left: it can be asked elsewhere, whatever it was. */
  readonly isUnsent: boolean;

  constructor(message: string, isUnsent = false) {
    super(message);
    this.isUnsent = isUnsent;
  }
}

/** It went away while it took something, of which too much had left to begin anew elsewhere. */
export class DepotBroke extends DepotAway {
  override readonly name = 'DepotBroke';
}

/** It is there, but busy, or failed at this one thing. */
export class DepotFailed extends DepotAway {
  override readonly name = 'DepotFailed';
  readonly status: number;
  /** Seconds after which it may be asked again; null: it did not say. */
  readonly retrySeconds: number | null;

  constructor(status: number, retrySeconds: number | null, why?: string) {
    super(why ?? (status === 503 ? 'the depot is busy' : `the depot failed at it: ${status}`));
    this.status = status;
    this.retrySeconds = retrySeconds;
  }
}

/** What it has stored is not what was published: that stays so, however often it is asked. */
export class DepotDamaged extends DepotFailed {
  constructor() {
    super(500, null, 'the bytes that the depot has stored are damaged');
  }
}

/** It answered something that no depot answers. */
export class DepotLies extends Error {
  override readonly name = 'DepotLies';
}

/** An hour: who is told to wait for longer would forget it. */
const RETRY_SECONDS_MAX = 3_600;
/** What a proxy says when it finds no depot behind it; 520 to 530 are of one that many use. */
const NOBODY_BEHIND: ReadonlySet<number> = new Set([502, 504, 520, 521, 522, 523, 524, 525, 526, 527, 530]);

/**
 * What an answer of 500 and more means; null: it is an answer, a full store says so.
 * @param retryAfter its header. @param problem code of the problem that it told
 */
export function troubleOf(status: number, retryAfter: string | null, problem: string | null = null): DepotAway | null {
  if (status < 500 || status === 507) return null;
  if (status === 500 && problem === 'BAD_DATA') return new DepotDamaged();
  const retrySeconds =
    retryAfter !== null && /^\d{1,9}$/.test(retryAfter) ? Math.min(RETRY_SECONDS_MAX, Number(retryAfter)) : null;
  // One that does not say when it will be well is not well.
  if (NOBODY_BEHIND.has(status) || (status === 503 && retrySeconds === null))
    return new DepotAway(`the depot answered ${status}`);
  return new DepotFailed(status, retrySeconds);
}

const UNSENT: ReadonlySet<unknown> = new Set([
  'ECONNREFUSED',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EHOSTDOWN',
  'ENETDOWN',
  'ENOTFOUND',
  'EAI_AGAIN',
  'UND_ERR_CONNECT_TIMEOUT',
]);

/** There was no connection. */
export function isUnsent(error: unknown): boolean {
  return UNSENT.has((error as { readonly code?: unknown }).code);
}

/** For people; without addresses of inner hosts beyond what the user named. */
export function reasonOf(error: unknown): string {
  const { code, message } = error as { code?: unknown; message?: unknown };
  return typeof code === 'string' ? code : plain(String(message ?? error).split('\n', 1)[0]!);
}

/** What is to be said where none has done it: one that is busy will do it later. @param errors one at least */
export function togetherOf(errors: readonly unknown[]): unknown {
  const failed = errors.filter((error) => error instanceof DepotFailed);
  if (failed.length > 0) return failed.find(({ status }) => status === 503) ?? failed[0]!;
  const away = errors.find((error) => error instanceof DepotAway);
  if (away === undefined) return errors[0];
  const reasons = new Set(errors.map((error) => (error as Error).message));
  return new DepotAway(`none of ${errors.length}: ${[...reasons].slice(0, 3).join(', ')}`);
}

/** What goes wrong as an answer (RFC 9457, problem details): one table from the codes of errors to statuses. Pure. */
import { type ErrorCode, HaulError } from '../../errors.js';

/** An answer that is no success. `detail` is for people and holds nothing secret. */
export class Problem extends Error {
  override readonly name = 'Problem';
  readonly status: number;
  /** Of the closed set of `PROBLEM_CODES`. */
  readonly code: string;
  readonly headers: Readonly<Record<string, string>>;

  /** @param status one of `STATUS_TITLES` */
  constructor(status: number, code: string, detail: string, headers: Readonly<Record<string, string>> = {}) {
    super(detail);
    this.status = status;
    this.code = code;
    this.headers = headers;
  }

  get body(): { type: string; title: string; status: number; detail: string; code: string } {
    const { status, code, message: detail } = this;
    const type = `urn:swarmhaul:${code.toLowerCase().replaceAll('_', '-')}`;
    return { type, title: STATUS_TITLES[status] ?? 'Error', status, detail, code };
  }
}

/** What another depot's problem says; null: nothing that can be understood, a proxy may answer there. */
export function readProblem(body: Uint8Array): { readonly detail: string | null; readonly code: string | null } {
  const none = { detail: null, code: null };
  try {
    const said: unknown = JSON.parse(Buffer.from(body).toString('utf8'));
    if (typeof said !== 'object' || said === null) return none;
    const { detail, code } = said as { detail?: unknown; code?: unknown };
    return {
      detail: typeof detail === 'string' ? detail : null,
      code: typeof code === 'string' && /^[A-Z0-9_]{1,40}$/.test(code) ? code : null,
    };
  } catch {
    return none;
  }
}

export const STATUS_TITLES: Readonly<Record<number, string>> = {
  400: 'Bad request',
  401: 'A token is needed',
  403: 'Not allowed',
  404: 'Not found',
  405: 'Method not allowed',
  406: 'Not acceptable',
  408: 'Too slow',
  409: 'Not as things are now',
  412: 'Precondition failed',
  413: 'Too large',
  414: 'The URL is too long',
  415: 'Unsupported encoding of the body',
  416: 'No such range',
  417: 'Expectation failed',
  421: 'Not a name of this host',
  422: 'The bytes are not those of the digest',
  429: 'Too many wrong tokens',
  431: 'The headers are too large',
  500: 'Internal error',
  501: 'Not implemented',
  502: 'The depot gave no answer that can be believed',
  503: 'Not available now',
  504: 'The depot cannot be reached',
  505: 'Not a version of HTTP that is spoken here',
  507: 'No space',
};

const RETRY = { 'retry-after': '5' };

/** Of errors of ours; what is not here is an internal error. */
const BY_CODE: Partial<
  Readonly<Record<ErrorCode, readonly [status: number, headers?: Readonly<Record<string, string>>]>>
> = {
  BAD_ARGUMENT: [400],
  NOT_FOUND: [404],
  TIMEOUT: [408],
  FILE_EXISTS: [409],
  LIMIT: [413],
  MISMATCH: [422],
  NO_SPACE: [507],
  READ_ONLY: [503, RETRY],
  SYSTEM_LIMIT: [503, RETRY],
  POOL: [503, RETRY],
  IN_USE: [503, RETRY],
  NETWORK: [503, RETRY],
  CLOSED: [503, RETRY],
  ABORTED: [503, RETRY],
};

/** Messages of other errors may name folders of this machine, which are nobody's business. */
const SHOWN: ReadonlySet<ErrorCode> = new Set(['BAD_ARGUMENT', 'FILE_EXISTS', 'LIMIT', 'MISMATCH', 'TIMEOUT']);

const PLAIN_DETAIL: Partial<Readonly<Record<ErrorCode, string>>> = {
  NOT_FOUND: 'there is no such artifact',
  NO_SPACE: 'the depot has no space for it',
  READ_ONLY: 'the store or the catalogue of the depot is read-only',
  NETWORK: 'what the depot stands on is not reached now: try again',
  IN_USE: 'somebody else is busy with the same: try again',
  BAD_DATA: 'the stored bytes are not those that were published',
  CLOSED: 'the depot is being stopped',
  ABORTED: 'the depot is being stopped',
};

const INSIDE = 'something went wrong inside; the log of the depot has more';

/** @returns the answer, and whether the operator should hear of it */
export function problemOf(error: unknown): { readonly problem: Problem; readonly isOurFault: boolean } {
  if (error instanceof Problem) return { problem: error, isOurFault: error.status === 500 };
  if (!(error instanceof HaulError))
    return {
      problem: new Problem(500, 'INTERNAL', INSIDE),
      isOurFault: true,
    };
  // A file that the depot needs is none that was asked for.
  const isOurFile = error.code === 'NOT_FOUND' && error.facts.errno !== undefined;
  const [status, headers] = (isOurFile ? undefined : BY_CODE[error.code]) ?? [500];
  const detail = SHOWN.has(error.code) ? error.message : ((isOurFile ? undefined : PLAIN_DETAIL[error.code]) ?? INSIDE);
  const isOurFault = status >= 500 && error.code !== 'CLOSED' && error.code !== 'ABORTED';
  return { problem: new Problem(status, isOurFile ? 'IO' : error.code, detail, headers), isOurFault };
}

/** Errors as clients of the Actions cache read them: JSON with `message` (v1), Twirp (v2), Azure's XML. */
import { json } from '../http/artifact-routes.js';
import { Problem } from '../http/problems.js';
import type { Exchange, Refusal } from '../http/route.js';
import { CACHE_LIMITS } from './limits.js';

export const refusalV1: Refusal = ({ status, message, code, headers }) =>
  json(status, { message, typeKey: code }, headers);

/** As Twirp names them. */
const TWIRP_CODES: Readonly<Record<number, string>> = {
  400: 'invalid_argument',
  401: 'unauthenticated',
  403: 'permission_denied',
  404: 'not_found',
  408: 'deadline_exceeded',
  409: 'already_exists',
  413: 'resource_exhausted',
  422: 'failed_precondition',
  502: 'unavailable',
  503: 'unavailable',
  504: 'unavailable',
  507: 'resource_exhausted',
};

export const refusalTwirp: Refusal = ({ status, message, headers }) =>
  json(status, { code: TWIRP_CODES[status] ?? 'internal', msg: message }, headers);

/** The client reads the code of an error from a header. */
export const refusalBlob: Refusal = ({ status, message, code, headers }) => {
  const name = code.toLowerCase().replace(/(?:^|_)([a-z])/g, (_, letter: string) => letter.toUpperCase());
  const error = `<Error><Code>${name}</Code><Message>${text(message)}</Message></Error>`;
  const body = `<?xml version="1.0" encoding="utf-8"?>${error}`;
  return { status, headers: { ...headers, 'content-type': 'application/xml', 'x-ms-error-code': name }, body };
};

function text(message: string): string {
  return message.replace(/[<>&]/g, (character) => `&#${character.charCodeAt(0)};`);
}

/** The whole of a small body, which has to come at once. @throws Problem 408, 413 */
export async function smallBody(exchange: Exchange, bytesMax: number): Promise<Buffer> {
  const given = await exchange.body();
  let late: NodeJS.Timeout | undefined;
  const tooLate = new Promise<never>((_, reject) => {
    const problem = new Problem(408, 'TIMEOUT', 'the body came too slowly');
    late = setTimeout(() => reject(problem), CACHE_LIMITS.smallBodyMs);
  });
  const body = collect(given, bytesMax);
  // One that is waited for no more ends with its connection.
  body.catch(() => {});
  return Promise.race([body, tooLate]).finally(() => clearTimeout(late));
}

async function collect(body: AsyncIterable<Uint8Array>, bytesMax: number): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of body) {
    bytes += chunk.length;
    if (bytes > bytesMax) throw new Problem(413, 'LIMIT', `the body has at most ${bytesMax} bytes here`);
    chunks.push(Buffer.from(chunk));
  }
  return Buffer.concat(chunks);
}

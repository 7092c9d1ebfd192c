/** Answers that many routes give. */
import { Problem } from './problems.js';
import type { Answer } from './route.js';

/** One answer after another: what is made of a row. */
export function json(status: number, value: unknown, headers: Readonly<Record<string, string>> = {}): Answer {
  return jsonBody(`${JSON.stringify(value)}\n`, status, headers);
}

/** The same of what is a line of JSON already. */
export function jsonBody(
  body: NonNullable<Answer['body']>,
  status = 200,
  headers: Readonly<Record<string, string>> = {},
): Answer {
  return { status, headers: { 'content-type': 'application/json', 'cache-control': 'no-store', ...headers }, body };
}

/** RFC 9457. */
export function problemAnswer({ status, headers, body }: Problem): Answer {
  const own = { 'content-type': 'application/problem+json', 'cache-control': 'no-store', ...headers };
  return { status, headers: own, body: `${JSON.stringify(body)}\n` };
}

export function notFound(detail = 'there is no such artifact'): Problem {
  return new Problem(404, 'NOT_FOUND', detail);
}

/** The page at "/" and its files, from memory. Everything it loads is ours, and nothing in it is of a stranger. */
import { z } from 'zod';
import { PAGE_FILES, type PageFile, pageFile } from '../page-files.js';
import { COMMON_ANSWERS, notFound } from './artifact-routes.js';
import { isNoneMatch } from './conditions.js';
import type { Answer, AnswerDoc, Exchange, Operation, Route } from './route.js';

const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "connect-src 'self'",
  "img-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join('; ');

function answerOf({ request }: Exchange, { type, etag, body }: PageFile): Answer {
  const headers = {
    'content-security-policy': POLICY,
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'no-referrer',
    'cross-origin-opener-policy': 'same-origin',
    'cache-control': 'no-cache',
    etag,
  };
  const noneMatch = request.headers['if-none-match'];
  if (noneMatch !== undefined && !isNoneMatch(noneMatch, etag)) return { status: 304, headers };
  return { status: 200, headers: { ...headers, 'content-type': type }, body };
}

type Media = Required<Pick<AnswerDoc, 'type'>> & Pick<AnswerDoc, 'others'>;
const HTML = 'text/html';
const OF_FILES: Media = { type: 'text/javascript', others: { 'text/css': null, 'image/svg+xml': null, [HTML]: null } };

export function pageRoutes(): Route[] {
  const operation = (id: string, summary: string, page: Media, handle: Operation['handle']): Operation => ({
    id,
    summary,
    scope: null,
    query: null,
    answers: {
      200: { description: 'it', ...page },
      304: { description: 'still that of If-None-Match' },
      ...COMMON_ANSWERS,
    },
    handle,
  });
  const first = operation('page', 'A page for people', { type: HTML }, (exchange) =>
    answerOf(exchange, pageFile('page.html')!),
  );
  const file = operation('pageFile', 'What the page is made of', OF_FILES, (exchange) => {
    const found = pageFile(exchange.params.file!);
    if (found === null) throw notFound('the page has no such file');
    return answerOf(exchange, found);
  });
  const answers = {
    ...file.answers,
    404: { description: 'there is none', type: 'application/problem+json', schema: 'Problem' as const },
  };
  return [
    { template: '/', params: {}, operations: { GET: first } },
    {
      template: '/page/{file}',
      params: { file: { schema: z.enum(PAGE_FILES), description: 'A file of the page' } },
      operations: { GET: { ...file, answers } },
    },
  ];
}

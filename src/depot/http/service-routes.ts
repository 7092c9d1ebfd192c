/** What those who run a depot ask: is it well, which version, how many, what happens; and the first page. */
import { groupOf } from '../../net/remote-group.js';
import { COMMON_ANSWERS, json } from './artifact-routes.js';
import type { Inside } from './inside.js';
import { DEPOT_HTTP_LIMITS } from './limits.js';
import { EVENT_HEADERS } from './listeners.js';
import { openApi } from './openapi.js';
import { pageRoutes } from './page-routes.js';
import { Problem } from './problems.js';
import type { Answer, AnswerDoc, Handler, Operation, Route } from './route.js';
import { NO_QUERY } from './schemas.js';
import { type Anonymous, checkGrant } from './tokens.js';

const JSON_TYPE = 'application/json';

function route(template: string, operation: Omit<Operation, 'query'> & { readonly query?: null }): Route {
  return { template, params: {}, operations: { GET: { ...operation, query: NO_QUERY } } };
}

function ok(description: string, type: string, schema?: AnswerDoc['schema']): Record<number, AnswerDoc> {
  const doc = schema === undefined ? { description, type } : { description, type, schema };
  return { 200: doc, ...COMMON_ANSWERS };
}

function text(body: string, type: string, headers: Readonly<Record<string, string>> = {}): Answer {
  return { status: 200, headers: { 'content-type': type, 'cache-control': 'no-store', ...headers }, body };
}

/** What these routes need, of a depot or an agent. */
export type Service = Pick<Inside, 'readiness' | 'metrics' | 'listeners' | 'version'>;

/** @param abilities headers that tell who asks whether it is well what it can do */
export function serviceRoutes(inside: Service, abilities: Readonly<Record<string, string>> = {}): Route[] {
  const routes: Route[] = [];
  const add = (
    template: string,
    id: string,
    summary: string,
    more: Pick<Operation, 'scope' | 'answers'>,
    handle: Handler,
  ) => void routes.push(route(template, { id, summary, ...more, handle }));
  add('/healthz', 'health', 'Whether the process runs', { scope: null, answers: ok('it does', 'text/plain') }, () =>
    text('ok\n', 'text/plain', abilities),
  );
  const ready = {
    ...ok('all is ready', JSON_TYPE, 'Readiness'),
    503: { description: 'something is not', type: JSON_TYPE, schema: 'Readiness' as const },
  };
  add(
    '/readyz',
    'readiness',
    'Whether requests can be served, and what is missing',
    { scope: null, answers: ready },
    async () => {
      const checks = await inside.readiness();
      const isReady = checks.every((check) => check.isReady);
      const told = checks.map(({ name, isReady: isThisReady, message }) => ({ name, ready: isThisReady, message }));
      return json(isReady ? 200 : 503, { ready: isReady, checks: told });
    },
  );
  add('/version', 'version', 'Which version runs', { scope: null, answers: ok('it', JSON_TYPE, 'Version') }, () =>
    json(200, { name: 'swarmhaul', version: inside.version }),
  );
  add(
    '/metrics',
    'metrics',
    'Figures for Prometheus',
    { scope: 'read', answers: ok('figures', 'text/plain') },
    async () => {
      const { type, text: body } = await inside.metrics();
      return text(body, type);
    },
  );
  const stream = ok('events, as long as the client listens', 'text/event-stream');
  add(
    '/events',
    'events',
    'What happens, as server-sent events',
    { scope: 'read', answers: stream },
    ({ response, request, grant }) => {
      checkGrant(grant, 'read', null);
      // The head alone, and no place of those who listen.
      if (request.method === 'HEAD') return { status: 200, headers: EVENT_HEADERS };
      const group = groupOf(request.socket.remoteAddress ?? '');
      if (inside.listeners.add(response, group, grant.prefix)) return null;
      const headers = { 'retry-after': String(DEPOT_HTTP_LIMITS.retrySeconds) };
      throw new Problem(503, 'BUSY', 'too many listen already', headers);
    },
  );
  return [...routes, ...pageRoutes()];
}

/** The description of all routes, of itself as well. */
export function withOpenApi(
  routes: readonly Route[],
  { version }: Pick<Service, 'version'>,
  anonymous: Anonymous,
  title = 'Swarmhaul depot',
): Route[] {
  let document: string | null = null;
  const all: Route[] = [...routes];
  all.push(
    route('/openapi.json', {
      id: 'openApi',
      summary: 'This description (OpenAPI 3.1)',
      scope: null,
      answers: ok('it', JSON_TYPE),
      handle: () => {
        document ??= JSON.stringify(openApi(all, version, anonymous, title));
        return text(document, JSON_TYPE);
      },
    }),
  );
  return all;
}

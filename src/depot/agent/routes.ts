/** What the agent answers: artifacts under the names that they have at the depot, and what it has to say of itself. */
import { z } from 'zod';
import { artifactJson } from '../http/artifact-json.js';
import {
  bytesOf,
  COMMON_ANSWERS,
  DELETE_ANSWERS,
  GET_ANSWERS as DEPOT_GET_ANSWERS,
  json,
  notFound,
  PROBLEM,
  PUT_ANSWERS,
  TYPED_ANSWERS,
} from '../http/artifact-routes.js';
import { etagOf } from '../http/conditions.js';
import { Problem } from '../http/problems.js';
import type { Answer, AnswerDoc, Exchange, Operation, Route } from '../http/route.js';
import { GET_QUERY, HEX40, HEX64, NAME_PART, NO_QUERY, PUT_QUERY } from '../http/schemas.js';
import type { PieceMapAnswer } from '../http/status-source.js';
import { fullName, type Space } from '../names.js';
import { type AnswerReadParts, answerRead, resolveOrFail } from './answer-read.js';
import type { DepotPort } from './depot-port.js';
import type { Directory, Offer, Resolved } from './directory.js';
import { listingRoute } from './listing.js';
import type { LocalPlaces } from './local-places.js';
import { passOn } from './pass-on.js';
import type { PutFill } from './put-fill.js';

export interface AgentInside extends AnswerReadParts {
  readonly directory: Directory;
  readonly client: DepotPort;
  readonly fill: PutFill;
  readonly places: LocalPlaces;
  /** For `/status`. */
  readonly status: () => Record<string, unknown>;
  /** Null: it is not awake. */
  readonly pieces: (infoHash: string) => PieceMapAnswer | null;
}

/** What comes of asking the depot. */
const FROM_DEPOT: Readonly<Record<number, AnswerDoc>> = {
  502: PROBLEM('the depot answered something that cannot be believed, or failed at it'),
  504: PROBLEM('the depot is away, and it is not cached'),
};
const GET_ANSWERS: Readonly<Record<number, AnswerDoc>> = { ...DEPOT_GET_ANSWERS, ...FROM_DEPOT };
const ARTIFACT_ANSWERS: Readonly<Record<number, AnswerDoc>> = {
  ...GET_ANSWERS,
  ...TYPED_ANSWERS,
  200: { ...TYPED_ANSWERS[200]!, others: { 'application/json': 'Artifact' } },
};

/** What shows that the depot could not be asked (RFC 9111, 5.1 and 5.5). */
export function staleHeaders({ staleSeconds }: Resolved): Record<string, string> {
  if (staleSeconds === null) return {};
  return {
    age: String(staleSeconds),
    warning: '111 swarmhaul "the depot cannot be asked: this is what it said last"',
    'x-swarmhaul-stale': String(staleSeconds),
  };
}

const CONDITIONS = ['range', 'if-match', 'if-none-match'];

/** Whatever comes of the request. */
function dropAtEnd({ signal }: Exchange, offer: Offer): void {
  if (signal.aborted) offer.drop();
  else signal.addEventListener('abort', () => offer.drop(), { once: true });
}

/** The answer with the bytes of a full name, or what is known of it. @throws Problem */
export async function getBytes(exchange: Exchange, inside: AgentInside, name: string): Promise<Answer> {
  const { request, query } = exchange;
  // Of these all bytes will be wanted, if they are not here.
  const isPlain =
    request.method === 'GET' && query.info === undefined && !CONDITIONS.some((one) => one in request.headers);
  const resolved = await resolveOrFail(inside.directory, name, isPlain ? 'bytes' : 'row');
  const { row, offer } = resolved;
  if (offer !== undefined) dropAtEnd(exchange, offer);
  if (query.info === '') return json(200, infoOf(resolved, exchange.base), { etag: etagOf(row.sha256) });
  const id = inside.receipts.newId();
  const { signal } = exchange;
  const depository = {
    read: (_row: unknown, range: { begin: number; end: number }) => answerRead(inside, { id, resolved, range, signal }),
  };
  const answer = bytesOf(exchange, row, { depository }, name.startsWith('cas/'));
  const hasBytes = typeof answer.body === 'object' && exchange.request.method === 'GET';
  const receipt: Record<string, string> = hasBytes ? { 'x-swarmhaul-receipt': id } : {};
  return { ...answer, headers: { ...answer.headers, ...staleHeaders(resolved), ...receipt } };
}

/** As the depot has it, without the torrent: its announce URL has the key of the agent's token. */
function infoOf({ row }: Resolved, base: string): Record<string, unknown> {
  // Whoever asks an agent fetches from it by HTTP.
  return artifactJson({ ...row, infoHash: null }, base, null);
}

function getOperation(id: string, inside: AgentInside, space: Space, key: 'path' | 'key'): Operation {
  return {
    id,
    summary: 'The bytes, from the cache or from wherever they come first',
    scope: 'read',
    query: space === 'artifacts' ? GET_QUERY : NO_QUERY,
    answers: space === 'artifacts' ? ARTIFACT_ANSWERS : GET_ANSWERS,
    handle: (exchange) => {
      const { torrent, info, magnet } = exchange.query;
      if (torrent === '' || (magnet === '' && info !== ''))
        throw new Problem(404, 'NOT_FOUND', `an agent gives no torrents: ask the depot at ${inside.client.url}`);
      return getBytes(exchange, inside, fullName(space, exchange.params[key]!));
    },
  };
}

/** Writes go to the depot as they are: it decides whether they may. */
function writing(
  id: string,
  inside: AgentInside,
  space: Space,
  key: 'path' | 'key',
  method: 'PUT' | 'DELETE',
): Operation {
  return {
    id,
    summary: method === 'PUT' ? 'Passed on to the depot' : 'Removed at the depot',
    scope: method === 'PUT' ? 'write' : 'delete',
    query: null,
    ...(method === 'PUT' && space === 'artifacts' ? { told: PUT_QUERY } : {}),
    ...(method === 'PUT' ? { takesBody: true } : {}),
    answers: { ...(method === 'PUT' ? PUT_ANSWERS : DELETE_ANSWERS), ...FROM_DEPOT },
    handle: (exchange) => passOn(exchange, inside, fullName(space, exchange.params[key]!), method),
  };
}

function spaceRoute(inside: AgentInside, space: Space): Route {
  const key = space === 'artifacts' ? 'path' : 'key';
  const schema = space === 'artifacts' ? NAME_PART : HEX64;
  const title = space === 'artifacts' ? 'Artifact' : space === 'cas' ? 'Cas' : 'Ac';
  return {
    template: `/${space}/{${key}}`,
    params: { [key]: { schema, description: 'As at the depot' } },
    operations: {
      GET: getOperation(`get${title}`, inside, space, key),
      PUT: writing(`put${title}`, inside, space, key, 'PUT'),
      DELETE: writing(`remove${title}`, inside, space, key, 'DELETE'),
    },
  };
}

const RECEIPTS_QUERY = z.strictObject({
  limit: z
    .string()
    .regex(/^\d{1,4}$/)
    .transform(Number)
    .pipe(z.int().min(1).max(1_000))
    .optional()
    .describe('at most so many, the latest first'),
});

export function agentRoutes(inside: AgentInside): Route[] {
  const get = (id: string, summary: string, handle: Operation['handle'], more: Partial<Operation> = {}) => {
    const { query = NO_QUERY, answers = {} } = more;
    const all = { 200: { description: 'it', type: 'application/json' }, ...COMMON_ANSWERS, ...answers };
    return { GET: { id, summary, scope: 'read' as const, query, answers: all, handle } };
  };
  const anyText = { schema: z.string(), description: 'As a header of an answer named it' };
  return [
    ...(['artifacts', 'cas', 'ac'] as const).map((space) => spaceRoute(inside, space)),
    listingRoute(inside.client),
    {
      template: '/receipts',
      params: {},
      operations: get(
        'listReceipts',
        'Where the bytes of answers came from, the latest first',
        ({ query }) => json(200, { items: inside.receipts.latest((query.limit as number | undefined) ?? 100) }),
        { query: RECEIPTS_QUERY },
      ),
    },
    {
      template: '/receipts/{id}',
      params: { id: anyText },
      operations: get(
        'getReceipt',
        'Of one answer, once it has ended',
        async ({ params }) => {
          const receipt = await inside.receipts.soon(params.id!);
          if (receipt === null) throw notFound('there is no such receipt, or not yet, or not any more');
          return json(200, receipt);
        },
        { answers: { 404: PROBLEM('there is none') } },
      ),
    },
    {
      template: '/status',
      params: {},
      operations: get('status', 'The cache, fetches under way, the depot', () => json(200, inside.status())),
    },
    {
      template: '/status/{infoHash}',
      params: { infoHash: { schema: HEX40, description: 'Of a torrent that is awake' } },
      operations: get(
        'pieces',
        'Who has what of a torrent that is awake',
        ({ params }) => {
          const map = inside.pieces(params.infoHash!.toLowerCase());
          if (map === null) throw notFound('no torrent with this info-hash is awake');
          return json(200, map);
        },
        { answers: { 404: PROBLEM('it is not awake') } },
      ),
    },
    {
      template: '/local/{path}',
      params: { path: { schema: z.string(), description: 'A full name: artifacts/…' } },
      operations: get(
        'local',
        'Where a cached artifact lies on this machine',
        async ({ params, request }) =>
          json(200, await inside.places.find(params.path!, request.socket.remoteAddress ?? '')),
        { answers: { 404: PROBLEM('there is no such artifact'), ...FROM_DEPOT } },
      ),
    },
  ];
}

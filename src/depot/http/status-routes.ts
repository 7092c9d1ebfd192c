/** The figures of now as JSON: what the page shows. And pins, which it sets. */
import { fullName } from '../names.js';
import { artifactJson } from './artifact-json.js';
import { COMMON_ANSWERS, json, notFound } from './artifact-routes.js';
import type { Inside } from './inside.js';
import type { Answer, AnswerDoc, Exchange, Operation, Route } from './route.js';
import { HEX40, NAME_PART, NO_QUERY } from './schemas.js';
import type { StatusSource } from './status-source.js';
import { checkGrant } from './tokens.js';

const MISSING: AnswerDoc = {
  description: 'there is no such thing',
  type: 'application/problem+json',
  schema: 'Problem',
};

export function statusRoutes(source: StatusSource): Route[] {
  const operation = (
    id: string,
    summary: string,
    answers: Operation['answers'],
    handle: Operation['handle'],
  ): Route['operations'] => ({
    GET: { id, summary, scope: 'read', query: NO_QUERY, answers: { ...answers, ...COMMON_ANSWERS }, handle },
  });
  const type = 'application/json';
  return [
    {
      template: '/status',
      params: {},
      operations: operation(
        'status',
        'What is stored, moves, goes next and went wrong, as far as the token may see it',
        { 200: { description: 'figures of now', type, schema: 'Status' } },
        async ({ grant }) => json(200, await source.status(grant.prefix)),
      ),
    },
    {
      template: '/status/{infoHash}',
      params: { infoHash: { schema: HEX40, description: 'Of a torrent that is awake' } },
      operations: operation(
        'pieces',
        'Who has what of a torrent that is awake',
        { 200: { description: 'shares of columns, per cent', type, schema: 'PieceMap' }, 404: MISSING },
        async ({ grant, params }) => {
          const infoHash = params.infoHash!.toLowerCase();
          const map = /^[0-9a-f]{40}$/.test(infoHash) ? await source.pieces(infoHash, grant.prefix) : null;
          if (map === null) throw notFound('no torrent with this info-hash is awake');
          return json(200, map);
        },
      ),
    },
  ];
}

export function pinRoutes(inside: Pick<Inside, 'depository' | 'passkeyOf'>): Route[] {
  const pinning = (isPinned: boolean): Operation => ({
    id: isPinned ? 'pinArtifact' : 'unpinArtifact',
    summary: isPinned ? 'It never goes by itself' : 'It goes when its time has come',
    // What is unpinned may go: that takes more than to add.
    scope: isPinned ? 'write' : 'delete',
    query: NO_QUERY,
    answers: {
      200: { description: 'as it is now', type: 'application/json', schema: 'Artifact' },
      404: MISSING,
      ...COMMON_ANSWERS,
    },
    handle: (exchange) => pin(exchange, inside, isPinned),
  });
  return [
    {
      template: '/pins/{path}',
      params: { path: { schema: NAME_PART, description: 'Name of the artifact' } },
      operations: { PUT: pinning(true), DELETE: pinning(false) },
    },
  ];
}

async function pin(
  { grant, base, params }: Exchange,
  { depository, passkeyOf }: Pick<Inside, 'depository' | 'passkeyOf'>,
  isPinned: boolean,
): Promise<Answer> {
  const name = fullName('artifacts', params.path!);
  checkGrant(grant, isPinned ? 'write' : 'delete', name);
  const row = await depository.pin(name, isPinned);
  if (row === null) throw notFound();
  return json(200, artifactJson(row, base, passkeyOf(grant.token)));
}

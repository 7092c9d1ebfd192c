/** What becomes of artifacts that come from peers: told, and given up. */
import type { ArrivalView } from '../p2p/port.js';
import { arrivalJson } from './arrival-json.js';
import { COMMON_ANSWERS } from './artifact-routes.js';
import type { Inside } from './inside.js';
import { json } from './plain-answers.js';
import { Problem } from './problems.js';
import type { Exchange, Operation, Route } from './route.js';
import { HEX32, NO_QUERY } from './schemas.js';
import { checkGrant } from './tokens.js';

/** Who may write the name may see, and give up, what comes under it. @throws Problem */
function viewOf({ params, grant }: Exchange, inside: Inside): ArrivalView {
  const view = inside.byPeers?.find(params.id!) ?? null;
  if (view === null) throw new Problem(404, 'NOT_FOUND', 'there is no such upload, or it is long over');
  checkGrant(grant, 'write', view.name);
  return view;
}

export function arrivalRoutes(inside: Inside): Route[] {
  const unknown = { description: 'there is none', type: 'application/problem+json', schema: 'Problem' } as const;
  const get: Operation = {
    id: 'getArrival',
    summary: 'How far an artifact is that comes from peers',
    scope: 'write',
    query: NO_QUERY,
    answers: {
      200: { description: 'it', type: 'application/json', schema: 'Arrival' },
      ...COMMON_ANSWERS,
      404: unknown,
    },
    handle: (exchange) => {
      const view = viewOf(exchange, inside);
      return json(200, arrivalJson(view, exchange.base, inside.passkeyOf(exchange.grant.token)));
    },
  };
  const removing: Operation = {
    id: 'removeArrival',
    summary: 'Give it up: nothing of what came is kept',
    scope: 'write',
    query: NO_QUERY,
    answers: { 204: { description: 'gone' }, ...COMMON_ANSWERS, 404: unknown },
    handle: async (exchange) => {
      await inside.byPeers?.drop(viewOf(exchange, inside).id);
      return { status: 204 };
    },
  };
  const id = { schema: HEX32, description: 'As the Location of the PUT has it' };
  return [{ template: '/arrivals/{id}', params: { id }, operations: { GET: get, DELETE: removing } }];
}

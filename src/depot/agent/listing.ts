/** Names below a prefix, as the depot lists them to the agent's token, under the addresses of the agent. */
import { COMMON_ANSWERS, json, PROBLEM } from '../http/artifact-routes.js';
import { DEPOT_HTTP_LIMITS } from '../http/limits.js';
import type { Answer, Exchange, Route } from '../http/route.js';
import { LIST_QUERY, LISTING, NAME_PART } from '../http/schemas.js';
import { encodePath } from '../http/target.js';
import { fullName } from '../names.js';
import { asProblem } from './answer-read.js';
import { drop, readAnswer, refusal } from './depot-answers.js';
import type { DepotPort } from './depot-port.js';
import { DepotLies } from './depot-trouble.js';
import { AGENT_LIMITS } from './limits.js';

async function list({ params, target, base }: Exchange, client: DepotPort): Promise<Answer> {
  const prefix = params.prefix!;
  const path = prefix === '' ? '/artifacts/' : `/${encodePath(fullName('artifacts', prefix))}/`;
  const query = target.rawQuery === '' ? '' : `?${target.rawQuery}`;
  const answer = await client.ask(`${path}${query}`, { timeoutMs: AGENT_LIMITS.answerMs });
  if (answer.status >= 400) throw await refusal(answer);
  if (answer.status !== 200) {
    drop(answer.body);
    throw new DepotLies(`it answered ${answer.status} to a listing`);
  }
  const { listingBytes, answerMs } = AGENT_LIMITS;
  const listing = LISTING.safeParse(jsonOf(await readAnswer(answer.body, listingBytes, answerMs)));
  const below = prefix === '' ? '' : `${prefix}/`;
  const isRight =
    listing.success &&
    listing.data.items.length <= DEPOT_HTTP_LIMITS.listRows &&
    listing.data.items.every(({ name }) => name.startsWith(below));
  if (!isRight) throw new DepotLies('what it lists is no listing of that prefix');
  const { items, cursor } = listing.data;
  return json(200, {
    prefix: below,
    // As of one artifact: torrents name the key of the agent's token.
    items: items.map((item) => ({
      ...item,
      infoHash: null,
      url: `${base}/artifacts/${encodePath(item.name)}`,
      torrentUrl: null,
      magnet: null,
    })),
    cursor,
  });
}

function jsonOf(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8')) as unknown;
  } catch {
    return null;
  }
}

export function listingRoute(client: DepotPort): Route {
  return {
    template: '/artifacts/{prefix}/',
    params: { prefix: { schema: NAME_PART, description: 'As at the depot' } },
    operations: {
      GET: {
        id: 'listArtifacts',
        summary: 'What the depot holds below a prefix',
        scope: 'read',
        query: LIST_QUERY,
        answers: {
          200: { description: 'one page of it', type: 'application/json', schema: 'Listing' },
          ...COMMON_ANSWERS,
          404: PROBLEM('the cursor is of another listing'),
          502: PROBLEM('the depot answered something that cannot be believed, or failed at it'),
          504: PROBLEM('the depot is away'),
        },
        handle: (exchange) =>
          list(exchange, client).catch((error: unknown) => {
            throw asProblem(error);
          }),
      },
    },
  };
}

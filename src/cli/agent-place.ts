/**
 * Whom commands ask: the agent of this host where one is named, else the depot. An agent that the environment names and
 * that is away is passed over where the depot is known; one that the command line names is meant.
 */
import { get } from 'node:http';
import { HaulError } from '../errors.js';
import type { DepotPlaceOptions } from './depot-options.js';
import { checkUrl, credentialsOf, type DepotPlace, findDepot, ownConfig } from './depot-place.js';
import type { Output } from './output.js';

/** An agent on this machine answers at once. */
const ANSWER_MS = 3_000;

/** Null: nobody names one. @throws HaulError BAD_ARGUMENT; NETWORK: the agent is away, and no depot is known */
export async function findPlace(
  options: DepotPlaceOptions,
  output: Pick<Output, 'warn'>,
  env: NodeJS.ProcessEnv = process.env,
): Promise<DepotPlace | null> {
  if (options.agent !== undefined && options.depot !== undefined)
    throw new HaulError('BAD_ARGUMENT', 'either --agent or --depot', { option: 'agent' });
  const depot = await findDepot(options, env);
  if (options.depot !== undefined) return depot;
  const config = await ownConfig(env);
  const [named, from] =
    options.agent !== undefined ? [options.agent, '--agent'] : [env.SWARMHAUL_AGENT || config.agent, 'agent'];
  if (named === undefined) return depot;
  checkUrl(named, from);
  const url = named.replace(/\/+$/, '');
  const why = await whyAway(url);
  if (why === null) return { ...credentialsOf(options, env, config), url, urls: [url], isAgent: true };
  if (options.agent === undefined && depot !== null) {
    output.warn(`agent ${url}: ${why}; the depot is asked itself`, { code: 'AGENT_AWAY' });
    return depot;
  }
  throw new HaulError('NETWORK', `agent ${url}: ${why}; is haul agent running there?`, { errno: 'AGENT_AWAY' });
}

/** @throws HaulError BAD_ARGUMENT: nobody names one; and as `findPlace` */
export async function needPlace(options: DepotPlaceOptions, output: Pick<Output, 'warn'>): Promise<DepotPlace> {
  const place = await findPlace(options, output);
  if (place !== null) return place;
  throw new HaulError('BAD_ARGUMENT', 'which depot? Give --depot URL, or set SWARMHAUL_DEPOT', { option: 'depot' });
}

/** Null: somebody answers there. Behind TLS it is a proxy, which is asked when it is needed. */
function whyAway(url: string): Promise<string | null> {
  if (!/^http:/i.test(url)) return Promise.resolve(null);
  return new Promise((resolve) => {
    const request = get(`${url}/healthz`, { agent: false }, ({ statusCode }) => {
      resolve(statusCode === 200 ? null : `it answered ${statusCode}`);
      // What follows may have no end.
      request.destroy();
    });
    const late = setTimeout(() => request.destroy(new Error(`no answer within ${ANSWER_MS / 1000} s`)), ANSWER_MS);
    request.once('close', () => clearTimeout(late));
    request.on('error', (error: NodeJS.ErrnoException) =>
      resolve(error.code === 'ECONNREFUSED' ? 'nobody answers there' : error.message),
    );
  });
}

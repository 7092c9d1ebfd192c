/**
 * `startAgent`: options checked, the rest loaded when it is first used. An agent is one process per host that fetches
 * what jobs ask for through the swarm, keeps it for the next, and gives it back; `start.ts` puts its parts together.
 */
import { HaulError } from '../../errors.js';
import {
  callable,
  checkOptions,
  listOf,
  port,
  type Rule,
  type Rules,
  signal,
  wholeNumber,
  words,
} from '../../library/check-options.js';
import type { Agent, AgentOptions } from './api.js';

const isObject: Rule = (value) => (typeof value === 'object' && value !== null ? null : 'must be an object');
const isToken: Rule = (value) =>
  typeof value === 'string' && /^[A-Za-z0-9._~+/=-]{1,512}$/.test(value) ? null : 'must be a token';

/** Less would hold next to nothing. */
const CACHE_BYTES_MIN = 64 * 1024 * 1024;

const RULES: Rules<AgentOptions> = {
  depot: (value) => (typeof value === 'string' ? words(value) : listOf(words, 'URLs')(value)),
  token: isToken,
  cache: words,
  cacheBytes: wholeNumber(CACHE_BYTES_MIN, Number.MAX_SAFE_INTEGER),
  host: words,
  httpPort: port,
  allowHosts: listOf(words, 'names of hosts'),
  engine: isObject,
  log: callable,
  onRequest: callable,
  onReceipt: callable,
  signal,
};

/**
 * Starts an agent; resolves when it takes requests. The depot need not be there.
 * @throws HaulError BAD_ARGUMENT, IN_USE (another agent has the cache), PORT_IN_USE, NO_PERMISSION, READ_ONLY,
 * NO_SPACE, IO, ABORTED
 */
export async function startAgent(options: AgentOptions): Promise<Agent> {
  // A token that is wrong is not shown for it.
  const token = options?.token;
  if (token !== undefined && isToken(token) !== null)
    throw new HaulError('BAD_ARGUMENT', 'the token is none: it has characters that tokens do not have', {
      call: 'startAgent',
      option: 'token',
    });
  checkOptions('startAgent', options, RULES);
  for (const option of ['depot', 'cache'] as const)
    if (options[option] === undefined)
      throw new HaulError('BAD_ARGUMENT', `startAgent needs ${option}`, { call: 'startAgent', option });
  const { openAgent } = await import('./start.js');
  return openAgent(options);
}

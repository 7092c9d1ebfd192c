/** The depots that an agent is told of. Pure. */
import { HaulError } from '../../errors.js';
import { AGENT_LIMITS } from './limits.js';

/** The base URL of a depot as the user gives it. @throws HaulError BAD_ARGUMENT */
export function checkDepotUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : null;
  const isHttp = url !== null && (url.protocol === 'http:' || url.protocol === 'https:');
  if (!isHttp || url.search !== '' || url.hash !== '')
    throw new HaulError('BAD_ARGUMENT', 'the depot is an http or https URL without a query', { option: 'depot' });
  if (url.username !== '' || url.password !== '')
    throw new HaulError('BAD_ARGUMENT', 'the token is no part of the URL: use --token @FILE or SWARMHAUL_TOKEN', {
      option: 'depot',
    });
  return `${url.origin}${url.pathname.replace(/\/+$/, '')}`;
}

/** Each once, as they were named. @throws HaulError BAD_ARGUMENT */
export function checkDepotUrls(given: string | readonly string[]): readonly string[] {
  const urls = new Set((typeof given === 'string' ? [given] : given).map(checkDepotUrl));
  const { depots } = AGENT_LIMITS;
  if (urls.size >= 1 && urls.size <= depots) return [...urls];
  const text = urls.size === 0 ? 'no depot is named' : `${urls.size} depots are named, ${depots} may be`;
  throw new HaulError('BAD_ARGUMENT', text, { option: 'depot' });
}

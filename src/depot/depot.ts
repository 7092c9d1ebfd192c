/**
 * `startDepot`: options checked, the rest loaded when it is first used. A depot is one process that publishes, tracks,
 * seeds and serves artifacts; `start.ts` puts its parts together.
 */
import { HaulError } from '../errors.js';
import {
  callable,
  checkOptions,
  flag,
  listOf,
  oneOf,
  port,
  type Rule,
  type Rules,
  signal,
  wholeNumber,
  words,
} from '../library/check-options.js';
import type { Depot, DepotOptions } from './api.js';
import { DEPOT_LIMITS } from './limits.js';

const isObject: Rule = (value) => (typeof value === 'object' && value !== null ? null : 'must be an object');
const isHttpUrl: Rule = (value) => {
  const url = typeof value === 'string' && URL.canParse(value) ? new URL(value) : null;
  const isPlain = url !== null && url.search === '' && url.hash === '' && url.username === '' && url.password === '';
  return isPlain && /^https?:$/.test(url.protocol) ? null : 'must be an http(s) URL without user, query and fragment';
};
const isOrigin: Rule = (value) =>
  typeof value === 'string' && URL.canParse(value) && new URL(value).origin === value ? null : 'must be an origin';

const RULES: Rules<DepotOptions> = {
  data: words,
  catalogue: words,
  store: words,
  storeCacheBytes: wholeNumber(64 * 2 ** 20, Number.MAX_SAFE_INTEGER),
  host: words,
  httpPort: port,
  tokens: words,
  tokenLines: words,
  anonymous: oneOf('none', 'read', 'all'),
  publicUrl: isHttpUrl,
  otherDepots: listOf(isHttpUrl, 'URLs of depots'),
  allowHosts: listOf(words, 'names of hosts'),
  corsOrigins: listOf(isOrigin, 'origins, as https://ci.example.org'),
  tls: isObject,
  retentionDays: wholeNumber(1, DEPOT_LIMITS.retentionDays),
  idleDays: wholeNumber(1, DEPOT_LIMITS.retentionDays),
  maxBytes: wholeNumber(1, Number.MAX_SAFE_INTEGER),
  maxDiskPercent: wholeNumber(1, 100),
  artifactBytesMax: wholeNumber(1, DEPOT_LIMITS.artifactBytes),
  torrentFromBytes: wholeNumber(0, Number.MAX_SAFE_INTEGER),
  udp: flag,
  peers: words,
  engine: isObject,
  log: callable,
  onRequest: callable,
  signal,
};

/**
 * Starts a depot; resolves when it takes requests.
 * @throws HaulError BAD_ARGUMENT (also: it would listen beyond loopback, and let anybody write), IN_USE (another
 * process has the folder), PORT_IN_USE, NO_PERMISSION, NOT_FOUND (a file that is named, or a database), BAD_DATA (the
 * catalogue is damaged), NETWORK (its server is not reached), READ_ONLY, IO, ABORTED
 */
export async function startDepot(options: DepotOptions): Promise<Depot> {
  checkOptions('startDepot', options, RULES);
  if (options.data === undefined) throw new HaulError('BAD_ARGUMENT', 'startDepot needs data', { option: 'data' });
  const { openDepot } = await import('./start.js');
  return openDepot(options);
}

/** HTTP and HTTPS trackers: announce (BEP 3, 7, 23) and scrape (BEP 48). */
import { LIMITS } from '../config.js';
import { HaulError } from '../errors.js';
import type { Requests } from '../net/http-client.js';
import { exchange } from '../net/http-get.js';
import { parseHttpUrl, shownUrl } from '../net/url.js';
import type { AnnounceReply, AnnounceRequest, ScrapeEntry } from './announce.js';
import type { TrackerConnections } from './tracker-connections.js';
import { peekFailure, readAnnounce, readReply, readScrape } from './tracker-reply.js';
import { announceUrl, scrapeUrl } from './tracker-url.js';

/** Some trackers turn clients away that do not say who they are. */
const USER_AGENT = 'Swarmhaul/0.1';
/** More would not fit the 8 KiB of request line that servers take. */
export const SCRAPE_HASHES_MAX = 64;

export interface TrackerCallOptions {
  /** Aborts the exchange with HaulError ABORTED. */
  readonly signal?: AbortSignal | undefined;
  /** Connections to use; default: those of `sharedClient`. An engine passes its own and destroys them on close. */
  readonly dispatcher?: Requests | undefined;
  /** In place of `dispatcher`: these also say where a redirect may lead. */
  readonly connections?: TrackerConnections | undefined;
  /** For the whole exchange with redirects; default LIMITS.trackerTimeoutMs. */
  readonly timeoutMs?: number | undefined;
  /** Chooses among the addresses of a reply that is too long; a generator of [0, 1), default Math.random. */
  readonly random?: (() => number) | undefined;
}

/**
 * Announces to a tracker over HTTP. Settles within `timeoutMs`, whatever the other side does.
 * @throws HaulError TRACKER (refused, or answered nonsense), TIMEOUT, NETWORK, ABORTED; each names the URL without its
 * query.
 */
export async function announceHttp(
  url: string,
  request: AnnounceRequest,
  options: TrackerCallOptions = {},
): Promise<AnnounceReply> {
  const body = await get(announceUrl(parseHttpUrl(url, 'tracker'), request), url, options);
  const where = `tracker ${shownUrl(url)}`;
  const reading = { ownId: request.peerId, random: options.random ?? Math.random };
  return readAnnounce(readReply(body, where, shownUrl(url)), reading, where, shownUrl(url));
}

/**
 * Asks how many seeds, leeches and completed downloads a tracker knows, by info-hash in hex. Hashes it does not know
 * are absent.
 * @param infoHashes 20 bytes each, 1 to SCRAPE_HASHES_MAX.
 * @throws HaulError as `announceHttp`; also TRACKER when the URL has no scrape form (BEP 48).
 */
export async function scrapeHttp(
  url: string,
  infoHashes: readonly Uint8Array[],
  options: TrackerCallOptions = {},
): Promise<Map<string, ScrapeEntry>> {
  if (infoHashes.length === 0 || infoHashes.length > SCRAPE_HASHES_MAX) {
    throw new HaulError('LIMIT', `a scrape asks for 1 to ${SCRAPE_HASHES_MAX} info-hashes, not ${infoHashes.length}`);
  }
  const where = `tracker ${shownUrl(url)}`;
  const target = scrapeUrl(parseHttpUrl(url, 'tracker'), infoHashes);
  if (target === null) {
    throw new HaulError('TRACKER', `${where}: cannot be scraped: its path does not end in /announce`, {
      url: shownUrl(url),
    });
  }
  const body = await get(target, url, options);
  return readScrape(readReply(body, where, shownUrl(url)), infoHashes, where, shownUrl(url));
}

/** The body of a 200 answer. Named by `url`, the tracker as configured: what was added to it is of no interest. */
async function get(target: URL, url: string, options: TrackerCallOptions): Promise<Buffer> {
  const { connections } = options;
  const where = `tracker ${shownUrl(url)}`;
  const { status, body } = await exchange(target, {
    signal: options.signal,
    dispatcher: connections?.any ?? options.dispatcher,
    clientFor: connections === undefined ? undefined : (from, to) => connections.clientFor(from, to, where),
    timeoutMs: options.timeoutMs ?? LIMITS.trackerTimeoutMs,
    redirectsMax: LIMITS.trackerRedirects,
    bodyBytesMax: LIMITS.trackerReplyBytes,
    where,
    userAgent: USER_AGENT,
  });
  if (status === 200) return body;
  const failure = peekFailure(body);
  const text = `tracker ${shownUrl(url)}: answered HTTP status ${status}${failure === null ? '' : `: ${failure}`}`;
  throw new HaulError('TRACKER', text, { url: shownUrl(url), status });
}

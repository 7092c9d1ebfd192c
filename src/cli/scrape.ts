/** What the trackers of a torrent say of it (BEP 48, 15): asked once, for `haul inspect --scrape`. */
import { HaulError } from '../errors.js';
import type { Metainfo } from '../metainfo/metainfo.js';
import { shownUrl } from '../net/url.js';

/** Trackers asked of one torrent, and how many at once: anybody may have written the list. */
const TRACKERS_MAX = 100;
const AT_ONCE = 10;

export interface Scraped {
  readonly url: string;
  /** Null: the tracker does not know the torrent, or did not answer. */
  readonly complete: number | null;
  readonly incomplete: number | null;
  readonly downloaded: number | null;
  /** Why nothing is known, one line. */
  readonly error?: string;
}

const NOTHING = { complete: null, incomplete: null, downloaded: null };

/** Every tracker once, in the order of the torrent. @param ca PEM */
export async function scrapeAll(
  metainfo: Metainfo,
  signal: AbortSignal,
  ca?: readonly string[],
): Promise<readonly Scraped[]> {
  const { Trackers } = await import('../discovery/trackers.js');
  const trackers = new Trackers({ random: Math.random, ca });
  const urls = [...new Set(metainfo.trackers.flat())].slice(0, TRACKERS_MAX);
  const results: Scraped[] = [];
  const next = urls.entries();
  const worker = async (): Promise<void> => {
    for (const [index, url] of next) {
      const found = await trackers.scrape(url, [metainfo.infoHash], signal).then(
        (entries) => entries.get(metainfo.infoHashHex) ?? { ...NOTHING, error: 'it does not know this torrent' },
        (error: unknown) => ({ ...NOTHING, error: error instanceof HaulError ? error.message : String(error) }),
      );
      results[index] = { url: shownUrl(url), ...found };
    }
  };
  try {
    await Promise.all(Array.from({ length: AT_ONCE }, worker));
  } finally {
    await trackers.close();
  }
  if (signal.aborted) throw new HaulError('ABORTED', 'interrupted');
  return results;
}

/**
 * Waits for the .torrent of an unattended command: a server that is not there yet is asked again, and the user hears of
 * it.
 */
import type { HaulError } from '../errors.js';
import type { Metainfo } from '../metainfo/metainfo.js';
import { gaveUpError } from './get-report.js';
import type { Output } from './output.js';
import type { GaveUp, Patience } from './patience.js';
import { RETRY_FOR_MS } from './torrent-fetch.js';
import { loadTorrent } from './torrent-file.js';
import { eitherSignal } from './wait.js';

/** A server that says nothing for so long is named. */
const SILENCE_TOLD_MS = 3_000;

export interface TorrentWait {
  /** Milliseconds during which a fetch that failed is tried again; default RETRY_FOR_MS. */
  readonly retryForMs?: number;
  readonly patience?: Patience;
  /** By which of our addresses. */
  readonly host?: string | undefined;
}

/** The torrent, or the limit that ended the wait. @throws HaulError as `loadTorrent` */
export async function awaitTorrent(
  output: Output,
  source: string,
  signal: AbortSignal,
  { retryForMs = RETRY_FOR_MS, patience, host }: TorrentWait = {},
): Promise<Metainfo | GaveUp> {
  let last: HaulError | null = null;
  const silence = setTimeout(() => {
    output.warn('the .torrent has not come yet, still waiting for its server', { code: 'WAITING', facts: {} });
  }, SILENCE_TOLD_MS);
  const onRetry = (error: HaulError): void => {
    clearTimeout(silence);
    last = error;
    output.warn(`${error.message}; trying again`, { code: error.code, facts: error.facts });
  };
  try {
    const within = patience === undefined ? signal : eitherSignal(signal, patience.signal);
    return await loadTorrent(source, within, { retryForMs, onRetry, host });
  } catch (error) {
    const gaveUp = patience?.gaveUp ?? null;
    if (gaveUp === null || signal.aborted) throw error;
    const why = (last as HaulError | null)?.message ?? 'the .torrent has not come';
    output.error(gaveUpError(patience!, why, error));
    return gaveUp;
  } finally {
    clearTimeout(silence);
  }
}

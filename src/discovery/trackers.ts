/**
 * Trackers of every kind that we can talk to, by the scheme of their URL. Owns the connections and sockets to them: one
 * for each engine.
 */
import { makeIsInside } from '../net/own-addresses.js';
import type { Own } from '../net/own-host.js';
import type { AnnounceReply, AnnounceRequest, ScrapeEntry } from './announce.js';
import { announceHttp, scrapeHttp } from './http-tracker.js';
import { TrackerConnections } from './tracker-connections.js';
import { UdpTrackers } from './udp-tracker.js';

export interface TrackersOptions {
  /** A generator of [0, 1): who is kept of a reply that is too long. */
  readonly random: () => number;
  /** Certificates that are trusted besides those of Node, PEM. */
  readonly ca?: readonly string[] | undefined;
  /** From which of our addresses they are asked; default: whichever the system takes. */
  readonly own?: Own | undefined;
}

export class Trackers {
  readonly #random: () => number;
  readonly #http: TrackerConnections;
  readonly #udp: UdpTrackers;

  constructor({ random, ca, own }: TrackersOptions) {
    this.#random = random;
    this.#http = new TrackerConnections({ ca, own, isPrivate: makeIsInside(() => performance.now()) });
    this.#udp = new UdpTrackers({ random, own });
  }

  /** @throws HaulError TRACKER (it refused, or answered nonsense), TIMEOUT, NETWORK, ABORTED */
  async announce(url: string, request: AnnounceRequest, signal?: AbortSignal): Promise<AnnounceReply> {
    if (isUdp(url)) return this.#udp.announce(url, request, { signal });
    return announceHttp(url, request, { signal, connections: this.#http, random: this.#random });
  }

  /**
   * Seeds, leeches and completed downloads by info-hash in hex; those the tracker does not know are absent, or zero.
   * @param infoHashes 20 bytes each, 1 to 64
   * @throws HaulError as `announce`; also TRACKER when the URL has no scrape form (BEP 48)
   */
  async scrape(
    url: string,
    infoHashes: readonly Uint8Array[],
    signal?: AbortSignal,
  ): Promise<Map<string, ScrapeEntry>> {
    if (isUdp(url)) return this.#udp.scrape(url, infoHashes, { signal });
    return scrapeHttp(url, infoHashes, { signal, connections: this.#http });
  }

  /** Ends what is under way. Idempotent. */
  async close(): Promise<void> {
    await Promise.all([this.#http.close(), this.#udp.close()]);
  }
}

function isUdp(url: string): boolean {
  return /^udp:/i.test(url);
}

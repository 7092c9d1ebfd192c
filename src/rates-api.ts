/** The public face of rate limits. Types only. */

/** Rate limits, bytes per second, > 0; null: none; not given: as it is. */
export interface RateLimits {
  readonly downloadBytesPerSec?: number | null;
  readonly uploadBytesPerSec?: number | null;
}

/** One direction of what is transferred beside torrents, within the limits of the engine. */
export interface RateGate {
  /** The most that should pass at once; infinite where there is no limit. */
  readonly readBytes: number;
  /**
   * Upwards: so many bytes are to be sent, and are counted when they may be. Downwards: so many came, and are counted.
   * Null: they may be sent, or more may come, at once; else resolves when that is so, or the engine closes.
   */
  pass(bytes: number): Promise<void> | null;
  /**
   * The same for one of many transfers. Names share the limits evenly, and so do the transfers of one name. Without a
   * name all share as one.
   * @param name an info-hash in hexadecimal, for what shares with that torrent of the engine; or any other
   */
  of(name: string): ShareGate;
}

/** A gate of one transfer. */
export interface ShareGate extends Pick<RateGate, 'readBytes' | 'pass'> {
  /** The transfer is over: who waits goes on. @param unusedBytes were counted, and not sent */
  end(unusedBytes?: number): void;
}

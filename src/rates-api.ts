/** The public face of rate limits. Types only. */

/** Rate limits, bytes per second, > 0; null: none; not given: as it is. */
export interface RateLimits {
  readonly downloadBytesPerSec?: number | null;
  readonly uploadBytesPerSec?: number | null;
}

/**
 * One direction of what is transferred beside torrents, within the limits of the engine. Upwards bytes are asked for,
 * and counted when they may be sent; downwards they are told of when they have come, and counted at once.
 */
export interface RateGate {
  /** The most that should pass at once; infinite where there is no limit. */
  readonly readBytes: number;
  /**
   * Null: so many bytes may be sent, or more may come, at once; else resolves when that is so, or the engine closes.
   */
  pass(bytes: number): Promise<void> | null;
  /**
   * For one of many transfers. Names share the limits evenly, and so do transfers of one name. What goes without a name
   * shares as one.
   * @param name an info-hash in hexadecimal: one with that torrent of the engine; or any other
   */
  of(name: string): ShareGate;
}

/** A gate of one transfer. */
export interface ShareGate {
  readonly readBytes: number;
  /**
   * As `RateGate.pass`. True: at once; else calls back when that is so. Who asks again in the call stays in the queue.
   * @param allowed not called when `end` was
   */
  ask(bytes: number, allowed: () => void): boolean;
  /** The transfer is over. @param unusedBytes were allowed, and not sent */
  end(unusedBytes?: number): void;
}

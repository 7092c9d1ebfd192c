/** A blob on its way into the cache, as those who read it see it. Types, and what all kinds of fetch share. */
import type { ArtifactRow } from '../catalogue/port.js';
import type { ByteRange } from '../store/port.js';
import type { GivenAway } from './go-on.js';

/** Bytes that came, by where from. */
export interface FetchedBytes {
  readonly peers: number;
  /** By HTTP from the depot. */
  readonly webSeed: number;
}

export interface Fetch {
  readonly row: ArtifactRow;
  /** Part of it that is here and verified, 0 to 1. */
  readonly share: number;
  readonly bytes: FetchedBytes;
  /** Who reads it. */
  users: number;
  /** Resolves when the blob is verified and in the cache; rejects with why it is not. Handled. */
  readonly done: Promise<void>;
  /**
   * Bytes in order, as they come. The last byte of the blob leaves when all of it has been verified. Ends early when
   * the signal fires.
   * @throws HaulError, DepotAway, DepotLies: what ended the fetch
   */
  read(range: ByteRange, signal: AbortSignal): AsyncIterable<Uint8Array>;
  /** It ended since the cache could not be written to: what is known of the bytes that readers have got. */
  givenAway(): Promise<GivenAway>;
  /** Once a second or so: one that nothing comes of is given up. */
  tick(): void;
  /** It is over, and nobody reads it any more: what readers needed is given back. */
  leave(): void;
  /** Ends it; what came is kept where it can be gone on with. Resolves when nothing of it runs any more. */
  stop(): Promise<void>;
}

/** A promise and its ends; a rejection that nobody waits for is no trouble. */
export class Deferred<T> {
  readonly promise: Promise<T>;
  resolve!: (value: T) => void;
  reject!: (error: unknown) => void;

  constructor() {
    this.promise = new Promise<T>((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
    this.promise.catch(() => {});
  }
}

export function sum(a: FetchedBytes, b: FetchedBytes): FetchedBytes {
  return { peers: a.peers + b.peers, webSeed: a.webSeed + b.webSeed };
}

/** Never less than nothing. */
export function since(now: FetchedBytes, before: FetchedBytes): FetchedBytes {
  return {
    peers: Math.max(0, now.peers - before.peers),
    webSeed: Math.max(0, now.webSeed - before.webSeed),
  };
}

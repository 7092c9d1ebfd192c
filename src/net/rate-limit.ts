/**
 * How often something may happen: of one address, and in whole. Pure. A table of addresses of a fixed size: when it is
 * full the one that was seen first goes, and who floods from many addresses meets the limit of the whole.
 */
import { groupOf } from './remote-group.js';

export interface Rate {
  readonly perSecond: number;
  /** At once, after a silence. */
  readonly burst: number;
}

/** A bucket of permits that fills with time. */
export class Bucket {
  readonly #rate: Rate;
  #permits: number;
  #atMs: number;

  constructor(rate: Rate, nowMs: number) {
    this.#rate = rate;
    this.#permits = rate.burst;
    this.#atMs = nowMs;
  }

  has(nowMs: number): boolean {
    const { burst, perSecond } = this.#rate;
    this.#permits = Math.min(burst, this.#permits + (Math.max(0, nowMs - this.#atMs) * perSecond) / 1000);
    this.#atMs = nowMs;
    return this.#permits >= 1;
  }

  take(nowMs: number): boolean {
    if (!this.has(nowMs)) return false;
    this.#permits--;
    return true;
  }
}

export class RateLimit {
  readonly #each: Rate;
  readonly #whole: Bucket;
  readonly #addresses: number;
  readonly #group: (host: string) => string;
  readonly #buckets = new Map<string, Bucket>();

  /**
   * @param addresses remembered at once
   * @param group whom an address stands for; default: itself, of IPv6 its /64
   */
  constructor(each: Rate, whole: Rate, addresses: number, nowMs: number, group: (host: string) => string = groupOf) {
    this.#group = group;
    this.#each = each;
    this.#whole = new Bucket(whole, nowMs);
    this.#addresses = addresses;
  }

  get size(): number {
    return this.#buckets.size;
  }

  /** False: not now. @param host an IP address */
  take(host: string, nowMs: number): boolean {
    const group = this.#group(host);
    let bucket = this.#buckets.get(group);
    if (bucket === undefined) {
      if (this.#buckets.size >= this.#addresses) this.#buckets.delete(this.#buckets.keys().next().value!);
      bucket = new Bucket(this.#each, nowMs);
      this.#buckets.set(group, bucket);
    }
    return bucket.take(nowMs) && this.#whole.take(nowMs);
  }
}

/**
 * How many entries of the tracker's tables come from each address and from the network around it. Pure.
 * Counted in a fixed number of buckets, chosen by a hash with a secret seed: no memory per address, and nobody can aim
 * at the bucket of another. A bucket that two share counts too much for both, never too little.
 */

export interface EntryShareLimits {
  /** Entries that one address (IPv4) or /64 (IPv6) keeps when the tracker is full. */
  readonly perAddress: number;
  /** The same of a /24 (IPv4) or /48 (IPv6). */
  readonly perPrefix: number;
}

const BUCKETS = 65_536;
const COMPACT4_BYTES = 6;

/** Bytes of a compact address that make its group: the address or /64, and the prefix around it. */
function addressBytes(recordBytes: number): number {
  return recordBytes === COMPACT4_BYTES ? 4 : 8;
}

function prefixBytes(recordBytes: number): number {
  return recordBytes === COMPACT4_BYTES ? 3 : 6;
}

export class EntryShares {
  readonly #limits: EntryShareLimits;
  readonly #seed: number;
  readonly #addresses = new Uint32Array(BUCKETS);
  readonly #prefixes = new Uint32Array(BUCKETS);

  /** @param seed 32 bits that no client knows. */
  constructor(limits: EntryShareLimits, seed: number) {
    this.#limits = limits;
    this.#seed = seed;
  }

  /** One entry more or less. @param compact 6 or 18 bytes. */
  change(compact: Uint8Array, difference: 1 | -1): void {
    this.#addresses[this.addressHash(compact) % BUCKETS]! += difference;
    this.#prefixes[this.#hash(compact, prefixBytes(compact.length)) % BUCKETS]! += difference;
  }

  /** Entries of this address. */
  ofAddress(compact: Uint8Array): number {
    return this.#addresses[this.addressHash(compact) % BUCKETS]!;
  }

  /** By how many entries its address, or the network around it, is above its share; 0 when it is not. */
  excess(compact: Uint8Array): number {
    const ofPrefix = this.#prefixes[this.#hash(compact, prefixBytes(compact.length)) % BUCKETS]!;
    return Math.max(0, this.ofAddress(compact) - this.#limits.perAddress, ofPrefix - this.#limits.perPrefix);
  }

  /** 32 bits of the address or /64. */
  addressHash(compact: Uint8Array): number {
    return this.#hash(compact, addressBytes(compact.length));
  }

  /** FNV-1a with a seed, and the mixing step of MurmurHash3 behind it. */
  #hash(bytes: Uint8Array, length: number): number {
    let hash = this.#seed ^ length;
    for (let i = 0; i < length; i++) hash = Math.imul(hash ^ bytes[i]!, 0x01000193);
    hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
    hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
    return (hash ^ (hash >>> 16)) >>> 0;
  }
}

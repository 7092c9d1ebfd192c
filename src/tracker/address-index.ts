/**
 * Which slot of a `PeerTable` has a compact address: a table of slot numbers with open addressing, 8 bytes a peer where
 * a `Map` takes 60 (IPv4) or 280. Pure. The bytes that are looked at stay with the table; a small table has no numbers
 * and is read from its beginning.
 * Invariant, between two calls: every slot is found from the place of its hash on without a gap, and at least half of
 * the places are free.
 */

/** Capacity up to which a table is read through. */
const SCANNED_MAX = 16;
const NONE: Uint32Array = new Uint32Array(0);

export class AddressIndex {
  readonly #width: number;
  readonly #seed: number;
  readonly #factor: number;
  /** Slot + 1; 0: free. A power of two of them. */
  #places = NONE;

  /** @param width bytes of an address: even. @param secret 32 bits that no client knows: nobody can aim at a place */
  constructor(width: number, secret: number) {
    this.#width = width;
    const { seed, factor } = hashNumbers(secret);
    this.#seed = seed;
    this.#factor = factor;
  }

  /** Makes it anew. @param capacity slots that the table may have, a power of two */
  rebuild(addresses: Uint8Array, count: number, capacity: number): void {
    this.#places = capacity > SCANNED_MAX ? new Uint32Array(capacity * 2) : NONE;
    for (let slot = 0; slot < count; slot++) this.add(addresses, slot);
  }

  /** The slot of the address at `at`, or −1. @param count slots of the table */
  find(bytes: Uint8Array, at: number, addresses: Uint8Array, count: number): number {
    if (this.#places.length === 0) {
      for (let slot = 0; slot < count; slot++) if (this.#isSame(bytes, at, addresses, slot)) return slot;
      return -1;
    }
    const mask = this.#places.length - 1;
    for (let place = this.#hash(bytes, at) & mask; ; place = (place + 1) & mask) {
      const slot = this.#places[place]! - 1;
      if (slot < 0 || this.#isSame(bytes, at, addresses, slot)) return slot;
    }
  }

  /** A slot whose address stands in `addresses`, and is not known yet. */
  add(addresses: Uint8Array, slot: number): void {
    if (this.#places.length === 0) return;
    const mask = this.#places.length - 1;
    let place = this.#hash(addresses, slot * this.#width) & mask;
    while (this.#places[place] !== 0) place = (place + 1) & mask;
    this.#places[place] = slot + 1;
  }

  /** Before the table takes the address away. */
  remove(addresses: Uint8Array, slot: number): void {
    if (this.#places.length === 0) return;
    const mask = this.#places.length - 1;
    let hole = this.#placeOf(addresses, slot);
    this.#places[hole] = 0;
    // Who stands behind the hole, and began to look at it or before it, moves into it.
    for (let place = (hole + 1) & mask; this.#places[place] !== 0; place = (place + 1) & mask) {
      const begin = this.#hash(addresses, (this.#places[place]! - 1) * this.#width) & mask;
      if (((place - begin) & mask) < ((place - hole) & mask)) continue;
      this.#places[hole] = this.#places[place]!;
      this.#places[place] = 0;
      hole = place;
    }
  }

  /** Before the table exchanges two slots. */
  swap(addresses: Uint8Array, a: number, b: number): void {
    if (this.#places.length === 0) return;
    const placeOfA = this.#placeOf(addresses, a);
    const placeOfB = this.#placeOf(addresses, b);
    this.#places[placeOfA] = b + 1;
    this.#places[placeOfB] = a + 1;
  }

  #placeOf(addresses: Uint8Array, slot: number): number {
    const mask = this.#places.length - 1;
    let place = this.#hash(addresses, slot * this.#width) & mask;
    while (this.#places[place] !== slot + 1) place = (place + 1) & mask;
    return place;
  }

  #isSame(bytes: Uint8Array, at: number, addresses: Uint8Array, slot: number): boolean {
    const begin = slot * this.#width;
    for (let i = this.#width - 1; i >= 0; i--) if (bytes[at + i] !== addresses[begin + i]) return false;
    return true;
  }

  #hash(bytes: Uint8Array, at: number): number {
    return placeHash(bytes, at, this.#width, this.#seed, this.#factor);
  }
}

/** 32 bits for the address at `at`. @param factor odd; both numbers are of a secret */
export function placeHash(bytes: Uint8Array, at: number, width: number, seed: number, factor: number): number {
  let hash = seed;
  for (let i = at; i < at + width; i += 2) {
    hash = Math.imul(hash ^ (bytes[i]! | (bytes[i + 1]! << 8)), factor);
    hash ^= hash >>> 15;
  }
  // As MurmurHash3 ends: without it one factor of a hundred leaves the ports of a host side by side.
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return hash ^ (hash >>> 16);
}

/** The two numbers for `placeHash`. @param secret 32 bits */
export function hashNumbers(secret: number): { readonly seed: number; readonly factor: number } {
  return { seed: secret | 0, factor: Math.imul(secret ^ 0x2545f491, 0x9e3779b1) | 1 };
}

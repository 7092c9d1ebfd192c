/**
 * The peers of one swarm and one address family, as dense arrays of bytes. Pure.
 * Owns: compact addresses, peer ids, last announce. Seeds stand before leeches, so that either kind, or all, is one
 * range:
 *
 *     slot  0 … seedCount−1 | seedCount … count−1
 *           seeds           | leeches
 *
 * Adding, moving and removing is O(1): the slot at a border is swapped in. Memory: 38 bytes a peer (IPv4) or 50 (IPv6),
 * and up to as much again for those to come.
 * Once a peer has named a zone an index of zones is kept as well, at about 30 bytes more.
 */
import { AddressIndex } from './address-index.js';
import { ZoneIndex } from './zone-index.js';

const PEER_ID_BYTES = 20;
const CAPACITY_FIRST = 4;

/** Of all tables that have no peer: most swarms have none of one family. Never written to. */
const NO_BYTES: Buffer = Buffer.alloc(0);
const NO_NUMBERS: Uint32Array = new Uint32Array(0);

export class PeerTable {
  /** 6 (BEP 23) or 18 (BEP 7): IP and port in network order. */
  readonly recordBytes: number;
  count = 0;
  seedCount = 0;
  #capacity = 0;
  #addresses = NO_BYTES;
  #ids = NO_BYTES;
  #seenAtS = NO_NUMBERS;
  /** Null: none was ever shared. */
  #sharedAtS: Uint32Array | null = null;
  readonly #index: AddressIndex;
  #zones: ZoneIndex | null = null;

  /** @param secret 32 bits that no client knows */
  constructor(recordBytes: 6 | 18, secret = 0) {
    this.recordBytes = recordBytes;
    this.#index = new AddressIndex(recordBytes, secret);
  }

  get leechCount(): number {
    return this.count - this.seedCount;
  }

  /** Slot of this compact address, or −1. */
  find(compact: Uint8Array): number {
    return this.#index.find(compact, 0, this.#addresses, this.count);
  }

  isSeed(slot: number): boolean {
    return slot < this.seedCount;
  }

  seenAtS(slot: number): number {
    return this.#seenAtS[slot]!;
  }

  /** When other trackers were told of this peer; 0: we did not. */
  sharedAtS(slot: number): number {
    return this.#sharedAtS === null ? 0 : this.#sharedAtS[slot]!;
  }

  markShared(slot: number, nowS: number): void {
    if (this.#sharedAtS === null && nowS === 0) return;
    this.#sharedAtS ??= new Uint32Array(this.#capacity);
    this.#sharedAtS[slot] = nowS;
  }

  /** Whether the peer in this slot said the same before. @param zone '' for none */
  isSame(slot: number, peerId: string, isSeed: boolean, zone: string): boolean {
    if (isSeed !== this.isSeed(slot) || (this.#zones !== null && zone !== this.zoneOf(slot))) return false;
    if (this.#zones === null && zone !== '') return false;
    const idAt = slot * PEER_ID_BYTES;
    for (let i = 0; i < PEER_ID_BYTES; i++) if (this.#ids[idAt + i] !== peerId.charCodeAt(i)) return false;
    return true;
  }

  /**
   * Adds a peer, or replaces what stands at its address.
   * @param found what `find(compact)` says. @param peerId 20 Latin-1 characters. @param zone '' for none. Returns its
   * slot.
   */
  put(found: number, compact: Uint8Array, peerId: string, isSeed: boolean, nowS: number, zone = ''): number {
    if (zone === '' && this.#zones === null) return this.#place(found, compact, peerId, isSeed, nowS);
    const zones = this.zones();
    const key = zone === '' ? '' : `${zone}/`;
    const isOther = found < 0 || isSeed !== this.isSeed(found) || key !== zones.keyOf(found);
    if (isOther && found >= 0) zones.remove(found);
    const slot = this.#place(found, compact, peerId, isSeed, nowS);
    if (isOther) zones.add(slot, key, isSeed);
    return slot;
  }

  /**
   * The key of the zone of a peer that says it is in `zone`: '' where there were too many to remember this one.
   * @param slot or −1.
   */
  zoneKey(zone: string, slot: number): string {
    return slot < 0 ? `${zone}/` : this.zones().keyOf(slot);
  }

  /** What this peer said, '' for nothing, and where there were too many zones to remember it. */
  zoneOf(slot: number): string {
    return this.#zones === null ? '' : this.#zones.keyOf(slot).slice(0, -1);
  }

  /** Whether a seed is in this zone or one inside it. @param key not ''. */
  hasSeedIn(key: string): boolean {
    if (this.#zones === null) return false;
    const { begin, end } = this.#zones.seeds.range(key);
    return begin < end;
  }

  /** The zones of the peers. Made at the first call, O(peers), and kept from then on. */
  zones(): ZoneIndex {
    if (this.#zones !== null) return this.#zones;
    const zones = new ZoneIndex();
    for (let slot = 0; slot < this.count; slot++) zones.add(slot, '', this.isSeed(slot));
    this.#zones = zones;
    return zones;
  }

  #place(found: number, compact: Uint8Array, peerId: string, isSeed: boolean, nowS: number): number {
    let slot = found;
    if (slot < 0) {
      slot = this.count;
      if (slot === this.#capacity) this.#resize(Math.max(CAPACITY_FIRST, this.#capacity * 2));
      this.#addresses.set(compact, slot * this.recordBytes);
      this.#index.add(this.#addresses, slot);
      if (this.#sharedAtS !== null) this.#sharedAtS[slot] = 0;
      this.count++;
    }
    const idAt = slot * PEER_ID_BYTES;
    for (let i = 0; i < PEER_ID_BYTES; i++) this.#ids[idAt + i] = peerId.charCodeAt(i);
    this.#seenAtS[slot] = nowS;
    if (isSeed === this.isSeed(slot)) return slot;
    // Crossing the border: swap with the slot next to it, then move the border.
    const border = isSeed ? this.seedCount++ : --this.seedCount;
    this.#swap(slot, border);
    return border;
  }

  remove(slot: number): void {
    this.#zones?.remove(slot);
    let hole = slot;
    if (this.isSeed(hole)) {
      this.seedCount--;
      this.#swap(hole, this.seedCount);
      hole = this.seedCount;
    }
    this.count--;
    this.#swap(hole, this.count);
    this.#zones?.truncate(this.count);
    this.#index.remove(this.#addresses, this.count);
    if (this.#capacity > CAPACITY_FIRST * 4 && this.count < this.#capacity / 4) this.#resize(this.#capacity / 2);
  }

  /** The compact address of a slot: a view, valid until the table changes. */
  address(slot: number): Buffer {
    return this.#addresses.subarray(slot * this.recordBytes, (slot + 1) * this.recordBytes);
  }

  /** Copies the compact addresses of the first `count` picked slots to `target`, from `at` on. */
  copyAddresses(picks: readonly number[], count: number, target: Buffer, at: number): void {
    const addresses = this.#addresses;
    const width = this.recordBytes;
    let to = at;
    // For so few bytes a call into the runtime costs more than the copy, and a reply has fifty of them.
    for (let k = 0; k < count; k++) {
      const begin = picks[k]! * width;
      for (let i = 0; i < width; i++) target[to + i] = addresses[begin + i]!;
      to += width;
    }
  }

  /** Whether a slot holds an address of this machine only. */
  isLoopback(slot: number): boolean {
    return isLoopback(this.#addresses, slot * this.recordBytes, this.recordBytes);
  }

  peerId(slot: number): Buffer {
    return this.#ids.subarray(slot * PEER_ID_BYTES, (slot + 1) * PEER_ID_BYTES);
  }

  /** Peers a sample may hold: leeches, or all, without `except` (a slot or −1). */
  sampleSize(leechesOnly: boolean, except: number): number {
    const first = leechesOnly ? this.seedCount : 0;
    return this.count - first - (except >= first ? 1 : 0);
  }

  /**
   * Writes up to `wanted` different random slots to `out`: one from each of as many stretches of equal length (give or
   * take one), so that no memory of what was drawn is needed. Returns how many were written.
   */
  sample(leechesOnly: boolean, except: number, wanted: number, random: () => number, out: number[]): number {
    const first = leechesOnly ? this.seedCount : 0;
    const size = this.sampleSize(leechesOnly, except);
    const picked = Math.min(wanted, size);
    for (let i = 0, low = 0, high = 0; i < picked; i++) {
      low = high;
      high = Math.floor(((i + 1) * size) / picked);
      const slot = first + low + (high - low === 1 ? 0 : Math.floor(random() * (high - low)));
      // The excepted slot is left out by counting past it.
      out[i] = except >= first && slot >= except ? slot + 1 : slot;
    }
    return picked;
  }

  #swap(a: number, b: number): void {
    if (a === b) return;
    this.#zones?.swap(a, b);
    this.#index.swap(this.#addresses, a, b);
    const width = this.recordBytes;
    swapBytes(this.#addresses, a * width, b * width, width);
    swapBytes(this.#ids, a * PEER_ID_BYTES, b * PEER_ID_BYTES, PEER_ID_BYTES);
    const seenAtS = this.#seenAtS[a]!;
    this.#seenAtS[a] = this.#seenAtS[b]!;
    this.#seenAtS[b] = seenAtS;
    if (this.#sharedAtS === null) return;
    const sharedAtS = this.#sharedAtS[a]!;
    this.#sharedAtS[a] = this.#sharedAtS[b]!;
    this.#sharedAtS[b] = sharedAtS;
  }

  #resize(capacity: number): void {
    const addresses = Buffer.alloc(capacity * this.recordBytes);
    this.#addresses.copy(addresses, 0, 0, this.count * this.recordBytes);
    this.#addresses = addresses;
    this.#index.rebuild(addresses, this.count, capacity);
    const ids = Buffer.alloc(capacity * PEER_ID_BYTES);
    this.#ids.copy(ids, 0, 0, this.count * PEER_ID_BYTES);
    this.#ids = ids;
    const seenAtS = new Uint32Array(capacity);
    seenAtS.set(this.#seenAtS.subarray(0, this.count));
    this.#seenAtS = seenAtS;
    if (this.#sharedAtS !== null) {
      const sharedAtS = new Uint32Array(capacity);
      sharedAtS.set(this.#sharedAtS.subarray(0, this.count));
      this.#sharedAtS = sharedAtS;
    }
    this.#capacity = capacity;
  }
}

/** Whether the compact address at `begin`, of 6 or 18 bytes, is one of this machine only. */
export function isLoopback(bytes: Uint8Array, begin: number, recordBytes: number): boolean {
  if (recordBytes === 6) return bytes[begin] === 127;
  for (let i = 0; i < 15; i++) if (bytes[begin + i] !== 0) return false;
  return bytes[begin + 15] === 1;
}

function swapBytes(bytes: Uint8Array, a: number, b: number, length: number): void {
  for (let i = 0; i < length; i++) {
    const byte = bytes[a + i]!;
    bytes[a + i] = bytes[b + i]!;
    bytes[b + i] = byte;
  }
}

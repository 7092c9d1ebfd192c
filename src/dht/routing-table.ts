/**
 * The nodes we know, in buckets by how many first bits their ids have in common with ours (BEP 5): many of those near
 * us, few of those far away. Pure: time is an argument.
 * Invariants: a node is in it only after it has answered us; an id, an address with its port, and an address of the
 * Internet (IPv6: a /64) are in it once; a bucket holds at most `DHT_LIMITS.bucketNodes`, two of one /24 (IPv6: /48),
 * and as many more in waiting.
 */

import { type Address, formatAddress } from '../net/address.js';
import { type Reach, reachOf, shareGroup, subnetOf } from '../net/reach.js';
import { DHT_LIMITS } from './limits.js';
import type { NodeContact } from './messages.js';
import { commonBits, compareDistance, ID_BITS, idFitsAddress, sameId } from './node-id.js';

export interface TableNode extends NodeContact {
  /** Of `formatAddress`. */
  readonly key: string;
  /** When it answered last, or asked us something since. */
  heardAtMs: number;
  /** Queries in a row that it did not answer. */
  failures: number;
  /** Its id is one that its address may have (BEP 42). */
  readonly fits: boolean;
  readonly reach: Reach;
}

interface Bucket {
  nodes: TableNode[];
  /** Those for which there is no place, the latest last. */
  waiting: TableNode[];
  /** When a node came into it, or it was looked through. */
  changedAtMs: number;
}

/** After so many queries without an answer somebody else gets the place. */
const FAILURES_BAD = 2;
/** And after so many it goes also where nobody else is there. */
const FAILURES_GONE = 6;
const PER_SUBNET = 2;

export class RoutingTable {
  #ownId: Buffer;
  /** Made when somebody comes: most of the 160 are empty for good. */
  #buckets: (Bucket | undefined)[] = [];
  #madeAtMs: number;
  readonly #byKey = new Map<string, TableNode>();
  readonly #byId = new Map<string, TableNode>();
  readonly #byGroup = new Map<string, TableNode>();

  constructor(ownId: Buffer, nowMs: number) {
    this.#ownId = ownId;
    this.#madeAtMs = nowMs;
  }

  get ownId(): Buffer {
    return this.#ownId;
  }

  get size(): number {
    return this.#byKey.size;
  }

  /** Every node that has a place. */
  nodes(): Iterable<TableNode> {
    return this.#byKey.values();
  }

  /** We are somebody else now: every node goes to its new bucket. */
  changeId(ownId: Buffer, nowMs: number): void {
    const nodes = [...this.nodes()];
    this.#ownId = ownId;
    this.#byKey.clear();
    this.#byId.clear();
    this.#byGroup.clear();
    this.#buckets = [];
    this.#madeAtMs = nowMs;
    for (const node of nodes) if (!sameId(node.id, ownId)) this.#place(this.#bucketOf(node.id), node, nowMs);
  }

  /** A node has answered a query of ours. @returns whether it has a place now */
  answered(id: Buffer, address: Address, nowMs: number): boolean {
    if (sameId(id, this.#ownId)) return false;
    const key = formatAddress(address);
    const there = this.#byKey.get(key);
    if (there !== undefined && sameId(there.id, id)) {
      there.failures = 0;
      there.heardAtMs = nowMs;
      return true;
    }
    // It has another id than before: the old one is nobody's.
    if (there !== undefined) this.#remove(there);
    const namesake = this.#byId.get(id.toString('latin1'));
    if (namesake !== undefined) {
      // An id belongs to who had it first, for as long as that one answers.
      if (namesake.failures === 0) return false;
      this.#remove(namesake);
    }
    const { host } = address;
    const fits = idFitsAddress(id, host);
    const node: TableNode = { id, address, key, heardAtMs: nowMs, failures: 0, fits, reach: reachOf(host) };
    return this.#place(this.#bucketOf(id), node, nowMs);
  }

  /** A node has asked us something: it lives. That it answers is not known. */
  asked(id: Uint8Array, address: Address, nowMs: number): void {
    const node = this.#byKey.get(formatAddress(address));
    if (node !== undefined && node.failures === 0 && sameId(node.id, id)) node.heardAtMs = nowMs;
  }

  /** A query to this address was not answered, or by somebody else. */
  failed(address: Address): void {
    const node = this.#byKey.get(formatAddress(address));
    if (node === undefined) return;
    node.failures++;
    // It is asked again soon.
    node.heardAtMs = Number.NEGATIVE_INFINITY;
    const bucket = this.#bucketOf(node.id);
    if (node.failures >= FAILURES_GONE || (node.failures >= FAILURES_BAD && bucket.waiting.length > 0)) {
      this.#remove(node);
      this.#promote(bucket);
    }
  }

  /** A node at this address has a place. */
  has(address: Address): boolean {
    return this.#byKey.has(formatAddress(address));
  }

  /** Whether a node of this id and address would find a place or be of use in waiting. */
  wants(id: Uint8Array, address: Address): boolean {
    if (sameId(id, this.#ownId) || this.has(address)) return false;
    const group = shareGroup(address.host);
    if (group !== null && this.#byGroup.has(group)) return false;
    const bucket = this.#buckets[commonBits(this.#ownId, id)];
    if (bucket === undefined) return true;
    return bucket.nodes.length < DHT_LIMITS.bucketNodes || bucket.nodes.some(isPoor);
  }

  /** Up to `count` nodes, the closest first; those that failed last are left out. */
  closest(target: Uint8Array, count: number, accepts: (node: TableNode) => boolean = () => true): TableNode[] {
    const own = Math.min(commonBits(this.#ownId, target), ID_BITS - 1);
    const found: TableNode[] = [];
    const gather = (bits: number): void => {
      for (const node of this.#buckets[bits]?.nodes ?? []) if (node.failures === 0 && accepts(node)) found.push(node);
    };
    gather(own);
    // Of the buckets nearer to us all are as far from the target; each one further from us is further away still.
    if (found.length < count) for (let bits = own + 1; bits < this.#buckets.length; bits++) gather(bits);
    for (let bits = own - 1; bits >= 0 && found.length < count; bits--) gather(bits);
    return found.sort((a, b) => compareDistance(target, a.id, b.id)).slice(0, count);
  }

  /** The node that was not heard of for longest, if that is since `beforeMs`. */
  stalest(beforeMs: number): TableNode | null {
    let stalest: TableNode | null = null;
    for (const node of this.#byKey.values()) {
      if (node.heardAtMs < beforeMs && (stalest === null || node.heardAtMs < stalest.heardAtMs)) stalest = node;
    }
    return stalest;
  }

  /**
   * A bucket in which nothing changed since `beforeMs`, as the number of bits that its ids have in common with ours;
   * null: none.
   */
  quietBucket(beforeMs: number): number | null {
    const bits = this.#buckets.findIndex((bucket) => (bucket?.changedAtMs ?? this.#madeAtMs) < beforeMs);
    return bits < 0 ? null : bits;
  }

  /** Somebody looks through this bucket. */
  touch(target: Uint8Array, nowMs: number): void {
    const bits = commonBits(this.#ownId, target);
    if (bits < this.#buckets.length) {
      this.#buckets[bits] ??= newBucket(nowMs);
      this.#buckets[bits].changedAtMs = nowMs;
    }
  }

  #bucketOf(id: Uint8Array): Bucket {
    const bits = Math.min(commonBits(this.#ownId, id), ID_BITS - 1);
    while (this.#buckets.length < bits) this.#buckets.push(undefined);
    this.#buckets[bits] ??= newBucket(this.#madeAtMs);
    return this.#buckets[bits];
  }

  #place(bucket: Bucket, node: TableNode, nowMs: number): boolean {
    if (this.#isCrowded(bucket, node)) return false;
    if (bucket.nodes.length >= DHT_LIMITS.bucketNodes) {
      const poor = this.#poorest(bucket, node);
      if (poor === null) {
        bucket.waiting = bucket.waiting.filter(({ key }) => key !== node.key);
        bucket.waiting.push(node);
        if (bucket.waiting.length > DHT_LIMITS.bucketNodes) bucket.waiting.shift();
        return false;
      }
      this.#remove(poor);
    }
    const group = shareGroup(node.address.host);
    bucket.nodes.push(node);
    bucket.changedAtMs = nowMs;
    this.#byKey.set(node.key, node);
    this.#byId.set(node.id.toString('latin1'), node);
    if (group !== null) this.#byGroup.set(group, node);
    return true;
  }

  /** Who has many addresses, or many ids at one, has few places. */
  #isCrowded(bucket: Bucket, { address }: TableNode): boolean {
    const group = shareGroup(address.host);
    if (group !== null && this.#byGroup.has(group)) return true;
    const subnet = subnetOf(address.host);
    if (subnet === null) return false;
    return bucket.nodes.filter((other) => subnetOf(other.address.host) === subnet).length >= PER_SUBNET;
  }

  /** Who gives way to this node: one that does not answer, else one whose id its address may not have. */
  #poorest(bucket: Bucket, { fits }: TableNode): TableNode | null {
    const silent = bucket.nodes.find(({ failures }) => failures >= FAILURES_BAD);
    return silent ?? (fits ? (bucket.nodes.find((other) => !other.fits) ?? null) : null);
  }

  #promote(bucket: Bucket): void {
    while (bucket.nodes.length < DHT_LIMITS.bucketNodes) {
      const node = bucket.waiting.pop();
      if (node === undefined) return;
      if (!this.#byKey.has(node.key) && !this.#byId.has(node.id.toString('latin1')))
        this.#place(bucket, node, bucket.changedAtMs);
    }
  }

  #remove(node: TableNode): void {
    const bucket = this.#bucketOf(node.id);
    bucket.nodes = bucket.nodes.filter((other) => other !== node);
    this.#byKey.delete(node.key);
    this.#byId.delete(node.id.toString('latin1'));
    const group = shareGroup(node.address.host);
    if (group !== null) this.#byGroup.delete(group);
  }
}

function newBucket(changedAtMs: number): Bucket {
  return { nodes: [], waiting: [], changedAtMs };
}

function isPoor({ failures, fits }: TableNode): boolean {
  return failures >= FAILURES_BAD || !fits;
}

/**
 * One search for the nodes closest to a target (BEP 5): asks the closest it knows for closer ones, a few at a time,
 * until the closest of all have answered. Pure; datagrams and time are its owner's.
 * What it believes is bounded: of an address of the Internet two ids may be asked (of a /24 eight), none of them twice,
 * and no lookup asks more than `DHT_LIMITS.lookupQueries`. So nodes that invent closer and closer ones end it late, not
 * never, and a victim that many of them name gets two datagrams.
 */

import { type Address, formatAddress } from '../net/address.js';
import { shareGroup, subnetOf } from '../net/reach.js';
import { DHT_LIMITS } from './limits.js';
import type { NodeContact, Reply } from './messages.js';
import { compareDistance, sameId } from './node-id.js';

export interface Candidate {
  /** Null: of one that was configured. */
  id: Buffer | null;
  readonly address: Address;
  /** How many nodes one after the other led to it, itself included. */
  readonly hops: number;
  state: 'fresh' | 'asked' | 'answered' | 'failed';
  askedAtMs: number;
  token: Buffer | null;
}

export interface LookupOptions {
  readonly target: Buffer;
  readonly ownId: Uint8Array;
  /** Sends the query. False: not now; it is offered again. */
  readonly ask: (candidate: Candidate) => boolean;
  readonly onDone: (lookup: Lookup) => void;
}

const PER_ADDRESS = 2;
const PER_SUBNET = 8;

export class Lookup {
  readonly target: Buffer;
  /** Nodes asked. */
  queries = 0;
  isOver = false;
  readonly #options: LookupOptions;
  /** Those with an id, the closest first, at most `DHT_LIMITS.lookupCandidates`. */
  #candidates: Candidate[] = [];
  /** Those that were configured: asked while there is nobody else. */
  readonly #roots: Candidate[] = [];
  readonly #known = new Set<string>();
  readonly #perGroup = new Map<string, number>();

  constructor(options: LookupOptions) {
    this.#options = options;
    this.target = options.target;
  }

  /** The closest nodes that answered, at most a bucket of them. */
  get closest(): Candidate[] {
    return this.#candidates.filter(({ state }) => state === 'answered').slice(0, DHT_LIMITS.bucketNodes);
  }

  /** The longest way to one of the closest. */
  get hops(): number {
    return Math.max(0, ...this.closest.map(({ hops }) => hops));
  }

  addRoots(addresses: readonly Address[]): void {
    for (const address of addresses) {
      const key = formatAddress(address);
      if (this.#known.has(key)) continue;
      this.#known.add(key);
      this.#roots.push({ id: null, address, hops: 1, state: 'fresh', askedAtMs: 0, token: null });
    }
  }

  add(nodes: readonly NodeContact[], hops: number): void {
    for (const { id, address } of nodes) {
      const key = formatAddress(address);
      if (this.#known.has(key) || sameId(id, this.#options.ownId) || !this.#isNear(id)) continue;
      if (!this.#count(address, 1)) continue;
      this.#known.add(key);
      this.#insert({ id, address, hops, state: 'fresh', askedAtMs: 0, token: null });
    }
  }

  /** Asks whoever is to be asked now, and ends when nobody is left. */
  step(nowMs: number): void {
    if (this.isOver) return;
    let underWay = this.#underWay(nowMs);
    for (const candidate of this.#next(nowMs)) {
      if (underWay >= DHT_LIMITS.lookupParallel) return;
      if (this.queries >= DHT_LIMITS.lookupQueries) break;
      candidate.state = 'asked';
      candidate.askedAtMs = nowMs;
      if (!this.#options.ask(candidate)) {
        candidate.state = 'fresh';
        return;
      }
      this.queries++;
      underWay++;
    }
    if (![...this.#roots, ...this.#nearest(nowMs, true)].some(({ state }) => state === 'asked')) this.#end();
  }

  answered(candidate: Candidate, reply: Reply, nodes: readonly NodeContact[]): void {
    if (candidate.id === null) {
      candidate.id = reply.id;
      this.#insert(candidate);
    } else if (!sameId(candidate.id, reply.id)) {
      // Whoever named it with a wrong id does not keep the right one out: somebody is there, and has answered.
      this.#count(candidate.address, -1);
      this.failed(candidate);
      return;
    }
    candidate.state = 'answered';
    candidate.token = reply.token;
    this.add(nodes, candidate.hops + 1);
  }

  /** Its place is not given back: a victim that is named at many ports is silent at all of them. */
  failed(candidate: Candidate): void {
    candidate.state = 'failed';
    this.#candidates = this.#candidates.filter((other) => other !== candidate);
  }

  cancel(): void {
    this.isOver = true;
  }

  #end(): void {
    this.isOver = true;
    this.#options.onDone(this);
  }

  /**
   * The candidates that count: as many of the closest as fill a bucket. One that is slow to answer keeps no place, so
   * that the next one is asked meanwhile; but it is waited for in the end.
   */
  #nearest(nowMs: number, withSlow: boolean): Candidate[] {
    const nearest: Candidate[] = [];
    let places = DHT_LIMITS.bucketNodes;
    for (const candidate of this.#candidates) {
      const isSlow = candidate.state === 'asked' && nowMs - candidate.askedAtMs >= DHT_LIMITS.slowAnswerMs;
      if (!isSlow || withSlow) nearest.push(candidate);
      if (!isSlow && --places === 0) break;
    }
    return nearest;
  }

  #next(nowMs: number): Candidate[] {
    const fresh = this.#nearest(nowMs, false).filter(({ state }) => state === 'fresh');
    // Who was configured is asked only where the table has too few, else they carried the load of all.
    const isShort = this.#candidates.length < DHT_LIMITS.bucketNodes;
    return isShort ? [...fresh, ...this.#roots.filter(({ state }) => state === 'fresh')] : fresh;
  }

  /** A slow one does not hold up the others. */
  #underWay(nowMs: number): number {
    const isQuick = ({ state, askedAtMs }: Candidate): boolean =>
      state === 'asked' && nowMs - askedAtMs < DHT_LIMITS.slowAnswerMs;
    const roots = this.#roots.filter((root) => isQuick(root) && root.id === null).length;
    return roots + this.#candidates.filter(isQuick).length;
  }

  #isNear(id: Uint8Array): boolean {
    if (this.#candidates.length < DHT_LIMITS.lookupCandidates) return true;
    return compareDistance(this.target, id, this.#candidates.at(-1)!.id!) < 0;
  }

  #insert(candidate: Candidate): void {
    let low = 0;
    let high = this.#candidates.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (compareDistance(this.target, this.#candidates[middle]!.id!, candidate.id!) < 0) low = middle + 1;
      else high = middle;
    }
    this.#candidates.splice(low, 0, candidate);
    if (this.#candidates.length > DHT_LIMITS.lookupCandidates) this.#candidates.pop();
  }

  /** False: there are enough of this address, or of its network. */
  #count(address: Address, change: 1 | -1): boolean {
    const group = shareGroup(address.host);
    const subnet = subnetOf(address.host);
    if (group === null || subnet === null) return true;
    const ofGroup = (this.#perGroup.get(group) ?? 0) + change;
    const ofSubnet = (this.#perGroup.get(`/${subnet}`) ?? 0) + change;
    if (ofGroup > PER_ADDRESS || ofSubnet > PER_SUBNET) return false;
    this.#perGroup.set(group, ofGroup);
    this.#perGroup.set(`/${subnet}`, ofSubnet);
    return true;
  }
}

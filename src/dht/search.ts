/**
 * What we look for in the DHT, and whose turn it is: `DHT_LIMITS.lookups` at once, the others in the order in which
 * they came. Pure.
 */
import { type Address, formatAddress } from '../net/address.js';
import { DHT_LIMITS } from './limits.js';
import type { Lookup } from './lookup.js';

/** What came out of a search. */
export interface Found {
  /** Nodes that were asked. */
  readonly queries: number;
  /** Of those that answered, the closest: at most a bucket of them. */
  readonly nodes: number;
  /** Peers that were found. */
  readonly peers: number;
  /** How many nodes one after the other led to the closest. */
  readonly hops: number;
}

export class Search {
  readonly target: Buffer;
  /** Of the peer that is announced; null: none is. */
  readonly port: number | null;
  readonly isForPeers: boolean;
  readonly #onPeers: (peers: readonly Address[]) => void;
  readonly #onDone: (lookup: Lookup, peers: number) => void;
  readonly #known = new Set<string>();
  #lookup: Lookup | null = null;
  #isCancelled = false;

  constructor(
    target: Buffer,
    port: number | null,
    onPeers: ((peers: readonly Address[]) => void) | null,
    onDone: (lookup: Lookup, peers: number) => void,
  ) {
    this.target = target;
    this.port = port;
    this.isForPeers = onPeers !== null;
    this.#onPeers = onPeers ?? (() => {});
    this.#onDone = onDone;
  }

  get isCancelled(): boolean {
    return this.#isCancelled;
  }

  get isOver(): boolean {
    return this.#isCancelled || this.#lookup?.isOver === true;
  }

  begun(lookup: Lookup): void {
    this.#lookup = lookup;
  }

  step(nowMs: number): void {
    this.#lookup?.step(nowMs);
  }

  /** Peers that a node has named. */
  heard(peers: readonly Address[]): void {
    const fresh: Address[] = [];
    for (const peer of peers) {
      if (this.#isCancelled || this.#known.size >= DHT_LIMITS.lookupPeers) break;
      const key = formatAddress(peer);
      if (this.#known.has(key)) continue;
      this.#known.add(key);
      fresh.push(peer);
    }
    if (fresh.length > 0) this.#onPeers(fresh);
  }

  done(lookup: Lookup): void {
    if (!this.#isCancelled) this.#onDone(lookup, this.#known.size);
  }

  /** Nobody is told of anything any more. */
  cancel(): void {
    this.#isCancelled = true;
    this.#lookup?.cancel();
  }
}

export class SearchQueue {
  readonly #begin: (search: Search) => Lookup;
  #running: Search[] = [];
  #waiting: Search[] = [];
  #nowMs = 0;

  /** @param begin makes the lookup of a search whose turn it is */
  constructor(begin: (search: Search) => Lookup) {
    this.#begin = begin;
  }

  search(
    infoHash: Buffer,
    port: number | null,
    onPeers: (peers: readonly Address[]) => void,
    onDone: (found: Found) => void,
  ): Search {
    return this.#add(
      new Search(infoHash, port, onPeers, (lookup, peers) => {
        onDone({ queries: lookup.queries, nodes: lookup.closest.length, peers, hops: lookup.hops });
      }),
    );
  }

  find(target: Buffer, onDone: (lookup: Lookup) => void): Search {
    return this.#add(new Search(target, null, null, onDone));
  }

  /** Goes on with what is under way, and begins what waits. */
  step(nowMs: number): void {
    this.#nowMs = nowMs;
    for (const search of this.#running) search.step(nowMs);
    this.#running = this.#running.filter(({ isOver }) => !isOver);
    this.#waiting = this.#waiting.filter(({ isOver }) => !isOver);
    while (this.#running.length < DHT_LIMITS.lookups) {
      const search = this.#waiting.shift();
      if (search === undefined) return;
      this.#start(search);
    }
  }

  #add(search: Search): Search {
    this.#waiting.push(search);
    return search;
  }

  #start(search: Search): void {
    search.begun(this.#begin(search));
    this.#running.push(search);
    search.step(this.#nowMs);
  }
}

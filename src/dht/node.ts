/**
 * One node of the DHT (BEP 5), of one family of addresses (BEP 32): answers others and searches for us. Pure: time,
 * dice and the sending of datagrams are given. It owns no timer: `tick` is called every half a second or so.
 * What comes from others costs a bounded time and memory, and makes us send a bounded amount: see `DHT_LIMITS`.
 */
import type { BencodeInput } from '../metainfo/bencode.js';
import type { Address } from '../net/address.js';
import { BelievedAddress } from '../net/believed-address.js';
import { Bucket, RateLimit } from '../net/rate-limit.js';
import { isUsable, mayName } from '../net/reach.js';
import { answerQuery, type Books } from './answers.js';
import { DHT_LIMITS } from './limits.js';
import { type Candidate, Lookup } from './lookup.js';
import { decodeMessage, encodeError, encodeQuery, type Family, type NodeContact, type Query } from './messages.js';
import { makeNodeId, sameId } from './node-id.js';
import { PeerStore } from './peer-store.js';
import { RoutingTable } from './routing-table.js';
import { type Found, type Search, SearchQueue } from './search.js';
import { Tokens } from './tokens.js';
import { type Pending, Transactions } from './transactions.js';
import { Upkeep } from './upkeep.js';

export interface DhtNodeOptions {
  readonly family: Family;
  /** Milliseconds. */
  readonly now: () => number;
  /** A generator of [0, 1), for choices that need not be secret. */
  readonly random: () => number;
  /** Bytes that nobody can guess. */
  readonly randomBytes: (count: number) => Uint8Array;
  readonly send: (bytes: Buffer, to: Address) => void;
  /** Our address on the Internet, as it was believed the last time. */
  readonly ownHost?: string | null;
  /** It asks, and neither answers nor wants to be remembered (BEP 43). */
  readonly isReadOnly?: boolean;
  /** Nodes that are asked while we know no others. */
  readonly roots: () => readonly Address[];
  /** Somebody has announced a torrent to us. */
  readonly onAnnounced?: (infoHash: Buffer, peer: Address) => void;
  /** The node of the other family. */
  readonly other?: () => DhtNode | null;
}

/** If nobody has answered for so long, it is our link that is down: nobody loses his place for it. */
const LINK_DOWN_MS = 60_000;

export class DhtNode {
  readonly family: Family;
  readonly table: RoutingTable;
  readonly peers = new PeerStore();
  readonly transactions: Transactions;
  readonly ownAddress: BelievedAddress;
  readonly #options: DhtNodeOptions;
  readonly #books: Books;
  readonly #limit: RateLimit;
  /** Of hosts that owe us an answer: what they send is read, and may be anything. */
  readonly #expected: RateLimit;
  readonly #budget: Bucket;
  readonly #introductions: Bucket;
  /** Nodes that peers tell of. */
  readonly #told: RateLimit;
  readonly #searches: SearchQueue;
  readonly #upkeep: Upkeep;
  /** Nodes that were known the last time, or that the other family has heard of: asked first, believed later. */
  #hints: NodeContact[] = [];
  #answeredAtMs = Number.NEGATIVE_INFINITY;
  /** Announces that found too many queries under way, in order; false: not yet. */
  #announces: (() => boolean)[] = [];

  constructor(options: DhtNodeOptions) {
    const nowMs = options.now();
    this.#options = options;
    this.family = options.family;
    this.ownAddress = new BelievedAddress(options.family, options.ownHost ?? null);
    this.table = new RoutingTable(makeNodeId(this.ownAddress.host, options.randomBytes), nowMs);
    this.transactions = new Transactions(options.randomBytes);
    this.#books = {
      family: options.family,
      table: this.table,
      otherTable: () => options.other?.()?.table ?? null,
      peers: this.peers,
      tokens: new Tokens(options.randomBytes(16)),
      random: options.random,
      onAnnounced: (infoHash, peer) => options.onAnnounced?.(infoHash, peer),
    };
    const { answersPerAddressPerSecond, answersPerAddressBurst, answersPerSecond } = DHT_LIMITS;
    this.#limit = new RateLimit(
      { perSecond: answersPerAddressPerSecond, burst: answersPerAddressBurst },
      { perSecond: answersPerSecond, burst: 2 * answersPerSecond },
      DHT_LIMITS.addressesWatched,
      nowMs,
    );
    // Of one host few are owed: a few that are asked and send anything must not use up what all have together.
    const each = { perSecond: answersPerAddressPerSecond, burst: answersPerAddressBurst };
    const whole = { perSecond: 2 * DHT_LIMITS.queriesPerSecond, burst: 4 * DHT_LIMITS.queriesPerSecond };
    this.#expected = new RateLimit(each, whole, DHT_LIMITS.queriesUnderWay, nowMs);
    this.#budget = new Bucket({ perSecond: DHT_LIMITS.queriesPerSecond, burst: DHT_LIMITS.queriesPerSecond }, nowMs);
    const perSecond = DHT_LIMITS.introductionsPerSecond;
    this.#introductions = new Bucket({ perSecond, burst: 2 * perSecond }, nowMs);
    this.#told = new RateLimit(
      { perSecond: 1 / DHT_LIMITS.toldPerAddressSeconds, burst: DHT_LIMITS.toldPerAddressBurst },
      { perSecond: DHT_LIMITS.toldPerSecond, burst: DHT_LIMITS.toldBurst },
      DHT_LIMITS.addressesWatched,
      nowMs,
    );
    this.#searches = new SearchQueue((search) => this.#begin(search));
    this.#upkeep = new Upkeep({
      table: this.table,
      randomBytes: options.randomBytes,
      find: (target, onDone) => this.#searches.find(target, onDone),
      ping: (node) => this.#ping(node.address, node.id),
      canJoin: () => options.roots().length > 0 || this.#hints.length > 0,
    });
  }

  get id(): Buffer {
    return this.table.ownId;
  }

  /** Nodes that are worth a try. */
  hint(nodes: readonly NodeContact[]): void {
    const usable = nodes.filter(({ address }) => isUsable(address, this.family));
    this.#hints = [...usable, ...this.#hints].slice(0, DHT_LIMITS.lookupCandidates);
  }

  /** Somebody at this host says that it has a node at this port (BEP 5, message `port`): it is asked. */
  heardOf(address: Address): void {
    if (!isUsable(address, this.family) || this.table.has(address)) return;
    if (!this.#told.take(address.host, this.#options.now())) return;
    this.#query('ping', {}, { address, onReply: () => {}, onFailure: () => {} }, null);
  }

  /**
   * Looks for peers of a torrent, and announces one to the closest nodes.
   * @param port of the peer; null: nothing is announced
   * @param onPeers called as they are found
   */
  search(
    infoHash: Buffer,
    port: number | null,
    onPeers: (peers: readonly Address[]) => void,
    onDone: (found: Found) => void,
  ): Search {
    const search = this.#searches.search(infoHash, port, onPeers, onDone);
    this.#searches.step(this.#options.now());
    return search;
  }

  /** Somebody looks for nodes. */
  find(target: Buffer, onDone: (lookup: Lookup) => void): void {
    this.#searches.find(target, onDone);
    this.#searches.step(this.#options.now());
  }

  tick(): void {
    const nowMs = this.#options.now();
    this.transactions.tick(nowMs);
    this.peers.tick(nowMs);
    // First of all: what waits has been found, and its tokens grow old.
    while (this.#announces[0]?.() === true) this.#announces.shift();
    this.#searches.step(nowMs);
    this.#upkeep.tick(nowMs);
  }

  /** @param from an address of our family, as the socket names it */
  receive(bytes: Uint8Array, from: Address): void {
    const nowMs = this.#options.now();
    if (!isUsable(from, this.family)) return;
    // A flood is not even read.
    const isExpected = this.transactions.expects(from.host);
    if (isExpected && !this.#expected.take(from.host, nowMs)) return;
    if (!isExpected && (this.#options.isReadOnly === true || !this.#limit.take(from.host, nowMs))) return;
    const message = decodeMessage(bytes);
    if (message === null) return;
    if (message.kind === 'reply') this.transactions.take(message.transaction, from)?.onReply(message);
    else if (message.kind === 'error') this.transactions.take(message.transaction, from)?.onFailure();
    else if (this.#options.isReadOnly === true || (isExpected && !this.#limit.take(from.host, nowMs))) return;
    else if (message.kind === 'bad query') this.#options.send(encodeError(message.transaction, message.code), from);
    else this.#onQuery(message, from, nowMs);
  }

  #onQuery(query: Query, from: Address, nowMs: number): void {
    // Our own words, or those of somebody who wants to be us.
    if (sameId(query.id, this.id)) return;
    this.#options.send(answerQuery(query, from, this.#books, nowMs), from);
    if (query.isReadOnly) return;
    this.table.asked(query.id, from, nowMs);
    // It says that it is there; whether it answers at that address is to be seen.
    if (this.table.wants(query.id, from) && this.#introductions.take(nowMs)) this.#ping(from, query.id);
  }

  #ping(address: Address, id: Buffer): boolean {
    return this.#query('ping', {}, { address, onReply: () => {}, onFailure: () => {} }, id);
  }

  /**
   * Sends a query. False: there are too many, or they come too fast.
   * @param id of the node, as far as it is known
   * @param isDue also where they come too fast
   */
  #query(
    method: Query['method'],
    args: { readonly [key: string]: BencodeInput | undefined },
    { address, onReply, onFailure }: Pending,
    id: Buffer | null,
    isDue = false,
  ): boolean {
    const nowMs = this.#options.now();
    if (!this.#budget.has(nowMs) && !isDue) return false;
    const pending: Pending = {
      address,
      onReply: (reply) => {
        this.#answeredAtMs = this.#options.now();
        if (id === null || sameId(id, reply.id)) this.table.answered(reply.id, address, this.#answeredAtMs);
        else this.table.failed(address);
        if (reply.ip !== null) this.#heardOfUs(address.host, reply.ip);
        onReply(reply);
      },
      onFailure: () => {
        if (this.#options.now() - this.#answeredAtMs < LINK_DOWN_MS) this.table.failed(address);
        onFailure();
      },
    };
    const transaction = this.transactions.begin(pending, nowMs);
    if (transaction === null) return false;
    this.#budget.take(nowMs);
    const { isReadOnly = false } = this.#options;
    this.#options.send(encodeQuery(transaction, method, { ...args, id: this.id }, isReadOnly), address);
    return true;
  }

  /** We have another address than we believed: our id must fit it (BEP 42). */
  #heardOfUs(from: string, host: string): void {
    if (!this.ownAddress.heard(from, host)) return;
    this.table.changeId(makeNodeId(host, this.#options.randomBytes), this.#options.now());
  }

  /** A lookup with all that we know to begin with. */
  #begin(search: Search): Lookup {
    const nowMs = this.#options.now();
    const lookup: Lookup = new Lookup({
      target: search.target,
      ownId: this.id,
      ask: (candidate) => this.#ask(search, lookup, candidate),
      onDone: () => {
        this.#announce(search, lookup);
        search.done(lookup);
      },
    });
    const known = this.table.closest(search.target, DHT_LIMITS.bucketNodes);
    lookup.add(known, 1);
    if (known.length < DHT_LIMITS.bucketNodes) {
      lookup.add(this.#hints, 1);
      lookup.addRoots(this.#options.roots().filter((address) => isUsable(address, this.family)));
    }
    this.table.touch(search.target, nowMs);
    // What others have announced to us counts too: in a small DHT nobody else may know it.
    if (search.isForPeers)
      search.heard(this.peers.some(search.target, DHT_LIMITS.storedPerTorrent, () => true, this.#options.random));
    return lookup;
  }

  #ask(search: Search, lookup: Lookup, candidate: Candidate): boolean {
    const { address, id } = candidate;
    const want = this.#options.other?.() == null ? undefined : ['n4', 'n6'];
    const args = search.isForPeers ? { info_hash: search.target, want } : { target: search.target, want };
    const step = (): void => lookup.step(this.#options.now());
    const pending: Pending = {
      address,
      onReply: (reply) => {
        if (lookup.isOver) return;
        const isRight = id === null || sameId(id, reply.id);
        const { nodes, nodes6 } = reply;
        const [own, others] = this.family === 4 ? [nodes, nodes6] : [nodes6, nodes];
        lookup.answered(candidate, reply, this.#believable(own, address.host));
        const other = this.#options.other?.() ?? null;
        if (isRight && other !== null && other.table.size < DHT_LIMITS.bucketNodes)
          other.hint(others.filter((node) => mayName(address.host, node.address.host)));
        if (isRight) search.heard(reply.values.filter((peer) => mayName(address.host, peer.host)));
        step();
      },
      onFailure: () => {
        if (lookup.isOver) return;
        lookup.failed(candidate);
        step();
      },
    };
    return this.#query(search.isForPeers ? 'get_peers' : 'find_node', args, pending, id);
  }

  /** Nodes that this one may name, without ourselves. */
  #believable(nodes: readonly NodeContact[], from: string): NodeContact[] {
    const { host } = this.ownAddress;
    return nodes.filter(({ address }) => address.host !== host && mayName(from, address.host));
  }

  #announce(search: Search, lookup: Lookup): void {
    const { port } = search;
    if (port === null) return;
    const untilMs = this.#options.now() + DHT_LIMITS.announceWaitMs;
    for (const { address, id, token } of lookup.closest) {
      if (token === null) continue;
      const args = { info_hash: search.target, port, implied_port: 0, token };
      const pending: Pending = { address, onReply: () => {}, onFailure: () => {} };
      const say = (): boolean =>
        search.isCancelled || this.#options.now() >= untilMs || this.#query('announce_peer', args, pending, id, true);
      // In order: one that waits is not overtaken.
      const isSaid = this.#announces.length === 0 && say();
      if (!isSaid && this.#announces.length < DHT_LIMITS.announcesWaiting) this.#announces.push(say);
    }
  }
}

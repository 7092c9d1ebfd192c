/**
 * The addresses known of one torrent, and which of them to dial next. Pure: time and dice are arguments.
 * Owns: source, state and failures of each address. Must not know: sockets, trackers, peers.
 * Invariants: an address is in `#ready` exactly when idle, in `#waiting` exactly when backing off or banned, in
 * `#evictable` exactly when backing off and not given by hand; at most `capacity` addresses are held. Every operation
 * is O(log n).
 *
 *     add → idle ─dialled→ dialling ─connected→ connected ─disconnected→ backing-off ─time→ idle
 *                             └────failed──────────────────────────────────↑   banned ─time──↑
 */
import { LIMITS } from '../config.js';
import { type Address, formatAddress, isDialable } from '../net/address.js';
import { Heap } from './heap.js';

/** Where an address came from. `explicit`: given by the user, retried fast and never evicted. */
export type AddressSource = 'explicit' | 'tracker' | 'incoming' | 'resume' | 'pex' | 'lsd' | 'dht' | 'magnet';
export type AddressState = 'idle' | 'dialling' | 'connected' | 'backing-off' | 'banned' | 'retired' | 'self';

/** First and longest pause after a failure; it doubles in between. */
export const RETRY_FIRST_MS = 15_000;
export const RETRY_LAST_MS = 30 * 60_000;
/** Pauses while there is no other peer: there is nothing else to wait for. After two minutes of them the last one. */
export const ALONE_RETRY_MS: readonly number[] = [1_000, 2_000, 4_000, ...Array.from({ length: 22 }, () => 5_000)];
export const ALONE_LAST_MS = 60_000;
/**
 * First pause of an address that answered before, doubling like the others: it is worth more than one that never did.
 */
export const ANSWERED_FIRST_MS = 5_000;
/** Pauses for a peer the user named: it is probably about to start. The last one repeats. */
export const EXPLICIT_RETRY_MS: readonly number[] = [1_000, 2_000, 5_000, 10_000, 20_000, 30_000, 60_000];
/** A connection that lasted this long was worth something: its end does not count as a failure. */
export const GOOD_CONNECTION_MS = 60_000;
/** Failures are counted up to here: 15 s doubled seven times is beyond 30 min. */
const FAILURES_MAX = 12;
/** Failures while there was no other peer count up to here. */
const LONELY_FAILURES_MAX = 3;
/** Being named more often than this says nothing more. */
const NAMED_MAX = 3;

interface Entry {
  readonly key: string;
  readonly address: Address;
  source: AddressSource;
  state: AddressState;
  failures: number;
  /** Failures and short connections in a row that happened while there was no other peer. */
  lonely: number;
  /** A handshake with it succeeded once. */
  hasAnswered: boolean;
  /** How often it was named: a tracker that names it again has heard of it again. Up to `NAMED_MAX`. */
  named: number;
  /** BEP 40; 0: nothing is known that it could be computed of. */
  priority: number;
  /** Random place among equals, so that a list in a chosen order does not choose for us. */
  readonly dice: number;
  /** When backing off, or the ban, ends. */
  readyAtMs: number;
  connectedAtMs: number;
  heapAt: number;
}

const BARRED: ReadonlySet<AddressState> = new Set<AddressState>(['banned', 'retired', 'self']);

const isExplicit = (entry: Entry): boolean => entry.source === 'explicit';

/**
 * To have answered is worth one failure, not more: who answers and hangs up each time must not stand before those not
 * tried yet.
 */
const demerits = (entry: Entry): number => Math.max(0, entry.failures - (entry.hasAnswered ? 1 : 0));

/**
 * By hand before the rest; then few failures before many, who answered before, named often before named once, then the
 * canonical order (BEP 40), so that both ends of a pair prefer each other, then dice.
 */
function dialsBefore(a: Entry, b: Entry): boolean {
  if (isExplicit(a) !== isExplicit(b)) return isExplicit(a);
  const difference = demerits(a) - demerits(b);
  if (difference !== 0) return difference < 0;
  if (a.hasAnswered !== b.hasAnswered) return a.hasAnswered;
  if (a.named !== b.named) return a.named > b.named;
  return a.priority !== b.priority ? a.priority > b.priority : a.dice < b.dice;
}

/** BEP 40, by where we are now. Another `version`: we are elsewhere. */
export interface CanonicalOrder {
  priorityOf(address: Address): number;
  readonly version: number;
}

const NO_ORDER: CanonicalOrder = { priorityOf: () => 0, version: 0 };

export class AddressBook {
  readonly #random: () => number;
  readonly #order: CanonicalOrder;
  /** Of the order that the entries stand in. */
  #version: number;
  readonly #capacity: number;
  readonly #entries = new Map<string, Entry>();
  readonly #ready = new Heap<Entry>(dialsBefore);
  readonly #waiting = new Heap<Entry>((a, b) => a.readyAtMs < b.readyAtMs);
  /** Backing-off entries by number of failures, for eviction of the worst. */
  readonly #evictable: (Set<Entry> | undefined)[] = [];
  /** Banned, retired and own addresses in that order: the oldest goes when they fill more than half the book. */
  readonly #barred = new Set<Entry>();

  /**
   * @param options.random a generator of [0, 1).
   * @param options.capacity addresses kept; default LIMITS.knownAddresses.
   * @param options.order among equals; default none.
   */
  constructor(options: {
    readonly random: () => number;
    readonly capacity?: number;
    readonly order?: CanonicalOrder;
  }) {
    this.#random = options.random;
    this.#order = options.order ?? NO_ORDER;
    this.#version = this.#order.version;
    this.#capacity = options.capacity ?? LIMITS.knownAddresses;
  }

  /** Addresses that are peers or may become peers: neither banned nor retired nor our own. */
  get count(): number {
    return this.#entries.size - this.#barred.size;
  }

  state(address: Address): AddressState | null {
    return this.#entries.get(formatAddress(address))?.state ?? null;
  }

  /**
   * Remembers an address. 'refused': it cannot be dialled, or the book is full of better ones.
   * An address given by hand again is dialled again at once, whatever happened before (unless retired or our own).
   */
  add(address: Address, source: AddressSource): 'added' | 'known' | 'refused' {
    const known = this.#entries.get(formatAddress(address));
    if (known !== undefined) {
      if (source === 'explicit') this.#favour(known);
      else if (known.named < NAMED_MAX) this.#nameAgain(known);
      return 'known';
    }
    if (!isDialable(address) || !this.#makeRoom(source)) return 'refused';
    this.#insert(address, source, 'idle');
    return 'added';
  }

  /** The address to dial next, or null. Changes nothing for the caller: it stays next until `dialled`. */
  next(nowMs: number): Address | null {
    for (let entry = this.#waiting.peek(); entry !== null && entry.readyAtMs <= nowMs; entry = this.#waiting.peek()) {
      this.#move(entry, 'idle');
    }
    if (this.#version !== this.#order.version) this.#reorder();
    return this.#ready.peek()?.address ?? null;
  }

  /** When `next` may have something, given that it had nothing: the end of the earliest pause, or Infinity. */
  nextAtMs(): number {
    return this.#waiting.peek()?.readyAtMs ?? Number.POSITIVE_INFINITY;
  }

  dialled(address: Address): void {
    const entry = this.#open(address);
    if (entry !== null) this.#move(entry, 'dialling');
  }

  /** A handshake with this address succeeded, whoever dialled. */
  connected(address: Address, nowMs: number): void {
    const entry = this.#open(address);
    if (entry === null) return;
    entry.connectedAtMs = nowMs;
    entry.hasAnswered = true;
    this.#move(entry, 'connected');
  }

  /** A dial or handshake failed. */
  failed(address: Address, nowMs: number, isAlone = false): void {
    const entry = this.#open(address);
    if (entry !== null) this.#backOff(entry, nowMs, true, isAlone);
  }

  /**
   * A peer of this address is silent: another connection is tried, without a pause. Nothing happens while one is being
   * tried.
   */
  dialAgain(address: Address): void {
    const entry = this.#open(address);
    if (entry?.state === 'connected' || entry?.state === 'backing-off') this.#move(entry, 'idle');
  }

  /** The dial did not begin, for want of something of ours: the address is as it was. */
  postponed(address: Address): void {
    const entry = this.#open(address);
    if (entry?.state === 'dialling') this.#move(entry, 'idle');
  }

  /**
   * A connection ended. A short one counts as a failure, so that a peer that drops us at once is not dialled in a loop.
   */
  disconnected(address: Address, nowMs: number, isAlone = false): void {
    const entry = this.#open(address);
    if (entry === null) return;
    const wasGood = entry.state === 'connected' && nowMs - entry.connectedAtMs >= GOOD_CONNECTION_MS;
    if (wasGood) {
      entry.failures = 0;
      entry.lonely = 0;
    }
    this.#backOff(entry, nowMs, !wasGood, isAlone);
  }

  /**
   * Not to be dialled before that time. The address need not be known. One given by hand is not banned: the user knows
   * better.
   */
  ban(address: Address, untilMs: number): void {
    const known = this.#entries.get(formatAddress(address));
    if (known === undefined || !isExplicit(known)) this.#bar(address, 'banned', untilMs);
  }

  /** Of no use any more, whoever gave it: never to be dialled again. */
  retire(address: Address): void {
    this.#bar(address, 'retired', Number.POSITIVE_INFINITY);
  }

  /** Our own address, found by dialling ourselves. */
  markSelf(address: Address): void {
    this.#bar(address, 'self', Number.POSITIVE_INFINITY);
  }

  /** The user names it no more: it is forgotten, or, while it is dialled or connected, becomes one like any other. */
  disown(address: Address): void {
    const entry = this.#open(address);
    if (entry?.source !== 'explicit') return;
    if (entry.state !== 'dialling' && entry.state !== 'connected') this.#forget(entry);
    else entry.source = 'tracker';
  }

  /** There is nobody else: the address whose ban ends first may be dialled now. False: none is banned. */
  pardon(): boolean {
    let first: Entry | null = null;
    for (const entry of this.#barred)
      if (entry.state === 'banned' && entry.readyAtMs < (first?.readyAtMs ?? Number.POSITIVE_INFINITY)) first = entry;
    if (first !== null) this.#move(first, 'idle');
    return first !== null;
  }

  /** Throws when an invariant is broken; for tests. */
  checkInvariants(): void {
    let ready = 0;
    let waiting = 0;
    for (const entry of this.#entries.values()) {
      if (entry.state === 'idle') ready++;
      if (entry.state === 'backing-off') waiting++;
      if (entry.state === 'banned') waiting++;
      const isHeaped = entry.state === 'idle' || entry.state === 'backing-off' || entry.state === 'banned';
      if (isHeaped !== entry.heapAt >= 0) throw new Error(`${entry.key} is ${entry.state} and at ${entry.heapAt}`);
      const isBarred = BARRED.has(entry.state);
      if (isBarred !== this.#barred.has(entry)) throw new Error(`${entry.key} is wrongly barred`);
      const isEvictable = entry.state === 'backing-off' && !isExplicit(entry);
      if (isEvictable !== (this.#evictable[entry.failures]?.has(entry) ?? false))
        throw new Error(`${entry.key} is misfiled`);
    }
    const evictable = this.#evictable.reduce((sum, set) => sum + (set?.size ?? 0), 0);
    if (ready !== this.#ready.size || waiting !== this.#waiting.size || evictable > waiting)
      throw new Error('heaps hold strangers');
    if (this.#entries.size > this.#capacity) throw new Error('book is over its capacity');
  }

  /** The entry, unless unknown or barred: these change state with time, or by hand. */
  #open(address: Address): Entry | null {
    const entry = this.#entries.get(formatAddress(address));
    return entry === undefined || this.#barred.has(entry) ? null : entry;
  }

  #insert(address: Address, source: AddressSource, state: AddressState, readyAtMs = 0): Entry {
    const entry: Entry = {
      key: formatAddress(address),
      address,
      source,
      state,
      failures: 0,
      lonely: 0,
      hasAnswered: false,
      named: 1,
      priority: this.#order.priorityOf(address),
      dice: this.#random(),
      readyAtMs,
      connectedAtMs: 0,
      heapAt: -1,
    };
    this.#entries.set(entry.key, entry);
    this.#file(entry);
    return entry;
  }

  #move(entry: Entry, state: AddressState, readyAtMs = 0): void {
    this.#unfile(entry);
    entry.state = state;
    entry.readyAtMs = readyAtMs;
    this.#file(entry);
  }

  /** Puts an entry where its state belongs. */
  #file(entry: Entry): void {
    if (entry.state === 'idle') this.#ready.push(entry);
    else if (BARRED.has(entry.state)) this.#barred.add(entry);
    if (entry.state === 'backing-off' || entry.state === 'banned') this.#waiting.push(entry);
    if (entry.state !== 'backing-off' || isExplicit(entry)) return;
    this.#evictable[entry.failures] ??= new Set();
    this.#evictable[entry.failures]!.add(entry);
  }

  #unfile(entry: Entry): void {
    if (entry.state === 'idle') this.#ready.remove(entry);
    if (entry.state === 'backing-off' || entry.state === 'banned') this.#waiting.remove(entry);
    this.#evictable[entry.failures]?.delete(entry);
    this.#barred.delete(entry);
  }

  #backOff(entry: Entry, nowMs: number, isFailure: boolean, isAlone: boolean): void {
    this.#unfile(entry);
    entry.lonely = isAlone ? entry.lonely + 1 : 0;
    // Nobody answers a host that lost its own link: that says little of each address.
    const most = isAlone ? Math.max(entry.failures, LONELY_FAILURES_MAX) : FAILURES_MAX;
    if (isFailure) entry.failures = Math.min(entry.failures + 1, most);
    entry.state = 'backing-off';
    entry.readyAtMs = nowMs + this.#pauseMs(entry);
    this.#file(entry);
  }

  #pauseMs(entry: Entry): number {
    const step = Math.max(entry.failures - 1, 0);
    if (isExplicit(entry)) return EXPLICIT_RETRY_MS[Math.min(step, EXPLICIT_RETRY_MS.length - 1)]!;
    const aloneMs = ALONE_RETRY_MS[entry.lonely - 1] ?? ALONE_LAST_MS;
    const firstMs = entry.hasAnswered ? ANSWERED_FIRST_MS : RETRY_FIRST_MS;
    const pauseMs = entry.lonely > 0 ? aloneMs : Math.min(firstMs * 2 ** step, RETRY_LAST_MS);
    // Up to a tenth more: a fleet that lost one machine shall not come back to it in one instant.
    return pauseMs + Math.floor((pauseMs / 10) * this.#random());
  }

  #reorder(): void {
    this.#version = this.#order.version;
    for (const entry of this.#entries.values()) {
      if (entry.state === 'idle') this.#ready.remove(entry);
      entry.priority = this.#order.priorityOf(entry.address);
      if (entry.state === 'idle') this.#ready.push(entry);
    }
  }

  #nameAgain(entry: Entry): void {
    this.#unfile(entry);
    entry.named++;
    this.#file(entry);
  }

  #favour(entry: Entry): void {
    if (entry.state === 'self' || entry.state === 'retired') return;
    this.#unfile(entry);
    entry.source = 'explicit';
    entry.failures = 0;
    if (entry.state === 'backing-off' || entry.state === 'banned') entry.state = 'idle';
    this.#file(entry);
  }

  #bar(address: Address, state: 'banned' | 'retired' | 'self', untilMs: number): void {
    const known = this.#entries.get(formatAddress(address));
    if (known !== undefined) this.#move(known, state, untilMs);
    else if (this.#makeRoom('explicit')) this.#insert(address, 'tracker', state, untilMs);
    const [oldest] = this.#barred;
    if (oldest !== undefined && this.#barred.size > this.#capacity / 2) this.#forget(oldest);
  }

  /** Frees one place when the book is full: the address that failed most, or, for one given by hand, an untried one. */
  #makeRoom(source: AddressSource): boolean {
    if (this.#entries.size < this.#capacity) return true;
    for (let failures = FAILURES_MAX; failures >= 1; failures--) {
      for (const worst of this.#evictable[failures] ?? []) {
        this.#forget(worst);
        return true;
      }
    }
    const late = source === 'explicit' ? this.#ready.last() : null;
    if (late === null || isExplicit(late)) return false;
    this.#forget(late);
    return true;
  }

  #forget(entry: Entry): void {
    this.#unfile(entry);
    this.#entries.delete(entry.key);
  }
}

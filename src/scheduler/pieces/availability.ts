/**
 * How many copies of each piece the swarm has, and the pieces we may still open: one rarity order per priority.
 * Peers that have everything are one number added to every piece.
 *
 * Invariant: a pickable piece is in the order of its priority and in no other; a piece of another state, and any
 * skipped one, in none. Without priorities there is one order and no table of priorities; other orders are made when
 * the first piece gets their priority.
 */
import { HIGH, LEVELS, type Level, LOW, NORMAL, SKIP } from './priority.js';
import { RarityOrder } from './rarity-order.js';

export class Availability {
  readonly #copies: Int32Array;
  readonly #random: () => number;
  readonly #normal: RarityOrder;
  /** By priority. */
  readonly #orders: (RarityOrder | null)[];
  /** By piece; null: all normal, and never anything else. */
  #priorities: Uint8Array | null;
  #maxPeers: number;
  #pickableCount = 0;
  /** Hears of the same pieces, and has copies of its own. */
  #twin: Availability | null = null;
  /** Peers that have every piece and are not counted piece by piece. */
  seedCount = 0;

  /**
   * @param maxPeers most peers counted at once. @param isNeeded which pieces may be opened at the beginning, if not
   * skipped.
   * @param priorities one per piece, read once; null: all normal.
   */
  constructor(
    pieceCount: number,
    maxPeers: number,
    isNeeded: (piece: number) => boolean,
    random: () => number,
    priorities: Uint8Array | null = null,
  ) {
    this.#random = random;
    this.#maxPeers = maxPeers;
    this.#copies = new Int32Array(pieceCount);
    this.#priorities = priorities === null ? null : Uint8Array.from(priorities);
    this.#orders = Array.from({ length: LEVELS }, () => null);
    for (const priority of [LOW, NORMAL, HIGH]) {
      const isMember = (piece: number): boolean => this.priority(piece) === priority && isNeeded(piece);
      if (priority === NORMAL || priorities?.includes(priority)) this.#make(priority, isMember);
    }
    this.#normal = this.#orders[NORMAL]!;
  }

  #make(priority: number, isMember: (piece: number) => boolean): void {
    const order = new RarityOrder(this.#copies, this.#maxPeers, isMember, this.#random);
    this.#orders[priority] = order;
    this.#pickableCount += order.size;
  }

  /** Of the same pieces, pickable ones and priorities, from now on; without copies. */
  makeTwin(): Availability {
    const isPickable = (piece: number): boolean => this.isPickable(piece);
    this.#twin = new Availability(this.#copies.length, this.#maxPeers, isPickable, this.#random, this.#priorities);
    return this.#twin;
  }

  /** At most `maxPeers` are counted from now on. */
  grow(maxPeers: number): void {
    this.#maxPeers = maxPeers;
    for (const order of this.#orders) order?.grow(maxPeers);
    this.#twin?.grow(maxPeers);
  }

  /** Copies of a piece among connected peers. */
  copies(piece: number): number {
    return this.#copies[piece]! + this.seedCount;
  }

  priority(piece: number): Level {
    return this.#priorities === null ? NORMAL : (this.#priorities[piece]! as Level);
  }

  /** A piece may be other than normal. */
  get hasPriorities(): boolean {
    return this.#priorities !== null;
  }

  isPickable(piece: number): boolean {
    return this.#orderOf(piece)?.has(piece) ?? false;
  }

  get pickableCount(): number {
    return this.#pickableCount;
  }

  /** The pickable pieces of one priority by their copies outside of seeds; null: there never were any. */
  order(priority: number): RarityOrder | null {
    return this.#orders[priority]!;
  }

  /** A peer got a copy. */
  increment(piece: number): void {
    this.#copies[piece]!++;
    this.#orderOf(piece)?.gained(piece);
  }

  /** A peer with a copy left. */
  decrement(piece: number): void {
    this.#copies[piece]!--;
    this.#orderOf(piece)?.lost(piece);
  }

  /** The piece is being fetched: it may not be picked again. */
  close(piece: number): void {
    this.#orderOf(piece)!.remove(piece);
    this.#pickableCount--;
    this.#twin?.close(piece);
  }

  /** The piece was given up: it may be picked again, unless it is skipped. */
  reopen(piece: number): void {
    const order = this.#orderOf(piece);
    if (order === null) return;
    order.add(piece);
    this.#pickableCount++;
    this.#twin?.reopen(piece);
  }

  /** A pickable piece is taken out of its old order; `reopen` puts it into the new one. */
  setPriority(piece: number, priority: Level): void {
    if (this.isPickable(piece)) this.close(piece);
    this.#twin?.setPriority(piece, priority);
    this.#priorities ??= new Uint8Array(this.#copies.length).fill(NORMAL);
    this.#priorities[piece] = priority;
    if (priority !== SKIP && this.#orders[priority] === null) this.#make(priority, () => false);
  }

  #orderOf(piece: number): RarityOrder | null {
    return this.#priorities === null ? this.#normal : this.#orders[this.#priorities[piece]!]!;
  }

  /** Throws when orders, priorities and counts disagree. For tests: O(pieces). */
  checkInvariants(): void {
    let pickable = 0;
    this.#orders.forEach((order, priority) => {
      if (order === null) return;
      order.checkInvariants();
      pickable += order.size;
      for (let index = order.firstIndex(0); index < order.end; index++) {
        const piece = order.pieceAt(index);
        if (this.priority(piece) !== priority)
          throw new Error(`piece ${piece} is in the order of priority ${priority}`);
      }
    });
    if (pickable !== this.#pickableCount) throw new Error(`${pickable} pieces are pickable`);
  }
}

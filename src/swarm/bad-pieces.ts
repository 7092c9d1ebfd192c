/**
 * What follows when a piece fails its hash: who is asked for it next, and when. Pure: the clock is an argument.
 *
 *   one peer sent all of it   it is not asked for this piece while others have it (`OTHERS_MS`). Where it is the only
 *                             source it is asked again: at once, and from the third bad copy on after a pause that
 *                             doubles
 *   several sent it, twice    one of them alone, the one tried least, is tried with it (`OTHERS_MS`): its copy is good
 *                             and shows the others' bad blocks, or it is bad and the case above
 *   a good copy               shows by content who sent bad blocks (`suspects.ts`): only they are guilty
 *
 * "Not asked" means: the scheduler is told that the peer lacks the piece. All other pieces are asked of it as ever.
 * Invariant: a piece is withheld from a peer only while the peer says that it has it.
 */
import type { Geometry, PieceIndex } from '../metainfo/geometry.js';
import { Suspects, soleSender } from './suspects.js';

/** Time for the other sources of a piece. */
export const OTHERS_MS = 30_000;
/** Bad copies from the only source before it is given time. */
export const COPIES_AT_ONCE = 2;
/** First and longest pause of the only source. */
export const SOLE_FIRST_MS = 2_000;
export const SOLE_LAST_MS = 5 * 60_000;
/** Counts of bad copies kept: liars under many addresses must not fill memory. */
const COUNTS_MAX = 1024;
/** Failed copies of pieces with several senders before one of them is tried alone. */
const MIXED_COPIES = 2;
/** Hosts remembered as tried with one piece; beyond that all begin anew. */
const TRIALS_MAX = 64;

/** What the owner does about it; peers are objects of its own. */
export interface BadPieceOwner<P> {
  /** Whom to blame for more than one connection: a host, or the /64 of one. */
  hostOf(peer: P): string;
  /** Connected peers that have the piece. */
  copies(piece: PieceIndex): number;
  /** The peer is connected and says that it has the piece. */
  hasPiece(peer: P, piece: PieceIndex): boolean;
  /** More is better: whom of several senders to try alone. */
  worth(peer: P): number;
  /** Do not ask the peer for this piece any more. */
  withhold(peer: P, piece: PieceIndex): void;
  /** It may be asked again. */
  restore(peer: P, piece: PieceIndex): void;
  /** All of this piece came from the peer, and it is bad: the peer should check its copy. */
  tellSharer(peer: P, piece: PieceIndex): void;
  /** The only source gave so many bad copies and is asked again after the pause. */
  onPoisonedSource(peer: P, piece: PieceIndex, copies: number, pauseMs: number): void;
}

interface Withheld<P> {
  readonly peer: P;
  readonly piece: PieceIndex;
  /** Bad copies from it; 0: another sender is tried alone. */
  readonly copies: number;
  readonly sinceMs: number;
}

interface Mixed<P extends object> {
  times: number;
  /** How often somebody of each host was tried alone. */
  readonly trials: Map<string, number>;
  /** Of several behind one address, those that were. */
  readonly tried: WeakSet<P>;
}

export class BadPieces<P extends object> {
  readonly #owner: BadPieceOwner<P>;
  readonly #suspects: Suspects<P>;
  readonly #withheld = new Set<Withheld<P>>();
  /** Bad copies by "piece host", oldest first. By host: whoever comes back under a new name goes on where it was. */
  readonly #counts = new Map<string, number>();
  /** Failed copies that came from several peers, by piece. */
  readonly #mixed = new Map<PieceIndex, Mixed<P>>();

  constructor(geometry: Geometry, owner: BadPieceOwner<P>) {
    this.#owner = owner;
    this.#suspects = new Suspects(geometry);
  }

  /** There are failed copies to compare the good one with. */
  has(piece: PieceIndex): boolean {
    return this.#suspects.has(piece);
  }

  /** @param senders of each block, null: it has left. @param digests null: not known. */
  failed(piece: PieceIndex, senders: readonly (P | null)[], digests: Uint8Array | null, nowMs: number): void {
    if (digests !== null) this.#suspects.remember(piece, senders, digests);
    const sole = soleSender(senders);
    if (sole !== null) this.#soleFailed(piece, sole, nowMs);
    else this.#mixedFailed(piece, senders, nowMs);
  }

  /**
   * @param digests of the good copy; null: not known, and nobody is convicted. Returns the peers whose blocks were bad,
   * also those that left.
   */
  good(piece: PieceIndex, senders: readonly (P | null)[], digests: Uint8Array | null): Set<P> {
    this.#mixed.delete(piece);
    this.#release((entry) => entry.piece === piece);
    return digests === null ? new Set() : this.#suspects.convict(piece, digests, senders);
  }

  /** Call it once a second: whose time is over is asked again. */
  tick(nowMs: number): void {
    if (this.#withheld.size > 0) this.#release((entry) => nowMs - entry.sinceMs >= this.#pauseMs(entry));
  }

  isWithheld(peer: P, piece: PieceIndex): boolean {
    for (const entry of this.#withheld) if (entry.peer === peer && entry.piece === piece) return true;
    return false;
  }

  /** Pieces that the peer says it has and is not asked for. */
  withheldFrom(peer: P): number {
    let count = 0;
    for (const entry of this.#withheld) if (entry.peer === peer) count++;
    return count;
  }

  /** The peer left, or says itself that it lacks the piece (null: all pieces). */
  forget(peer: P, piece: PieceIndex | null): void {
    for (const entry of this.#withheld) {
      if (entry.peer === peer && (piece === null || entry.piece === piece)) this.#withheld.delete(entry);
    }
  }

  #soleFailed(piece: PieceIndex, peer: P, nowMs: number): void {
    const copies = this.#count(piece, this.#owner.hostOf(peer));
    // Whoever waited for this trial may be asked again.
    this.#release((entry) => entry.piece === piece && entry.copies === 0);
    this.#owner.tellSharer(peer, piece);
    if (!this.#owner.hasPiece(peer, piece)) return;
    this.#owner.withhold(peer, piece);
    const entry: Withheld<P> = { peer, piece, copies, sinceMs: nowMs };
    const pauseMs = this.#pauseMs(entry);
    if (pauseMs > 0) this.#withheld.add(entry);
    else this.#owner.restore(peer, piece);
    if (pauseMs > 0 && this.#owner.copies(piece) === 0) this.#owner.onPoisonedSource(peer, piece, copies, pauseMs);
  }

  #mixedFailed(piece: PieceIndex, senders: readonly (P | null)[], nowMs: number): void {
    const mixed = this.#mixed.get(piece) ?? { times: 0, trials: new Map(), tried: new WeakSet() };
    this.#mixed.set(piece, mixed);
    if (++mixed.times < MIXED_COPIES) return;
    const present = [...new Set(senders)].filter((peer) => peer !== null && this.#owner.hasPiece(peer, piece)) as P[];
    // Who was tried before brought no verdict: the fastest could stall and be chosen for ever.
    const trials = (peer: P): number => mixed.trials.get(this.#owner.hostOf(peer)) ?? 0;
    const wasTried = (peer: P): number => Number(mixed.tried.has(peer));
    present.sort(
      (a, b) => trials(a) - trials(b) || wasTried(a) - wasTried(b) || this.#owner.worth(b) - this.#owner.worth(a),
    );
    const [first] = present;
    if (first !== undefined && present.length > 1) {
      if (mixed.trials.size >= TRIALS_MAX) mixed.trials.clear();
      mixed.trials.set(this.#owner.hostOf(first), trials(first) + 1);
      mixed.tried.add(first);
    }
    for (const peer of present.slice(1)) {
      this.#owner.withhold(peer, piece);
      this.#withheld.add({ peer, piece, copies: 0, sinceMs: nowMs });
    }
  }

  #pauseMs({ piece, copies }: Withheld<P>): number {
    if (copies === 0 || this.#owner.copies(piece) > 0) return OTHERS_MS;
    return copies <= COPIES_AT_ONCE ? 0 : Math.min(SOLE_LAST_MS, SOLE_FIRST_MS * 2 ** (copies - COPIES_AT_ONCE - 1));
  }

  #count(piece: PieceIndex, host: string): number {
    const key = `${piece} ${host}`;
    const count = (this.#counts.get(key) ?? 0) + 1;
    this.#counts.delete(key);
    this.#counts.set(key, count);
    const [oldest] = this.#counts.keys();
    if (this.#counts.size > COUNTS_MAX) this.#counts.delete(oldest!);
    return count;
  }

  #release(isOver: (entry: Withheld<P>) => boolean): void {
    // Judged together: the first to be asked again would be a second source to the next.
    for (const entry of [...this.#withheld].filter(isOver)) {
      this.#withheld.delete(entry);
      this.#owner.restore(entry.peer, entry.piece);
    }
  }
}

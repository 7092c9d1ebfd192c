/**
 * What a super-seed showed to one peer and what became of it: the window of pieces under way, and the pieces it is to
 * pass on.
 */

/** One piece arrives while the next is ready to be asked for. More are a loss when the peer is choked or leaves. */
export const MIN_WINDOW = 2;
/**
 * From reveal to HAVE: below, the window was too small to tell what the peer can take; above, it is larger than round
 * trips ask for.
 */
const QUICK_MS = 500;
const SLOW_MS = 2_000;
/**
 * A piece should be at a second peer after this long, and later the slower the links: four times what it took to come
 * from us.
 */
export const PASS_ON_MS = 10_000;
const PASS_ON_TIMES = 4;
/** Then a peer that passes nothing on gets another chance: perhaps nobody wanted the piece. */
export const FORGIVE_MS = 60_000;
/**
 * A revealed piece that did not arrive goes to somebody else after this long, later when the peer is slow but not idle.
 */
export const LATE_MS = 30_000;
const LATE_TIMES = 4;

export class Reveals {
  /** Pieces revealed to it, one bit each in the order of BEP 3 `bitfield`: a HAVE cannot be taken back. */
  readonly revealed: Uint8Array;
  revealedCount = 0;
  /** Revealed and not had yet, and since when the peer could fetch it; oldest first. */
  readonly open = new Map<number, number>();
  /** Had by this peer and nobody else, and when somebody else should have it; oldest first. */
  readonly kept = new Map<number, number>();
  /** Most open pieces while it is unchoked. */
  window = MIN_WINDOW;
  /** It does not pass on what it got. */
  isHeldBack = false;
  revealedMs = 0;
  /** From reveal to HAVE, the last time; Infinity before the first. */
  #tookMs = Number.POSITIVE_INFINITY;

  constructor(pieceCount: number) {
    this.revealed = new Uint8Array(Math.ceil(pieceCount / 8));
  }

  knows(piece: number): boolean {
    return (this.revealed[piece >> 3]! & (0x80 >> (piece & 7))) !== 0;
  }

  reveal(piece: number, nowMs: number): void {
    this.revealed[piece >> 3]! |= 0x80 >> (piece & 7);
    this.revealedCount++;
    this.open.set(piece, nowMs);
    this.revealedMs = nowMs;
  }

  /**
   * A piece came that was open since then. The window learns from it: outstanding pieces = rate × time, so a short time
   * means too few.
   */
  took(sinceMs: number, wasFull: boolean, nowMs: number): void {
    this.#tookMs = nowMs - sinceMs;
    if (this.#tookMs < QUICK_MS && wasFull) this.window++;
    else if (this.#tookMs > SLOW_MS) this.window = Math.max(MIN_WINDOW, this.window - 1);
  }

  /** Nobody else has the piece that came last. */
  keep(piece: number, nowMs: number): void {
    this.kept.set(piece, nowMs + PASS_ON_MS + PASS_ON_TIMES * this.#tookMs);
  }

  /** Is it held back? The oldest piece it keeps decides. Returns the pieces that are forgiven, if any. */
  judge(nowMs: number): readonly number[] {
    const [oldestDueMs = Number.POSITIVE_INFINITY] = this.kept.values();
    const isForgiven = nowMs >= oldestDueMs + FORGIVE_MS;
    const forgiven = isForgiven ? [...this.kept.keys()] : [];
    if (isForgiven) this.kept.clear();
    this.isHeldBack = !isForgiven && nowMs >= oldestDueMs;
    return forgiven;
  }

  /** @param isUrgent others have nothing else to fetch. @param isIdle it takes nothing from us. */
  isLate(sinceMs: number, isUrgent: boolean, isIdle: boolean, nowMs: number): boolean {
    const ageMs = nowMs - sinceMs;
    return ageMs >= LATE_MS && (isUrgent || isIdle || ageMs >= LATE_MS + LATE_TIMES * this.#tookMs);
  }
}

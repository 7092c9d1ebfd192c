/** What one storage holds of a memory pool, and its door to it. Its fields are the pool's to change. */

/** Everybody may have so many pieces: one is verified while the next is filled. */
export const LEAST = 2;

/** A storage, as the pool sees it. */
export interface Tenant {
  /**
   * Gives up units that nobody uses now, oldest first, until so many bytes are no longer live or there is none; its
   * share is told meanwhile.
   */
  shrink(bytes: number): void;
  /** What is leaving is to go now. */
  hurry(): void;
  /** Others wait for pieces: those that are open and of no use now are to be closed. */
  shrinkPieces(): void;
  /** Units were used since this was asked last. */
  takeUsed(): boolean;
  /** A piece, or a unit, that was refused may be asked for. */
  roomForPieces(): void;
  roomForUnits(): void;
}

/** What a share asks of its pool, each time for itself. */
export interface SharedPool {
  readonly mostPieceBytes: number;
  readonly fairUnitBytes: number;
  roomPieces(share: Share): number;
  isShortOfPieces(share: Share): boolean;
  takePiece(share: Share): boolean;
  givePiece(share: Share): void;
  takeUnit(share: Share): boolean;
  adoptUnit(share: Share): void;
  unitLeaves(share: Share): void;
  unitStays(share: Share): void;
  giveUnit(share: Share): void;
  unitLeft(share: Share): void;
  unitIsFree(): void;
  leave(share: Share): void;
}

export class Share {
  readonly pieceBytes: number;
  readonly unitBytes: number;
  readonly tenant: Tenant;
  pieces = 0;
  units = 0;
  /** Units whose memory is on its way back. */
  leaving = 0;
  /** It stood in line for too long: so many it has at once, beyond the bounds. */
  owedPieces = 0;
  /** In line since then. */
  piecesSinceMs = 0;
  unitsSinceMs = 0;
  /** It stood in line for too long: the bounds count no more for its next unit. */
  isLate = false;
  usedMs = 0;
  readonly #pool: SharedPool;

  constructor(pool: SharedPool, pieceBytes: number, unitBytes: number, tenant: Tenant) {
    this.#pool = pool;
    this.pieceBytes = pieceBytes;
    this.unitBytes = unitBytes;
    this.tenant = tenant;
  }

  get roomPieces(): number {
    return this.#pool.roomPieces(this);
  }

  /** It would open more pieces than its least if others did not hold the memory. */
  get isShortOfPieces(): boolean {
    return this.#pool.isShortOfPieces(this);
  }

  /** Most pieces while nobody else wants any. */
  get mostPieces(): number {
    return Math.max(LEAST, Math.floor(this.#pool.mostPieceBytes / this.pieceBytes));
  }

  /** Units that it may count on having, or has. */
  get reachUnits(): number {
    return Math.max(this.units, Math.floor(this.#pool.fairUnitBytes / this.unitBytes));
  }

  /** False: `roomForPieces` follows. */
  takePiece(): boolean {
    return this.#pool.takePiece(this);
  }

  givePiece(): void {
    this.#pool.givePiece(this);
  }

  /** False: `roomForUnits` follows. */
  takeUnit(): boolean {
    return this.#pool.takeUnit(this);
  }

  /** The memory of a piece that was closed is a unit now, and nobody uses it: this one goes first. */
  adoptUnit(): void {
    this.#pool.adoptUnit(this);
  }

  unitLeaves(): void {
    this.#pool.unitLeaves(this);
  }

  unitStays(): void {
    this.#pool.unitStays(this);
  }

  giveUnit(): void {
    this.#pool.giveUnit(this);
  }

  unitLeft(): void {
    this.#pool.unitLeft(this);
  }

  unitIsFree(): void {
    this.#pool.unitIsFree();
  }

  /** All it holds is gone. */
  leave(): void {
    this.#pool.leave(this);
  }
}

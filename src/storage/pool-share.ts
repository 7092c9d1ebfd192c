/** What one storage holds of a memory pool, and its door to it. Its fields are the pool's to change. */
import { LEAST, type MemoryPool, type Tenant } from './memory-pool.js';

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
  readonly #pool: MemoryPool;

  constructor(pool: MemoryPool, pieceBytes: number, unitBytes: number, tenant: Tenant) {
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

  addUnit(): void {
    this.#pool.addUnit(this);
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

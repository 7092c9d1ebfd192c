/** A memory pool with made-up torrents. */
import { MemoryPool } from '../../src/storage/memory-pool.js';
import type { Share, Tenant } from '../../src/storage/pool-share.js';

/** A torrent with pieces and units; units that are not in use are given up at once, or leave slowly. */
export class Torrent implements Tenant {
  readonly share: Share;
  /** Pieces it would open if it could. */
  wanted = 0;
  used = 0;
  leaving = 0;
  wasUsed = false;
  unitCalls = 0;
  /** Open pieces of no use, and how often others asked for those. */
  spare = 0;
  pieceCalls = 0;
  readonly #isSlow: boolean;

  constructor(pool: MemoryPool, pieceBytes: number, unitBytes = 1, isSlow = false) {
    this.share = pool.join(pieceBytes, unitBytes, this);
    this.#isSlow = isSlow;
  }

  open(count: number): number {
    let opened = 0;
    while (opened < count && this.share.takePiece()) opened++;
    return opened;
  }

  read(count: number): number {
    let got = 0;
    while (got < count && this.share.takeUnit()) got++;
    return got;
  }

  shrink(bytes: number): void {
    for (let left = bytes; left > 0 && this.share.units > this.used; left -= this.share.unitBytes) {
      if (this.#isSlow) {
        this.leaving++;
        this.share.unitLeaves();
      } else this.share.giveUnit();
    }
  }

  hurry(): void {}

  shrinkPieces(): void {
    this.pieceCalls++;
    for (; this.spare > 0 && this.share.pieces > 0; this.spare--) this.share.givePiece();
  }

  takeUsed(): boolean {
    const { wasUsed } = this;
    this.wasUsed = false;
    return wasUsed;
  }

  roomForPieces(): void {
    while (this.wanted > 0 && this.share.takePiece()) this.wanted--;
  }

  roomForUnits(): void {
    this.unitCalls++;
  }
}

export function setUp(softBytes: number, limitBytes = softBytes): { pool: MemoryPool; later: () => void } {
  const deferred: (() => void)[] = [];
  const pool = new MemoryPool({ softBytes, limitBytes, defer: (run) => deferred.push(run) });
  const later = (): void => {
    for (let run = deferred.shift(); run !== undefined; run = deferred.shift()) run();
  };
  return { pool, later };
}

/**
 * The open pieces of one storage, and when the memory of each may go: when nothing is stored in it any more and no job
 * runs over it.
 *
 *   opening -> ready -> closing -> gone
 *      |                  ^
 *      +-- failed, or given up
 *
 * Must not know what the memory is.
 */
import { HaulError } from '../errors.js';
import type { PieceIndex } from '../metainfo/geometry.js';

export interface OpenPiece {
  /** Its pages were made present. */
  isPresent: boolean;
  /** Blocks may be stored. */
  isReady: boolean;
  isGood: boolean;
  isClosing: boolean;
  /** Jobs and transfers under way over its memory. */
  jobs: number;
}

/** A job makes it ready. */
export const OPENING: Readonly<OpenPiece> = {
  isPresent: false,
  isReady: false,
  isGood: false,
  isClosing: false,
  jobs: 1,
};

export interface PieceTableOwner<P extends OpenPiece> {
  /** No more stores. */
  stopStores(piece: PieceIndex): void;
  /** It is open no more, and its memory is for the owner to give back. */
  left(piece: PieceIndex, open: P): void;
  /** What was refused may be opened now. */
  roomCame(): void;
}

export class PieceTable<P extends OpenPiece> {
  readonly #open = new Map<PieceIndex, P>();
  readonly #owner: PieceTableOwner<P>;
  #isRefused = false;

  constructor(owner: PieceTableOwner<P>) {
    this.#owner = owner;
  }

  get size(): number {
    return this.#open.size;
  }

  has(piece: PieceIndex): boolean {
    return this.#open.has(piece);
  }

  /** A piece cannot be opened for want of what a job gives back: memory on its way, windows, room in the pool. */
  refuse(): false {
    this.#isRefused = true;
    return false;
  }

  /** A job of this storage has ended, or the pool has room again. */
  progress(): void {
    if (!this.#isRefused) return;
    this.#isRefused = false;
    this.#owner.roomCame();
  }

  /** @param open `OPENING`: `opened` follows */
  add(piece: PieceIndex, open: P): void {
    this.#open.set(piece, open);
  }

  /** @throws Error where it is not open and ready */
  ready(piece: PieceIndex): P {
    const open = this.#open.get(piece);
    if (open === undefined || !open.isReady || open.isClosing) throw new Error(`piece ${piece} is not open and ready`);
    return open;
  }

  /** The same for a job over its memory: `endJob` follows. */
  use(piece: PieceIndex): P {
    const open = this.ready(piece);
    open.jobs++;
    return open;
  }

  /** It was made ready, or not. A piece that failed has closed itself. */
  opened(
    piece: PieceIndex,
    open: P,
    error: HaulError | null,
    isPresent: boolean,
    done: (error: HaulError | null) => void,
  ): void {
    const isCancelled = open.isClosing && error === null;
    open.isPresent = isPresent;
    open.isReady = error === null && !open.isClosing;
    if (error !== null) this.#stop(piece, open);
    this.endJob(piece, open);
    done(isCancelled ? new HaulError('CLOSED', `piece ${piece} was closed`, { piece }) : error);
  }

  endJob(piece: PieceIndex, open: P): void {
    open.jobs--;
    if (open.isClosing) this.#leave(piece, open);
  }

  /** Nothing happens where it is not open, or closing already. */
  close(piece: PieceIndex): void {
    const open = this.#open.get(piece);
    if (open === undefined || open.isClosing) return;
    this.#stop(piece, open);
    this.#leave(piece, open);
  }

  closeAll(): void {
    for (const piece of this.#open.keys()) this.close(piece);
  }

  #stop(piece: PieceIndex, open: P): void {
    open.isClosing = true;
    this.#owner.stopStores(piece);
  }

  #leave(piece: PieceIndex, open: P): void {
    if (open.jobs > 0 || this.#open.get(piece) !== open) return;
    this.#open.delete(piece);
    this.#owner.left(piece, open);
  }
}

/**
 * Blocks that may be under way from all peers together while the owner limits its downloads: what the limit lets
 * through in some seconds. More would wait at peers or in the sockets for minutes, and a block that waits there is one
 * that nobody else brings. As the limit may not be what holds us up (many slow peers), the allowance grows while it is
 * used up and nothing is held back, and shrinks when something is.
 */
import { BLOCK_LENGTH_BYTES } from '../../config.js';

/** What is asked for ahead, as time at the limit. */
const AHEAD_SECONDS = 10;
/** One block that is being read and one that is next. */
const LEAST_BLOCKS = 2;
/**
 * It doubles after so many seconds in a row in which it was used up and nothing was held back: twice the time of a far
 * peer's first answer.
 */
const GROW_SECONDS = 3;
/** Slowly: what was asked for before is on its way for long. */
const SHRINK = 0.9;
/** More blocks than that are no bound: it need not grow further. */
const MOST_BLOCKS = 1 << 20;
/** Where one block takes longer than this to read, a second copy of it costs more than a wait for the first. */
const COSTLY_SECONDS = 0.2;

export class Allowance {
  /** Firm requests that may stand at all peers; infinite without a limit. */
  blocks: number;
  /** A block that comes twice costs much time. */
  isCostly: boolean;
  #leastBlocks: number;
  #wasUsedUp = false;
  #wasHeldBack = false;
  #slackSeconds = 0;
  #second = Number.NEGATIVE_INFINITY;

  /** @param bytesPerSec the owner's limit; Infinity: none. */
  constructor(bytesPerSec: number) {
    this.#leastBlocks = Math.max(LEAST_BLOCKS, Math.floor((bytesPerSec * AHEAD_SECONDS) / BLOCK_LENGTH_BYTES));
    this.blocks = this.#leastBlocks;
    this.isCostly = BLOCK_LENGTH_BYTES / bytesPerSec > COSTLY_SECONDS;
  }

  /** The owner's limit is another one now. */
  setLimit(bytesPerSec: number): void {
    const next = new Allowance(bytesPerSec);
    this.#leastBlocks = next.#leastBlocks;
    this.blocks = next.blocks;
    this.isCostly = next.isCostly;
    this.#slackSeconds = 0;
  }

  get isFinite(): boolean {
    return this.#leastBlocks !== Number.POSITIVE_INFINITY;
  }

  /** Somebody was not asked because of it. */
  usedUp(): void {
    this.#wasUsedUp = true;
  }

  /** What a peer sent was left unread for the limit's sake. */
  heldBack(): void {
    this.#wasHeldBack = true;
  }

  /** Call every second or more often. */
  tick(nowMs: number): void {
    const second = Math.floor(nowMs / 1000);
    if (second > this.#second && this.isFinite) this.#secondEnded();
    this.#second = second;
  }

  #secondEnded(): void {
    if (this.#wasHeldBack) this.blocks = Math.max(this.#leastBlocks, Math.floor(this.blocks * SHRINK));
    this.#slackSeconds = this.#wasUsedUp && !this.#wasHeldBack ? this.#slackSeconds + 1 : 0;
    this.#wasUsedUp = false;
    this.#wasHeldBack = false;
    if (this.#slackSeconds < GROW_SECONDS || this.blocks >= MOST_BLOCKS) return;
    this.#slackSeconds = 0;
    this.blocks *= 2;
  }
}

/**
 * The processes of a swarm as its parent sees them: what each says (`swarm-peer.ts`), and how far they are together.
 */
import type { Child } from '../../lab/child.js';

export const START_DEADLINE_MS = 120_000;
const LISTEN_DEADLINE_MS = 24 * 60 * 60_000;

export interface PeerFigures {
  readonly uploadedBytes: number;
  readonly downloadedBytes: number;
  readonly wastedBytes: number;
  readonly cpuSec: number;
  readonly peakMiB: number;
}

/** A line of a process. */
export type Said = { readonly event: string; readonly pieces?: readonly number[]; readonly message?: string };

/** A process of the swarm: what it said, and what it had to say in the end. */
export class Member {
  readonly child: Child;
  readonly folder: string;
  readonly ready: Promise<unknown>;
  #figures: Promise<PeerFigures> | null = null;

  constructor(child: Child, folder: string, onSaid: (said: Said) => void) {
    this.child = child;
    this.folder = folder;
    // A listener for all lines: it accepts none, and ends with the process.
    const listening = child.line('lines', LISTEN_DEADLINE_MS, (line) => {
      onSaid(JSON.parse(line) as Said);
      return false;
    });
    listening.catch(() => {});
    this.ready = child.line('"ready"', START_DEADLINE_MS, (line) => /"event":"(?:ready|error)"/.test(line));
    this.ready.catch(() => {});
  }

  /** Tells it to leave. Idempotent. */
  leave(): Promise<PeerFigures> {
    this.#figures ??= this.#leave();
    return this.#figures;
  }

  async #leave(): Promise<PeerFigures> {
    this.child.send('quit');
    const line = await this.child.line('"figures"', START_DEADLINE_MS, (text) => text.includes('"event":"figures"'));
    return JSON.parse(line) as PeerFigures;
  }
}

/** Verified pieces of all leeches: who has how much, and whether one whole copy is out. */
export class Progress {
  readonly #counts: number[];
  readonly #isOut: boolean[];
  readonly #pieceCount: number;
  #missing: number;

  constructor(leeches: number, pieceCount: number) {
    this.#counts = new Array<number>(leeches).fill(0);
    this.#isOut = new Array<boolean>(pieceCount).fill(false);
    this.#pieceCount = pieceCount;
    this.#missing = pieceCount;
  }

  verified(leech: number, pieces: readonly number[]): void {
    this.#counts[leech]! += pieces.length;
    for (const piece of pieces) {
      if (!this.#isOut[piece]) this.#missing--;
      this.#isOut[piece] = true;
    }
  }

  get isOneCopyOut(): boolean {
    return this.#missing === 0;
  }

  /** 0 to 1. */
  get mean(): number {
    return this.#counts.reduce((sum, count) => sum + count, 0) / (this.#counts.length * this.#pieceCount);
  }
}

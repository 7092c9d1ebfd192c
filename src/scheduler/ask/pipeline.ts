/**
 * How many requests each peer should have outstanding, and how long to wait for it.
 *
 * Depth: from 4, one more per block received (it doubles each round trip) until the rate stops growing or blocks wait
 * at the peer for longer than `QUEUE_MS`; then what the peer gives in the time of its quickest answer and `QUEUE_MS`.
 * Longer queues bind blocks to slow peers that others could give sooner, and pieces are chosen long before they come:
 * 100 equal leeches took 1.38 times the ideal with 3 s, 1.23 with 0.5. Patience: mean + 4 deviations of the response
 * time, smoothed as RFC 6298 does, doubled at every time-out.
 */
import { BLOCK_LENGTH_BYTES } from '../../config.js';
import { grown } from '../peers/slot-rows.js';

export const MIN_DEPTH = 4;
/** Runs are asked for where the queue holds so many of them. */
const RUNS_DEEP = 4;
/** What should wait at the peer, as time. */
const QUEUE_MS = 500;
/** Less growth than this from one second to the next ends the slow start. */
const GROWTH = 1.1;
const MIN_TIMEOUT_MS = 2_000;
const MAX_TIMEOUT_MS = 60_000;
/** Before the first answer there is nothing to judge by; a fresh peer may queue us behind others. */
const FIRST_TIMEOUT_MS = 10_000;

export class Pipeline {
  readonly #limit: number;
  #reqq: Int32Array;
  #runBlocks: Int32Array;
  #depth: Int32Array;
  #isSlowStart: Uint8Array;
  #wasStarved: Uint8Array;
  #previousBytes: Float64Array;
  #smoothBytes: Float64Array;
  #meanMs: Float64Array;
  /** Quickest answer since the peer unchoked us; Infinity before the first. */
  #quickestMs: Float64Array;
  #deviationMs: Float64Array;
  #timeoutMs: Float64Array;

  constructor(rows: number, limit: number) {
    this.#limit = Math.max(1, limit);
    this.#reqq = new Int32Array(rows);
    this.#runBlocks = new Int32Array(rows);
    this.#depth = new Int32Array(rows);
    this.#isSlowStart = new Uint8Array(rows);
    this.#wasStarved = new Uint8Array(rows);
    this.#previousBytes = new Float64Array(rows);
    this.#smoothBytes = new Float64Array(rows);
    this.#meanMs = new Float64Array(rows);
    this.#quickestMs = new Float64Array(rows);
    this.#deviationMs = new Float64Array(rows);
    this.#timeoutMs = new Float64Array(rows);
  }

  /** Slots may be up to `rows` from now on. */
  grow(rows: number): void {
    this.#reqq = grown(this.#reqq, rows);
    this.#runBlocks = grown(this.#runBlocks, rows);
    this.#depth = grown(this.#depth, rows);
    this.#isSlowStart = grown(this.#isSlowStart, rows);
    this.#wasStarved = grown(this.#wasStarved, rows);
    this.#previousBytes = grown(this.#previousBytes, rows);
    this.#smoothBytes = grown(this.#smoothBytes, rows);
    this.#meanMs = grown(this.#meanMs, rows);
    this.#quickestMs = grown(this.#quickestMs, rows);
    this.#deviationMs = grown(this.#deviationMs, rows);
    this.#timeoutMs = grown(this.#timeoutMs, rows);
  }

  join(slot: number): void {
    this.#reqq[slot] = this.#limit;
    this.#runBlocks[slot] = 1;
    this.#meanMs[slot] = -1;
    this.#timeoutMs[slot] = FIRST_TIMEOUT_MS;
    this.restart(slot);
  }

  /** BEP 10 `reqq`: the most requests the peer queues. Zero or nonsense counts as one. */
  setReqq(slot: number, reqq: number): void {
    this.#reqq[slot] = reqq >= 1 ? Math.min(Math.floor(reqq), this.#limit) : 1;
  }

  /** The peer serves that many blocks in one message; a power of two. */
  setRunBlocks(slot: number, blocks: number): void {
    this.#runBlocks[slot] = blocks;
  }

  /**
   * Blocks to ask for in one message while the peer should have so many requests: one, unless a run is a small part of
   * them.
   */
  runBlocks(slot: number, target: number): number {
    const blocks = this.#runBlocks[slot]!;
    return target >= RUNS_DEEP * blocks ? blocks : 1;
  }

  /**
   * The same for a turn of so many blocks (`request-line.ts`), which are asked for together and answered together, so
   * in as few messages as can be: of a peer whose queue should hold all of them.
   */
  turnBlocks(slot: number, blocks: number): number {
    return this.depth(slot) >= blocks ? Math.min(this.#runBlocks[slot]!, blocks) : 1;
  }

  /** The peer may have a new rate: after unchoke, and when a snubbed peer delivers again. */
  restart(slot: number): void {
    this.#depth[slot] = MIN_DEPTH;
    this.#isSlowStart[slot] = 1;
    this.#wasStarved[slot] = 0;
    this.#previousBytes[slot] = 0;
    this.#smoothBytes[slot] = 0;
    this.#quickestMs[slot] = Number.POSITIVE_INFINITY;
  }

  depth(slot: number): number {
    return Math.min(this.#depth[slot]!, this.#reqq[slot]!);
  }

  timeoutMs(slot: number): number {
    return this.#timeoutMs[slot]!;
  }

  /** How long it takes to answer; -1: it has not answered yet. */
  answerMs(slot: number): number {
    return this.#meanMs[slot]!;
  }

  /** It gave a block that was asked for. */
  hasAnswered(slot: number): boolean {
    return this.#meanMs[slot]! >= 0;
  }

  isSlowStart(slot: number): boolean {
    return this.#isSlowStart[slot] !== 0;
  }

  received(slot: number, blocks: number): void {
    if (this.#isSlowStart[slot] === 0 || this.#depth[slot]! >= this.#limit) return;
    if (this.#meanMs[slot]! > this.#quickestMs[slot]! + QUEUE_MS) return;
    this.#depth[slot] = Math.min(this.#depth[slot]! + blocks, this.#limit);
  }

  /** The pipeline ran short for want of blocks to ask for: this second says nothing about the peer's rate. */
  starved(slot: number): void {
    this.#wasStarved[slot] = 1;
  }

  /** A second of the clock ended in which the peer gave this many bytes. */
  secondEnded(slot: number, bytes: number): void {
    const previous = this.#previousBytes[slot]!;
    const smooth = this.#smoothBytes[slot]!;
    const isStarved = this.#wasStarved[slot] !== 0;
    this.#wasStarved[slot] = 0;
    this.#previousBytes[slot] = bytes;
    this.#smoothBytes[slot] = smooth === 0 ? bytes : (smooth + bytes) / 2;
    if (this.#isSlowStart[slot] !== 0) {
      if (isStarved || previous === 0 || bytes > previous * GROWTH) return;
      this.#isSlowStart[slot] = 0;
    }
    const quickestMs = Math.min(this.#quickestMs[slot]!, MIN_TIMEOUT_MS);
    const wanted = Math.ceil((((quickestMs + QUEUE_MS) / 1000) * this.#smoothBytes[slot]!) / BLOCK_LENGTH_BYTES);
    const depth = Math.max(MIN_DEPTH, Math.min(wanted, this.#limit));
    if (depth > this.#depth[slot]! || !isStarved) this.#depth[slot] = depth;
  }

  /** A block was answered this long after it was asked for. */
  responded(slot: number, responseMs: number): void {
    const mean = this.#meanMs[slot]!;
    if (responseMs < this.#quickestMs[slot]!) this.#quickestMs[slot] = responseMs;
    if (mean < 0) {
      this.#meanMs[slot] = responseMs;
      this.#deviationMs[slot] = responseMs / 2;
    } else {
      const error = responseMs - mean;
      this.#meanMs[slot] = mean + error / 8;
      this.#deviationMs[slot]! += (Math.abs(error) - this.#deviationMs[slot]!) / 4;
    }
    const timeout = this.#meanMs[slot]! + 4 * this.#deviationMs[slot]!;
    this.#timeoutMs[slot] = Math.min(MAX_TIMEOUT_MS, Math.max(MIN_TIMEOUT_MS, timeout));
  }

  /** Nothing came in time: one request from now on, and twice the patience. */
  timedOut(slot: number): void {
    this.#depth[slot] = 1;
    this.#isSlowStart[slot] = 0;
    this.#timeoutMs[slot] = Math.min(MAX_TIMEOUT_MS, this.#timeoutMs[slot]! * 2);
  }

  /** The peer refuses requests: ask for less. */
  refused(slot: number): void {
    this.#depth[slot] = Math.max(1, this.#depth[slot]! >> 1);
    this.#isSlowStart[slot] = 0;
  }
}

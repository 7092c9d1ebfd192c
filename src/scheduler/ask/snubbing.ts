/**
 * What to make of a peer's answers: late, stalled inside a block, refused, or delivered again after a silence.
 *
 *   punctual -- nothing for its time-out while asked, or choked us on our requests twice --> snubbed
 *   snubbed  -- a block that was asked for --> punctual
 */
import type { PeerSlot } from '../../metainfo/geometry.js';
import type { Peers } from '../peers/peers.js';
import { grown } from '../peers/slot-rows.js';
import type { SchedulerSink } from '../sink.js';
import type { Incoming } from './incoming.js';
import type { Pipeline } from './pipeline.js';
import type { Requests } from './requests.js';

/**
 * A block that began and has not ended after this long (or the peer's own time-out, if longer) stalls: below 0.8 KB/s.
 */
const STALL_MS = 20_000;
/**
 * Rejects in a row after which the peer is left alone for a while, so that request and reject do not chase each other.
 */
const MAX_REJECTS = 8;
const REJECT_PAUSE_MS = 5_000;
/**
 * Times that a peer unchokes us, takes requests and chokes us again without a block before it counts as one that does
 * not answer.
 */
const MAX_DROPS = 2;

export class Snubbing {
  readonly #peers: Peers;
  readonly #pipeline: Pipeline;
  readonly #requests: Requests;
  readonly #incoming: Incoming;
  readonly #sink: SchedulerSink;
  /** Times in a row that the peer unchoked us, was asked, gave nothing and choked us again. */
  #drops = new Int32Array(0);
  /** In a row. */
  #rejects = new Int32Array(0);

  constructor(peers: Peers, pipeline: Pipeline, requests: Requests, incoming: Incoming, sink: SchedulerSink) {
    this.#peers = peers;
    this.#pipeline = pipeline;
    this.#requests = requests;
    this.#incoming = incoming;
    this.#sink = sink;
  }

  grow(rows: number): void {
    this.#drops = grown(this.#drops, rows);
    this.#rejects = grown(this.#rejects, rows);
  }

  joined(slot: number): void {
    this.#drops[slot] = 0;
    this.#rejects[slot] = 0;
  }

  /** Time passed: is the peer late, or stuck inside a block? */
  check(slot: number, nowMs: number): void {
    const timeoutMs = this.#pipeline.timeoutMs(slot);
    if (this.#incoming.block[slot] !== -1) {
      const arrivingMs = nowMs - this.#incoming.sinceMs[slot]!;
      if (arrivingMs > Math.max(STALL_MS, timeoutMs)) this.#sink.drop(slot as PeerSlot, 'stalled');
      return;
    }
    if (this.#requests.pending(slot) === 0 || nowMs - this.#peers.waitingSinceMs[slot]! <= timeoutMs) return;
    this.giveUp(slot);
  }

  /**
   * The peer is late, whatever its time-out: its blocks are anyone's, it is tried with one request until it delivers.
   */
  giveUp(slot: number): void {
    this.#peers.isSnubbed[slot] = 1;
    this.#peers.snubs[slot]!++;
    this.#pipeline.timedOut(slot);
    this.#requests.timeOut(slot);
    if (this.#peers.isPeerChoking[slot] === 0) this.#peers.hungry.add(slot);
  }

  /** The peer unchoked us. What it was asked for before (BEP 6) it still owes: its time goes on. */
  unchoked(slot: number, nowMs: number): void {
    this.#rejects[slot] = 0;
    this.#peers.unchokedMs[slot] = nowMs;
    if (this.#requests.pending(slot) === 0) this.#peers.waitingSinceMs[slot] = nowMs;
  }

  /**
   * The peer choked us. Returns whether it was asked for anything: what goes back (all of it, unless it owes it still,
   * BEP 6) others may be asked for.
   */
  choked(slot: number): boolean {
    const { isFast, gaveMs, unchokedMs, isSnubbed } = this.#peers;
    const wasAsked = this.#requests.pending(slot) > 0;
    if (isFast[slot] === 0) this.#requests.releaseAll(slot, true);
    if (wasAsked && gaveMs[slot]! <= unchokedMs[slot]! && ++this.#drops[slot]! >= MAX_DROPS && isSnubbed[slot] === 0) {
      isSnubbed[slot] = 1;
      this.#peers.snubs[slot]!++;
      this.#pipeline.timedOut(slot);
      this.#requests.timeOut(slot);
    }
    return wasAsked;
  }

  /** Blocks that were asked for came, needed or not. */
  delivered(slot: number, blocks: number, nowMs: number): void {
    this.#drops[slot] = 0;
    this.#peers.waitingSinceMs[slot] = nowMs;
    this.#peers.gaveMs[slot] = nowMs;
    this.#rejects[slot] = 0;
    if (this.#peers.isSnubbed[slot] !== 0) {
      this.#peers.isSnubbed[slot] = 0;
      this.#pipeline.restart(slot);
      this.#requests.revive(slot);
    }
    this.#pipeline.received(slot, blocks);
  }

  /**
   * A standing request was rejected. After a choke that is how each one ends (BEP 6) and says nothing about the peer.
   * Returns whether this peer will not be asked now, and others should be.
   */
  rejected(slot: number, nowMs: number): boolean {
    this.#peers.waitingSinceMs[slot] = nowMs;
    if (this.#peers.isPeerChoking[slot] !== 0) return true;
    this.#pipeline.refused(slot);
    this.#peers.hungry.add(slot);
    if (++this.#rejects[slot]! < MAX_REJECTS) return false;
    this.#rejects[slot] = 0;
    this.#peers.pausedUntilMs[slot] = nowMs + REJECT_PAUSE_MS;
    return true;
  }
}

/** A choker, its peers and their rates, second by second; checked after every step. */
import type { PeerSlot } from '../../src/metainfo/geometry.js';
import { Peers } from '../../src/scheduler/peers/peers.js';
import { RollingRates } from '../../src/scheduler/peers/rate.js';
import { Choker } from '../../src/scheduler/serve/choker.js';
import { Hoarders } from '../../src/scheduler/serve/hoarders.js';
import type { SchedulerSink } from '../../src/scheduler/sink.js';
import { seeded } from './world.js';

/** What peers give or take in a second, by slot. */
export type BytesPerSecond = readonly number[] | ((slot: number) => number);

const bytesOf = (source: BytesPerSecond, slot: number): number =>
  (typeof source === 'function' ? source(slot) : source[slot]) ?? 0;

export const PIECE_BYTES = 1000;

export class Scene {
  readonly peers: Peers;
  readonly given: RollingRates;
  readonly taken: RollingRates;
  readonly choker: Choker;
  readonly hoarders: Hoarders;
  /** `uploadedBytes` is for tests of short rounds; the others leave it. */
  readonly rates: { uploadedBytes: number };
  readonly tookBytes: number[];
  readonly log: string[] = [];
  /** By slot: turns of the optimistic slot, seconds of it, seconds unchoked. */
  readonly turns: number[];
  readonly optimisticSec: number[];
  readonly servedSec: number[];
  nowMs = 0;
  isComplete = false;

  constructor(peerCount: number, uploadSlots: number, seed = 1, liftsGivers = false) {
    this.peers = new Peers(peerCount, 8);
    this.given = new RollingRates(peerCount);
    this.taken = new RollingRates(peerCount);
    this.turns = new Array<number>(peerCount).fill(0);
    this.optimisticSec = new Array<number>(peerCount).fill(0);
    this.servedSec = new Array<number>(peerCount).fill(0);
    const sink = { choke: (slot: PeerSlot, isChoked: boolean) => this.log.push(`${isChoked ? '-' : '+'}${slot}`) };
    const hoarders = new Hoarders(8, PIECE_BYTES);
    hoarders.grow(peerCount);
    this.hoarders = hoarders;
    const serving = { rows: peerCount, uploadSlots, pieceLengthBytes: PIECE_BYTES, hoarders, liftsGivers };
    const options = { ...serving, random: seeded(seed) };
    this.tookBytes = new Array<number>(peerCount).fill(0);
    const tookBytes = (slot: number): number => this.tookBytes[slot]!;
    const rates = { given: this.given, taken: this.taken, uploadedBytes: 0, tookBytes };
    this.rates = rates;
    this.choker = new Choker(this.peers, rates, sink as unknown as SchedulerSink, options);
  }

  join(slot: number): void {
    this.peers.join(slot, this.nowMs);
    this.given.reset(slot, this.nowMs);
    this.taken.reset(slot, this.nowMs);
    // These scenes are about ranks, and their rates are small numbers: nobody is to blame for what it takes, unless a
    // test says so.
    this.peers.isHeldUp[slot] = 1;
    this.choker.joined(slot, this.nowMs);
  }

  leave(slot: number): void {
    this.choker.left(slot, this.nowMs);
    this.peers.leave(slot);
    this.choker.checkInvariants();
  }

  interest(slot: number, isInterested = true): void {
    this.peers.isPeerInterested[slot] = isInterested ? 1 : 0;
    this.choker.interestChanged(slot, this.nowMs);
    this.choker.checkInvariants();
  }

  /** Seconds pass in which peers give bytes and, while unchoked, take some. */
  pass(seconds: number, gives: BytesPerSecond = [], takes: BytesPerSecond = []): void {
    for (let count = 0; count < seconds; count++) {
      this.nowMs += 1000;
      for (let index = 0; index < this.peers.active.size; index++) {
        const slot = this.peers.active.at(index);
        const gave = bytesOf(gives, slot);
        if (gave > 0) {
          this.given.add(slot, gave, this.nowMs);
          this.peers.gaveMs[slot] = this.nowMs;
        }
        if (this.peers.isChoking[slot] !== 0) continue;
        this.taken.add(slot, bytesOf(takes, slot), this.nowMs);
        this.tookBytes[slot]! += bytesOf(takes, slot);
        this.servedSec[slot]!++;
      }
      if (this.choker.optimistic >= 0) this.optimisticSec[this.choker.optimistic]!++;
      const before = this.choker.optimistic;
      this.choker.tick(this.nowMs, this.isComplete);
      if (this.choker.optimistic !== before && this.choker.optimistic >= 0) this.turns[this.choker.optimistic]!++;
      this.choker.checkInvariants();
    }
  }

  get unchoked(): number[] {
    return [...this.peers.isChoking.keys()].filter(
      (slot) => this.peers.active.has(slot) && this.peers.isChoking[slot] === 0,
    );
  }
}

/** Everyone joins and is interested at time 0. */
export function crowd(peerCount: number, uploadSlots: number, seed = 1, liftsGivers = false): Scene {
  const scene = new Scene(peerCount, uploadSlots, seed, liftsGivers);
  for (let slot = 0; slot < peerCount; slot++) scene.join(slot);
  for (let slot = 0; slot < peerCount; slot++) scene.interest(slot);
  return scene;
}

/** Trackers that share a table in memory, with a clock that is set. */
import assert from 'node:assert/strict';
import type { AnnounceQuery } from '../../src/tracker/query.js';
import type { SharedTable } from '../../src/tracker/shared/port.js';
import { PeerSharing } from '../../src/tracker/shared/sharing.js';
import type { SwarmView } from '../../src/tracker/swarm-view.js';
import { Swarms, type SwarmsOptions } from '../../src/tracker/swarms.js';
import { SharedModel } from './shared-model.js';

export const HASH = 'h'.repeat(20);
export const START_MS = 86_400_000;

export class Clock {
  nowMs = START_MS;
  readonly now = (): number => this.nowMs;
}

let made = 0;

export class Tracker {
  readonly swarms: Swarms;
  readonly sharing: PeerSharing;
  readonly lines: string[] = [];
  readonly #clock: Clock;

  constructor(clock: Clock, model: { door(): SharedTable }, more: Partial<SwarmsOptions> = {}, sharesLoopback = true) {
    this.#clock = clock;
    this.swarms = new Swarms({ intervalS: 120, registeredOnly: false, random: () => 0.5, ...more });
    this.sharing = new PeerSharing({
      table: model.door(),
      swarms: this.swarms,
      now: clock.now,
      pause: async () => {},
      sharesLoopback,
      id: `t${++made}`,
      name: 'peers',
      log: (level, message) => this.lines.push(`${level} ${message}`),
    });
    this.swarms.share(this.sharing);
  }

  announce(last: number, more: Partial<AnnounceQuery> = {}, infoHash = HASH): SwarmView {
    const peerId = `-XX0001-${last}`.padEnd(20, 'p');
    const plain = { infoHash, peerId, port: 6881, isSeed: false, event: '' as const, numwant: 50 };
    const query = { ...plain, isCompact: true, noPeerId: true, ...more };
    const view = this.swarms.announce(query, compact(last), this.#clock.nowMs);
    assert.ok(typeof view !== 'string', String(view));
    return view;
  }

  names(last: number, more: Partial<AnnounceQuery> = {}, infoHash = HASH): number[] {
    const { picks4, table4, count4 } = this.announce(last, more, infoHash);
    return picks4
      .slice(0, count4)
      .map((slot) => table4.address(slot)[3]!)
      .sort((a, b) => a - b);
  }

  counts(infoHash = HASH): [number, number] {
    const { complete = 0, incomplete = 0 } = this.swarms.scrape(infoHash, this.#clock.nowMs) ?? {};
    return [complete, incomplete];
  }

  async tick(): Promise<void> {
    this.sharing.tick();
    await this.sharing.settled();
  }
}

export function compact(last: number): Uint8Array {
  return Uint8Array.of(192, 0, 2, last, 26, 225);
}

export async function pass(clock: Clock, ms: number, ...trackers: Tracker[]): Promise<void> {
  for (const endMs = clock.nowMs + ms; clock.nowMs < endMs; ) {
    clock.nowMs = Math.min(endMs, clock.nowMs + 250);
    for (const tracker of trackers) await tracker.tick();
  }
}

/** Two that have reached the table, and its beginnings are over. */
export async function two(more: Partial<SwarmsOptions> = {}) {
  const clock = new Clock();
  const model = new SharedModel(clock.now);
  const [one, other] = [new Tracker(clock, model, more), new Tracker(clock, model, more)];
  await pass(clock, 6_000, one, other);
  return { clock, model, one, other };
}

/** Two of them as one table for `testPeerTable`: what one is told the other knows a little later. */
export async function sharedPair(clock: Clock, doors: readonly SharedTable[], random = Math.random) {
  const trackers = doors.map((table) => new Tracker(clock, { door: () => table }, { random }));
  const [one, other] = trackers.map(({ swarms }) => swarms) as [Swarms, Swarms];
  const wait = (ms: number): Promise<void> => pass(clock, ms, ...trackers);
  await wait(6_000);
  const later = async (ms: number): Promise<void> => {
    await wait(ms);
    for (const swarms of [one, other]) swarms.sweep(clock.nowMs, 10_000);
  };
  return { one, other, now: clock.now, settle: () => wait(1_500), pass: later };
}

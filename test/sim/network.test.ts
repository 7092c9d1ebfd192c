/** The virtual network: links, turns, queues, windows. Rates are a byte per millisecond and its multiples. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Events } from '../../sim/events.js';
import { type Flow, Network, type Source } from '../../sim/network.js';

/** A byte per millisecond, as bytes per second. */
const ONE = 1000;

/** Sends units of one size and notes when each arrived. */
class Sender implements Source {
  readonly arrivals: number[] = [];
  left: number;
  flow!: Flow;
  /** Most bytes seen under way. */
  peakBytes = 0;
  readonly #events: Events;
  readonly #unitBytes: number;

  constructor(events: Events, units: number, unitBytes: number) {
    this.#events = events;
    this.left = units;
    this.#unitBytes = unitBytes;
  }

  get isReady(): boolean {
    return this.left > 0;
  }

  pull(): number {
    this.left--;
    this.peakBytes = Math.max(this.peakBytes, this.flow.underWayBytes + this.#unitBytes);
    return this.#unitBytes;
  }

  arrive(): void {
    this.arrivals.push(this.#events.nowMs);
  }
}

interface Scene {
  readonly events: Events;
  readonly network: Network;
  /** Opens a flow and wakes it. */
  send(from: number, to: number, units: number, options?: { latencyMs?: number; windowBytes?: number }): Sender;
}

const UNIT = 10;

function scene(...hosts: [up: number, down: number][]): Scene {
  const events = new Events();
  const network = new Network(events);
  for (const [up, down] of hosts) network.addHost(up * ONE, down * ONE);
  const send: Scene['send'] = (from, to, units, { latencyMs = 0, windowBytes = Number.POSITIVE_INFINITY } = {}) => {
    const sender = new Sender(events, units, UNIT);
    sender.flow = network.open(from, to, latencyMs, windowBytes, sender);
    network.wake(sender.flow);
    return sender;
  };
  return { events, network, send };
}

function runAll(events: Events): void {
  while (events.step()) {}
}

describe('a virtual network', () => {
  test('a unit takes its time on the uplink, its latency, and its time on the downlink', () => {
    const { events, network, send } = scene([1, 1], [1, 2]);
    const sender = send(0, 1, 3, { latencyMs: 7 });
    runAll(events);
    assert.deepEqual(sender.arrivals, [22, 32, 42]);
    assert.deepEqual([network.sentBytes(0), network.sentBytes(1)], [30, 0]);
  });

  test('two flows share an uplink evenly, whoever began', () => {
    const { events, send } = scene([1, 1], [1, 100], [1, 100]);
    const a = send(0, 1, 50);
    const b = send(0, 2, 50);
    while (events.nowMs < 500) events.step();
    assert.ok(Math.abs(a.arrivals.length - b.arrivals.length) <= 1, `${a.arrivals.length} and ${b.arrivals.length}`);
    runAll(events);
    assert.ok(Math.abs(a.arrivals.at(-1)! - b.arrivals.at(-1)!) <= 20);
  });

  test('a flow that ends leaves its share to the others, and one that comes back goes to the end of the round', () => {
    const { events, network, send } = scene([1, 1], [1, 1e6], [1, 1e6], [1, 1e6]);
    const a = send(0, 1, 1);
    const b = send(0, 2, 3);
    const c = send(0, 3, 3);
    // The first unit of b is being sent, then comes c, then b again, then a.
    while (a.arrivals.length === 0) events.step();
    a.left = 1;
    network.wake(a.flow);
    runAll(events);
    const rounded = (sender: Sender): number[] => sender.arrivals.map((atMs) => Math.round(atMs));
    assert.deepEqual(
      [rounded(a), rounded(b), rounded(c)],
      [
        [10, 50],
        [20, 40, 70],
        [30, 60, 80],
      ],
    );
  });

  test('what comes from two senders stands in line for the downlink', () => {
    const { events, send } = scene([1, 1], [1, 1], [1, 1]);
    const a = send(0, 2, 2);
    const b = send(1, 2, 2);
    runAll(events);
    assert.deepEqual(a.arrivals, [20, 40]);
    assert.deepEqual(b.arrivals, [30, 50]);
  });

  test('no more is under way than the window, which bounds the rate over a long way', () => {
    const { events, send } = scene([1, 1], [1, 1e6]);
    const sender = send(0, 1, 20, { latencyMs: 90, windowBytes: 2 * UNIT });
    runAll(events);
    assert.equal(sender.peakBytes, 2 * UNIT);
    // Two units per 100 ms and a bit.
    assert.equal(Math.round(sender.arrivals.at(-1)! / 100), 10);
  });

  test('a closed flow delivers nothing more, and the others go on', () => {
    const { events, network, send } = scene([1, 1], [1, 1]);
    const a = send(0, 1, 10);
    const b = send(0, 1, 3);
    while (a.arrivals.length < 2) events.step();
    network.close(a.flow);
    network.wake(a.flow);
    runAll(events);
    assert.equal(a.arrivals.length, 2);
    assert.equal(b.arrivals.length, 3);
  });

  test('a source that has nothing left when its turn comes is passed over', () => {
    const { events, send } = scene([1, 1], [1, 1]);
    const a = send(0, 1, 2);
    const b = send(0, 1, 5);
    b.left = 0;
    runAll(events);
    assert.equal(a.arrivals.length, 2);
    assert.equal(b.arrivals.length, 0);
  });
});

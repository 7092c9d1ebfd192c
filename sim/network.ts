/**
 * The virtual network: every host has an uplink and a downlink with a rate, every connection a latency and a window.
 *
 *   flow (one direction of a connection)
 *     --round robin--> uplink of the sender --latency--> downlink of the receiver --> arrival
 *
 * An uplink sends one unit (a block, or some bytes of a stream) at a time and takes the flows that have something to
 * send in turns, as a kernel does with sockets. A downlink takes what comes in the order it was sent. A flow sends no
 * more than its window ahead of what arrived, so a crowded downlink slows its senders down. Queueing of control
 * messages behind data is modelled for byte streams only (wire-link.ts).
 */
import type { Events } from './events.js';

/** Where a flow takes its units from. */
export interface Source {
  /** There is something to send now. */
  readonly isReady: boolean;
  /** Takes the next unit; returns its bytes, more than 0. */
  pull(): number;
  /** The oldest unit under way is there. */
  arrive(): void;
}

/** One direction of a connection. Ids are not used again. */
export interface Flow {
  readonly id: number;
  readonly from: number;
  readonly to: number;
  readonly latencyMs: number;
  readonly windowBytes: number;
  readonly source: Source;
  isOpen: boolean;
  underWayBytes: number;
  /** Neighbours in the sender's ring; null: the flow has nothing it may send. */
  next: Flow | null;
  previous: Flow | null;
}

interface Link {
  /** Bytes per millisecond. */
  readonly up: number;
  readonly down: number;
  /** When the downlink has taken everything sent so far. */
  downFreeMs: number;
  /** The flow whose turn is next. */
  turn: Flow | null;
  isSending: boolean;
  sentBytes: number;
}

export class Network {
  readonly #events: Events;
  readonly #links: Link[] = [];
  readonly #flows: Flow[] = [];
  readonly #sentKind: number;
  readonly #arrivedKind: number;

  constructor(events: Events) {
    this.#events = events;
    this.#sentKind = events.kind((flow, bytes) => this.#sent(this.#flows[flow]!, bytes));
    this.#arrivedKind = events.kind((flow, bytes) => this.#arrived(this.#flows[flow]!, bytes));
  }

  /** @param up,down bytes per second. Hosts are numbered from 0. */
  addHost(up: number, down: number): number {
    const link = { up: up / 1000, down: down / 1000, downFreeMs: 0, turn: null, isSending: false, sentBytes: 0 };
    return this.#links.push(link) - 1;
  }

  sentBytes(host: number): number {
    return this.#links[host]!.sentBytes;
  }

  open(from: number, to: number, latencyMs: number, windowBytes: number, source: Source): Flow {
    const flow: Flow = {
      id: this.#flows.length,
      from,
      to,
      latencyMs,
      windowBytes,
      source,
      isOpen: true,
      underWayBytes: 0,
      next: null,
      previous: null,
    };
    this.#flows.push(flow);
    return flow;
  }

  /** What is under way never arrives. */
  close(flow: Flow): void {
    flow.isOpen = false;
    if (flow.next !== null) this.#leaveRing(flow);
  }

  /** The source may have something to send. */
  wake(flow: Flow): void {
    if (flow.next !== null || !flow.isOpen || flow.underWayBytes >= flow.windowBytes || !flow.source.isReady) return;
    this.#joinRing(flow);
    const link = this.#links[flow.from]!;
    if (!link.isSending) this.#sendNext(link);
  }

  #sendNext(link: Link): void {
    // What a flow had to send may have been cancelled meanwhile.
    while (link.turn !== null && !link.turn.source.isReady) this.#leaveRing(link.turn);
    const flow = link.turn;
    if (flow === null) return;
    const bytes = flow.source.pull();
    flow.underWayBytes += bytes;
    link.turn = flow.next;
    if (flow.underWayBytes >= flow.windowBytes || !flow.source.isReady) this.#leaveRing(flow);
    link.isSending = true;
    this.#events.at(this.#events.nowMs + bytes / link.up, this.#sentKind, flow.id, bytes);
  }

  #sent(flow: Flow, bytes: number): void {
    const { nowMs } = this.#events;
    const link = this.#links[flow.from]!;
    link.isSending = false;
    link.sentBytes += bytes;
    const downlink = this.#links[flow.to]!;
    const arrivesMs = Math.max(nowMs + flow.latencyMs, downlink.downFreeMs) + bytes / downlink.down;
    downlink.downFreeMs = arrivesMs;
    this.#events.at(arrivesMs, this.#arrivedKind, flow.id, bytes);
    this.#sendNext(link);
  }

  #arrived(flow: Flow, bytes: number): void {
    flow.underWayBytes -= bytes;
    if (!flow.isOpen) return;
    flow.source.arrive();
    this.wake(flow);
  }

  /** At the end of the round: everybody else first. */
  #joinRing(flow: Flow): void {
    const link = this.#links[flow.from]!;
    const turn = link.turn;
    if (turn === null) {
      flow.next = flow.previous = flow;
      link.turn = flow;
      return;
    }
    const last = turn.previous!;
    flow.next = turn;
    flow.previous = last;
    last.next = flow;
    turn.previous = flow;
  }

  #leaveRing(flow: Flow): void {
    const link = this.#links[flow.from]!;
    if (link.turn === flow) link.turn = flow.next === flow ? null : flow.next;
    flow.previous!.next = flow.next;
    flow.next!.previous = flow.previous;
    flow.next = flow.previous = null;
  }
}

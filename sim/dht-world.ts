/**
 * A DHT in one process and in virtual time: the nodes that ship, with the network between them, and nodes that come and
 * go.
 */
import { DhtNode } from '../src/dht/node.js';
import { sameId } from '../src/dht/node-id.js';
import type { Address } from '../src/net/address.js';
import { formatAddress, ipText } from '../src/net/address.js';
import { isPrivateAddress } from '../src/net/private-address.js';
import { makeRandom } from '../src/random.js';
import { Events } from './events.js';

export interface WorldOptions {
  readonly seed: number;
  /** One way, milliseconds: from, to. */
  readonly delayMs: readonly [number, number];
  /** Share of datagrams that do not arrive. */
  readonly loss: number;
}

export interface Inhabitant {
  readonly node: DhtNode;
  readonly address: Address;
  isAlive: boolean;
}

/** One that has something under way is looked at as often as in a process. */
const BUSY_TICK_MS = 500;
const IDLE_TICK_MS = 5_000;
const PORT = 6881;

export class DhtWorld {
  readonly events = new Events();
  readonly random: () => number;
  /** All there ever were. */
  readonly inhabitants: Inhabitant[] = [];
  datagrams = 0;
  bytes = 0;
  readonly #options: WorldOptions;
  readonly #byAddress = new Map<string, Inhabitant>();

  constructor(options: WorldOptions) {
    this.#options = options;
    this.random = makeRandom(options.seed);
  }

  get alive(): Inhabitant[] {
    return this.inhabitants.filter(({ isAlive }) => isAlive);
  }

  randomBytes = (count: number): Uint8Array =>
    Uint8Array.from({ length: count }, () => Math.floor(this.random() * 256));

  /** A new node with an address of its own. @param roots whom it knows to begin with */
  join(roots: readonly Address[], host: string = this.#freeHost()): Inhabitant {
    const address = { host, port: PORT };
    const node = new DhtNode({
      family: 4,
      ownHost: host,
      now: () => this.events.nowMs,
      random: this.random,
      randomBytes: this.randomBytes,
      send: (bytes, to) => this.#send(inhabitant, bytes, to),
      roots: () => roots,
    });
    const inhabitant: Inhabitant = { node, address, isAlive: true };
    this.inhabitants.push(inhabitant);
    this.#byAddress.set(formatAddress(address), inhabitant);
    this.#tickLater(inhabitant, 0);
    return inhabitant;
  }

  /** It goes without a word. */
  leave(inhabitant: Inhabitant): void {
    inhabitant.isAlive = false;
    this.#byAddress.delete(formatAddress(inhabitant.address));
  }

  /** Lets all happen until then. */
  runUntil(timeMs: number): void {
    let isOver = false;
    this.events.callAt(timeMs, () => {
      isOver = true;
    });
    while (!isOver) this.events.step();
  }

  /** What the network makes of it: for those who lie. */
  deliver(from: Address, to: Address, bytes: Uint8Array): void {
    const [least, most] = this.#options.delayMs;
    this.datagrams++;
    this.bytes += bytes.length;
    if (this.random() < this.#options.loss) return;
    const arrivesMs = this.events.nowMs + least + this.random() * (most - least);
    this.events.callAt(arrivesMs, () => this.#byAddress.get(formatAddress(to))?.node.receive(bytes, from));
  }

  pick<T>(list: readonly T[]): T {
    return list[Math.floor(this.random() * list.length)]!;
  }

  /** Whether somebody of this id is there. */
  isAlive(id: Uint8Array, address: Address): boolean {
    const found = this.#byAddress.get(formatAddress(address));
    return found !== undefined && sameId(found.node.id, id);
  }

  #send(from: Inhabitant, bytes: Uint8Array, to: Address): void {
    if (from.isAlive) this.deliver(from.address, to, bytes);
  }

  #tickLater(inhabitant: Inhabitant, afterMs: number): void {
    this.events.callAt(this.events.nowMs + afterMs, () => {
      if (!inhabitant.isAlive) return;
      inhabitant.node.tick();
      this.#tickLater(inhabitant, inhabitant.node.transactions.count > 0 ? BUSY_TICK_MS : IDLE_TICK_MS);
    });
  }

  #freeHost(): string {
    for (;;) {
      const host = ipText(this.randomBytes(4), 0, 4);
      if (!isPrivateAddress(host) && !this.#byAddress.has(formatAddress({ host, port: PORT }))) return host;
    }
  }
}

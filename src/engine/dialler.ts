/** The connections that torrents of an engine share: whose turn it is to dial, and who gives way where all is full. */
import { performance } from 'node:perf_hooks';
import { LIMITS } from '../config.js';
import type { Address } from '../net/address.js';
import type { Door, Handshakes } from '../peer/handshakes.js';
import type { PeerLink } from '../peer/link.js';
import type { Dialler } from '../torrent/environment.js';
import { DialBudget } from './dial-budget.js';

/** The torrents that have a session. */
interface Torrents {
  readonly size: number;
  values(): Iterable<{ readonly roster: Door & { dropUseless(nowMs: number): boolean } }>;
}

export class EngineDialler implements Dialler {
  readonly #handshakes: Handshakes;
  readonly #torrents: Torrents;
  readonly #budget: DialBudget<Door>;
  /** The last connection that could not be accepted. */
  #trouble = { message: '', sinceMs: Number.NEGATIVE_INFINITY };

  constructor(handshakes: Handshakes, torrents: Torrents, dialsPerSecond: number) {
    this.#handshakes = handshakes;
    this.#torrents = torrents;
    this.#budget = new DialBudget(dialsPerSecond);
  }

  /** Every engine tick. @param afterMs since the last one */
  refill(afterMs: number): void {
    this.#budget.refill(afterMs);
  }

  /** A connection of somebody else could not be accepted. @param message why, in one clause */
  notAccepted(message: string): void {
    this.#trouble = { message, sinceMs: performance.now() };
  }

  take(door: Door, isNamed: boolean): boolean {
    return this.#budget.take(door, isNamed, () => this.#handshakes.hasRoom || this.#dropUseless(null));
  }

  get halfOpen(): number {
    return DialBudget.halfOpen(this.#torrents.size);
  }

  dial(door: Door, { host, port }: Address): void {
    this.#handshakes.dial(door, host, port);
  }

  get trouble(): string | null {
    const { message, sinceMs } = this.#trouble;
    return performance.now() - sinceMs < LIMITS.doorTroubleMs ? message : null;
  }

  get hasRoom(): boolean {
    return this.#handshakes.hasPlace;
  }

  dropUselessElsewhere(door: Door): boolean {
    return this.#dropUseless(door);
  }

  /** In a full engine: a peer that is of no use to its torrent goes. */
  #dropUseless(except: Door | null): boolean {
    const nowMs = performance.now();
    for (const { roster } of this.#torrents.values()) if (roster !== except && roster.dropUseless(nowMs)) return true;
    return false;
  }

  forget(link: PeerLink): void {
    this.#handshakes.forget(link);
  }

  closeHandshakes(door: Door): void {
    this.#handshakes.close(door);
  }
}

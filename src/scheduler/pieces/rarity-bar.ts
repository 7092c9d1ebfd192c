/**
 * Open pieces that are more common than what a peer could open instead are left to the peers they were opened for: else
 * it would fetch what many have, while what it alone has stays rare. The bar is set for the one peer that is being
 * filled.
 */

import type { Peers } from '../peers/peers.js';
import type { Availability } from './availability.js';
import type { Picker } from './picker.js';
import { HIGH, URGENT } from './priority.js';

export class RarityBar {
  readonly #peers: Peers;
  readonly #picker: Picker;
  readonly #availability: Availability;
  /** Copies and priority of the piece that the peer could open; Infinity: none, or it does not matter. */
  #copies = Number.POSITIVE_INFINITY;
  #priority = 0;
  /** Leeches take turns at the peer: only copies count. */
  #hasTurns = false;

  constructor(peers: Peers, picker: Picker, availability: Availability) {
    this.#peers = peers;
    this.#picker = picker;
    this.#availability = availability;
  }

  set(slot: number): void {
    this.clear();
    // Seeds have the same of everything.
    if (this.#peers.partial.size === 0 || this.#picker.isSequential) return;
    // What is urgent is asked for before all else, and is no reason to leave the others.
    const piece = this.#picker.pick(slot, HIGH);
    if (piece < 0) return;
    this.#copies = this.#availability.copies(piece);
    this.#priority = this.#availability.priority(piece);
    this.#hasTurns = this.#picker.hasTurns(slot);
  }

  clear(): void {
    this.#copies = Number.POSITIVE_INFINITY;
  }

  get isSet(): boolean {
    return this.#copies !== Number.POSITIVE_INFINITY;
  }

  /** The open piece may be asked of this peer. */
  admits(piece: number): boolean {
    if (!this.isSet) return true;
    const priority = this.#availability.priority(piece);
    const isEqual = priority === this.#priority || (this.#hasTurns && priority < URGENT);
    return isEqual ? this.#availability.copies(piece) <= this.#copies : priority > this.#priority;
  }
}

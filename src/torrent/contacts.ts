/**
 * What became of the addresses that were tried: the last outcome of each, and who was banned. Bounded, pure.
 * For people and programs that ask why nothing comes; it decides nothing.
 */
import type { AddressFailure, BannedPeer } from '../api.js';
import { LIMITS } from '../config.js';

/** Texts of the system may hold addresses: beyond so many kinds they are counted together. */
const REASONS_MAX = 32;
const OTHER = 'other reasons';
/** The latest bans are kept by name. */
export const BANS_NAMED = 20;

interface Tally {
  addresses: number;
  /** The address that failed like this last. */
  example: string;
}

export class Contacts {
  /** Dials begun, connections that became peers (of either side), dials that failed. */
  dialled = 0;
  connected = 0;
  failed = 0;
  banned = 0;
  /** Null until something failed, as with all seeds that nobody wants. */
  #lastOutcome: Map<string, string> | null = null;
  #reasons: Map<string, Tally> | null = null;
  readonly #bans: BannedPeer[] = [];

  dialFailed(address: string, reason: string): void {
    this.failed++;
    this.#note(address, reason);
  }

  becamePeer(address: string): void {
    this.connected++;
    this.#forget(address);
  }

  /** The connection of a peer has ended. */
  left(address: string, reason: string): void {
    this.#note(address, reason);
  }

  /** @param until when the ban ends */
  ban(address: string, reason: string, until: Date): void {
    this.banned++;
    this.#forget(address);
    this.#bans.push({ address, reason, until });
    if (this.#bans.length > BANS_NAMED) this.#bans.shift();
  }

  /** The latest, oldest first. */
  get bans(): readonly BannedPeer[] {
    return this.#bans;
  }

  /** Addresses by their last outcome, the commonest reason first. */
  get failures(): readonly AddressFailure[] {
    const list = [...(this.#reasons ?? [])].map(([reason, { addresses, example }]) => ({ reason, addresses, example }));
    return list.sort((a, b) => b.addresses - a.addresses);
  }

  #note(address: string, reason: string): void {
    this.#forget(address);
    this.#lastOutcome ??= new Map();
    this.#reasons ??= new Map();
    if (this.#lastOutcome.size >= LIMITS.knownAddresses) {
      const [oldest] = this.#lastOutcome.keys();
      this.#forget(oldest!);
    }
    const kind = this.#reasons.has(reason) || this.#reasons.size < REASONS_MAX ? reason : OTHER;
    const tally = this.#reasons.get(kind) ?? { addresses: 0, example: address };
    tally.addresses++;
    tally.example = address;
    this.#reasons.set(kind, tally);
    this.#lastOutcome.set(address, kind);
  }

  #forget(address: string): void {
    const kind = this.#lastOutcome?.get(address);
    if (kind === undefined) return;
    this.#lastOutcome!.delete(address);
    const tally = this.#reasons!.get(kind)!;
    tally.addresses--;
    if (tally.addresses === 0) this.#reasons!.delete(kind);
  }
}

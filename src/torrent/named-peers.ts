/**
 * Peers that the user named: host names are looked up, and looked up again while none of their addresses is a peer. The
 * machine behind a name may move, and a name may not be known yet. Knows no clock and no sockets.
 */
import { LIMITS } from '../config.js';
import type { Address } from '../net/address.js';

/** Between two look-ups of one name; doubles from the first to the last while nobody answers. */
export const LOOK_AGAIN_FIRST_MS = 5_000;
export const LOOK_AGAIN_LAST_MS = 5 * 60_000;
/** An address that was not in so many answers in a row is not the name's any more. */
export const ANSWERS_MISSED = 3;

export interface NamedPeersOptions {
  readonly resolveHost: (host: string, isAgain: boolean) => Promise<readonly string[]>;
  readonly onAddress: (address: Address) => void;
  /** The name does not lead there any more. */
  readonly onGone: (address: Address) => void;
  readonly onTrouble: (peer: string, reason: string, isFirst: boolean) => void;
  readonly isPeer: (address: Address) => boolean;
  readonly now: () => number;
}

interface Name {
  readonly host: string;
  readonly port: number;
  /** How many answers in a row it was not in, by address: some name servers give a part of all each time. */
  readonly addresses: Map<string, number>;
  isAgain: boolean;
  isBusy: boolean;
  nextMs: number;
  pauseMs: number;
  failures: number;
}

export class NamedPeers {
  readonly #options: NamedPeersOptions;
  readonly #names: Name[] = [];
  /** "host:port" of all addresses found. */
  readonly #keys = new Set<string>();

  constructor(options: NamedPeersOptions) {
    this.#options = options;
  }

  get count(): number {
    return this.#names.length;
  }

  /** True when the address is one of a peer that the user named. */
  has({ host, port }: Address): boolean {
    return this.#keys.has(`${host}:${port}`);
  }

  add(host: string, port: number): Promise<void> {
    const pauseMs = LOOK_AGAIN_FIRST_MS;
    const addresses = new Map<string, number>();
    const name = { host, port, addresses, isAgain: false, isBusy: false, nextMs: 0, pauseMs, failures: 0 };
    this.#names.push(name);
    return this.#lookUp(name);
  }

  /** No more looked up; and its addresses are of no use any more. */
  remove(host: string, port: number): readonly Address[] {
    const gone = this.#names.filter((name) => name.host === host && name.port === port);
    for (const name of gone) this.#names.splice(this.#names.indexOf(name), 1);
    const addresses = gone.flatMap((name) => [...name.addresses.keys()].map((address) => ({ host: address, port })));
    for (const address of addresses) this.#keys.delete(`${address.host}:${port}`);
    return addresses;
  }

  /** Every second or so. */
  tick(nowMs: number): void {
    for (const name of this.#names) {
      if (name.isBusy || nowMs < name.nextMs) continue;
      const { host, port, addresses } = name;
      // An address is its own name.
      if (addresses.has(host)) continue;
      if ([...addresses.keys()].some((address) => this.#options.isPeer({ host: address, port }))) {
        name.pauseMs = LOOK_AGAIN_FIRST_MS;
        name.nextMs = nowMs + name.pauseMs;
      } else void this.#lookUp(name);
    }
  }

  async #lookUp(name: Name): Promise<void> {
    const { resolveHost, onTrouble, now } = this.#options;
    const { host, port, isAgain } = name;
    name.isBusy = true;
    name.isAgain = true;
    try {
      this.#found(name, await resolveHost(host, isAgain));
      name.failures = 0;
    } catch (error) {
      onTrouble(`${host}:${port}`, error instanceof Error ? error.message : String(error), name.failures++ === 0);
    }
    name.isBusy = false;
    name.nextMs = now() + name.pauseMs;
    name.pauseMs = Math.min(LOOK_AGAIN_LAST_MS, name.pauseMs * 2);
  }

  #found(name: Name, found: readonly string[]): void {
    // It was removed meanwhile.
    if (!this.#names.includes(name)) return;
    const { port, addresses } = name;
    const now = new Set(found.slice(0, LIMITS.addressesPerName));
    let isNew = false;
    for (const address of now) {
      // One that is known has its own pauses between dials.
      const isKnown = addresses.has(address);
      addresses.delete(address);
      addresses.set(address, 0);
      if (isKnown) continue;
      isNew = true;
      this.#keys.add(`${address}:${port}`);
      this.#options.onAddress({ host: address, port });
    }
    for (const [address, missed] of [...addresses]) {
      if (now.has(address)) continue;
      addresses.set(address, missed + 1);
      if (missed + 1 >= ANSWERS_MISSED || addresses.size > LIMITS.addressesPerName) this.#drop(name, address);
    }
    // The machine has moved: where it is now is worth the same looks as at the start.
    if (isNew) name.pauseMs = LOOK_AGAIN_FIRST_MS;
  }

  #drop(name: Name, address: string): void {
    const { port } = name;
    name.addresses.delete(address);
    // Another name may lead there, too.
    if (this.#names.some((other) => other.port === port && other.addresses.has(address))) return;
    this.#keys.delete(`${address}:${port}`);
    this.#options.onGone({ host: address, port });
  }
}

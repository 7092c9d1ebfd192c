/**
 * Where other hosts see us, as far as that can be known, and by it the order in which pairs of hosts prefer each other
 * (BEP 40): an order that both ends compute alike needs the address that both know. Pure but for what it is given.
 */
import { type Address, ipBytes } from './address.js';
import { BelievedAddress } from './believed-address.js';
import { peerPriority } from './peer-priority.js';
import { reachOf } from './reach.js';

export interface OwnEndpointOptions {
  /** Where we listen; null: nowhere. */
  readonly port: () => number | null;
  /** Our address on the Internet as the user or a gateway says; null: neither does. A host name tells nothing here. */
  readonly outside: () => string | null;
  /** Our own address on the way to another. */
  readonly towards: (host: string) => string;
}

export class OwnEndpoint {
  readonly #options: OwnEndpointOptions;
  readonly #believed = { 4: new BelievedAddress(4), 6: new BelievedAddress(6) };
  #known = '';
  #version = 0;

  constructor(options: OwnEndpointOptions) {
    this.#options = options;
  }

  /** A peer says where it sees us: a claim, one voice of several. */
  heard(from: string, host: string): void {
    this.#believed[host.includes(':') ? 6 : 4].heard(from, host);
  }

  /** Another number: we are elsewhere than before, and priorities with us. */
  get version(): number {
    const known = `${this.#options.outside()} ${this.#believed[4].host} ${this.#believed[6].host}`;
    if (known !== this.#known) {
      this.#known = known;
      this.#version++;
    }
    return this.#version;
  }

  /**
   * 0 to 2^32 − 1: the higher goes first. 0 where nothing is known. @param local our end of the connection, where there
   * is one
   */
  priorityOf({ host, port }: Address, local?: string): number {
    const bytes = ipBytes(host);
    if (bytes === null) return 0;
    const family = bytes.length === 4 ? 4 : 6;
    const near = local ?? this.#options.towards(host);
    const own = reachOf(host) === 'public' ? this.#outside(family, near) : near;
    return own === null ? 0 : peerPriority({ host: own, port: this.#options.port() ?? 0 }, { host, port });
  }

  #outside(family: 4 | 6, near: string): string | null {
    const said = this.#options.outside();
    const isSaid = said !== null && ipBytes(said)?.length === (family === 4 ? 4 : 16);
    return isSaid ? said : (this.#believed[family].host ?? (reachOf(near) === 'public' ? near : null));
  }
}

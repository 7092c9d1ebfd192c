/** The HTTP connections of an engine for web seeds: to wherever, to a network's hosts, to public addresses only. */
import { lookup } from 'node:dns';
import { LIMITS } from '../config.js';
import { HttpClient, trusting } from '../net/http-client.js';
import { type Interfaces, makeIsInside } from '../net/own-addresses.js';
import type { Own } from '../net/own-host.js';
import { isLinkLocalAddress, isLoopbackAddress } from '../net/private-address.js';
import { filteredLookup } from '../net/public-lookup.js';
import type { WebClients } from '../webseed/web-seeds.js';

export interface WebClientsOptions {
  /** Certificates (PEM) that are trusted besides those of Node. */
  readonly ca?: readonly string[] | undefined;
  /** From which of our addresses; default: whichever the system takes. */
  readonly own?: Own | undefined;
  /** Default `LIMITS.webSeedIdleMs`. */
  readonly idleMs?: number;
  /** Default that of the system. */
  readonly lookUp?: typeof lookup;
  /** Addresses of this machine; default those of the system. */
  readonly interfaces?: () => Interfaces;
}

export class EngineWebClients implements WebClients {
  readonly any: HttpClient;
  readonly ofTrackers: HttpClient;
  readonly publicOnly: HttpClient;
  readonly isInside: (host: string) => boolean;

  constructor({ ca, own, idleMs = LIMITS.webSeedIdleMs, lookUp = lookup, interfaces }: WebClientsOptions = {}) {
    const connect = { timeout: LIMITS.webSeedTimeoutMs, ...trusting(ca) };
    const clientTo = (permits: (address: string) => boolean): HttpClient =>
      new HttpClient(
        {
          // Of one origin, for all torrents: several web seeds may lie at one server.
          connections: 2 * LIMITS.webSeedRequests,
          keepAliveMaxTimeout: idleMs,
          maxOrigins: LIMITS.webSeedOrigins,
          connect: { ...connect, lookup: filteredLookup({ permits, lookUp }) },
        },
        own,
      );
    this.any = clientTo(() => true);
    this.ofTrackers = clientTo((address) => !isLinkLocalAddress(address) && !isLoopbackAddress(address));
    this.isInside = makeIsInside(() => performance.now(), interfaces);
    this.publicOnly = clientTo((address) => !this.isInside(address));
  }

  /** Ends what is under way. Idempotent. */
  async destroy(): Promise<void> {
    await Promise.all([this.any.destroy(), this.ofTrackers.destroy(), this.publicOnly.destroy()]);
  }
}

/** The HTTP connections of an engine for web seeds: to wherever, and to public addresses only. */
import { LIMITS } from '../config.js';
import { HttpClient, trusting } from '../net/http-client.js';
import { publicLookup } from '../net/public-lookup.js';
import type { WebClients } from '../webseed/web-seeds.js';

export interface WebClientsOptions {
  /** Certificates (PEM) that are trusted besides those of Node. */
  readonly ca?: readonly string[] | undefined;
  /** Default `LIMITS.webSeedIdleMs`. */
  readonly idleMs?: number;
}

export class EngineWebClients implements WebClients {
  readonly any: HttpClient;
  readonly publicOnly: HttpClient;

  constructor({ ca, idleMs = LIMITS.webSeedIdleMs }: WebClientsOptions = {}) {
    const connect = { timeout: LIMITS.webSeedTimeoutMs, ...trusting(ca) };
    const options = {
      // Of one origin, for all torrents: several web seeds may lie at one server.
      connections: 2 * LIMITS.webSeedRequests,
      keepAliveMaxTimeout: idleMs,
      maxOrigins: LIMITS.webSeedOrigins,
    };
    this.any = new HttpClient({ ...options, connect });
    this.publicOnly = new HttpClient({ ...options, connect: { ...connect, lookup: publicLookup } });
  }

  /** Ends what is under way. Idempotent. */
  async destroy(): Promise<void> {
    await Promise.all([this.any.destroy(), this.publicOnly.destroy()]);
  }
}

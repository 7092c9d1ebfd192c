/** The HTTP connections of an engine for web seeds: to wherever, and to public addresses only. */
import { LIMITS } from '../config.js';
import { HttpClient } from '../net/http-client.js';
import { publicLookup } from '../net/public-lookup.js';
import type { WebClients } from '../webseed/web-seeds.js';

/** Of one origin, for all torrents: several web seeds may lie at one server. */
const OPTIONS = { connections: 2 * LIMITS.webSeedRequests, connect: { timeout: LIMITS.webSeedTimeoutMs } };

export class EngineWebClients implements WebClients {
  readonly any = new HttpClient(OPTIONS);
  readonly publicOnly = new HttpClient({ ...OPTIONS, connect: { ...OPTIONS.connect, lookup: publicLookup } });

  /** Ends what is under way. Idempotent. */
  async destroy(): Promise<void> {
    await Promise.all([this.any.destroy(), this.publicOnly.destroy()]);
  }
}

/**
 * Local service discovery (BEP 14) of an engine: its sockets, the networks it speaks to, and the timer of it all. What
 * is said and believed is in `neighbours.ts`.
 */
import { randomBytes } from 'node:crypto';
import { networkInterfaces } from 'node:os';
import { performance } from 'node:perf_hooks';
import type { LsdStats } from '../api.js';
import type { Log } from '../log.js';
import { LSD_LIMITS } from './limits.js';
import { groupHost, isOnLink, isOwn, type Surroundings, surroundingsOf } from './links.js';
import { LsdSockets } from './lsd-sockets.js';
import { encodeSearch, hashesPerDatagram } from './messages.js';
import { type Heard, Neighbours } from './neighbours.js';

const TICK_MS = 1_000;

export interface LsdConfig {
  /** What the engine listens on for peers: an address, or undefined for all. */
  readonly host?: string | undefined;
  /** TCP port of our peers on this machine; null: nobody can connect to us. */
  readonly port: number | null;
  readonly log: Log;
  /** Default: the interfaces of the system. */
  readonly interfaces?: (() => Parameters<typeof surroundingsOf>[0]) | undefined;
}

export class Lsd {
  readonly #config: LsdConfig;
  readonly #neighbours: Neighbours;
  readonly #sockets: LsdSockets;
  #around: Surroundings = { links: [], networks: [] };
  #lookedAtMs = Number.NEGATIVE_INFINITY;
  #looking: Promise<void> | null = null;
  #timer: NodeJS.Timeout | null = null;
  #told = '';

  private constructor(config: LsdConfig) {
    const { port } = config;
    const cookie = randomBytes(8).toString('hex');
    this.#config = config;
    this.#neighbours = new Neighbours({
      now: () => performance.now(),
      port,
      cookie,
      isOnLink: (host) => isOnLink(this.#around.networks, host),
      isOwn: (host) => isOwn(this.#around.networks, host),
      hashesPerDatagram: hashesPerDatagram(groupHost({ family: 6 }), cookie),
      send: (infoHashes) => this.#sockets.send((link) => encodeSearch(groupHost(link), port!, infoHashes, cookie)),
    });
    this.#sockets = new LsdSockets((bytes, from) => this.#neighbours.receive(bytes, from));
  }

  /** Never rejects: what is wrong is in `stats().message`, and is tried again. */
  static async open(config: LsdConfig): Promise<Lsd> {
    const lsd = new Lsd(config);
    await lsd.#look(performance.now());
    lsd.#timer = setInterval(() => lsd.#tick(), TICK_MS).unref();
    return lsd;
  }

  /** Somebody shares this torrent here. @param infoHash 20 bytes @returns what ends that */
  join(infoHash: Uint8Array, heard: Heard): () => void {
    return this.#neighbours.join(infoHash, heard);
  }

  /** Within a second; later where many wait. */
  announce(infoHash: Uint8Array): void {
    this.#neighbours.announce(infoHash);
  }

  stats(): LsdStats {
    const { sent, heard, dropped } = this.#neighbours;
    return {
      networks: this.#around.links.length,
      sent,
      heard,
      dropped: { ...dropped },
      message: this.#told,
    };
  }

  /** Idempotent; never rejects. */
  async close(): Promise<void> {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
    this.#sockets.close();
    await this.#looking;
  }

  #tick(): void {
    const nowMs = performance.now();
    if (nowMs - this.#lookedAtMs >= LSD_LIMITS.linksMs && this.#looking === null) void this.#look(nowMs);
    this.#neighbours.flush();
  }

  /** At the interfaces, which come and go. */
  #look(nowMs: number): Promise<void> {
    const { host, interfaces = networkInterfaces, log } = this.#config;
    this.#lookedAtMs = nowMs;
    try {
      this.#around = surroundingsOf(interfaces(), host);
    } catch (error) {
      // Where the system does not tell (no netlink in a sandbox, no memory) those of before stay.
      const why = error instanceof Error ? error.message : String(error);
      this.#say(`the network interfaces are not told: ${why}`, log);
      return Promise.resolve();
    }
    this.#looking = this.#sockets.use(this.#around.links).then(() => {
      this.#looking = null;
      this.#say(this.#sockets.trouble, log);
    });
    return this.#looking;
  }

  #say(trouble: string, log: Log): void {
    if (trouble !== '' && trouble !== this.#told) log('warn', `${trouble}: peers of the local network are not found`);
    this.#told = trouble;
  }
}

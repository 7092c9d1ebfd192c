/**
 * Announce and scrape as functions from a query and two addresses to bytes: what the HTTP door calls, and nothing of
 * HTTP. Owns the counters. Whoever the peer says it is, its address is the one it connects from: `ip` and forwarding
 * headers are ignored, so nobody can make a swarm dial a third party.
 */
import { ipBytes } from '../net/address.js';
import { parseAnnounce, parseScrape } from './query.js';
import { announceReply, failureReply, scrapeReply } from './reply.js';
import { Swarms } from './swarms.js';

/** A client may ask again this soon when it is short of peers. */
const MIN_INTERVAL_MAX_S = 60;
/**
 * A tracker that knows nobody yet learns its peers sooner, and tells those who came too early sooner: for so long, with
 * these intervals.
 */
const SETTLING_MS = 5 * 60_000;
const SETTLING_INTERVAL_S = 60;
const SETTLING_MIN_INTERVAL_S = 15;

export interface SeedHosts {
  /** IP addresses: a client is named the first of its family, else the first. */
  readonly addresses: readonly string[];
  /** Also for clients on this machine: behind a proxy all come from it. */
  readonly isForAll: boolean;
}

export interface ServiceOptions {
  readonly intervalS: number;
  readonly registeredOnly: boolean;
  readonly random: () => number;
  /** Entries that one address keeps when a table is full; default TRACKER_LIMITS.entriesPerAddress. */
  readonly entriesPerAddress?: number | undefined;
  /** Where seeds of this process are named; default: at the address that the client reached us by. */
  readonly seedHosts?: SeedHosts | undefined;
  /** Milliseconds; far enough from 0 that the age of an entry from before can be taken off. */
  readonly now: () => number;
}

/** What a tracker knows now, and what it answered since it started. */
export interface TrackerCounts {
  readonly swarms: number;
  readonly peers: number;
  /** Since the start. */
  readonly announces: number;
  readonly scrapes: number;
  /** Announces and scrapes answered with a failure reason. */
  readonly failures: number;
}

export class TrackerService {
  readonly #swarms: Swarms;
  readonly #now: () => number;
  /** When it began, and knew nobody; null: it knows its peers from before. */
  #emptySinceMs: number | null;
  readonly #intervalS: number;
  readonly #seedHosts: SeedHosts | undefined;
  #announces = 0;
  #scrapes = 0;
  #failures = 0;

  constructor(options: ServiceOptions) {
    this.#intervalS = options.intervalS;
    this.#seedHosts = options.seedHosts;
    this.#now = options.now;
    this.#emptySinceMs = options.now();
    this.#swarms = new Swarms({ ...options, secret: Math.floor(options.random() * 2 ** 32) });
  }

  get swarms(): Swarms {
    return this.#swarms;
  }

  /** It knows its peers from before: nobody need hurry. */
  settle(): void {
    this.#emptySinceMs = null;
  }

  get counts(): TrackerCounts {
    return {
      swarms: this.#swarms.swarmCount,
      peers: this.#swarms.peerCount,
      announces: this.#announces,
      scrapes: this.#scrapes,
      failures: this.#failures,
    };
  }

  /** @param infoHash 20 bytes. @param seedPort where a seed of this process listens, or null. */
  register(infoHash: Uint8Array, seedPort: number | null): void {
    if (infoHash.length !== 20) throw new Error(`an info-hash has 20 bytes, not ${infoHash.length}`);
    this.#swarms.register(Buffer.from(infoHash).toString('latin1'), seedPort);
  }

  /** @param query after the `?`. @param remote, local: addresses of the connection as sockets name them. */
  announce(query: string, remote: string, local: () => string): Buffer {
    this.#announces++;
    const nowMs = this.#now();
    const parsed = parseAnnounce(query);
    if (typeof parsed === 'string') return this.#failure(parsed);
    const compact = compactOf(remote, parsed.port);
    if (compact === null) return this.#failure('your address cannot be used');
    const view = this.#swarms.announce(parsed, compact, nowMs);
    if (typeof view === 'string') return this.#failure(view);
    const localSeed = view.seedPort === null ? null : compactOf(this.#seedAddress(remote, local), view.seedPort);
    const isSettling = this.#emptySinceMs !== null && nowMs < this.#emptySinceMs + SETTLING_MS;
    const minIntervalMaxS = isSettling ? SETTLING_MIN_INTERVAL_S : MIN_INTERVAL_MAX_S;
    return announceReply(view, localSeed, {
      intervalS: isSettling ? Math.min(this.#intervalS, SETTLING_INTERVAL_S) : this.#intervalS,
      minIntervalS: Math.min(this.#intervalS, minIntervalMaxS),
      isCompact: parsed.isCompact,
      noPeerId: parsed.noPeerId,
    });
  }

  /** Who is on this machine needs no way around it. */
  #seedAddress(remote: string, local: () => string): string {
    const { addresses = [], isForAll = false } = this.#seedHosts ?? {};
    const isHere = remote === '::1' || /^(?:::ffff:)?127\./.test(remote);
    if (isHere && !isForAll) return local();
    const isOld = remote.includes('.');
    return addresses.find((address) => address.includes('.') === isOld) ?? addresses[0] ?? local();
  }

  scrape(query: string): Buffer {
    this.#scrapes++;
    const hashes = parseScrape(query);
    if (typeof hashes === 'string') return this.#failure(hashes);
    const files = new Map<string, { complete: number; downloaded: number; incomplete: number }>();
    for (const hash of hashes) {
      const view = this.#swarms.scrape(hash);
      if (view === null) continue;
      files.set(hash, { complete: view.complete, downloaded: view.downloaded, incomplete: view.incomplete });
    }
    return scrapeReply(files);
  }

  /** Forgets silent peers; for a timer, since announces alone do it only while there are some. */
  sweep(budget: number): void {
    this.#swarms.sweep(this.#now(), budget);
  }

  #failure(text: string): Buffer {
    this.#failures++;
    return failureReply(text);
  }
}

/** 6 or 18 bytes for the address of a socket (IPv4-mapped and zoned forms included), or null. */
function compactOf(socketAddress: string, port: number): Uint8Array | null {
  // What a dual-stack socket calls an IPv4 peer; cut here because the general reading is ten times slower.
  const host = socketAddress.startsWith('::ffff:') ? socketAddress.slice(7) : socketAddress;
  const zone = host.indexOf('%');
  const ip = ipBytes(zone < 0 ? host : host.slice(0, zone));
  if (ip === null) return null;
  const compact = new Uint8Array(ip.length + 2);
  compact.set(ip);
  compact[ip.length] = port >> 8;
  compact[ip.length + 1] = port & 0xff;
  return compact;
}

/**
 * Announce and scrape as functions from a query and two addresses to bytes: what the HTTP door calls, and nothing of
 * HTTP. Owns the counters. Whoever the peer says it is, its address is the one it connects from: `ip` and forwarding
 * headers are ignored, so nobody can make a swarm dial a third party.
 */
import { ipBytes } from '../net/address.js';
import { type AnnounceQuery, parseAnnounce, parseScrape } from './query.js';
import { announceReply, failureReply, scrapeReply } from './reply.js';
import type { SwarmView } from './swarm-view.js';
import { type Registry, Swarms } from './swarms.js';

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

export type PasskeySet = Pick<ReadonlySet<string>, 'has'>;

export interface ServiceOptions {
  readonly intervalS: number;
  /** A peer that was silent for so long is forgotten; default two intervals and a minute. */
  readonly expiryS?: number | undefined;
  readonly registeredOnly: boolean;
  /** With `registeredOnly`: served beside those of `register`. */
  readonly registry?: Registry | undefined;
  /** Who announces must name one of these in the path; null: nobody need. */
  readonly passkeys?: PasskeySet | null;
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

/** The addresses of both ends, as sockets name them: asked for only where a seed of this process is named. */
export interface Ends {
  readonly remote: () => string;
  readonly local: () => string;
}

/** What an announce is answered with, whatever the protocol. `view` is valid until the next call. */
export interface Said {
  readonly view: SwarmView;
  /** Compact address of a seed of this process, or null. */
  readonly localSeed: Uint8Array | null;
  readonly intervalS: number;
  readonly minIntervalS: number;
}

/** BEP 48. */
export type Counts = Pick<SwarmView, 'complete' | 'downloaded' | 'incomplete'>;

export class TrackerService {
  readonly #swarms: Swarms;
  readonly #now: () => number;
  /** When it began, and knew nobody; null: it knows its peers from before. */
  #emptySinceMs: number | null;
  readonly #intervalS: number;
  readonly #seedHosts: SeedHosts | undefined;
  readonly #passkeys: PasskeySet | null;
  #announces = 0;
  #scrapes = 0;
  #failures = 0;

  constructor(options: ServiceOptions) {
    this.#intervalS = options.intervalS;
    this.#seedHosts = options.seedHosts;
    this.#passkeys = options.passkeys ?? null;
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

  /**
   * @param query after the `?`. @param remote, local: addresses of the connection as sockets name them.
   * @param passkey what stands before /announce in the path, or ''
   */
  announce(query: string, remote: string, local: () => string, passkey = ''): Buffer {
    const parsed = parseAnnounce(query);
    if (typeof parsed === 'string') return failureReply(this.#refused(parsed));
    const compact = compactOf(remote, parsed.port);
    if (compact === null) return failureReply(this.#refused('your address cannot be used'));
    const said = this.announceFrom(parsed, passkey, compact, { remote: () => remote, local });
    if (typeof said === 'string') return failureReply(said);
    return announceReply(said.view, said.localSeed, {
      intervalS: said.intervalS,
      minIntervalS: said.minIntervalS,
      isCompact: parsed.isCompact,
      noPeerId: parsed.noPeerId,
      externalIp: compact.subarray(0, -2),
    });
  }

  /** What is answered, or the text of a failure. @param compact address of the sender and port of the announce */
  announceFrom(query: AnnounceQuery, passkey: string, compact: Uint8Array, ends: Ends): Said | string {
    this.#announces++;
    if (!this.permits(passkey)) return this.#failure('the passkey is not known');
    const nowMs = this.#now();
    const view = this.#swarms.announce(query, compact, nowMs);
    if (typeof view === 'string') return this.#failure(view);
    const localSeed = view.seedPort === null ? null : compactOf(this.#seedAddress(ends), view.seedPort);
    const isSettling = this.#emptySinceMs !== null && nowMs < this.#emptySinceMs + SETTLING_MS;
    const minIntervalMaxS = isSettling ? SETTLING_MIN_INTERVAL_S : MIN_INTERVAL_MAX_S;
    return {
      view,
      localSeed,
      intervalS: isSettling ? Math.min(this.#intervalS, SETTLING_INTERVAL_S) : this.#intervalS,
      minIntervalS: Math.min(this.#intervalS, minIntervalMaxS),
    };
  }

  permits(passkey: string): boolean {
    return this.#passkeys === null || this.#passkeys.has(passkey);
  }

  /** An announce that is not looked at further. */
  #refused(text: string): string {
    this.#announces++;
    return this.#failure(text);
  }

  /** Who is on this machine needs no way around it. */
  #seedAddress({ remote: remoteOf, local }: Ends): string {
    const remote = remoteOf();
    const { addresses = [], isForAll = false } = this.#seedHosts ?? {};
    const isHere = remote === '::1' || /^(?:::ffff:)?127\./.test(remote);
    if (isHere && !isForAll) return local();
    const isOld = remote.includes('.');
    return addresses.find((address) => address.includes('.') === isOld) ?? addresses[0] ?? local();
  }

  scrape(query: string, passkey = ''): Buffer {
    const countsOf = this.scrapeFor(passkey);
    if (typeof countsOf === 'string') return failureReply(countsOf);
    const hashes = parseScrape(query);
    if (typeof hashes === 'string') return failureReply(this.#failure(hashes));
    const files = new Map<string, Counts>();
    for (const hash of hashes) {
      const counts = countsOf(hash);
      if (counts === null) continue;
      const { complete, downloaded, incomplete } = counts;
      files.set(hash, { complete, downloaded, incomplete });
    }
    return scrapeReply(files);
  }

  /** One scrape: the counts of an info-hash, valid until the next call, or the text of a failure. */
  scrapeFor(passkey: string): ((hash: string) => Counts | null) | string {
    this.#scrapes++;
    return this.permits(passkey)
      ? (hash) => this.#swarms.scrape(hash, this.#now())
      : this.#failure('the passkey is not known');
  }

  /** Forgets silent peers; for a timer, since announces alone do it only while there are some. */
  sweep(budget: number): void {
    this.#swarms.sweep(this.#now(), budget);
  }

  #failure(text: string): string {
    this.#failures++;
    return text;
  }
}

/** 6 or 18 bytes for the address of a socket (IPv4-mapped and zoned forms included), or null. */
export function compactOf(socketAddress: string, port: number): Uint8Array | null {
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

/**
 * Local service discovery (BEP 14) of an engine, apart from its sockets: what is to be announced goes out a few
 * datagrams a second, and what comes in is believed as far as it may be. Pure: time is an argument.
 *
 * A datagram says no more than that somebody at its sender's address takes peers at that port. Senders can be forged on
 * a network, so: only addresses of the networks that we are on, a few ports of each, so many datagrams of each and in
 * whole, so many peers of a torrent in a minute.
 */
import { type Address, isDialable } from '../net/address.js';
import { Bucket, RateLimit } from '../net/rate-limit.js';
import { LSD_LIMITS } from './limits.js';
import { parseSearch } from './messages.js';

/** Why datagrams of others were of no use. */
export interface Dropped {
  /** Not of the form of BEP 14: another method, no info-hash, port 0, too long. */
  malformed: number;
  /** From an address that is on none of our networks. */
  offLink: number;
  /** Too many datagrams, or ports, of one address, or peers of one torrent. */
  flood: number;
}

export interface NeighboursOptions {
  readonly now: () => number;
  /** TCP port of our peers; null: nobody can connect to us, and nothing is announced. */
  readonly port: number | null;
  /** A word of ours alone. */
  readonly cookie: string;
  readonly isOnLink: (host: string) => boolean;
  /** An address of ours. */
  readonly isOwn: (host: string) => boolean;
  /** Most info-hashes of one datagram. */
  readonly hashesPerDatagram: number;
  /** Sends one datagram to each network. */
  readonly send: (infoHashes: readonly string[]) => void;
}

/** A torrent that is looked for. Heard: somebody has announced it. */
export type Heard = (peer: Address) => void;

interface Sender {
  readonly sinceMs: number;
  readonly ports: Set<number>;
}

interface Member {
  readonly heard: Heard;
  minuteMs: number;
  /** Peers that were believed in this minute. */
  taken: number;
}

export class Neighbours {
  readonly dropped: Dropped = { malformed: 0, offLink: 0, flood: 0 };
  /** Datagrams of others that named a torrent of ours. */
  heard = 0;
  /** Datagrams that were sent, on each network. */
  sent = 0;
  readonly #options: NeighboursOptions;
  readonly #members = new Map<string, Member>();
  /** Whoever waits longest comes first. */
  readonly #waiting = new Set<string>();
  readonly #senders = new Map<string, Sender>();
  readonly #reads: RateLimit;
  readonly #sends: Bucket;

  constructor(options: NeighboursOptions) {
    const nowMs = options.now();
    this.#options = options;
    this.#reads = new RateLimit(
      { perSecond: LSD_LIMITS.readPerAddressPerSecond, burst: LSD_LIMITS.readPerAddressBurst },
      { perSecond: LSD_LIMITS.readPerSecond, burst: LSD_LIMITS.readBurst },
      LSD_LIMITS.addressesWatched,
      nowMs,
      (host) => host,
    );
    this.#sends = new Bucket({ perSecond: LSD_LIMITS.datagramsPerSecond, burst: LSD_LIMITS.datagramsPerSecond }, nowMs);
  }

  /** Somebody shares this torrent here. @param infoHash 20 bytes @returns what ends that */
  join(infoHash: Uint8Array, heard: Heard): () => void {
    const key = Buffer.from(infoHash).toString('hex');
    const member: Member = { heard, minuteMs: Number.NEGATIVE_INFINITY, taken: 0 };
    this.#members.set(key, member);
    return () => {
      if (this.#members.get(key) !== member) return;
      this.#members.delete(key);
      this.#waiting.delete(key);
    };
  }

  /** It goes out with the next `flush`, or with a later one when many wait. */
  announce(infoHash: Uint8Array): void {
    const key = Buffer.from(infoHash).toString('hex');
    if (this.#options.port === null || !this.#members.has(key)) return;
    this.#waiting.add(key);
  }

  /** Once a second. */
  flush(): void {
    const nowMs = this.#options.now();
    while (this.#waiting.size > 0 && this.#sends.take(nowMs)) {
      const most = this.#waiting.size <= LSD_LIMITS.single ? 1 : this.#options.hashesPerDatagram;
      const infoHashes: string[] = [];
      for (const key of this.#waiting) {
        if (infoHashes.length === most) break;
        infoHashes.push(key);
      }
      for (const key of infoHashes) this.#waiting.delete(key);
      this.sent++;
      this.#options.send(infoHashes);
    }
  }

  /** @param bytes of a datagram, hostile @param from its sender, which may be forged */
  receive(bytes: Uint8Array, from: Address): void {
    const { isOnLink, isOwn, cookie, port, now } = this.#options;
    const { dropped } = this;
    const nowMs = now();
    if (!isOnLink(from.host)) dropped.offLink++;
    else if (!this.#reads.take(from.host, nowMs)) dropped.flood++;
    else {
      const search = parseSearch(bytes);
      const peer = search === null ? null : { host: from.host, port: search.port };
      if (search === null || peer === null || !isDialable(peer)) dropped.malformed++;
      else if (search.cookie !== cookie && !(search.port === port && isOwn(from.host))) {
        this.#believe(peer, search.infoHashes, nowMs);
      }
    }
  }

  #believe(peer: Address, infoHashes: readonly string[], nowMs: number): void {
    const members = infoHashes.flatMap((infoHash) => this.#members.get(infoHash) ?? []);
    if (members.length === 0) return;
    if (!this.#takesPort(peer, nowMs)) {
      this.dropped.flood++;
      return;
    }
    this.heard++;
    for (const member of members) {
      if (nowMs - member.minuteMs >= 60_000) {
        member.minuteMs = nowMs;
        member.taken = 0;
      }
      if (member.taken++ < LSD_LIMITS.peersPerMinute) member.heard(peer);
      else this.dropped.flood++;
    }
  }

  #takesPort({ host, port }: Address, nowMs: number): boolean {
    let sender = this.#senders.get(host);
    if (sender === undefined || nowMs - sender.sinceMs >= LSD_LIMITS.portsMs) {
      this.#senders.delete(host);
      if (this.#senders.size >= LSD_LIMITS.addressesWatched) this.#senders.delete(this.#senders.keys().next().value!);
      sender = { sinceMs: nowMs, ports: new Set() };
      this.#senders.set(host, sender);
    }
    if (!sender.ports.has(port) && sender.ports.size >= LSD_LIMITS.portsPerAddress) return false;
    sender.ports.add(port);
    return true;
  }
}

/**
 * Peer exchange (BEP 11) of one torrent: its peers tell us of theirs, and we them of ours. A private torrent (BEP 27)
 * has none: it is neither announced in our handshake, nor sent, nor heard.
 *
 * Time is cut into rounds of a minute. Who says that it takes such messages hears at the next second of all we are
 * connected to, and then once a round of who came and left since it last heard. There are two such messages in a
 * round, since the last one and since the one before for who was new then, each made once for each `Reach` of those
 * who hear it and not for each peer. Pure: it owns no timer.
 */
import { LIMITS } from '../config.js';
import type { PeerSource, PeerSourceOwner } from '../discovery/source.js';
import { type Address, formatAddress, toCompact } from '../net/address.js';
import { isAsFar, mayName, type Reach, reachOf } from '../net/reach.js';
import { encodePex, PEX_REACHABLE, PEX_SEED, parsePex } from '../wire/pex.js';

/** A peer as peer exchange sees it. */
export interface PexRemote {
  /** An IP address. */
  readonly host: string;
  /** Null: not known, so it cannot be named to others. */
  readonly listenPort: number | null;
  /** We have connected to it. */
  readonly isReachable: boolean;
  /** Our address as it sees it; null: it has not said. */
  readonly ownHost: string | null;
  /** Sends a message of the extension. False: the peer does not take them. */
  sendPex(payload: Uint8Array): boolean;
  close(reason: string): void;
}

export interface PexOptions {
  readonly now: () => number;
  /** A generator of [0, 1). */
  readonly random: () => number;
  /** Ours; null: we do not listen. */
  readonly listenPort: number | null;
  /** Peers that are connected. */
  readonly peers: () => Iterable<{ readonly remote: PexRemote; readonly isSeed: boolean }>;
  /** Nothing is missing here: seeds are of no use to us. */
  readonly isComplete: () => boolean;
  /** Addresses that the torrent knows. */
  readonly knownAddresses: () => number;
  readonly owner: PeerSourceOwner;
}

interface Known {
  readonly compact: Uint8Array;
  readonly reach: Reach;
  flags: number;
  /** The round in which it came, or left. */
  round: number;
  seen: boolean;
}

/** What is remembered of one that hears or tells. */
interface Partner {
  /** It heard of all that happened up to the end of this round. */
  told: number;
  sentMs: number;
  /** Messages that it may send now: one more each minute. */
  allowance: number;
  allowedMs: number;
  windowMs: number;
  /** Addresses that were taken of it in this window of a minute. */
  taken: number;
  /** Messages that were not read. */
  ignored: number;
}

/** Of a clock that runs a little fast, or a message that was late, the next may come sooner. */
const BURST = 2;
/** Those that left and of whom not all have heard yet. */
const GONE_MAX = 4 * LIMITS.pexAddresses;
const NEVER = Number.NEGATIVE_INFINITY;

export class PeerExchange implements PeerSource {
  readonly foundBy = 'pex';
  readonly #options: PexOptions;
  #isStopped = false;
  #round = 0;
  #roundEndsMs = NEVER;
  /** By address. */
  readonly #here = new Map<string, Known>();
  /** Of this round and the two before. */
  readonly #gone = new Map<string, Known>();
  #partners = new WeakMap<PexRemote, Partner>();
  readonly #newcomers = new Set<PexRemote>();
  /** Made in this tick, by round and reach of the listener. */
  readonly #made = new Map<string, Uint8Array | null>();

  constructor(options: PexOptions) {
    this.#options = options;
  }

  start(): void {}

  /** The peer says that it takes these messages. */
  joined(remote: PexRemote): void {
    if (!this.#isStopped && !this.#partners.has(remote)) this.#newcomers.add(remote);
  }

  tick(nowMs: number): void {
    const isRoundOver = nowMs >= this.#roundEndsMs;
    if (this.#isStopped || (!isRoundOver && this.#newcomers.size === 0)) return;
    this.#look();
    // Who came in this very round is told again with the next, which costs less than to know who told whom.
    for (const remote of this.#newcomers) this.#tell(remote, NEVER, this.#round - 1, nowMs);
    this.#newcomers.clear();
    if (isRoundOver) this.#endRound(nowMs);
    this.#made.clear();
  }

  /** Of a seed without peers: it forgets those that left, and then has nothing to do. */
  get dueAtMs(): number {
    return this.#here.size + this.#gone.size > 0 ? this.#roundEndsMs : Number.POSITIVE_INFINITY;
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#newcomers.clear();
    this.#here.clear();
    this.#gone.clear();
  }

  /** @param payload of a message of that peer, hostile */
  heard(remote: PexRemote, payload: Uint8Array): void {
    if (this.#isStopped) return;
    const nowMs = this.#options.now();
    const partner = this.#partnerOf(remote, nowMs);
    partner.allowance = Math.min(BURST, partner.allowance + (nowMs - partner.allowedMs) / LIMITS.pexIntervalMs);
    partner.allowedMs = nowMs;
    const isDue = partner.allowance >= 1;
    if (isDue) partner.allowance--;
    const peers = isDue ? parsePex(payload, LIMITS.pexAddresses, this.#options.random) : null;
    if (peers === null) {
      if (++partner.ignored > LIMITS.pexIgnored) remote.close('sends peer exchange too often, or not of its form');
      return;
    }
    if (nowMs - partner.windowMs >= LIMITS.pexIntervalMs) {
      partner.windowMs = nowMs;
      partner.taken = 0;
    }
    // What strangers say leaves room for what trackers do.
    const room = Math.floor(LIMITS.knownAddresses / 2) - this.#options.knownAddresses();
    const most = Math.min(LIMITS.pexAddresses - partner.taken, room);
    const isComplete = this.#options.isComplete();
    const wanted = peers
      .filter(({ address, flags }) => {
        if (isComplete && (flags & PEX_SEED) !== 0) return false;
        return mayName(remote.host, address.host) && !this.#isOurs(remote, address) && !this.#isHere(address);
      })
      .slice(0, Math.max(0, most));
    partner.taken += wanted.length;
    if (wanted.length > 0) this.#options.owner.onPeers(wanted.map(({ address }) => address));
  }

  /** As this peer sees us: it tells what it is told, and others tell it of us. */
  #isOurs(remote: PexRemote, { host, port }: Address): boolean {
    return port === this.#options.listenPort && host === remote.ownHost;
  }

  #isHere(address: Address): boolean {
    return this.#here.has(formatAddress(address));
  }

  #partnerOf(remote: PexRemote, nowMs: number): Partner {
    let partner = this.#partners.get(remote);
    if (partner === undefined) {
      partner = {
        told: NEVER,
        sentMs: NEVER,
        allowance: BURST,
        allowedMs: nowMs,
        windowMs: nowMs,
        taken: 0,
        ignored: 0,
      };
      this.#partners.set(remote, partner);
    }
    return partner;
  }

  /** Who is connected now. */
  #look(): void {
    const here = this.#here;
    for (const known of here.values()) known.seen = false;
    for (const { remote, isSeed } of this.#options.peers()) {
      const { host, listenPort } = remote;
      if (listenPort === null) continue;
      const flags = (isSeed ? PEX_SEED : 0) | (remote.isReachable ? PEX_REACHABLE : 0);
      const key = formatAddress({ host, port: listenPort });
      const known = here.get(key);
      if (known !== undefined) {
        known.flags = known.seen ? known.flags | flags : flags;
        known.seen = true;
        continue;
      }
      const compact = toCompact({ host, port: listenPort });
      if (compact === null) continue;
      this.#gone.delete(key);
      here.set(key, { compact, reach: reachOf(host), flags, round: this.#round, seen: true });
    }
    for (const [key, known] of here) {
      if (known.seen) continue;
      here.delete(key);
      known.round = this.#round;
      this.#gone.set(key, known);
      // Who comes and goes all the time is not remembered without end.
      if (this.#gone.size > GONE_MAX) this.#gone.delete(this.#gone.keys().next().value!);
    }
  }

  #endRound(nowMs: number): void {
    const round = this.#round;
    this.#carryOver(round);
    for (const { remote } of this.#options.peers()) {
      const partner = this.#partners.get(remote);
      if (partner === undefined || nowMs - partner.sentMs < LIMITS.pexIntervalMs) continue;
      this.#tell(remote, Math.max(partner.told, round - 2), round, nowMs);
    }
    for (const [key, { round: left }] of this.#gone) if (left < round) this.#gone.delete(key);
    this.#round = round + 1;
    this.#roundEndsMs = nowMs + LIMITS.pexIntervalMs;
  }

  /** One message has only so many: who did not fit comes in the next round. */
  #carryOver(round: number): void {
    for (const list of [this.#here, this.#gone]) {
      let count = 0;
      for (const known of list.values()) {
        if (known.round === round && ++count > LIMITS.pexAddresses) known.round = round + 1;
      }
    }
  }

  /** @param since it heard of all up to that round @param told and now up to this one */
  #tell(remote: PexRemote, since: number, told: number, nowMs: number): void {
    const reach = reachOf(remote.host);
    const key = `${since} ${reach}`;
    let payload = this.#made.get(key);
    if (payload === undefined) {
      payload = this.#make(since, reach);
      this.#made.set(key, payload);
    }
    const partner = this.#partnerOf(remote, nowMs);
    partner.told = told;
    if (payload !== null && remote.sendPex(payload)) partner.sentMs = nowMs;
  }

  /** Null: there is nothing to say. */
  #make(since: number, reach: Reach): Uint8Array | null {
    const pick = (list: ReadonlyMap<string, Known>): Known[] => {
      const newest: Known[] = [];
      const older: Known[] = [];
      for (const known of list.values()) {
        // Nobody outside is sent to an address of our own network.
        if (known.round <= since || !isAsFar(reach, known.reach)) continue;
        if (known.round === this.#round) newest.push(known);
        else if (known.round < this.#round || since === NEVER) older.push(known);
      }
      return [...newest, ...older].slice(0, LIMITS.pexAddresses);
    };
    const added = pick(this.#here);
    const dropped = since === NEVER ? [] : pick(this.#gone);
    if (added.length + dropped.length === 0) return null;
    return encodePex(
      added,
      dropped.map(({ compact }) => compact),
    );
  }
}

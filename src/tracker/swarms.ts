/**
 * Who shares what: the memory of the tracker we run (BEP 3, 7, 23, 48). Pure: time and dice are arguments.
 * Owns every swarm and its peers. Must not know HTTP or bencode.
 * Invariant: a swarm without peers is kept only while it is registered; `peerCount` is the sum over all tables. Peers
 * that did not announce for two intervals are found by a sweep, a few with each announce: O(1).
 * It passes the suite of `test/tracker/peer-table-conformance.ts`, alone and with what several trackers share.
 * Where a limit is reached somebody else gives way (`Yielding`), and who is not let in is answered with peers.
 */
import { EntryShares } from './entry-shares.js';
import { TRACKER_LIMITS } from './limits.js';
import type { PeerTable } from './peer-table.js';
import { fillPicks } from './picks.js';
import type { AnnounceQuery } from './query.js';
import { Representatives } from './representatives.js';
import type { Sharing } from './shared/port.js';
import { newSwarm, type Swarm } from './swarm.js';
import type { SwarmView } from './swarm-view.js';
import type { RecordedPeer, RecordedSwarm } from './table-record.js';
import { leastOf, Yielding } from './yielding.js';

/** Info-hashes that somebody else keeps. */
export interface Registry {
  /** @param infoHash 20 Latin-1 characters */
  has(infoHash: string): boolean;
  /** Where our own seed of all of them listens, or null. */
  readonly seedPort: number | null;
  /** Ours is no seed of it yet: seeds are told of it, too. Default: of none. */
  isLeech?(infoHash: string): boolean;
}

export interface SwarmsOptions {
  readonly intervalS: number;
  readonly expiryS?: number | undefined;
  /** Serve registered info-hashes only. */
  readonly registeredOnly: boolean;
  /** With `registeredOnly`: info-hashes that are served beside those of `register`, and cost nothing until then. */
  readonly registry?: Registry | undefined;
  /** A generator of [0, 1). */
  readonly random: () => number;
  /** Entries that one address keeps when a table is full; default TRACKER_LIMITS.entriesPerAddress. */
  readonly entriesPerAddress?: number | undefined;
  /** 32 bits that no client knows; default 0. */
  readonly secret?: number;
  readonly limits?: Partial<Record<'swarms' | 'peersPerSwarm' | 'peers', number>>;
}

/** Announces come late for good reasons: a slow tracker, a sleeping laptop. */
const EXPIRY_SLACK_S = 60;
/** Peers looked at with every announce: more than one, so that the sweep is faster than the growth. */
const SWEEP_PER_ANNOUNCE = 4;
/** Entries, or swarms, looked at to find who gives way: a crowd with half of a table is missed once in 65,000. */
const LOOKS_IN_SWARM = 16;
const LOOKS_ANYWHERE = 64;
/** A swarm of more peers than this does not give way to another. */
const SMALL_SWARM_PEERS = 16;
/** Another's word counts when it is so much newer than ours, which comes back to us. */
const TIE_S = 2;
const CLOCK_SLACK_S = 0.25;
/** What waits to be told is told within this. */
const TOLD_LATE_S = 3;
/** Entries of one address that are a crowd, and peers of a swarm that it can hide. */
const CROWD_ENTRIES = 256;
const CROWDED_SWARM_PEERS = 64;

export class Swarms {
  readonly #options: SwarmsOptions;
  readonly #limits: Record<'swarms' | 'peersPerSwarm' | 'peers', number>;
  readonly #swarms = new Map<string, Swarm>();
  readonly #list: Swarm[] = [];
  readonly #view: SwarmView;
  readonly #absent: Swarm;
  /** Where the sweep stands: swarm, table (0: IPv4), slot. */
  #sweepSwarm = 0;
  #sweepTable = 0;
  #sweepSlot = 0;
  /** Where the search of the whole tracker for who gives way stands: swarm, slot of table4 and table6 in a row. */
  #handSwarm = 0;
  #handSlot = 0;
  readonly #shares: EntryShares;
  readonly #yielding: Yielding;
  #sharing: Sharing | null = null;
  peerCount = 0;
  /** Counts every change of a table. */
  changes = 0;

  constructor(options: SwarmsOptions) {
    this.#options = options;
    this.#absent = newSwarm('', -1, 0);
    this.#limits = { ...TRACKER_LIMITS, ...options.limits };
    const perAddress = options.entriesPerAddress ?? TRACKER_LIMITS.entriesPerAddress;
    const perPrefix = perAddress * TRACKER_LIMITS.addressSharesPerPrefix;
    this.#shares = new EntryShares({ perAddress, perPrefix }, options.secret ?? 0);
    this.#yielding = new Yielding(this.#shares);
    const { table4, table6 } = this.#absent;
    const counts = { complete: 0, incomplete: 0, downloaded: 0, count4: 0, count6: 0 };
    this.#view = { ...counts, seedPort: null, isOurLeech: false, picks4: [], picks6: [], table4, table6 };
  }

  get swarmCount(): number {
    return this.#list.length;
  }

  /** All swarms, to be read. */
  get list(): readonly Readonly<Pick<Swarm, 'infoHash' | 'downloaded' | 'table4' | 'table6' | 'copy'>>[] {
    return this.#list;
  }

  /** Seconds after which a silent peer is forgotten. */
  get expiryS(): number {
    return this.#options.expiryS ?? 2 * this.#options.intervalS + EXPIRY_SLACK_S;
  }

  /** From now on others are told of what is announced here, and asked for what they know. */
  share(sharing: Sharing): void {
    this.#sharing = sharing;
  }

  /** Keeps a swarm for this info-hash (20 Latin-1 characters) for good. `seedPort`: our own seed listens there. */
  register(infoHash: string, seedPort: number | null): void {
    const swarm = this.#swarms.get(infoHash) ?? this.#create(infoHash);
    swarm.isRegistered = true;
    swarm.seedPort = seedPort;
  }

  /**
   * One announce from `compact` (6 or 18 bytes: address and port). Returns what to answer, or a failure reason. A peer
   * without a port is answered, not remembered: nobody could reach it. Nor is one whose address has its share.
   */
  announce(query: AnnounceQuery, compact: Uint8Array, nowMs: number): SwarmView | string {
    const nowS = Math.floor(nowMs / 1000);
    this.sweep(nowMs, SWEEP_PER_ANNOUNCE);
    const swarm = this.#swarmFor(query, compact);
    if (typeof swarm === 'string') return swarm;
    const table = compact.length === 6 ? swarm.table4 : swarm.table6;
    let slot = table.find(compact);
    if (query.event === 'stopped') {
      // A late farewell of an earlier run on this port must not remove the present one.
      const isKnown = slot >= 0 && table.peerId(slot).toString('latin1') === query.peerId;
      if (isKnown) this.#remove(table, slot);
      if (query.port !== 0) this.#sharing?.left(query.infoHash, compact, query, isKnown);
      return this.#fill(swarm, table, -1, 0, query, compact);
    }
    const isListed = slot >= 0 || (query.port !== 0 && swarm !== this.#absent && this.#makeRoom(swarm, compact));
    if (isListed && query.port !== 0) {
      const wasSeed = slot >= 0 && table.isSeed(slot);
      if (query.event === 'completed' && query.isSeed && !wasSeed) swarm.downloaded++;
      const before = this.#sharing?.before(table, slot, query) ?? null;
      slot = this.#put(swarm, table, slot, compact, query, nowS);
      this.#sharing?.announced(swarm, table, slot, query, nowS, before);
    }
    const wanted =
      query.numwant < 0 ? TRACKER_LIMITS.numwantDefault : Math.min(query.numwant, TRACKER_LIMITS.numwantMax);
    this.#sharing?.wanted(query.infoHash, swarm === this.#absent ? null : swarm.copy, nowMs);
    return this.#fill(swarm, table, slot, wanted, query, compact);
  }

  /** A peer from before a restart, `ageS` after its announce, unless it is known, expired, unserved or one too many. */
  restore(recorded: RecordedSwarm, peer: RecordedPeer, nowMs: number, ageS: number): void {
    const known = this.#swarms.get(recorded.infoHash);
    const { registeredOnly, registry } = this.#options;
    const isServed = known !== undefined || !registeredOnly || registry?.has(recorded.infoHash) === true;
    const isRefused = !isServed || (known === undefined && this.#list.length >= this.#limits.swarms);
    if (ageS > this.expiryS || this.peerCount >= this.#limits.peers || isRefused) return;
    const swarm = known ?? this.#create(recorded.infoHash);
    swarm.downloaded = Math.max(swarm.downloaded, recorded.downloaded);
    const table = peer.compact.length === 6 ? swarm.table4 : swarm.table6;
    if (table.find(peer.compact) >= 0 || swarm.table4.count + swarm.table6.count >= this.#limits.peersPerSwarm) return;
    this.#put(swarm, table, -1, peer.compact, peer, Math.max(0, Math.floor(nowMs / 1000 - ageS)));
  }

  /**
   * What another tracker was told of a peer; the newest word about an address counts. Never makes room.
   * @param compact copied. @param ageS since that announce
   */
  learn(infoHash: string, { compact, peerId, isSeed, zone, ageS }: RecordedPeer, nowMs: number): void {
    const seenAtS = Math.max(0, Math.floor(nowMs / 1000 - ageS));
    const swarm = this.#swarms.get(infoHash);
    const table = compact.length === 6 ? swarm?.table4 : swarm?.table6;
    const slot = table?.find(compact) ?? -1;
    if (swarm === undefined || table === undefined || slot < 0) {
      this.restore({ infoHash, downloaded: 0 }, { compact, peerId, isSeed, zone, ageS }, nowMs, ageS);
    } else if (seenAtS >= table.seenAtS(slot) && seenAtS >= table.sharedAtS(slot) + TIE_S) {
      table.markShared(this.#put(swarm, table, slot, compact, { peerId, isSeed, zone }, seenAtS), 0);
    }
  }

  /**
   * A tracker was told that a peer stopped, so long ago. @param peerId of 20 Latin-1 characters
   * @param isOwnWord it is what we said ourselves: who announced here since is back
   * @returns null, or the zone of one that went though we told of it lately: that may be read after this
   */
  unlearn(infoHash: string, { compact, peerId, ageS }: RecordedPeer, nowMs: number, isOwnWord: boolean): string | null {
    const swarm = this.#swarms.get(infoHash);
    const table = compact.length === 6 ? swarm?.table4 : swarm?.table6;
    const slot = table?.find(compact) ?? -1;
    if (table === undefined || slot < 0 || table.peerId(slot).toString('latin1') !== peerId) return null;
    const toldAtS = table.sharedAtS(slot);
    // Of one second the farewell counts: clocks are known a little less well than what they are compared with.
    const isBack = Math.floor(nowMs / 1000 - ageS + CLOCK_SLACK_S) < table.seenAtS(slot);
    if (isBack || (isOwnWord && toldAtS > 0)) return null;
    const zone = toldAtS > 0 && toldAtS >= nowMs / 1000 - ageS - TOLD_LATE_S ? table.zoneOf(slot) : null;
    this.#remove(table, slot);
    return zone;
  }

  /** Counts of one swarm (BEP 48), or null. Reused: valid until the next call. */
  scrape(infoHash: string, nowMs = 0): SwarmView | null {
    const swarm = this.#swarms.get(infoHash);
    if (swarm !== undefined || this.#options.registry?.has(infoHash) === true)
      this.#sharing?.wanted(infoHash, swarm?.copy ?? null, nowMs);
    if (swarm !== undefined) return this.#count(swarm);
    const { registry } = this.#options;
    if (registry?.has(infoHash) !== true) return null;
    this.#absent.seedPort = registry.seedPort;
    return this.#count(this.#absent);
  }

  /** Looks at up to `budget` peers and forgets the silent ones, and swarms that are empty and not registered. */
  sweep(nowMs: number, budget: number): void {
    const lastS = Math.floor(nowMs / 1000) - this.expiryS;
    for (let steps = 0; steps < budget && this.#list.length > 0; steps++) {
      if (this.#sweepSwarm >= this.#list.length) this.#sweepSwarm = 0;
      const swarm = this.#list[this.#sweepSwarm]!;
      const table = this.#sweepTable === 0 ? swarm.table4 : swarm.table6;
      if (this.#sweepSlot < table.count) {
        // After a removal another peer stands in this slot: look again.
        if (table.seenAtS(this.#sweepSlot) < lastS) this.#remove(table, this.#sweepSlot);
        else this.#sweepSlot++;
      } else {
        this.#sweepSlot = 0;
        this.#sweepTable = 1 - this.#sweepTable;
        if (this.#sweepTable === 0 && !this.#dropIfEmpty(swarm)) this.#sweepSwarm++;
      }
    }
  }

  #put(
    swarm: Swarm,
    table: PeerTable,
    found: number,
    compact: Uint8Array,
    peer: Pick<AnnounceQuery, 'peerId' | 'isSeed' | 'zone'>,
    nowS: number,
  ): number {
    this.changes++;
    if (found < 0) {
      this.peerCount++;
      this.#shares.change(compact, 1);
    }
    const slot = table.put(found, compact, peer.peerId, peer.isSeed, nowS, peer.zone);
    const is4 = table === swarm.table4;
    let speakers = is4 ? swarm.speakers4 : swarm.speakers6;
    const isNoted = speakers !== null;
    if (found < 0 && speakers === null && table.count > CROWDED_SWARM_PEERS) {
      if (this.#shares.ofAddress(compact) <= CROWD_ENTRIES) return slot;
      speakers = new Representatives(this.#shares, table);
      if (is4) swarm.speakers4 = speakers;
      else swarm.speakers6 = speakers;
    }
    if (isNoted) speakers?.note(compact);
    return slot;
  }

  /** Room for one more entry in this swarm, if need be another's. False: there is none for this address. */
  #makeRoom(swarm: Swarm, compact: Uint8Array): boolean {
    const yielding = this.#yielding;
    const count4 = swarm.table4.count;
    const inSwarm = count4 + swarm.table6.count;
    if (inSwarm < this.#limits.peersPerSwarm && this.peerCount < this.#limits.peers) return true;
    yielding.begin();
    if (inSwarm >= this.#limits.peersPerSwarm) {
      for (let k = 0; k < LOOKS_IN_SWARM; k++) {
        const slot = Math.floor(this.#options.random() * inSwarm);
        if (slot < count4) yielding.consider(swarm.table4, slot);
        else yielding.consider(swarm.table6, slot - count4);
      }
    } else this.#lookAnywhere(compact);
    if (!yielding.isFit(compact)) return false;
    this.#remove(yielding.table!, yielding.slot);
    return true;
  }

  /** The entries after those looked at last: a random swarm would be small, and that is not who fills a tracker. */
  #lookAnywhere(compact: Uint8Array): void {
    for (let k = 0; k < LOOKS_ANYWHERE && !this.#yielding.isFoundFor(compact); k++) {
      if (this.#handSwarm >= this.#list.length) this.#handSwarm = 0;
      const { table4, table6 } = this.#list[this.#handSwarm]!;
      const slot = this.#handSlot++;
      if (slot < table4.count) this.#yielding.consider(table4, slot);
      else if (slot - table4.count < table6.count) this.#yielding.consider(table6, slot - table4.count);
      else {
        this.#handSlot = 0;
        this.#handSwarm++;
      }
    }
  }

  /** Room for a swarm that this address makes: in the place of a small one whose peers all have more than a share. */
  #makeRoomForSwarm(compact: Uint8Array): boolean {
    if (this.#list.length < this.#limits.swarms) return true;
    let victim: Swarm | null = null;
    let best = { excess: this.#shares.excess(compact), seenAtS: Number.POSITIVE_INFINITY };
    for (let k = 0; k < LOOKS_IN_SWARM; k++) {
      const swarm = this.#list[Math.floor(this.#options.random() * this.#list.length)]!;
      if (swarm.isRegistered || swarm.table4.count + swarm.table6.count > SMALL_SWARM_PEERS) continue;
      const found = leastOf(this.#shares, [swarm.table4, swarm.table6]);
      if (found.excess < best.excess || (found.excess === best.excess && found.seenAtS >= best.seenAtS)) continue;
      victim = swarm;
      best = found;
    }
    if (victim === null) return false;
    for (const table of [victim.table4, victim.table6]) while (table.count > 0) this.#remove(table, table.count - 1);
    return this.#dropIfEmpty(victim);
  }

  #swarmFor(query: AnnounceQuery, compact: Uint8Array): Swarm | string {
    const { registeredOnly, registry } = this.#options;
    const swarm = this.#swarms.get(query.infoHash);
    const isServed = !registeredOnly || swarm?.isRegistered === true || registry?.has(query.infoHash) === true;
    if (!isServed) return 'this tracker does not serve this torrent';
    if (swarm !== undefined) return swarm;
    const isListed = query.event !== 'stopped' && query.port !== 0 && this.#makeRoomForSwarm(compact);
    if (isListed) return this.#create(query.infoHash);
    this.#absent.seedPort = registry?.seedPort ?? null;
    return this.#absent;
  }

  #create(infoHash: string): Swarm {
    const swarm = newSwarm(infoHash, this.#list.length, this.#options.secret ?? 0);
    swarm.seedPort = this.#options.registry?.seedPort ?? null;
    this.#list.push(swarm);
    this.#swarms.set(infoHash, swarm);
    return swarm;
  }

  #dropIfEmpty(swarm: Swarm): boolean {
    if (swarm.isRegistered || swarm.table4.count + swarm.table6.count > 0) return false;
    this.#swarms.delete(swarm.infoHash);
    const last = this.#list.pop()!;
    if (last !== swarm) {
      this.#list[swarm.listAt] = last;
      last.listAt = swarm.listAt;
    }
    return true;
  }

  #remove(table: PeerTable, slot: number): void {
    this.changes++;
    this.#shares.change(table.address(slot), -1);
    table.remove(slot);
    this.peerCount--;
  }

  #count(swarm: Swarm): SwarmView {
    const view = this.#view;
    const ours = swarm.seedPort === null ? 0 : 1;
    view.isOurLeech = ours === 1 && this.#options.registry?.isLeech?.(swarm.infoHash) === true;
    view.complete = swarm.table4.seedCount + swarm.table6.seedCount + (view.isOurLeech ? 0 : ours);
    view.incomplete = swarm.table4.leechCount + swarm.table6.leechCount + (view.isOurLeech ? ours : 0);
    view.downloaded = swarm.downloaded;
    view.seedPort = swarm.seedPort;
    view.table4 = swarm.table4;
    view.table6 = swarm.table6;
    view.count4 = 0;
    view.count6 = 0;
    return view;
  }

  #fill(
    swarm: Swarm,
    own: PeerTable,
    ownSlot: number,
    wanted: number,
    query: AnnounceQuery,
    compact: Uint8Array,
  ): SwarmView {
    const view = this.#count(swarm);
    fillPicks(view, swarm, { own, ownSlot, compact, query }, wanted, this.#options.random);
    return view;
  }
}

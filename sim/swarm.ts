/**
 * A whole swarm in one process and in virtual time: builds the hosts, connects them, lets events happen until everybody
 * is done. The same spec gives the same events, whatever the machine.
 */
import { BLOCK_LENGTH_BYTES, DEFAULTS } from '../src/config.js';
import { Geometry, type PieceIndex } from '../src/metainfo/geometry.js';
import type { TorrentThrottles } from '../src/peer/limits.js';
import { Throttle } from '../src/peer/throttle.js';
import { makeRandom } from '../src/random.js';
import { Books } from './books.js';
import { DirectLink } from './direct-link.js';
import { Events } from './events.js';
import { Host, type HostSwarm } from './host.js';
import { Network } from './network.js';
import { type PeerHost, type PeerOut, SimPeer, type TimedLink } from './peer.js';
import type { SwarmSpec } from './spec.js';
import { SimTracker } from './tracker.js';
import { WireLink } from './wire-link.js';

/** What went wrong in a run, and when. */
export class SimFailure extends Error {}

const TICK_MS = 1000;
const DEFAULT_STILL_MS = 30 * 60_000;
const DEFAULT_MAX_PEERS = 500;
const LEAST_WINDOW_BYTES = 256 * 1024;
/** Touched hosts are checked after every event, all hosts after so many. */
const CHECK_ALL_EVENTS = 100;
/** Events between two looks at the clock on the wall. */
const WALL_EVENTS = 65_536;

export interface RunOptions {
  /** Called every few seconds of real time. */
  readonly onProgress?: (line: string) => void;
}

export class Swarm implements HostSwarm {
  readonly spec: SwarmSpec;
  readonly geometry: Geometry;
  readonly events = new Events();
  readonly network = new Network(this.events);
  readonly tracker: SimTracker;
  readonly hosts: Host[] = [];
  readonly infoHash = Buffer.alloc(20, 7);
  readonly random: () => number;
  /** No limits. */
  readonly throttles: TorrentThrottles = { downloads: new Throttle([]), uploads: new Throttle([]) };
  /** Real bytes per simulated byte. */
  readonly scale: number;
  readonly blockBytes = BLOCK_LENGTH_BYTES;
  readonly maxPeers: number;
  readonly openPieces: number;
  readonly openMs: number;
  readonly hashMs: number;
  readonly latencyMs: number;
  readonly directKind: number;
  readonly readyKind: number;
  readonly verifiedKind: number;
  readonly #tickKind: number;
  readonly #haveKind: number;
  readonly #directLinks = new Map<number, TimedLink>();
  readonly #touched = new Set<Host>();
  readonly #joinKind: number;
  /** Hosts that are expected to finish and have not. */
  unfinished = 0;
  #progressMs = 0;
  #hasPromised = false;
  /** Called when a host has all that it wants. */
  onDone: (host: Host) => void = () => {};

  constructor(spec: SwarmSpec) {
    this.spec = spec;
    this.scale = (spec.unitBytes ?? BLOCK_LENGTH_BYTES) / BLOCK_LENGTH_BYTES;
    this.geometry = new Geometry(Math.ceil(spec.imageBytes / this.scale), spec.pieceBytes / this.scale);
    this.random = makeRandom(spec.seed);
    this.maxPeers = Math.min(spec.maxPeers ?? DEFAULT_MAX_PEERS, spec.hosts.length);
    this.openPieces = Math.max(1, Math.floor((spec.openPieceBytes ?? DEFAULTS.openPieceBytes) / spec.pieceBytes));
    this.openMs = spec.storage?.openMs ?? 0;
    this.hashMs = spec.hash?.pieceMs ?? 0;
    this.latencyMs = spec.latencyMs;
    this.tracker = new SimTracker(this.infoHash, this.random);
    this.directKind = this.events.kind((flow) => this.#directLinks.get(flow)?.deliver(this.events.nowMs));
    this.readyKind = this.events.kind((host, piece) => this.#touch(host).pieceOpened(piece as PieceIndex));
    this.verifiedKind = this.events.kind((host, piece) => this.#touch(host).pieceHashed(piece as PieceIndex));
    this.#tickKind = this.events.kind((host) => this.#tick(host));
    this.#haveKind = this.events.kind((host, piece) => this.#haveArrives(this.hosts[host]!, piece));
    this.#joinKind = this.events.kind((host) => this.#join(this.hosts[host]!));
    for (const [id, host] of spec.hosts.entries()) {
      this.network.addHost(host.upBytesPerSec / this.scale, host.downBytesPerSec / this.scale);
      this.hosts.push(new Host(this, id, host));
      if (spec.isChecked === true) this.hosts[id]!.books = new Books(this.hosts[id]!);
      if (!this.hosts[id]!.isDone) this.unfinished++;
      this.events.at(host.joinMs ?? 0, this.#joinKind, id);
    }
  }

  get isDone(): boolean {
    return this.unfinished === 0;
  }

  // ---- hosts ----

  #join(host: Host): void {
    host.isAlive = true;
    host.joinedMs = this.events.nowMs;
    // Processes do not start in step: each has its own second.
    this.events.at(this.events.nowMs + this.random() * TICK_MS, this.#tickKind, host.id);
    host.roster.start(this.events.nowMs);
  }

  #tick(id: number): void {
    const host = this.#touch(id);
    if (!host.isAlive) return;
    host.tick();
    this.events.at(this.events.nowMs + TICK_MS, this.#tickKind, id);
  }

  /** The host vanishes, as in a power cut: its peers notice, the tracker does not. */
  leave(host: Host): void {
    if (!host.isAlive) return;
    host.vanish();
    for (const peer of host.exchange.peers) if (peer !== null) this.disconnect(peer.remote, 'it vanished');
    if (!host.isDone) this.unfinished--;
  }

  hostDone(host: Host): void {
    this.unfinished--;
    this.onDone(host);
  }

  pieceVerified(host: Host, piece: number): void {
    this.#progressMs = this.events.nowMs;
    this.events.note(host.id * 65536 + piece);
  }

  // ---- connections ----

  latencyBetween(a: PeerHost, b: PeerHost): number {
    return a.zone === b.zone ? this.spec.latencyMs : (this.spec.farLatencyMs ?? this.spec.latencyMs);
  }

  connect(dialler: Host, other: Host): void {
    const near = new SimPeer(dialler, other, true);
    const far = new SimPeer(other, dialler, false);
    near.far = far;
    far.far = near;
    near.out = this.#link(near);
    far.out = this.#link(far);
    dialler.roster.connected.set(other.id, near);
    other.roster.connected.set(dialler.id, far);
    near.peer = dialler.exchange.addPeer(near, false)!;
    far.peer = other.exchange.addPeer(far, false)!;
  }

  #link(local: SimPeer): PeerOut {
    const latencyMs = this.latencyBetween(local.local, local.other);
    const up = local.local.spec.upBytesPerSec;
    const delayBytes = (Math.min(up, local.other.spec.downBytesPerSec) / this.scale) * ((2 * latencyMs) / 1000) * 1.5;
    const least = Math.max(2 * this.blockBytes, LEAST_WINDOW_BYTES / this.scale);
    const windowBytes = (this.spec.windowBytes ?? 0) / this.scale || Math.max(least, delayBytes);
    return this.spec.transport === 'wire'
      ? new WireLink(local, latencyMs, windowBytes)
      : new DirectLink(local, latencyMs, windowBytes);
  }

  addDirectLink(link: TimedLink): void {
    this.#directLinks.set(link.flow.id, link);
  }

  /** Both sides lose the connection at once. */
  disconnect(peer: SimPeer, reason: string): void {
    if (!peer.isOpen) return;
    const sides = [peer, peer.far];
    for (const side of sides) {
      this.#touched.add(this.hosts[side.local.id]!);
      if (side.out instanceof DirectLink) this.#directLinks.delete(side.out.flow.id);
      side.isOpen = false;
      side.isClosing = true;
      side.out.close();
    }
    for (const side of sides) side.peer.gone(reason);
  }

  /**
   * HAVE to all peers as one event, where all of them are equally far and the order among messages does not matter to a
   * check. False: say it to each.
   */
  broadcast(host: Host, piece: number): boolean {
    if (this.spec.isChecked === true || this.spec.transport === 'wire' || this.spec.farLatencyMs !== undefined)
      return false;
    this.events.at(this.events.nowMs + this.latencyMs, this.#haveKind, host.id, piece);
    return true;
  }

  #haveArrives(host: Host, piece: number): void {
    for (const peer of host.exchange.peers) {
      if (peer === null) continue;
      const { far } = peer.remote;
      // Who has not been greeted yet hears of it in the bitfield.
      if (!far.hasSaidPieces || !host.scheduler.view.isTold(peer.slot)) continue;
      far.lastReadMs = this.events.nowMs;
      far.onHave(piece);
      far.onReadEnd();
    }
  }

  touch(host: Host): void {
    if (this.spec.isChecked === true) this.#touched.add(host);
  }

  #touch(id: number): Host {
    const host = this.hosts[id]!;
    this.touch(host);
    return host;
  }

  // ---- the run ----

  /** A promise was settled: its consequences belong to this event. */
  promised(): void {
    this.#hasPromised = true;
  }

  /** Lets events happen until every host is done. @throws SimFailure */
  async run(options: RunOptions = {}): Promise<void> {
    await this.runUntil(() => this.isDone, options);
  }

  async runUntil(isOver: () => boolean, options: RunOptions = {}): Promise<void> {
    const stillMs = this.spec.stillMs ?? DEFAULT_STILL_MS;
    while (!isOver()) {
      if (!this.#step()) throw this.failure('nothing is left to happen');
      if (this.#hasPromised) await this.#settle();
      if (this.spec.isChecked === true) this.#check();
      const { nowMs } = this.events;
      if (nowMs > this.spec.limitMs) throw this.failure(`not done in time: ${this.#unfinishedText()}`);
      if (nowMs - this.#progressMs > stillMs) {
        throw this.failure(`no piece was verified for ${Math.round(stillMs / 1000)} s: ${this.#unfinishedText()}`);
      }
      if (this.events.count % WALL_EVENTS === 0) options.onProgress?.(this.#progressLine());
    }
  }

  failure(message: string, cause?: unknown): SimFailure {
    const { nowMs, count } = this.events;
    const text = `seed ${this.spec.seed}, ${(nowMs / 1000).toFixed(3)} s, event ${count}: ${message}`;
    return new SimFailure(text, { cause });
  }

  /** Whatever is thrown inside an event is a failure of the run. */
  #step(): boolean {
    try {
      return this.events.step();
    } catch (error) {
      throw this.failure(messageOf(error), error);
    }
  }

  async #settle(): Promise<void> {
    this.#hasPromised = false;
    // The announcer's own `then` comes first; nothing here depends on more than a few turns.
    for (let turn = 0; turn < 4; turn++) await null;
  }

  #check(): void {
    if (this.events.count % CHECK_ALL_EVENTS === 0) for (const host of this.hosts) this.#touched.add(host);
    for (const host of this.#touched) {
      try {
        host.books?.check();
      } catch (error) {
        throw this.failure(`host ${host.id}: ${messageOf(error)}`, error);
      }
    }
    this.#touched.clear();
  }

  #unfinishedText(): string {
    const waiting = this.hosts.filter((host) => host.isAlive && !host.isDone);
    const first = waiting[0];
    const more = first === undefined ? '' : `, host ${first.id} has ${first.have.count} of ${this.geometry.pieceCount}`;
    return `${this.unfinished} hosts unfinished${more}`;
  }

  #progressLine(): string {
    const seconds = (this.events.nowMs / 1000).toFixed(1);
    return `${seconds} s, ${this.events.count} events, ${this.unfinished} hosts unfinished`;
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

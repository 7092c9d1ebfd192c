/**
 * All limits of an engine: its own, and each torrent's. Its own are shared evenly by artifacts, not by connections: by
 * torrents, and by what passes beside them under the info-hash of a torrent (and is one with it) or another name. The
 * timer runs only while there is a limit.
 */
import { BLOCK_LENGTH_BYTES } from '../config.js';
import type { RateGate, RateLimits, ShareGate } from '../rates-api.js';
import { changedRates, type RateOptions } from './rates.js';
import { areSpent, RateLimit, REFILL_MS, refillBytes, Throttle, type Waiting } from './throttle.js';
import { Turns } from './turns.js';

type Direction = 'downloads' | 'uploads';

const NO_LIMITS: readonly RateLimit[] = [];

/**
 * What goes ahead of the queue: an artifact of which nothing is under way has a block at once, in debt, as long as all
 * such are a quarter of the limit. A build asks for thousands of short ones one after the other, and each would wait
 * out the run of blocks that somebody has just got (256 KiB at 5 MB/s: 52 ms).
 */
const AHEAD_BYTES = BLOCK_LENGTH_BYTES;
const AHEAD_SHARE = 1 / 4;

/** The throttles of one torrent. */
export interface TorrentThrottles {
  /** By which gates find them. */
  readonly name?: string;
  readonly downloads: Throttle;
  readonly uploads: Throttle;
}

export class Limits {
  readonly #now: () => number;
  #shared: RateOptions;
  #engine: Readonly<Record<Direction, readonly RateLimit[]>>;
  /** A link that is woken takes when it reads; what is sent is taken at once. */
  readonly #turns = { downloads: new Turns(true), uploads: new Turns(false) };
  /** What each torrent asked for. */
  readonly #torrents = new Map<TorrentThrottles, RateOptions>();
  readonly #byName = new Map<string, TorrentThrottles>();
  /** What passes beside torrents: by name, while a gate of that name is in use, and all that has no name. */
  readonly #beside = new Map<string, { readonly throttles: TorrentThrottles; gates: number }>();
  #unnamed: TorrentThrottles | null = null;
  readonly #limits = new Set<RateLimit>();
  /** Of the engine's upload limit, for what goes ahead. */
  #ahead: RateLimit | null = null;
  /** Those that are limited. */
  readonly #throttles = new Set<Throttle>();
  #timer: NodeJS.Timeout | null = null;

  constructor(options: RateOptions, now: () => number) {
    this.#now = now;
    this.#shared = options;
    this.#engine = this.#makeShared(options);
  }

  /** @param name by which gates find it: the info-hash in hexadecimal */
  forTorrent(options: RateOptions, name?: string): TorrentThrottles {
    const { uploads, downloads } = this.#turns;
    const throttles: TorrentThrottles = {
      downloads: new Throttle(NO_LIMITS, downloads),
      uploads: new Throttle(NO_LIMITS, uploads),
      ...(name === undefined ? {} : { name }),
    };
    this.set(throttles, options);
    return throttles;
  }

  /** For what is no torrent. */
  gates(): Readonly<Record<Direction, RateGate>> {
    this.#unnamed ??= this.forTorrent({});
    return { downloads: new Gate(this, 'downloads', null), uploads: new Gate(this, 'uploads', null) };
  }

  /** The limits of a torrent are others from now on. */
  set(throttles: TorrentThrottles, options: RateOptions): void {
    this.forget(throttles);
    const { downloads, uploads, name } = throttles;
    this.#torrents.set(throttles, options);
    if (name !== undefined) this.#byName.set(name, throttles);
    downloads.become([...this.#engine.downloads, ...this.#make(options.downloadBytesPerSec)]);
    uploads.become([...this.#engine.uploads, ...this.#make(options.uploadBytesPerSec)]);
    for (const throttle of [downloads, uploads]) if (throttle.isLimited) this.#throttles.add(throttle);
    if (this.#throttles.size > 0) this.#timer ??= setInterval(() => this.refill(), REFILL_MS);
  }

  /** The limits that all torrents share are others from now on. */
  setShared(changes: RateLimits): void {
    this.#shared = changedRates(this.#shared, changes);
    for (const limit of this.#ofEngine) this.#limits.delete(limit);
    this.#engine = this.#makeShared(this.#shared);
    for (const [throttles, own] of [...this.#torrents]) this.set(throttles, own);
  }

  /** The torrent is over: whoever waits goes on, and finds that out. */
  end(throttles: TorrentThrottles): void {
    this.forget(throttles);
    throttles.downloads.become(NO_LIMITS);
    throttles.uploads.become(NO_LIMITS);
  }

  forget(throttles: TorrentThrottles): void {
    const { downloads, uploads, name } = throttles;
    this.#torrents.delete(throttles);
    if (name !== undefined && this.#byName.get(name) === throttles) this.#byName.delete(name);
    const shared = this.#ofEngine;
    for (const throttle of [downloads, uploads]) {
      this.#throttles.delete(throttle);
      for (const limit of throttle.limits) if (!shared.includes(limit)) this.#limits.delete(limit);
    }
    if (this.#throttles.size === 0) this.close();
  }

  refill(): void {
    const nowMs = this.#now();
    for (const limit of this.#limits) limit.refill(nowMs);
    this.#serve('downloads');
    this.#serve('uploads');
  }

  #serve(direction: Direction): void {
    const shared = this.#engine[direction];
    // A turn of what a refill brings: a part of an answer is as long at most.
    this.#turns[direction].serve(refillBytes(shared[0]?.bytesPerSec ?? 0), () => areSpent(shared));
  }

  /** Of what passes beside torrents. @param name null: it has none */
  throttleOf(name: string | null, direction: Direction): Throttle {
    const named = name === null ? undefined : (this.#byName.get(name) ?? this.#beside.get(name)?.throttles);
    return (named ?? this.#unnamed!)[direction];
  }

  /** @returns false: it has to wait as others do */
  goesAhead(throttle: Throttle, bytes: number): boolean {
    const ahead = this.#ahead;
    const isFirst = !throttle.hasWaiting && throttle.creditBytes >= 0;
    if (ahead === null || !isFirst || bytes > AHEAD_BYTES || ahead.tokens <= 0) return false;
    ahead.take(bytes);
    return true;
  }

  /** A gate of this name is in use, also before there is a torrent of that name, and after. */
  enter(name: string): void {
    const beside = this.#beside.get(name);
    if (beside === undefined) this.#beside.set(name, { throttles: this.forTorrent({}), gates: 1 });
    else beside.gates++;
  }

  leave(name: string): void {
    const beside = this.#beside.get(name)!;
    beside.gates--;
    if (beside.gates > 0) return;
    this.#beside.delete(name);
    this.end(beside.throttles);
  }

  /** The engine closes: who waits at a gate goes on. */
  closeGates(): void {
    this.#shared = {};
    this.#engine = this.#makeShared({});
    for (const { throttles } of this.#beside.values()) this.end(throttles);
    if (this.#unnamed !== null) this.end(this.#unnamed);
    this.close();
  }

  close(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
  }

  get #ofEngine(): readonly RateLimit[] {
    return [...this.#engine.downloads, ...this.#engine.uploads];
  }

  #makeShared({ downloadBytesPerSec, uploadBytesPerSec }: RateOptions): Record<Direction, readonly RateLimit[]> {
    if (this.#ahead !== null) this.#limits.delete(this.#ahead);
    const aheadBytesPerSec = uploadBytesPerSec === undefined ? undefined : uploadBytesPerSec * AHEAD_SHARE;
    this.#ahead = this.#make(aheadBytesPerSec)[0] ?? null;
    return { downloads: this.#make(downloadBytesPerSec), uploads: this.#make(uploadBytesPerSec) };
  }

  #make(bytesPerSec: number | undefined): readonly RateLimit[] {
    if (bytesPerSec === undefined) return NO_LIMITS;
    const limit = new RateLimit(bytesPerSec, this.#now());
    this.#limits.add(limit);
    return [limit];
  }
}

/** What passes beside torrents. */
class Gate implements RateGate, ShareGate {
  readonly #limits: Limits;
  readonly #direction: Direction;
  readonly #name: string | null;
  /** It counts among those of its name. */
  #isIn = false;
  /** Somebody is told that he may go on: what he asks for now is for his next turn. */
  #isAllowing = false;
  /** How to leave the queues in which it stands. */
  #leave: Set<() => void> | null = null;

  constructor(limits: Limits, direction: Direction, name: string | null) {
    this.#limits = limits;
    this.#direction = direction;
    this.#name = name;
  }

  get readBytes(): number {
    return this.#throttle.readBytes;
  }

  of(name: string): ShareGate {
    return new Gate(this.#limits, this.#direction, name);
  }

  pass(bytes: number): Promise<void> | null {
    let goOn = (): void => {};
    if (this.ask(bytes, () => goOn())) return null;
    return new Promise((resolve) => {
      goOn = resolve;
    });
  }

  ask(bytes: number, allowed: () => void): boolean {
    if (!this.#throttle.isLimited) return true;
    if (this.#name !== null && !this.#isIn) this.#limits.enter(this.#name);
    this.#isIn = this.#name !== null;
    const throttle = this.#throttle;
    const hasCome = this.#direction === 'downloads';
    if (hasCome) throttle.take(bytes);
    const isFree = !this.#isAllowing && !throttle.isDry;
    const goesOn = isFree || (!hasCome && !this.#isAllowing && this.#limits.goesAhead(throttle, bytes));
    if (!goesOn) {
      this.#wait(throttle, bytes, allowed);
      return false;
    }
    if (!hasCome) throttle.take(bytes);
    return true;
  }

  #wait(throttle: Throttle, bytes: number, allowed: () => void): void {
    const waiting: Waiting = throttle.wait(() => {
      this.#leave?.delete(leave);
      // Another one, where a torrent of this name came or went.
      const now = this.#throttle;
      if (now.isDry) return this.#wait(now, bytes, allowed);
      if (this.#direction === 'uploads') now.take(bytes);
      this.#isAllowing = true;
      allowed();
      this.#isAllowing = false;
    }, bytes);
    const leave = (): void => throttle.unwait(waiting);
    this.#leave ??= new Set();
    this.#leave.add(leave);
  }

  end(unusedBytes = 0): void {
    for (const leave of this.#leave ?? []) leave();
    this.#leave = null;
    if (unusedBytes > 0) this.#throttle.take(-unusedBytes);
    if (this.#isIn) this.#limits.leave(this.#name!);
    this.#isIn = false;
  }

  get #throttle(): Throttle {
    return this.#limits.throttleOf(this.#name, this.#direction);
  }
}

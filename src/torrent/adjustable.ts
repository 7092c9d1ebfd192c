/** What of a torrent is changed at once, whether it has a session or not: peers, limits, order, trackers. */
import { EventEmitter } from 'node:events';
import type { AddOptions, RateLimits, Torrent, TorrentEvents } from '../api.js';
import * as rules from '../library/engine-options.js';
import type { Metainfo } from '../metainfo/metainfo.js';
import type { TorrentThrottles } from '../peer/limits.js';
import { changedRates, type RateOptions } from '../peer/rates.js';
import { Standings } from '../webseed/standings.js';
import * as changes from './changes.js';
import type { ContentOf } from './content.js';
import type { LiveTorrent } from './torrent.js';

/** What handles need of their engine. */
export interface HandleHost {
  /** Begins a session. */
  begin(handle: AdjustableTorrent, options: changes.SessionOptions): LiveTorrent;
  readonly contentOf: ContentOf;
  setLimits(throttles: TorrentThrottles, limits: RateOptions): void;
  onDone(handle: HeldTorrent): void;
  /** It is over; called once. */
  onEnded(handle: HeldTorrent): void;
}

/** As the engine holds it. */
export type HeldTorrent = AdjustableTorrent & Torrent;

export abstract class AdjustableTorrent extends EventEmitter<TorrentEvents> {
  readonly metainfo: Metainfo;
  readonly throttles: TorrentThrottles;
  /** The session under way, also while it ends. */
  live: LiveTorrent | null = null;
  protected readonly host: HandleHost;
  /** What the next session is begun with. */
  protected options: changes.SessionOptions;
  #limits: RateOptions;

  constructor(metainfo: Metainfo, options: AddOptions, throttles: TorrentThrottles, host: HandleHost) {
    super();
    this.metainfo = metainfo;
    this.throttles = throttles;
    this.host = host;
    const { signal: _, downloadBytesPerSec, uploadBytesPerSec, ...rest } = options;
    this.options = { ...rest, standings: new Standings() };
    this.#limits = { downloadBytesPerSec, uploadBytesPerSec };
  }

  /** The session ends and the torrent does not. */
  isResting = false;

  get output(): string {
    return this.options.output;
  }

  get isSeed(): boolean {
    return this.options.mode === 'seed';
  }

  isOf(host: HandleHost): boolean {
    return this.host === host;
  }

  get trackers(): readonly (readonly string[])[] {
    return this.options.trackers ?? this.metainfo.trackers;
  }

  addPeer(host: string, port: number): void {
    rules.checkPeer('addPeer', host, port);
    this.options = { ...this.options, peers: [...changes.withoutPeer(this.options, host, port), { host, port }] };
    this.live?.addPeer(host, port);
  }

  removePeer(host: string, port: number): void {
    rules.checkPeer('removePeer', host, port);
    this.options = { ...this.options, peers: changes.withoutPeer(this.options, host, port) };
    this.live?.roster.remove(host, port);
  }

  setLimits(limits: RateLimits): void {
    rules.checkLimits(limits);
    this.#limits = changedRates(this.#limits, limits);
    this.host.setLimits(this.throttles, this.#limits);
    this.limitsChanged();
  }

  /** Its own, or those of the engine. */
  limitsChanged(): void {
    changes.applyDownloadLimit(this.live?.exchange ?? null, this.throttles.downloads.bytesPerSec);
  }

  setSequential(sequential: boolean): void {
    rules.checkSequential(sequential);
    this.options = { ...this.options, sequential };
    this.live?.exchange?.scheduler.setSequential(sequential);
  }

  setTrackers(trackers: readonly (readonly string[])[]): void {
    rules.checkTrackers(trackers);
    this.options = { ...this.options, trackers };
    this.live?.announces.change(trackers);
    this.stir();
  }

  setWebSeeds(webSeeds: readonly string[]): void {
    rules.checkWebSeeds(webSeeds);
    this.options = { ...this.options, webSeeds };
    this.live?.webSources.name(webSeeds);
    this.stir();
  }

  announce(): void {
    if (this.live === null || this.isResting) return;
    this.live.announces.announceNow(this.live.environment.now());
    this.stir();
  }

  stir(): void {
    if (this.live !== null) this.live.environment.stir(this.live.roster);
  }
}

/**
 * The condition of one torrent: gathers the facts for `health.ts` and for `sources()`, and remembers since when things
 * are as they are. Looks once a second; must not be called per block.
 */
import type { HealthProblem, TorrentSources, TrackerReport } from '../api.js';
import type { HaulError } from '../errors.js';
import { Contacts } from './contacts.js';
import { type HealthFacts, healthOf } from './health.js';
import type { Session } from './session.js';
import { untilFiles } from './until-files.js';

type Watched = Pick<
  Session,
  | 'exchange'
  | 'isSyncing'
  | 'state'
  | 'isComplete'
  | 'roster'
  | 'environment'
  | 'dialler'
  | 'badPieces'
  | 'metainfo'
  | 'webSources'
  | 'announces'
  | 'onDiskPause'
>;

export class Condition {
  #contacts: Contacts | null = null;
  readonly #torrent: Watched;
  readonly #areTrackersGiven: boolean;
  /** Null until the first look, and while it rests. */
  #looks: Looks | null = null;
  /** Why nothing is done before the first block. */
  #pausedText: string | null = null;

  /** @param areTrackersGiven they were given in place of the torrent's own */
  constructor(torrent: Watched, areTrackersGiven: boolean) {
    this.#torrent = torrent;
    this.#areTrackersGiven = areTrackersGiven;
  }

  get contacts(): Contacts {
    this.#contacts ??= new Contacts();
    return this.#contacts;
  }

  /** Once a second. */
  tick(nowMs: number): void {
    const { exchange, isSyncing } = this.#torrent;
    if (exchange === null) return;
    const { downloadedBytes } = exchange.scheduler.view.totals;
    this.#looks ??= new Looks();
    const looks = this.#looks;
    looks.withoutPeers.is(exchange.peerCount + exchange.webSeedCount === 0, nowMs);
    looks.nothingCame.is(downloadedBytes === looks.receivedBytes, nowMs);
    looks.diskBehind.is(exchange.storage.isBehind, nowMs);
    looks.syncing.is(isSyncing, nowMs);
    looks.memoryShort.is(exchange.storage.isShortOfMemory, nowMs);
    looks.receivedBytes = downloadedBytes;
  }

  /** Nothing is looked at while it rests. */
  rest(): void {
    this.#looks = null;
  }

  /**
   * A step before the first block, repeated while no file can be opened; that is told.
   * @throws what the step throws in the end
   */
  patiently<T>(step: () => Promise<T>, signal: AbortSignal): Promise<T> {
    const onPause = (error: HaulError | null): void => {
      this.#pausedText = error === null ? null : `${error.message}; it is tried again soon`;
      if (error !== null) this.#torrent.onDiskPause(error);
    };
    return untilFiles(step, { signal, onPause });
  }

  health(): readonly HealthProblem[] {
    const { goal } = this;
    return goal === 'nothing' && this.#pausedText === null ? [] : healthOf(this.#facts(goal));
  }

  sources(): TorrentSources {
    const { contacts } = this;
    const { dialled, connected, failed, banned, failures } = contacts;
    const bans = contacts.bans.filter(({ until }) => until.getTime() > Date.now());
    return {
      trackers: this.#trackers,
      webSeeds: this.#torrent.webSources.reports(),
      addresses: { known: this.#torrent.roster.knownAddresses, dialled, connected, failed, banned, failures, bans },
    };
  }

  get goal(): HealthFacts['goal'] {
    const { state, isComplete } = this.#torrent;
    if (state === 'seeding') return 'seed';
    if (state !== 'downloading') return 'nothing';
    return isComplete ? 'saving' : 'download';
  }

  get #trackers(): readonly TrackerReport[] {
    return this.#torrent.announces.reports();
  }

  /** Null: it is not found by the DHT. */
  get #dhtNodes(): number | null {
    return this.#torrent.metainfo.isPrivate ? null : this.#torrent.environment.dhtNodes;
  }

  get #usesLsd(): boolean {
    return this.#torrent.environment.usesLsd && !this.#torrent.metainfo.isPrivate;
  }

  #facts(goal: HealthFacts['goal']): HealthFacts {
    const { exchange, roster, environment, dialler } = this.#torrent;
    const nowMs = environment.now();
    const looks = this.#looks ?? new Looks();
    const dhtNodes = this.#dhtNodes;
    let holders = 0;
    let servers = 0;
    for (const peer of exchange?.peers ?? []) {
      if (peer === null || !exchange!.scheduler.view.isInterestedIn(peer.slot)) continue;
      holders++;
      if (!exchange!.scheduler.view.isPeerChoking(peer.slot)) servers++;
    }
    return {
      goal,
      trackers: this.#trackers,
      areTrackersGiven: this.#areTrackersGiven || dhtNodes !== null || this.#usesLsd,
      dhtNodes,
      peers: (exchange?.peerCount ?? 0) + (exchange?.webSeedCount ?? 0),
      webSeeds: this.#torrent.webSources.reports(),
      holders,
      servers,
      known: roster.knownAddresses,
      failures: this.contacts.failures,
      banned: this.contacts.banned,
      lastBan: this.contacts.bans.at(-1) ?? null,
      withoutPeersMs: looks.withoutPeers.forMs(nowMs),
      nothingCameMs: looks.nothingCame.forMs(nowMs),
      diskBehindMs: looks.diskBehind.forMs(nowMs),
      syncingMs: looks.syncing.forMs(nowMs),
      memoryShortMs: looks.memoryShort.forMs(nowMs),
      paused: this.#pausedText ?? exchange?.trouble.pausedText ?? null,
      doorTrouble: dialler.trouble,
      mappingTrouble: environment.mappingTrouble,
      badPieces: this.#torrent.badPieces,
    };
  }
}

class Looks {
  readonly withoutPeers = new Since();
  readonly nothingCame = new Since();
  readonly diskBehind = new Since();
  readonly syncing = new Since();
  readonly memoryShort = new Since();
  receivedBytes = -1;
}

/** For how long something has been true at every look. */
class Since {
  #sinceMs: number | null = null;

  is(isSo: boolean, nowMs: number): void {
    if (!isSo) this.#sinceMs = null;
    else this.#sinceMs ??= nowMs;
  }

  forMs(nowMs: number): number {
    return this.#sinceMs === null ? 0 : nowMs - this.#sinceMs;
  }
}

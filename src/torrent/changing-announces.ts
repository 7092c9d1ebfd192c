/**
 * The announces of a torrent whose trackers may change while it runs. The trackers of before hear that we leave first:
 * one that stays among them would otherwise take a late 'stopped' for the end of what has begun anew.
 */
import type { TrackerReport } from '../api.js';
import type { FoundBy } from '../discovery/source.js';
import type { Address } from '../net/address.js';
import type { Door } from '../peer/handshakes.js';
import type { AnnounceOwner, Announces } from './environment.js';
import type { Session } from './session.js';
import { announceFigures } from './stats.js';

type Trackers = readonly (readonly string[])[];

/** The session whose trackers they are. */
export interface AnnouncesHost extends Session {
  readonly roster: Session['roster'] & Door & { add(addresses: readonly Address[], foundBy: FoundBy): void };
}

/** Where there is no tracker; of thousands of such seeds none needs its own. */
const NO_ANNOUNCES: Announces = {
  foundBy: 'tracker',
  start: () => {},
  tick: () => {},
  dueAtMs: Number.POSITIVE_INFINITY,
  completed: () => {},
  abandon: () => {},
  announceNow: () => {},
  reports: () => [],
  stop: async () => {},
};

export class ChangingAnnounces implements Announces, AnnounceOwner {
  readonly #host: AnnouncesHost;
  #trackers: Trackers;
  /** Null: it is not started. */
  #current: Announces | null = null;
  #isStopped = false;
  /** Goodbyes under way. */
  #leaving: Promise<void> | null = null;

  constructor(host: AnnouncesHost, trackers: Trackers) {
    this.#host = host;
    this.#trackers = trackers;
  }

  get foundBy(): 'tracker' {
    return 'tracker';
  }

  /** Others take over. */
  change(trackers: Trackers): void {
    this.#trackers = trackers;
    const before = this.#current;
    if (before === null) return;
    const next = this.#make();
    this.#current = next;
    if (this.#isStopped) return;
    const { now } = this.#host.environment;
    this.#leaving = Promise.all([this.#leaving, before.stop(now())]).then(() => {
      if (this.#current === next && !this.#isStopped) this.#begin(next, now());
    });
  }

  start(nowMs: number): void {
    this.#current = this.#make();
    this.#begin(this.#current, nowMs);
  }

  tick(nowMs: number): void {
    this.#current?.tick(nowMs);
  }

  get dueAtMs(): number {
    return this.#current?.dueAtMs ?? Number.POSITIVE_INFINITY;
  }

  completed(nowMs: number): void {
    this.#current?.completed(nowMs);
  }

  abandon(): void {
    this.#isStopped = true;
    this.#current?.abandon();
  }

  announceNow(nowMs: number): void {
    this.#current?.announceNow(nowMs);
  }

  reports(): readonly TrackerReport[] {
    return this.#current?.reports() ?? [];
  }

  async stop(nowMs: number): Promise<void> {
    this.#isStopped = true;
    await Promise.all([this.#leaving, this.#current?.stop(nowMs)]);
  }

  #make(): Announces {
    const { metainfo, environment } = this.#host;
    const hasTrackers = this.#trackers.some((tier) => tier.length > 0);
    return hasTrackers ? environment.makeAnnounces(metainfo, this.#trackers, this) : NO_ANNOUNCES;
  }

  #begin(announces: Announces, nowMs: number): void {
    announces.start(nowMs, () => announceFigures(this.#host));
  }

  // ---- AnnounceOwner ----

  onPeers(addresses: readonly Address[]): void {
    this.#host.roster.add(addresses, 'tracker');
  }

  onOutcome(url: string, outcome: 'ok' | 'warning' | 'failure', message: string): void {
    this.#host.environment.stir(this.#host.roster);
    this.#host.tell('tracker', url, outcome, message);
  }
}

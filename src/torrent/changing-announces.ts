/**
 * The announces of a torrent whose trackers may change while it runs. The trackers of before hear that we leave first:
 * one that stays among them would otherwise take a late 'stopped' for the end of what has begun anew.
 */
import type { TrackerReport } from '../api.js';
import type { AnnounceFigures } from '../discovery/announce.js';
import type { Announces } from './environment.js';

export class ChangingAnnounces implements Announces {
  readonly foundBy = 'tracker';
  readonly #now: () => number;
  #current: Announces;
  #figures: (() => AnnounceFigures) | null = null;
  #isStopped = false;
  /** Goodbyes under way. */
  #leaving: Promise<void> = Promise.resolve();

  constructor(first: Announces, now: () => number) {
    this.#current = first;
    this.#now = now;
  }

  /** Others take over. */
  change(next: Announces): void {
    const before = this.#current;
    const figures = this.#figures;
    this.#current = next;
    if (figures === null || this.#isStopped) return;
    this.#leaving = Promise.all([this.#leaving, before.stop(this.#now())]).then(() => {
      if (this.#current === next && !this.#isStopped) next.start(this.#now(), figures);
    });
  }

  start(nowMs: number, figures: () => AnnounceFigures): void {
    this.#figures = figures;
    this.#current.start(nowMs, figures);
  }

  tick(nowMs: number): void {
    this.#current.tick(nowMs);
  }

  get dueAtMs(): number {
    return this.#current.dueAtMs;
  }

  completed(nowMs: number): void {
    this.#current.completed(nowMs);
  }

  announceNow(nowMs: number): void {
    this.#current.announceNow(nowMs);
  }

  reports(): readonly TrackerReport[] {
    return this.#current.reports();
  }

  async stop(nowMs: number): Promise<void> {
    this.#isStopped = true;
    await Promise.all([this.#leaving, this.#current.stop(nowMs)]);
  }
}

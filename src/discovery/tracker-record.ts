/** How each tracker of one torrent answered last. Pure; for people and programs that ask, it decides nothing. */
import type { TrackerReport } from '../api.js';
import { shownUrl } from '../net/url.js';

/** As many as are used (`TRACKERS_MAX`) and some of those that are not. */
const TRACKERS_RECORDED = 120;

export class TrackerRecord {
  /** In the order in which they came; few. */
  readonly #reports: TrackerReport[] = [];
  readonly #urls: string[] = [];

  /** A tracker that will be asked. */
  expect(url: string): void {
    this.#set(url, { url: shownUrl(url), outcome: 'waiting', message: '', failures: 0 });
  }

  unsupported(url: string, message: string): void {
    this.#set(url, { url: shownUrl(url), outcome: 'unsupported', message, failures: 0 });
  }

  answered(url: string, message: string): void {
    this.#set(url, { url: shownUrl(url), outcome: 'ok', message, failures: 0 });
  }

  failed(url: string, message: string): void {
    const failures = (this.#reports[this.#urls.indexOf(url)]?.failures ?? 0) + 1;
    this.#set(url, { url: shownUrl(url), outcome: 'failure', message, failures });
  }

  get reports(): readonly TrackerReport[] {
    return [...this.#reports];
  }

  #set(url: string, report: TrackerReport): void {
    const known = this.#urls.indexOf(url);
    if (known >= 0) this.#reports[known] = report;
    else if (this.#urls.length < TRACKERS_RECORDED) {
      this.#urls.push(url);
      this.#reports.push(report);
    }
  }
}

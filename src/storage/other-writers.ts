/**
 * Files that another program writes into while we write them too: device, inode and length do not show it.
 *
 *   positional: each write of ours reports the file's time of change before and after it. A time before that none of
 *               our writes left is somebody else's, and so is one that is found while we write nothing.
 *   mapped:     stores through a mapping give no event, so each event of the file (inotify) is somebody else's.
 *
 * A write that falls into one of ours leaves no time of its own and is missed; who overwrites much is not. Where more
 * workers than two write one file at once only pauses are judged.
 * A suspicion proves nothing (a chmod is one, too): whoever is told hashes the file again.
 */
import { type FSWatcher, watch } from 'node:fs';

/**
 * With more workers than one a write may begin inside another; with more than two under way the times cannot be told
 * apart.
 */
const TOLD_APART = 2;
/** Writes that overlap are judged when none is under way: answers may come in another order than the writes. */
const JUDGED_TOGETHER = 64;
/** Files watched by one storage; the usual limit is 8,192 for all processes of a user. */
const WATCHED_FILES = 1024;

/** A file's time of change before and after a write. */
type Span = readonly [beforeNs: bigint, afterNs: bigint];

interface Times {
  /** Left by the last write of ours, or found by the last look. */
  last: bigint;
  underWay: number;
  /** Of those under way and of those that ended since there was none. */
  burst: Span[];
  isCrowded: boolean;
  /** Writes so far. */
  count: number;
}

/** A file that another program may have written into, and the last event that says so. */
export interface Suspect {
  readonly file: number;
  readonly event: number;
}

export class OtherWriters {
  readonly #isSerial: boolean;
  /** By file, the last event that made it one. */
  readonly #suspects = new Map<number, number>();
  readonly #everSuspected = new Set<number>();
  #events = 0;
  readonly #times = new Map<number, Times>();
  readonly #watchers: FSWatcher[] = [];

  /** @param isSerial writes of ours never overlap, for there is one worker */
  constructor(isSerial: boolean) {
    this.#isSerial = isSerial;
  }

  get suspects(): readonly Suspect[] {
    return Array.from(this.#suspects, ([file, event]) => ({ file, event }));
  }

  isSuspect(file: number): boolean {
    return this.#suspects.has(file);
  }

  /** Another program has written there, whatever became of it. */
  wasSuspected(file: number): boolean {
    return this.#everSuspected.has(file);
  }

  suspect(file: number): void {
    this.#suspects.set(file, ++this.#events);
    this.#everSuspected.add(file);
  }

  /** These files were hashed and are good; what came to light meanwhile stands. */
  acquit(suspects: readonly Suspect[]): void {
    for (const { file, event } of suspects) if (this.#suspects.get(file) === event) this.#suspects.delete(file);
  }

  // ---- by time ----

  track(file: number, mtimeNs: bigint): void {
    this.#times.set(file, { last: mtimeNs, underWay: 0, burst: [], isCrowded: false, count: 0 });
  }

  get isTracking(): boolean {
    return this.#times.size > 0;
  }

  writeBegins(file: number): void {
    const times = this.#times.get(file);
    if (times === undefined) return;
    times.count++;
    if (++times.underWay > TOLD_APART && !this.#isSerial) times.isCrowded = true;
  }

  /** @param spans of each write of this job; empty when it failed */
  writeEnded(file: number, spans: readonly Span[]): void {
    const times = this.#times.get(file);
    if (times === undefined) return;
    times.underWay--;
    times.burst.push(...spans);
    if (times.burst.length > JUDGED_TOGETHER && !this.#isSerial) times.isCrowded = true;
    if (!this.#isSerial && times.underWay > 0 && !times.isCrowded) return;
    const isOurs = (beforeNs: bigint): boolean =>
      beforeNs === times.last || times.burst.some(([, afterNs]) => afterNs === beforeNs);
    if (!times.isCrowded && !times.burst.every(([beforeNs]) => isOurs(beforeNs))) this.suspect(file);
    for (const [, afterNs] of times.burst) if (this.#isSerial || afterNs > times.last) times.last = afterNs;
    times.burst = [];
    if (times.underWay === 0) times.isCrowded = false;
  }

  /** Taken before a look, given to `seen` after it; null: a write is under way. */
  token(file: number): number | null {
    const times = this.#times.get(file);
    return times === undefined || times.underWay > 0 ? null : times.count;
  }

  seen(file: number, mtimeNs: bigint, token: number | null): void {
    const times = this.#times.get(file);
    if (times === undefined || token === null || times.count !== token || times.last === mtimeNs) return;
    times.last = mtimeNs;
    this.suspect(file);
  }

  // ---- by event ----

  /** Where files cannot be watched, or not so many, nothing is said. */
  watch(files: readonly number[], pathOf: (file: number) => string): void {
    if (files.length > WATCHED_FILES) return;
    try {
      for (const file of files) {
        const watcher = watch(pathOf(file), { persistent: false }, () => this.suspect(file));
        this.#watchers.push(watcher);
        watcher.on('error', () => watcher.close());
      }
    } catch {
      this.close();
    }
  }

  /**
   * Resolves when what the kernel has told so far is heard. Events are read once in a turn of the event loop, and an
   * answer of a thread may be read before them in the same turn: so the second turn from now has all.
   */
  async heard(): Promise<void> {
    if (this.#watchers.length === 0) return;
    for (let turn = 0; turn < 2; turn++) await new Promise((resolve) => setImmediate(resolve));
  }

  close(): void {
    for (const watcher of this.#watchers) watcher.close();
    this.#watchers.length = 0;
  }
}

/**
 * Files that another program writes into while we write them too: device, inode and length do not show it.
 *
 *   positional: each write of ours reports the file's time of change before and after it, and when that was asked. A
 *               time before that none of our writes left is somebody else's, and so is one that is found while we
 *               write nothing.
 *   mapped:     stores through a mapping give no event, so each event of the file (inotify) is somebody else's.
 *
 * A time that was asked while a write of ours went on may be one of a write that is not over, so it is not judged:
 * however many workers write one file at once, the first of them after a moment without any is. Where there is no such
 * moment for long, one is made: new writes wait until those under way have ended, some milliseconds of one worker. A
 * write of another program that falls into one of ours leaves no time of its own and is missed; who overwrites much
 * is not.
 * A suspicion proves nothing (a chmod is one, too): whoever is told hashes the file again.
 */
import { type FSWatcher, watch } from 'node:fs';

/** Times that our last writes left, of those that overlapped. Workers are fewer, and the last time is among these. */
const TIMES_KEPT = 256;
/** Writes that wait for the answer of one that was there before them; what is more is not judged. */
const WRITES_KEPT = 1024;
/** After so long without a judgement a moment without writes is made: as often as files under suspicion are hashed. */
const UNJUDGED_NS = 5_000_000_000n;
/** Looks at the files, one a second, until those who wait for such a moment wait no more: a device may hang. */
const HOLD_LOOKS = 2;
/** Files watched by one storage; the usual limit is 8,192 for all processes of a user. */
const WATCHED_FILES = 1024;

/** A write of ours, in nanoseconds. */
export interface WriteTimes {
  /** Of the monotonic clock: before the time of change was asked, after that, and when the write was over. */
  readonly askedNs: bigint;
  readonly beginNs: bigint;
  readonly endNs: bigint;
  /** The file's time of change before and after. */
  readonly beforeNs: bigint;
  readonly afterNs: bigint;
}

interface Ended extends WriteTimes {
  /** Writes that had begun when this one's answer came. */
  readonly begun: number;
}

interface Times {
  /** What our last writes left, or the last look found. */
  lasts: bigint[];
  /** When the last of these was over. */
  endNs: bigint;
  /** By the number of those before them, oldest first. */
  readonly underWay: Set<number>;
  /** Not judged yet: some of those under way may have been there before. By when they began. */
  ended: Ended[];
  /** Writes so far. */
  count: number;
  /** When the last write that we heard of was over, and since when nothing was judged; null: since the next write. */
  newestNs: bigint;
  unjudgedNs: bigint | null;
  /** Writes that wait for those under way, and how often was looked since the first of them came. */
  held: (() => void)[];
  looks: number;
  /** Those before this one were waited for in vain. */
  patientFrom: number;
}

/** A file that another program may have written into, and the last event that says so. */
export interface Suspect {
  readonly file: number;
  readonly event: number;
}

export class OtherWriters {
  /** By file, the last event that made it one. */
  readonly #suspects = new Map<number, number>();
  readonly #everSuspected = new Set<number>();
  #events = 0;
  readonly #times = new Map<number, Times>();
  readonly #watchers: FSWatcher[] = [];

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
    const nothingYet = { endNs: 0n, underWay: new Set<number>(), ended: [], count: 0, newestNs: 0n, unjudgedNs: null };
    this.#times.set(file, { ...nothingYet, lasts: [mtimeNs], held: [], looks: 0, patientFrom: 0 });
  }

  get isTracking(): boolean {
    return this.#times.size > 0;
  }

  /**
   * A write that needs these files may begin now, or when what this gives has resolved and it was asked again. Whoever
   * waits has begun nothing, so nobody waits for another one that does.
   */
  hold(files: readonly number[]): Promise<void> | null {
    for (const file of files) {
      const times = this.#times.get(file);
      if (times === undefined || times.newestNs - (times.unjudgedNs ?? times.newestNs) < UNJUDGED_NS) continue;
      const [oldest = -1] = times.underWay;
      if (oldest >= times.patientFrom) return new Promise((resolve) => times.held.push(resolve));
    }
    return null;
  }

  /** Once a second. */
  look(): void {
    for (const times of this.#times.values()) {
      if (times.held.length > 0 && ++times.looks >= HOLD_LOOKS) {
        times.patientFrom = times.count;
        letGo(times);
      }
    }
  }

  /** @returns what `writeEnded` wants to know */
  writeBegins(file: number): number {
    const times = this.#times.get(file);
    if (times === undefined) return -1;
    times.underWay.add(times.count);
    return times.count++;
  }

  /** @param write as it began @param parts each write of this job; empty when it failed */
  writeEnded(file: number, write: number, parts: readonly WriteTimes[]): void {
    const times = this.#times.get(file);
    if (times === undefined) return;
    times.underWay.delete(write);
    for (const part of parts) {
      times.ended.push({ ...part, begun: times.count });
      times.unjudgedNs ??= part.askedNs;
      if (part.endNs > times.newestNs) times.newestNs = part.endNs;
    }
    times.ended.sort((one, other) => (one.beginNs < other.beginNs ? -1 : 1));
    const [oldest = Infinity] = times.underWay;
    const firstOpen = times.ended.findIndex(({ begun }) => begun > oldest);
    const settled = Math.max(firstOpen < 0 ? times.ended.length : firstOpen, times.ended.length - WRITES_KEPT);
    for (const part of times.ended.splice(0, settled)) this.#settle(file, times, part);
    // The next one begins after all of these, so it will be judged.
    if (times.underWay.size === 0) letGo(times);
  }

  /** To be called in the order in which they began. */
  #settle(file: number, times: Times, { askedNs, endNs, beforeNs, afterNs }: Ended): void {
    if (times.endNs <= askedNs) {
      if (!times.lasts.includes(beforeNs)) this.suspect(file);
      times.lasts = [];
      times.unjudgedNs = endNs;
    }
    times.lasts.push(afterNs);
    if (times.lasts.length > TIMES_KEPT) times.lasts.shift();
    if (endNs > times.endNs) times.endNs = endNs;
  }

  /** Taken before a look, given to `seen` after it; null: a write is under way. */
  token(file: number): number | null {
    const times = this.#times.get(file);
    return times === undefined || times.underWay.size > 0 ? null : times.count;
  }

  seen(file: number, mtimeNs: bigint, token: number | null): void {
    const times = this.#times.get(file);
    if (times === undefined || token === null || times.count !== token || times.lasts.includes(mtimeNs)) return;
    times.lasts = [mtimeNs];
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

function letGo(times: Times): void {
  times.unjudgedNs = null;
  times.looks = 0;
  for (const resolve of times.held.splice(0)) resolve();
}

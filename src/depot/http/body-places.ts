/**
 * Places of bodies on their way in. They are shared by addresses (`fair-places.ts`); where one is wanted and there
 * is none, the slowest sender gives way: of whoever has most, or of the address itself. Else a few that send a byte now
 * and then would keep others out for as long as they like. Who finds none waits for it, in order: jobs that begin
 * together are told to come again only when that takes longer than a slow sender may.
 */
import { HaulError } from '../../errors.js';
import { mayTake, ownOf } from './fair-places.js';
import { DEPOT_HTTP_LIMITS } from './limits.js';
import { Problem } from './problems.js';
import type { UploadBody } from './upload-body.js';

export interface BodyHolder {
  readonly group: string;
  readonly body: UploadBody;
  readonly abort: AbortController;
}

const RETRY = { 'retry-after': String(DEPOT_HTTP_LIMITS.retrySeconds) };

/** Somebody waits for a place. */
interface Waiting {
  readonly group: string;
  readonly settle: (error: Error | null) => void;
}

export class BodyPlaces {
  readonly #holders = new Set<BodyHolder>();
  /** In the order in which they came. */
  readonly #waiting = new Map<BodyHolder, Waiting>();
  readonly #atOnce: number;
  readonly #now: () => number;

  /** @param atOnce so many are read at once; others have a place, and wait */
  constructor(atOnce: number, now: () => number) {
    this.#atOnce = atOnce;
    this.#now = now;
  }

  /**
   * Resolves when it has a place, which is free again with the end of the body, or when it is left.
   * @throws Problem 503; HaulError ABORTED: it was left meanwhile
   */
  async take(holder: BodyHolder): Promise<AsyncIterable<Uint8Array>> {
    // Who is gone already does not leave once more.
    if (!holder.abort.signal.aborted && !this.#holders.has(holder)) await this.#place(holder);
    return this.#bodyOf(holder);
  }

  leave(holder: BodyHolder): void {
    this.#waiting.get(holder)?.settle(new HaulError('ABORTED', 'the client is gone before its body was wanted'));
    this.#free(holder);
  }

  /** Once a second or so: who waits gets the place of one that is slow. */
  tick(): void {
    const refused = new Set<string>();
    for (const [holder, { group }] of this.#waiting) {
      if (refused.has(group)) continue;
      if (this.#makeRoom(group)) this.#give(holder);
      else refused.add(group);
    }
    const unread = [...this.#holders].filter(({ body }) => !body.isBegun);
    if (unread.length === 0 || this.#holders.size - unread.length < this.#atOnce) return;
    for (const { group } of unread) if (!this.#makeRoom(group)) break;
    this.#share();
  }

  async *#bodyOf(holder: BodyHolder): AsyncGenerator<Uint8Array> {
    try {
      yield* holder.body.read();
    } finally {
      this.#free(holder);
    }
  }

  async #place(holder: BodyHolder): Promise<void> {
    const { group } = holder;
    // Nobody gets a place before those of its own address who wait.
    if (!this.#hasWaiting(group) && (this.#mayTake(group) || this.#makeRoom(group))) {
      this.#holders.add(holder);
      return;
    }
    const own = ownOf(this.#waiting.values(), group);
    if (!mayTake(own, this.#waiting.size, DEPOT_HTTP_LIMITS.uploadsWaiting)) throw busy();
    await new Promise<void>((resolve, reject) => {
      const settle = (error: Error | null): void => {
        clearTimeout(timer);
        this.#waiting.delete(holder);
        if (error === null) resolve();
        else reject(error);
      };
      const timer = setTimeout(() => settle(busy()), DEPOT_HTTP_LIMITS.uploadWaitMs);
      this.#waiting.set(holder, { group, settle });
    });
  }

  #free(holder: BodyHolder): void {
    if (this.#holders.delete(holder)) this.#share();
  }

  /** What is free goes to those who wait. */
  #share(): void {
    const refused = new Set<string>();
    for (const [holder, { group }] of this.#waiting) {
      if (refused.has(group)) continue;
      if (this.#mayTake(group)) this.#give(holder);
      else refused.add(group);
    }
  }

  #give(holder: BodyHolder): void {
    this.#holders.add(holder);
    this.#waiting.get(holder)!.settle(null);
  }

  #hasWaiting(group: string): boolean {
    for (const waiting of this.#waiting.values()) if (waiting.group === group) return true;
    return false;
  }

  #mayTake(group: string): boolean {
    return mayTake(ownOf(this.#holders, group), this.#holders.size, DEPOT_HTTP_LIMITS.uploads);
  }

  /** True: somebody gave a place, which is for whoever asks. */
  #makeRoom(group: string): boolean {
    const counts = new Map<string, number>();
    for (const holder of this.#holders) counts.set(holder.group, (counts.get(holder.group) ?? 0) + 1);
    const most = Math.max(...counts.values());
    const nowMs = this.#now();
    let slowest: BodyHolder | null = null;
    let least: number = DEPOT_HTTP_LIMITS.slowUploadBytesPerSec;
    for (const holder of this.#holders) {
      const bytesPerSec = holder.body.bytesPerSec(nowMs);
      if (bytesPerSec >= least || (holder.group !== group && counts.get(holder.group)! < most)) continue;
      slowest = holder;
      least = bytesPerSec;
    }
    if (slowest === null) return false;
    this.#holders.delete(slowest);
    slowest.body.giveUp(new Problem(408, 'TIMEOUT', 'the body comes slowly, and others want its place', RETRY));
    slowest.abort.abort();
    return true;
  }
}

function busy(): Problem {
  return new Problem(503, 'BUSY', 'too many uploads are under way', RETRY);
}

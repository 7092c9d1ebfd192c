/**
 * Places of bodies on their way in. They are shared by addresses (`fair-places.ts`); where one is wanted and there
 * is none, the slowest sender gives way: of whoever has most, or of the address itself. Else a few that send a byte now
 * and then would keep others out for as long as they like.
 */
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

export class BodyPlaces {
  readonly #holders = new Set<BodyHolder>();
  readonly #atOnce: number;
  readonly #now: () => number;

  /** @param atOnce so many are read at once; others have a place, and wait */
  constructor(atOnce: number, now: () => number) {
    this.#atOnce = atOnce;
    this.#now = now;
  }

  /** Its place is free again with the end of the body, or when it is left. @throws Problem 503 */
  take(holder: BodyHolder): AsyncIterable<Uint8Array> {
    const holders = this.#holders;
    if (!holders.has(holder) && !this.#mayTake(holder.group) && !this.#makeRoom(holder.group))
      throw new Problem(503, 'BUSY', 'too many uploads are under way', RETRY);
    // Who is gone already does not leave once more.
    if (!holder.abort.signal.aborted) holders.add(holder);
    return (async function* (): AsyncGenerator<Uint8Array> {
      try {
        yield* holder.body.read();
      } finally {
        holders.delete(holder);
      }
    })();
  }

  leave(holder: BodyHolder): void {
    this.#holders.delete(holder);
  }

  /** Once a second or so: who waits to be read gets the place of one that is slow. */
  tick(): void {
    const waiting = [...this.#holders].filter(({ body }) => !body.isBegun);
    if (waiting.length === 0 || this.#holders.size - waiting.length < this.#atOnce) return;
    for (const { group } of waiting) if (!this.#makeRoom(group)) return;
  }

  #mayTake(group: string): boolean {
    return mayTake(ownOf(this.#holders, group), this.#holders.size, DEPOT_HTTP_LIMITS.uploads);
  }

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

/**
 * A fetch of which nothing comes may be of something that the depot has removed, or replaced, since it began: nobody
 * gives it any more then, and who reads it is not to wait for that. Asked of the depot, once in a while. Pure.
 */

/** Nothing came for so long: it is asked. */
export const GONE_MS = 2_000;

export class GoneWatch {
  readonly #isGone: () => Promise<boolean>;
  readonly #onGone: () => void;
  #movedBytes = 0;
  /** When something came last, or the depot was asked. */
  #sinceMs: number;
  #isAsking = false;

  /** @param isGone rejects: nobody knows */
  constructor(nowMs: number, isGone: () => Promise<boolean>, onGone: () => void) {
    this.#sinceMs = nowMs;
    this.#isGone = isGone;
    this.#onGone = onGone;
  }

  /** Once a second or so. @param isWorking it is busy with what is here, not with what comes */
  look(nowMs: number, bytes: number, isWorking: boolean): void {
    if (bytes !== this.#movedBytes || isWorking) this.#sinceMs = nowMs;
    this.#movedBytes = bytes;
    if (this.#isAsking || nowMs - this.#sinceMs < GONE_MS) return;
    this.#isAsking = true;
    void this.#ask(nowMs);
  }

  async #ask(nowMs: number): Promise<void> {
    const movedBytes = this.#movedBytes;
    try {
      // What comes all the same, from others, is what was asked for.
      if ((await this.#isGone()) && this.#movedBytes === movedBytes) this.#onGone();
    } catch {
      // A depot that is away is somebody else's trouble.
    }
    this.#sinceMs = Math.max(this.#sinceMs, nowMs);
    this.#isAsking = false;
  }
}

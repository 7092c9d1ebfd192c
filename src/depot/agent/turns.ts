/** So many at once; others wait for their turn, in the order in which they came. */
export class Turns {
  readonly #limit: number;
  #taken = 0;
  readonly #waiting = new Set<(isTaken: boolean) => void>();
  #isClosed = false;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** There is one for who comes now. */
  get isFree(): boolean {
    return this.#taken < this.#limit && !this.#isClosed;
  }

  /**
   * Resolves when there is one, which has to be freed; false: the signal fired before, it took too long, or it is over.
   * @param waitMs default: as long as it takes
   */
  async wait(signal: AbortSignal, waitMs: number | null = null): Promise<boolean> {
    if (signal.aborted || this.#isClosed) return false;
    if (this.isFree) {
      this.#taken++;
      return true;
    }
    return new Promise((resolve) => {
      const settle = (isTaken: boolean): void => {
        this.#waiting.delete(settle);
        clearTimeout(timer);
        signal.removeEventListener('abort', giveUp);
        resolve(isTaken);
      };
      const giveUp = (): void => settle(false);
      const timer = waitMs === null ? undefined : setTimeout(giveUp, waitMs);
      this.#waiting.add(settle);
      signal.addEventListener('abort', giveUp);
    });
  }

  /** One that was taken goes to who has waited longest. */
  free(): void {
    const [next] = this.#waiting;
    if (next === undefined) this.#taken--;
    else next(true);
  }

  /** Nobody waits any more. */
  close(): void {
    this.#isClosed = true;
    for (const settle of this.#waiting) settle(false);
  }
}

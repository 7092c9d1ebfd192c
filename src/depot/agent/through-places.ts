/** Places of those whose bytes are passed through, with memory for each; who has begun already may wait. Pure. */
export class ThroughPlaces {
  readonly #limit: number;
  #taken = 0;
  /** In the order in which they came. */
  readonly #waiting = new Set<() => void>();

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** False: all are taken. */
  take(): boolean {
    if (this.#taken >= this.#limit) return false;
    this.#taken++;
    return true;
  }

  /** Resolves when there is one; false: the signal fired before. */
  async wait(signal: AbortSignal): Promise<boolean> {
    if (signal.aborted) return false;
    if (this.take()) return true;
    return new Promise((resolve) => {
      const settle = (isTaken: boolean): void => {
        this.#waiting.delete(onPlace);
        signal.removeEventListener('abort', onAbort);
        resolve(isTaken);
      };
      const onPlace = (): void => settle(true);
      const onAbort = (): void => settle(false);
      this.#waiting.add(onPlace);
      signal.addEventListener('abort', onAbort);
    });
  }

  /** One that was taken goes to who has waited longest. */
  free(): void {
    const [next] = this.#waiting;
    if (next === undefined) this.#taken--;
    else next();
  }
}

/** The body of an upload: it can begin anew at another depot as long as little of it has left. */

/** Kept for that. */
const KEPT_BYTES = 256 * 1024;

export class ReplayBody {
  readonly #source: AsyncIterator<Uint8Array>;
  readonly #now: () => number;
  /** What came and may be wanted once more; the first ones may be gone. */
  #kept: Uint8Array[] = [];
  #cameBytes = 0;
  #isEnded = false;
  #pulling: Promise<void> | null = null;
  #turn = 0;
  /** When somebody took something of it last. */
  movedMs: number;

  constructor(source: AsyncIterable<Uint8Array>, now: () => number) {
    this.#source = source[Symbol.asyncIterator]();
    this.#now = now;
    this.movedMs = now();
  }

  /** All that came is still here. */
  get canBegin(): boolean {
    return this.#cameBytes <= KEPT_BYTES;
  }

  /** All of it was given: whoever got it may have done what it was for. */
  get isEnded(): boolean {
    return this.#isEnded;
  }

  /** From its begin; what was read before ends. While `canBegin` holds. @throws what the client's connection says */
  async *read(): AsyncGenerator<Uint8Array> {
    const turn = ++this.#turn;
    for (let at = 0; turn === this.#turn; ) {
      const chunk = this.#kept[at];
      if (chunk !== undefined) {
        if (this.canBegin) at++;
        else {
          this.#kept.splice(0, at + 1);
          at = 0;
        }
        this.movedMs = this.#now();
        yield chunk;
      } else if (this.#isEnded) return;
      else {
        this.#pulling ??= this.#pull();
        await this.#pulling;
      }
    }
  }

  /** Nothing more of it is wanted. */
  close(): void {
    this.#turn++;
    this.#source.return?.().catch(() => {});
  }

  async #pull(): Promise<void> {
    try {
      const { done, value } = await this.#source.next();
      if (done === true) this.#isEnded = true;
      else {
        this.#cameBytes += value.length;
        this.#kept.push(this.canBegin ? Buffer.from(value) : value);
      }
    } finally {
      this.#pulling = null;
    }
  }
}

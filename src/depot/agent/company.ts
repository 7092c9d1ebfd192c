/** Whether others have or want what is being fetched: asked now and then, until there are some. */
import { Deferred } from './fetch.js';

/** Who begin together are found at the second look; who is alone is not asked about for ever at that rate. */
const FIRST_MS = 250;
const LONGEST_MS = 4_000;

export class Company {
  readonly #count: () => Promise<number>;
  readonly #found = new Deferred<'company'>();
  #timer: NodeJS.Timeout | null = null;
  #isBegun = false;
  #isEnded = false;

  /** @param count how many there are; what it rejects with is taken for nobody */
  constructor(count: () => Promise<number>) {
    this.#count = count;
  }

  /** Asks from now on. Resolves when there is somebody; never, when there is not. */
  get found(): Promise<'company'> {
    if (!this.#isBegun) void this.#look(FIRST_MS);
    this.#isBegun = true;
    return this.#found.promise;
  }

  end(): void {
    this.#isEnded = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
  }

  async #look(waitMs: number): Promise<void> {
    const count = await this.#count().catch(() => 0);
    if (count > 0) this.#found.resolve('company');
    else if (!this.#isEnded)
      this.#timer = setTimeout(() => void this.#look(Math.min(LONGEST_MS, waitMs * 2)), waitMs).unref();
  }
}

/** What is asked for while one group is under way makes the next one: many small questions share one round trip. */
export class Company<T> {
  readonly #groupMax: number;
  readonly #serve: (group: T[]) => Promise<void>;
  #waiting: T[] = [];
  #running: Promise<void> | null = null;

  /** @param serve answers each of a group, and never rejects */
  constructor(groupMax: number, serve: (group: T[]) => Promise<void>) {
    this.#groupMax = groupMax;
    this.#serve = serve;
  }

  add(item: T): void {
    this.#waiting.push(item);
    this.#running ??= this.#run();
  }

  /** Resolves when all that were asked for are answered. */
  async idle(): Promise<void> {
    await this.#running;
  }

  async #run(): Promise<void> {
    // Those of the same turn go together.
    await Promise.resolve();
    while (this.#waiting.length > 0) await this.#serve(this.#waiting.splice(0, this.#groupMax));
    this.#running = null;
  }
}

/** The same for questions by a key: each is asked once in a group. */
export class Lookup<T> {
  readonly #company: Company<Question<T>>;

  /** @param ask the answers to these keys, each of them once */
  constructor(groupMax: number, ask: (keys: readonly string[]) => Promise<ReadonlyMap<string, T>>) {
    this.#company = new Company(groupMax, async (group) => {
      try {
        const answers = await ask([...new Set(group.map(({ key }) => key))]);
        for (const { key, resolve } of group) resolve(answers.get(key) ?? null);
      } catch (error) {
        for (const { reject } of group) reject(error);
      }
    });
  }

  find(key: string): Promise<T | null> {
    return new Promise((resolve, reject) => this.#company.add({ key, resolve, reject }));
  }
}

interface Question<T> {
  readonly key: string;
  resolve(answer: T | null): void;
  reject(error: unknown): void;
}

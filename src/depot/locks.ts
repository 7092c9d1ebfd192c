/** One at a time by key, in the order of asking. */
export class Locks {
  readonly #last = new Map<string, Promise<unknown>>();

  async run<T>(key: string, body: () => Promise<T>): Promise<T> {
    const before = this.#last.get(key) ?? Promise.resolve();
    const run = before.then(body);
    const settled = run.catch(() => {});
    this.#last.set(key, settled);
    try {
      return await run;
    } finally {
      if (this.#last.get(key) === settled) this.#last.delete(key);
    }
  }

  /** Resolves when all that were asked for are over. */
  async idle(): Promise<void> {
    while (this.#last.size > 0) await Promise.all(this.#last.values());
  }
}

/** `locked` and `turn` of a catalogue that one process has. */
export class OwnLocks {
  readonly isShared: boolean = false;
  readonly #blobs = new Locks();
  readonly #tasks = new Set<string>();

  locked<T>(sha256: string, body: (lock: { isSure(): boolean }) => Promise<T>): Promise<T> {
    return this.#blobs.run(sha256, () => body({ isSure: () => true }));
  }

  async turn<T>(task: string, body: () => Promise<T>): Promise<T | null> {
    if (this.#tasks.has(task)) return null;
    this.#tasks.add(task);
    try {
      return await body();
    } finally {
      this.#tasks.delete(task);
    }
  }
}

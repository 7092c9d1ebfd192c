/** What a test must give back when it ends, last taken first (node:test runs its own hooks first in, first out). */

export type Cleanup = () => void | Promise<void>;

export class Scope {
  readonly #cleanups: Cleanup[] = [];

  defer(cleanup: Cleanup): void {
    this.#cleanups.push(cleanup);
  }

  /** Runs every cleanup, even when one fails; the first failure is thrown at the end. Idempotent. */
  async close(): Promise<void> {
    const failures: unknown[] = [];
    for (let cleanup = this.#cleanups.pop(); cleanup !== undefined; cleanup = this.#cleanups.pop()) {
      try {
        await cleanup();
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length > 0) throw failures[0];
  }
}

/** A scope that closes when the test (or suite) ends. */
export function openScope(test: { after(hook: () => Promise<void>): void }): Scope {
  const scope = new Scope();
  test.after(() => scope.close());
  return scope;
}

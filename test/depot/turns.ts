/** Work of several that wait for each other's disks, in an order that dice decide: each call waits for its turn. */
import { setImmediate } from 'node:timers/promises';

export class Turns {
  readonly #random: () => number;
  readonly #waiting: (() => void)[] = [];
  #running = 0;

  constructor(random: () => number) {
    this.#random = random;
  }

  pick(count: number): number {
    return Math.floor(this.#random() * count);
  }

  wait(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** The same object, of which these methods wait for their turn before they begin, and again when they are done. */
  wrap<T extends object>(object: T, methods: readonly (keyof T)[]): T {
    return new Proxy(object, {
      get: (target, key) => {
        const value: unknown = Reflect.get(target, key, target);
        if (typeof value !== 'function') return value;
        const method = value.bind(target) as (...values: unknown[]) => unknown;
        if (!methods.includes(key as keyof T)) return method;
        return async (...values: unknown[]) => {
          await this.wait();
          this.#running++;
          try {
            return await method(...values);
          } finally {
            this.#running--;
            await this.wait();
          }
        };
      },
    });
  }

  /** @param atOnce calls that may run beside each other: with more than one the disk has a say in the order, too */
  async run(work: Promise<unknown>, atOnce = 1): Promise<void> {
    let isOver = false;
    const over = work.finally(() => {
      isOver = true;
    });
    over.catch(() => {});
    while (!isOver) {
      do await setImmediate();
      while (this.#running >= atOnce && !isOver);
      if (this.#waiting.length > 0) this.#waiting.splice(this.pick(this.#waiting.length), 1)[0]!();
    }
    await over;
  }
}
